//! Accepting signups: the transaction after which a message may be acknowledged.

use std::{collections::HashMap, time::Duration};

use foxden_vault::{Fingerprint, Sealed};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use tokio::time::Instant;

use crate::{
    batches::{Accepting, Work},
    connect::Ledger,
    connections::Transaction,
    entity::provisioning::{Column, Entity, Model},
    error::LedgerError,
    ids::{ProvisioningId, SignupId, WorkerId},
    provisioning::{Claimed, Provisioning},
    state::Source,
};

/// A checked signup, sealed and ready to be accepted.
#[derive(Debug, Clone)]
pub struct NewSignup {
    /// The key under which its payload was sealed.
    pub id: ProvisioningId,
    /// The parent app's key.
    pub signup_id: SignupId,
    /// The parent app's id of the customer.
    pub account_id: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// The sealed event.
    pub payload: Sealed,
    /// The keyed digest of its content.
    pub fingerprint: Fingerprint,
}

/// What accepting a signup came to.
#[derive(Debug)]
pub enum Accepted {
    /// It is new, and any worker may take it.
    Queued,
    /// It is new, and it is the caller's: leased, with the intent of the user step committed.
    Leased(Box<Claimed>),
    /// Its signup id is known. Whether its content is too, the caller tells from the fingerprint.
    Known(Box<Known>),
    /// Its signup id is known, and the row can't be read: it is damaged, or of a later release.
    Damaged(LedgerError),
}

/// The row that a repeated signup id ran into.
#[derive(Debug, Clone)]
pub struct Known {
    /// The row as it stands.
    pub provisioning: Provisioning,
    /// The digest of the content that was accepted.
    pub fingerprint: Fingerprint,
}

impl Ledger {
    /// Accepts one signup for this worker: one commit holds the row, its lease and the intent of the user
    /// step, so that the create call may be sent at once. Only then acknowledge the message.
    ///
    /// Where the answer was lost, ask again with the same [`NewSignup`]: by its id the row is known for the caller's own,
    /// and the lease comes with what is left of it.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have: don't acknowledge; a repeat is recognized.
    pub async fn accept_leased(
        &self,
        signup: NewSignup,
        owner: &WorkerId,
        lease: Duration,
    ) -> Result<Accepted, LedgerError> {
        let lease = Some((owner.clone(), lease));
        let accepting = Accepting { signups: vec![signup], lease, asked_at: Instant::now() };
        let accepted = self.batched("accept_leased", move |reply| Work::Accept(accepting, reply)).await?;
        accepted.into_iter().next().ok_or_else(vanished)
    }

    /// Accepts many signups in one commit, for any worker to take. The answers are in the order of the input.
    /// A signup id that stands twice in the input is `Known` the second time.
    ///
    /// # Errors
    /// As [`Ledger::accept_leased`]. Then all that are new were accepted, or none of them, and which is not known: ask
    /// again with the same ids.
    pub async fn accept_queued(&self, signups: Vec<NewSignup>) -> Result<Vec<Accepted>, LedgerError> {
        if signups.is_empty() {
            return Ok(Vec::new());
        }
        let accepting = Accepting { signups, lease: None, asked_at: Instant::now() };
        self.batched("accept_queued", move |reply| Work::Accept(accepting, reply)).await
    }

    /// The row of a signup id that is known, as it stands now.
    ///
    /// # Errors
    /// When the database does not answer, or the row is damaged or gone.
    pub async fn known(&self, signup_id: &SignupId) -> Result<Known, LedgerError> {
        let (ledger, signup_id) = (self.clone(), signup_id.clone());
        self.detached("known", async move {
            let known = find_known(&ledger.db, &[signup_id.as_str()]).await?;
            known.into_values().next().ok_or_else(vanished)?
        })
        .await
    }

    /// Now, read inside a transaction. On PostgreSQL that is a round trip, which the insert needs: the columns it
    /// fills are compared with the same clock later.
    pub(crate) async fn now_in(&self, txn: &Transaction) -> Result<i64, LedgerError> {
        use sea_orm::sea_query::{Alias, Query};
        let query = Query::select().expr_as(self.now(), Alias::new("now")).to_owned();
        let row = txn.query_one(&query).await?.ok_or_else(vanished)?;
        Ok(row.try_get("", "now")?)
    }
}

pub(crate) fn vanished() -> LedgerError {
    LedgerError::Schema("a row that was there a moment ago is gone".to_owned())
}

pub(crate) async fn find_known(
    txn: &impl ConnectionTrait,
    signup_ids: &[&str],
) -> Result<HashMap<String, Result<Known, LedgerError>>, LedgerError> {
    if signup_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::SignupId.is_in(signup_ids.iter().copied())).all(txn).await?;
    Ok(rows.into_iter().map(|row| (row.signup_id.clone(), Known::read(row))).collect())
}

pub(crate) fn accepted(known: Result<Known, LedgerError>) -> Accepted {
    match known {
        Ok(known) => Accepted::Known(Box::new(known)),
        Err(error) => Accepted::Damaged(error),
    }
}

impl Known {
    fn read(row: Model) -> Result<Self, LedgerError> {
        let fingerprint = Fingerprint::from_bytes(&row.fingerprint)
            .map_err(|_| LedgerError::Damaged { id: row.id.clone(), column: "fingerprint" })?;
        Ok(Self { provisioning: Provisioning::from_row(row)?, fingerprint })
    }
}
