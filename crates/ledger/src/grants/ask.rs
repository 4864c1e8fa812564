//! Asking a person for their consent.

use std::time::Duration;

use sea_orm::{ActiveValue::Set, EntityTrait as _};

use crate::{
    audit::{self, By, Deed},
    connect::{Ledger, millis},
    credentials::lock_row,
    entity::grant::{ActiveModel, Entity, Model},
    error::LedgerError,
    grants::{
        ending::{self, AsEvent},
        grant::{Grant, live_of},
        words::{GrantReason, GrantState, Wanted},
    },
    ids::GrantId,
    outbox::insert_event,
    provisioning::Provisioning,
    state::Act,
    transactions::Ending::{Commit, RollBack},
    which_foxy::ClientId,
};

/// What a person is to be asked for. Whether the signup can use it is the caller's to judge.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The key that the grant will have, if there is none.
    pub id: GrantId,
    /// Why.
    pub reason: GrantReason,
    /// To what.
    pub wanted: Wanted,
    /// Who has it asked, for the audit.
    pub by: By,
    /// The client that asks.
    pub client_id: ClientId,
    /// The user or the store that it must be, where that is known.
    pub expected_uri: Option<String>,
    /// For how long a person may answer.
    pub lifetime: Duration,
    /// The outcome event that a grant was asked for; `None` where no outcome events are made.
    pub requested: Option<AsEvent>,
    /// The one that an earlier grant of the same signup has expired, if it is found to have.
    pub expired: Option<AsEvent>,
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A grant was opened.
    Opened(Grant),
    /// There is one already, for the same reason. It may be of another client or address; or it waits to be confirmed,
    /// and then for whatever reason.
    There(Grant),
    /// The provisioning has changed since it was judged: nothing was opened.
    Changed,
    /// Its customer was forgotten: nothing was opened.
    Forgotten,
}

impl Asking {
    /// Whether it takes the place of this one, that no one has completed.
    fn is_instead_of(&self, live: &Model) -> bool {
        let is_same = live.reason == self.reason.as_str() && live.wanted == self.wanted.as_str();
        live.state == GrantState::Open.as_str() && live.id != self.id.as_str() && !is_same
    }
}

impl Ledger {
    /// Opens a grant for a provisioning, or answers the one that is there. One for another reason, for which no one has
    /// come yet, is withdrawn. Asking again with the same key, after a lost
    /// answer, finds what was opened.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have, or a row is damaged.
    pub async fn ask_for_grant(&self, judged: &Provisioning, asking: Asking) -> Result<Asked, LedgerError> {
        let judged = judged.clone();
        let work = self.transaction(async move |txn, now| {
            // The row's lock lets one ask at a time.
            let row = Provisioning::from_row(lock_row(txn, &judged.id).await?)?;
            match live_of(&judged.id).one(txn).await? {
                // It was asked for before the signup came to lack something else. Following it could not help.
                Some(live) if asking.is_instead_of(&live) && live.expires_at > now => {
                    ending::withdraw_of(txn, &judged.id, now).await?;
                }
                Some(live) if live.expires_at > now || live.id == asking.id.as_str() => {
                    return Ok(RollBack(Asked::There(Grant::from_row(live)?)));
                }
                Some(late) => ending::expire(txn, &row, late, asking.expired, now).await?,
                None => {}
            }
            let stands = |row: &Provisioning| (row.state, row.step, row.epoch, row.updated_at_ms);
            if row.forgotten_at_ms.is_some() {
                return Ok(RollBack(Asked::Forgotten));
            }
            if stands(&row) != stands(&judged) {
                return Ok(RollBack(Asked::Changed));
            }
            let grant = Grant {
                id: asking.id,
                provisioning: judged.id,
                reason: asking.reason,
                wanted: asking.wanted,
                client_id: asking.client_id,
                expected_uri: asking.expected_uri,
                state: GrantState::Open,
                asked_at_ms: now,
                expires_at_ms: now + millis(asking.lifetime),
                ended_at_ms: None,
            };
            Entity::insert(new_row(&grant)).exec_without_returning(txn).await?;
            let detail = Some(format!("{}: {}", grant.reason, grant.wanted));
            let deed = Deed { detail, ..Deed::to(Act::AskForGrant, &row.signup_id) };
            audit::write(txn, &asking.by, &deed, now).await?;
            if let Some(requested) = asking.requested {
                insert_event(txn, row.id.as_str(), requested(&row, &grant), now).await?;
            }
            Ok(Commit(Asked::Opened(grant)))
        });
        self.detached("ask_for_grant", work).await
    }
}

fn new_row(grant: &Grant) -> ActiveModel {
    ActiveModel {
        id: Set(grant.id.to_string()),
        provisioning_id: Set(grant.provisioning.to_string()),
        reason: Set(grant.reason.as_str().to_owned()),
        wanted: Set(grant.wanted.as_str().to_owned()),
        client_id: Set(grant.client_id.to_string()),
        expected_uri: Set(grant.expected_uri.clone()),
        state: Set(grant.state.as_str().to_owned()),
        asked_at: Set(grant.asked_at_ms),
        expires_at: Set(grant.expires_at_ms),
        ended_at: Set(grant.ended_at_ms),
    }
}
