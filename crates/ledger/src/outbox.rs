//! The outbox: outcome events, committed with what they tell of, sent afterwards.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use crate::{
    connect::{Ledger, millis},
    entity::outbox::{Column, Entity},
    error::LedgerError,
    state::OutcomeKind,
};

/// What an outcome event tells the parent app. How it is worded on the wire is the intake's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// What happened.
    pub kind: OutcomeKind,
    /// The details. Never a secret, never personal data.
    pub data: OutcomeData,
}

/// The details of an outcome event, as they are kept in the outbox and sent as the event's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeData {
    /// The parent app's key of the signup.
    pub signup_id: String,
    /// The parent app's id of the customer, where the signup event had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The Foxy user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_uri: Option<String>,
    /// The Foxy store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_uri: Option<String>,
    /// The store's domain at Foxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_domain: Option<String>,
    /// Why it is parked: one of the documented reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// An outcome event that waits to be published.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its place in the order of the outbox.
    pub seq: i64,
    /// The event's id: the same however often it is sent.
    pub event_id: String,
    /// When it happened; epoch milliseconds.
    pub at_ms: i64,
    /// What it tells.
    pub event: OutcomeEvent,
}

impl Ledger {
    /// The oldest events that wait, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_events(&self, limit: u64) -> Result<Vec<Waiting>, LedgerError> {
        let ledger = self.clone();
        let query = Entity::find().filter(Column::PublishedAt.is_null()).order_by_asc(Column::Seq).limit(limit);
        let rows = Self::detached(async move { Ok(query.all(&ledger.db).await?) }).await?;
        rows.into_iter()
            .map(|row| {
                let damaged = |column| LedgerError::Damaged { id: row.provisioning_id.clone(), column };
                let event = OutcomeEvent {
                    kind: OutcomeKind::parse(&row.kind).ok_or_else(|| damaged("outbox.kind"))?,
                    data: serde_json::from_str(&row.body).map_err(|_| damaged("outbox.body"))?,
                };
                Ok(Waiting { seq: row.seq, event_id: row.event_id, at_ms: row.created_at, event })
            })
            .collect()
    }

    /// How many events wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_waiting_events(&self) -> Result<u64, LedgerError> {
        let ledger = self.clone();
        let query = Entity::find().filter(Column::PublishedAt.is_null());
        Self::detached(async move { Ok(query.count(&ledger.db).await?) }).await
    }

    /// Marks events that the broker has confirmed.
    ///
    /// # Errors
    /// When the database does not answer; they are then sent again, under the same ids.
    pub async fn mark_published(&self, seqs: Vec<i64>) -> Result<(), LedgerError> {
        let ledger = self.clone();
        Self::detached(async move {
            if seqs.is_empty() {
                return Ok(());
            }
            Entity::update_many()
                .col_expr(Column::PublishedAt, ledger.now())
                .filter(Column::Seq.is_in(seqs))
                .exec(&ledger.db)
                .await?;
            ledger.count_commit();
            Ok(())
        })
        .await
    }

    /// Deletes events that were published longer ago than `keep`. Answers how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_published(&self, keep: Duration) -> Result<u64, LedgerError> {
        let before = self.now_ms().await? - millis(keep);
        let ledger = self.clone();
        Self::detached(async move {
            let gone = Entity::delete_many().filter(Column::PublishedAt.lt(before)).exec(&ledger.db).await?;
            Ok(gone.rows_affected)
        })
        .await
    }
}
