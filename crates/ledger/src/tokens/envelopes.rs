//! The envelopes of a key, and others in their place: what moves a ledger to another key.

use std::{collections::HashSet, fmt::Write as _};

use foxden_vault::{Format, KeyId, Sealed};
use sea_orm::{
    ColumnTrait, ConnectionTrait as _, EntityTrait, QueryFilter, QueryResult, QuerySelect, Value,
    sea_query::{LockBehavior, LockType},
};

use crate::{
    address::path_in,
    connect::Ledger,
    connections::Transaction,
    entity::{credential, provisioning},
    error::LedgerError,
    ids::{ProvisioningId, SignupId},
    keys::{Contents, bytes},
    transactions::Ending::{Commit, RollBack},
    which_foxy::{ClientId, FoxyClient},
};

/// An envelope as it is stored, with what its row says of it.
#[derive(Debug)]
pub struct StoredEnvelope {
    /// The key of its row.
    pub row: String,
    /// Whose it is.
    pub provisioning: ProvisioningId,
    /// Whose it is, in the parent app's words.
    pub signup_id: SignupId,
    /// Its bytes; they may be damaged.
    pub envelope: Vec<u8>,
    /// What else its row says.
    pub around: Around,
}

/// What a row says of its envelope.
#[derive(Debug)]
pub enum Around {
    /// The contents of a signup event.
    Event {
        /// The customer.
        account_id: Option<String>,
        /// The fingerprint of the contents; it may be damaged.
        fingerprint: Vec<u8>,
    },
    /// A refresh token.
    Token {
        /// What it opens: the word of a [`Scope`](crate::Scope), or one of a later release.
        scope: String,
        /// The create call that brought it.
        intent: u32,
        /// The address that it opens.
        resource_uri: Option<String>,
        /// The client that it was given to.
        client: Option<FoxyClient>,
        /// When Foxy gave it; epoch milliseconds.
        given_at_ms: i64,
        /// Whether the signup is there, and the address that it has for its user or store is that of one of its tokens.
        agrees: bool,
    },
}

/// An envelope that takes the place of a stored one.
#[derive(Debug)]
pub struct Replacement {
    /// The key of the row.
    pub row: String,
    /// The bytes that were read there.
    pub was: Vec<u8>,
    /// What takes their place.
    pub sealed: Sealed,
    /// The fingerprint that goes with it, of an event.
    pub fingerprint: Option<Vec<u8>>,
}

impl Ledger {
    /// The next envelopes of one key, in the order of their rows, at most `limit`; of one format only, if that is
    /// asked for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sealed_with(
        &self,
        contents: Contents,
        (key, only): (KeyId, Option<Format>),
        after: &str,
        limit: u64,
    ) -> Result<Vec<StoredEnvelope>, LedgerError> {
        let (_, column) = contents.place();
        let of_format = only.map_or_else(String::new, |_| format!(" AND substr({column}, 1, 4) = $4"));
        let which = format!("{column} IS NOT NULL AND substr({column}, 5, 8) = $1{of_format}");
        let query = match contents {
            Contents::Event => format!(
                "SELECT id, id AS provisioning_id, signup_id, payload AS envelope, account_id, fingerprint \
                 FROM provisionings WHERE {which} AND id > $2 ORDER BY id LIMIT $3"
            ),
            Contents::Token => format!(
                "SELECT c.id, c.provisioning_id, COALESCE(p.signup_id, c.provisioning_id) AS signup_id, \
                 c.sealed AS envelope, c.scope, COALESCE(c.beside_intent, c.intent) AS intent, c.resource_uri, \
                 c.client_id, c.which_foxy, c.created_at, {} AS agrees \
                 FROM credentials c LEFT JOIN provisionings p ON p.id = c.provisioning_id \
                 WHERE {which} AND c.id > $2 ORDER BY c.id LIMIT $3",
                agrees(self.is_embedded())
            ),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut values = vec![bytes(key), after.into(), limit.into()];
        values.extend(only.map(|format| Value::from(format.magic().to_vec())));
        let query = self.statement(&query, values);
        let ledger = self.clone();
        self.detached("sealed_with", async move {
            let rows = ledger.db.query_all_raw(query).await?;
            rows.iter().map(|row| read(contents, row)).collect()
        })
        .await
    }

    /// Puts these envelopes in the place of those that were read, where they are still there and their rows are not
    /// locked: no row is waited for. Returns how many were replaced.
    ///
    /// # Errors
    /// When nothing was replaced, or it is not known.
    pub async fn replace_sealed(&self, contents: Contents, replacements: Vec<Replacement>) -> Result<u64, LedgerError> {
        let ledger = self.clone();
        let work = self.transaction(async move |txn, _| {
            let free = lock_free(txn, contents, &replacements).await?;
            let replacements: Vec<_> = replacements.into_iter().filter(|one| free.contains(&one.row)).collect();
            if replacements.is_empty() {
                return Ok(RollBack(0));
            }
            let (statement, values) = replacing(contents, replacements);
            Ok(Commit(txn.execute_raw(ledger.statement(&statement, values)).await?.rows_affected()))
        });
        self.detached("reseal", work).await
    }
}

/// Whether the signup of a token is there, and the address that its row has is that of one of its tokens of this
/// kind, by path.
fn agrees(is_embedded: bool) -> String {
    // Nothing is said by the row of a token that came late for an earlier domain, and of the user of another signup.
    const ADDRESS: &str = "(CASE WHEN c.scope = 'store_full_access' AND COALESCE(c.beside_intent, c.intent) >= p.key_intent \
                           THEN p.store_uri WHEN c.scope = 'user_full_access' AND p.user_from IS NULL THEN p.user_uri END)";
    let (of_row, of_token) = (path_in(ADDRESS, is_embedded), path_in("o.resource_uri", is_embedded));
    format!(
        "(p.id IS NOT NULL AND ({ADDRESS} IS NULL OR EXISTS (SELECT 1 FROM credentials o \
         WHERE o.provisioning_id = p.id AND o.scope = c.scope AND {of_token} = {of_row})))"
    )
}

/// Locks those of the rows that no one else has locked, and returns which: a statement on many rows that waited for
/// some while it held others could deadlock with a worker's that renews its leases.
async fn lock_free(
    txn: &Transaction,
    contents: Contents,
    replacements: &[Replacement],
) -> Result<HashSet<String>, LedgerError> {
    let rows = replacements.iter().map(|one| one.row.as_str());
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
fn replacing(contents: Contents, replacements: Vec<Replacement>) -> (String, Vec<Value>) {
    let (table, column) = contents.place();
    let (mut rows, mut values) = (String::new(), Vec::with_capacity(replacements.len() * 4));
    for Replacement { row, was, sealed, fingerprint } in replacements {
        let first = values.len() + 1;
        values.extend([Value::from(row), was.into(), sealed.into_bytes().into()]);
        values.extend(fingerprint.map(Value::from));
        let places: Vec<String> = (first..=values.len()).map(|place| format!("${place}")).collect();
        let comma = if rows.is_empty() { "" } else { ", " };
        write!(rows, "{comma}({})", places.join(", ")).expect("writing to a string does not fail");
    }
    let (names, set) = match contents {
        Contents::Event => ("id, was, sealed, fingerprint", ", fingerprint = replacing.fingerprint"),
        Contents::Token => ("id, was, sealed", ""),
    };
    let statement = format!(
        "WITH replacing ({names}) AS (VALUES {rows}) UPDATE {table} SET {column} = replacing.sealed{set} FROM replacing \
         WHERE {table}.id = replacing.id AND {table}.{column} = replacing.was"
    );
    (statement, values)
}

fn read(contents: Contents, row: &QueryResult) -> Result<StoredEnvelope, LedgerError> {
    let around = match contents {
        Contents::Event => {
            Around::Event { account_id: row.try_get("", "account_id")?, fingerprint: row.try_get("", "fingerprint")? }
        }
        Contents::Token => {
            let (client_id, foxy): (Option<String>, Option<String>) =
                (row.try_get("", "client_id")?, row.try_get("", "which_foxy")?);
            let given_to = client_id.as_ref().zip(foxy.as_ref());
            let client = given_to
                .and_then(|(id, foxy)| Some(FoxyClient { foxy: foxy.parse().ok()?, id: ClientId::parse(id).ok()? }));
            // Of two that belong together one is missing, or one can't be read.
            let is_damaged = client.is_none() && (client_id.is_some() || foxy.is_some());
            Around::Token {
                scope: row.try_get("", "scope")?,
                intent: u32::try_from(row.try_get::<i32>("", "intent")?).unwrap_or(0),
                resource_uri: row.try_get("", "resource_uri")?,
                client,
                given_at_ms: row.try_get("", "created_at")?,
                agrees: row.try_get::<bool>("", "agrees")? && !is_damaged,
            }
        }
    };
    Ok(StoredEnvelope {
        row: row.try_get("", "id")?,
        provisioning: ProvisioningId::from_row(row.try_get("", "provisioning_id")?),
        signup_id: SignupId::from_row(row.try_get("", "signup_id")?),
        envelope: row.try_get("", "envelope")?,
        around,
    })
}
