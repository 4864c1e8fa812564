//! Moving envelopes to the ring's first key, while workers run.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Write as _,
};

use foxden_vault::{Fingerprint, KeyId, SealError, Sealed};
use sea_orm::{
    ColumnTrait, ConnectionTrait as _, EntityTrait, QueryFilter, QueryResult, QuerySelect, Value,
    sea_query::{LockBehavior, LockType},
};

use crate::{
    connect::Ledger,
    connections::Transaction,
    custody::{Custody, CustodyError, NotResealed},
    entity::{credential, provisioning},
    error::LedgerError,
    ids::{ProvisioningId, SignupId},
    keys::{Contents, bytes},
    state::Scope,
};

/// Rows that were locked or changed when their turn came are gone back to so many times; then they are left for another
/// run.
const PASSES: u32 = 5;

/// A walk over every envelope that another key than the ring's first one has sealed.
///
/// It keeps nothing that another run would need: what is at the first key is not looked at again, so a run that was
/// killed is gone on with by starting one. An envelope is replaced only where it still is the one that was read, so
/// whoever wipes or reseals it in between wins. No row is waited for and none is held longer than one statement takes, so
/// workers are not in each other's way.
pub struct Reseal {
    ledger: Ledger,
    custody: Custody,
    /// The places that are left of this pass.
    places: VecDeque<(Contents, KeyId)>,
    /// The last row that was read of the first of them.
    after: String,
    passes: u32,
    /// Whether some rows of this pass could not be had.
    skipped: bool,
    /// The rows that are known not to open, so that each is told of once.
    refused: HashSet<String>,
}

/// What became of one page of envelopes.
#[derive(Debug, Default)]
pub struct Page {
    /// How many are sealed with the first key now.
    pub moved: u64,
    /// Those that stay as they are.
    pub refused: Vec<Refused>,
}

/// An envelope that does not open where it is.
#[derive(Debug)]
pub struct Refused {
    /// Whose it is.
    pub signup_id: SignupId,
    /// What it should hold.
    pub contents: Contents,
    /// Why it does not open.
    pub reason: CustodyError,
}

/// Why resealing stopped. What was moved stays so.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nothing can be sealed.
    #[error("could not seal an envelope anew")]
    Seal(#[from] SealError),
}

/// An envelope as it is stored, with what it is bound to.
struct Stored {
    /// The key of its row.
    row: String,
    provisioning: ProvisioningId,
    signup_id: SignupId,
    envelope: Vec<u8>,
    kind: Kind,
}

/// What else of its row an envelope's purpose takes.
enum Kind {
    Event { account_id: Option<String>, fingerprint: Vec<u8> },
    Token { scope: String },
}

/// What takes its place.
struct Anew {
    row: String,
    was: Vec<u8>,
    sealed: Sealed,
    /// An event's.
    fingerprint: Option<Vec<u8>>,
}

impl Reseal {
    /// A walk from the beginning. Keys that the ring lacks are passed over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(ledger: &Ledger, custody: &Custody) -> Result<Self, LedgerError> {
        let mut walk = Self {
            ledger: ledger.clone(),
            custody: custody.clone(),
            places: VecDeque::new(),
            after: String::new(),
            passes: 0,
            skipped: false,
            refused: HashSet::new(),
        };
        walk.start_pass().await?;
        Ok(walk)
    }

    async fn start_pass(&mut self) -> Result<(), LedgerError> {
        let ring = self.custody.ring();
        let keys = self.ledger.keys_in_use().await?;
        let to_move = keys.into_iter().filter(|key| *key != ring.primary() && ring.contains(*key));
        self.places = to_move.flat_map(|key| Contents::ALL.map(|contents| (contents, key))).collect();
        (self.after, self.skipped) = (String::new(), false);
        self.passes += 1;
        Ok(())
    }

    /// Moves the next envelopes, at most so many. `None` after the last.
    ///
    /// # Errors
    /// When it can't go on; nothing of this page was moved, or it is not known.
    pub async fn next_page(&mut self, limit: u64) -> Result<Option<Page>, ResealError> {
        loop {
            let Some((contents, key)) = self.places.front().copied() else {
                if !self.skipped || self.passes >= PASSES {
                    return Ok(None);
                }
                self.start_pass().await?;
                continue;
            };
            let stored = self.ledger.sealed_with(contents, key, &self.after, limit).await?;
            let Some(last) = stored.last() else {
                self.places.pop_front();
                self.after.clear();
                continue;
            };
            self.after.clone_from(&last.row);
            return Ok(Some(self.reseal(contents, stored).await?));
        }
    }

    async fn reseal(&mut self, contents: Contents, stored: Vec<Stored>) -> Result<Page, ResealError> {
        let (mut page, mut anew) = (Page::default(), Vec::with_capacity(stored.len()));
        for stored in stored {
            let (row, signup_id) = (stored.row.clone(), stored.signup_id.clone());
            match self.seal_anew(stored) {
                Ok(resealed) => anew.push(resealed),
                Err(NotResealed::Open(reason)) => {
                    if self.refused.insert(row) {
                        page.refused.push(Refused { signup_id, contents, reason });
                    }
                }
                Err(NotResealed::Seal(error)) => return Err(error.into()),
            }
        }
        let wanted = anew.len() as u64;
        if wanted > 0 {
            page.moved = self.ledger.replace(contents, anew).await?;
        }
        self.skipped |= page.moved < wanted;
        Ok(page)
    }

    fn seal_anew(&self, stored: Stored) -> Result<Anew, NotResealed> {
        let Stored { row, provisioning, signup_id, envelope: was, kind } = stored;
        // What was cut is as good as altered.
        let envelope = Sealed::from_bytes(was.clone()).map_err(|_| CustodyError::Refused)?;
        let (sealed, fingerprint) = match kind {
            Kind::Token { scope } => {
                let scope = Scope::parse(&scope).ok_or(CustodyError::Refused)?;
                (self.custody.reseal_token(&provisioning, scope, &envelope)?, None)
            }
            Kind::Event { account_id, fingerprint } => {
                let sealed = self.custody.reseal_payload(&provisioning, &envelope)?;
                let anew = Fingerprint::from_bytes(&fingerprint).ok().and_then(|known| {
                    self.custody.renew_fingerprint(&provisioning, &signup_id, account_id.as_deref(), &envelope, &known)
                });
                (sealed, Some(anew.map_or(fingerprint, |anew| anew.as_bytes().to_vec())))
            }
        };
        Ok(Anew { row, was, sealed, fingerprint })
    }
}

impl Ledger {
    /// The next envelopes of one key, in the order of their rows.
    async fn sealed_with(
        &self,
        contents: Contents,
        key: KeyId,
        after: &str,
        limit: u64,
    ) -> Result<Vec<Stored>, LedgerError> {
        let query = match contents {
            Contents::Event => {
                "SELECT id, id AS provisioning_id, signup_id, payload AS envelope, account_id, fingerprint \
                 FROM provisionings WHERE payload IS NOT NULL AND substr(payload, 5, 8) = $1 AND id > $2 \
                 ORDER BY id LIMIT $3"
            }
            Contents::Token => {
                "SELECT c.id, c.provisioning_id, COALESCE(p.signup_id, c.provisioning_id) AS signup_id, \
                 c.sealed AS envelope, c.scope FROM credentials c LEFT JOIN provisionings p ON p.id = c.provisioning_id \
                 WHERE c.sealed IS NOT NULL AND substr(c.sealed, 5, 8) = $1 AND c.id > $2 ORDER BY c.id LIMIT $3"
            }
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = self.statement(query, [bytes(key), after.into(), limit.into()]);
        let ledger = self.clone();
        self.detached("sealed_with", async move {
            let rows = ledger.db.query_all_raw(query).await?;
            rows.iter().map(|row| read(contents, row)).collect()
        })
        .await
    }

    /// Puts these envelopes in the place of those that were read, where they still are there. Answers how many were.
    async fn replace(&self, contents: Contents, anew: Vec<Anew>) -> Result<u64, LedgerError> {
        let ledger = self.clone();
        self.detached("reseal", async move {
            let txn = ledger.begin().await?;
            let free = lock_free(&txn, contents, &anew).await?;
            let anew: Vec<Anew> = anew.into_iter().filter(|anew| free.contains(&anew.row)).collect();
            let moved = if anew.is_empty() {
                0
            } else {
                let (statement, values) = replacement(contents, anew);
                txn.execute_raw(ledger.statement(&statement, values)).await?.rows_affected()
            };
            ledger.commit(txn).await?;
            Ok(moved)
        })
        .await
    }
}

/// Locks those of the rows that nobody else has, and answers which: a statement on many rows that waited for some while
/// it held others could deadlock with a worker's that renews its leases.
async fn lock_free(txn: &Transaction, contents: Contents, anew: &[Anew]) -> Result<HashSet<String>, LedgerError> {
    let rows = anew.iter().map(|anew| anew.row.as_str());
    let free: Vec<String> = match contents {
        Contents::Event => {
            use provisioning::{Column, Entity};
            let free = Entity::find().select_only().column(Column::Id).filter(Column::Id.is_in(rows));
            free.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).into_tuple().all(txn).await?
        }
        Contents::Token => {
            use credential::{Column, Entity};
            let free = Entity::find().select_only().column(Column::Id).filter(Column::Id.is_in(rows));
            free.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).into_tuple().all(txn).await?
        }
    };
    Ok(free.into_iter().collect())
}

/// One statement for all of them; each is compared with what was read, and set.
fn replacement(contents: Contents, anew: Vec<Anew>) -> (String, Vec<Value>) {
    let (table, column) = contents.place();
    let (mut rows, mut values) = (String::new(), Vec::with_capacity(anew.len() * 4));
    for Anew { row, was, sealed, fingerprint } in anew {
        let first = values.len() + 1;
        values.extend([Value::from(row), was.into(), sealed.into_bytes().into()]);
        values.extend(fingerprint.map(Value::from));
        let places: Vec<String> = (first..=values.len()).map(|place| format!("${place}")).collect();
        let comma = if rows.is_empty() { "" } else { ", " };
        write!(rows, "{comma}({})", places.join(", ")).expect("writing to a string does not fail");
    }
    let (names, set) = match contents {
        Contents::Event => ("id, was, sealed, fingerprint", ", fingerprint = anew.fingerprint"),
        Contents::Token => ("id, was, sealed", ""),
    };
    let statement = format!(
        "WITH anew ({names}) AS (VALUES {rows}) UPDATE {table} SET {column} = anew.sealed{set} FROM anew \
         WHERE {table}.id = anew.id AND {table}.{column} = anew.was"
    );
    (statement, values)
}

fn read(contents: Contents, row: &QueryResult) -> Result<Stored, LedgerError> {
    let kind = match contents {
        Contents::Event => {
            Kind::Event { account_id: row.try_get("", "account_id")?, fingerprint: row.try_get("", "fingerprint")? }
        }
        Contents::Token => Kind::Token { scope: row.try_get("", "scope")? },
    };
    Ok(Stored {
        row: row.try_get("", "id")?,
        provisioning: ProvisioningId::from_row(row.try_get("", "provisioning_id")?),
        signup_id: SignupId::from_row(row.try_get("", "signup_id")?),
        envelope: row.try_get("", "envelope")?,
        kind,
    })
}
