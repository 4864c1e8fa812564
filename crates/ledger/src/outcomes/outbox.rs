//! The outbox: outcome events, committed with what they tell of, sent afterwards.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    batches::each_by_key,
    connect::Ledger,
    connections::Transaction,
    entity::{
        outbox::{ActiveModel, Column, Entity},
        provisioning,
    },
    error::{LedgerError, leave_out_damaged},
    grants::grant::Grant,
    ids::ProvisioningId,
    provisioning::Provisioning,
    state::OutcomeKind,
    transactions::Ending::Commit,
};

/// What stands for the provisioning of an event that belongs to none. The column takes no null: the previous release
/// could not read it (decision 0015).
const OF_NO_PROVISIONING: &str = "";

/// What an outcome event tells the parent app. How it is worded on the wire is the intake's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// What happened.
    pub kind: OutcomeKind,
    /// The details. Never a secret, never personal data.
    pub data: OutcomeData,
}

/// The details of an outcome event, as they are kept in the outbox and sent as the event's data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Where the signup stands, in the answer to a duplicate: [`Provisioning::standing`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why it is parked, why an event was rejected, or why a grant was asked for: one of the documented reasons. Why it
    /// was cancelled: what the person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What the parent app can offer its customer: `authorize`, to grant access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The grant that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// What access a person is asked for: to a `user` or a `store`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// Until when the person may answer; RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// What is wrong with an event that was rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<ToldMistake>,
}

/// A mistake in a signup event, as the parent app is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldMistake {
    /// Where: `store.country`.
    pub path: String,
    /// What, without the value.
    pub problem: String,
}

impl OutcomeData {
    /// What can be told of any provisioning: whose it is, and what it has at Foxy.
    pub fn of(row: &Provisioning) -> Self {
        Self {
            signup_id: row.signup_id.to_string(),
            user_id: row.account_id.clone(),
            user_uri: row.user_uri.clone(),
            store_uri: row.store_uri.clone(),
            store_domain: row.store_domain.clone(),
            ..Self::default()
        }
    }

    /// The same with a grant of its.
    pub fn of_grant(row: &Provisioning, grant: &Grant) -> Self {
        let expires_at = i128::from(grant.expires_at_ms) * 1_000_000;
        let expires_at = OffsetDateTime::from_unix_timestamp_nanos(expires_at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self {
            reason: Some(grant.reason.to_string()),
            grant_id: Some(grant.id.to_string()),
            wanted: Some(grant.wanted.to_string()),
            expires_at: Some(expires_at.format(&Rfc3339).expect("a time within years 0 to 9999 is formatted")),
            ..Self::of(row)
        }
    }
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

/// Tells that a provisioning goes on, if it was told that it was parked: whoever tells nothing is told nothing.
pub(crate) async fn tell_resumed(txn: &Transaction, provisioning_id: &str, now: i64) -> Result<(), LedgerError> {
    let parked = Entity::find()
        .filter(Column::ProvisioningId.eq(provisioning_id))
        .filter(kind_is_parked())
        .order_by_desc(Column::Seq)
        .one(txn)
        .await?;
    let Some(parked) = parked else { return Ok(()) };
    // What can't be read any more must not keep the signup from going on.
    let told = serde_json::from_str(&parked.body)
        .unwrap_or_else(|_| OutcomeData { signup_id: parked.signup_id, ..OutcomeData::default() });
    let event = OutcomeEvent {
        kind: OutcomeKind::Resumed,
        data: OutcomeData { reason: None, advice: None, action: None, ..told },
    };
    insert_event(txn, provisioning_id, event, now).await
}

/// Whether an event tells of a parked signup. In the words of the partial index `outbox_parked`, since a value that
/// is bound would not be known to be its own.
fn kind_is_parked() -> Expr {
    Expr::cust(format!("kind = '{}'", OutcomeKind::Parked))
}

/// Whether anything was ever told of a signup, as far as the outbox remembers.
pub(crate) async fn was_told(txn: &Transaction, signup_id: &str) -> Result<bool, LedgerError> {
    Ok(Entity::find().filter(Column::SignupId.eq(signup_id)).one(txn).await?.is_some())
}

/// Commits an event with what it tells of.
pub(crate) async fn insert_event(
    txn: &Transaction,
    provisioning_id: &str,
    event: OutcomeEvent,
    now: i64,
) -> Result<(), LedgerError> {
    let row = row(Uuid::now_v7().to_string(), provisioning_id, event, now);
    Entity::insert(row).exec_without_returning(txn).await?;
    Ok(())
}

fn row(event_id: String, provisioning_id: &str, event: OutcomeEvent, now: i64) -> ActiveModel {
    ActiveModel {
        seq: NotSet,
        event_id: Set(event_id),
        provisioning_id: Set(provisioning_id.to_owned()),
        kind: Set(event.kind.as_str().to_owned()),
        body: Set(serde_json::to_string(&event.data).expect("strings and options always serialize")),
        signup_id: Set(event.data.signup_id),
        created_at: Set(now),
        published_at: Set(None),
    }
}

impl Ledger {
    /// Commits an event that changes no provisioning, and so belongs to none. The same id twice is one event.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have: try again, under the same id.
    pub async fn tell(&self, event_id: String, event: OutcomeEvent) -> Result<(), LedgerError> {
        let work = self.transaction(async move |txn, now| {
            let row = row(event_id, OF_NO_PROVISIONING, event, now);
            let known = OnConflict::column(Column::EventId).do_nothing().to_owned();
            Entity::insert_many([row]).on_conflict(known).exec_without_returning(txn).await?;
            Ok(Commit(()))
        });
        self.detached("tell", work).await
    }

    /// Commits an event that answers with how a provisioning stands. It is made of the row as it is when this is
    /// committed, so it comes behind all that was told of it before.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have, or the row is damaged or gone.
    pub async fn tell_standing(
        &self,
        id: &ProvisioningId,
        answer: fn(&Provisioning) -> (String, OutcomeEvent),
    ) -> Result<(), LedgerError> {
        let id = id.clone();
        let work = self.transaction(async move |txn, now| {
            let found = provisioning::Entity::find_by_id(id.as_str()).lock_exclusive().one(txn).await?;
            let gone = || LedgerError::Damaged { id: id.to_string(), column: "id" };
            let (event_id, event) = answer(&Provisioning::from_row(found.ok_or_else(gone)?)?);
            Entity::insert(row(event_id, OF_NO_PROVISIONING, event, now)).exec_without_returning(txn).await?;
            Ok(Commit(()))
        });
        self.detached("tell_standing", work).await
    }

    /// The oldest events that wait, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_events(&self, limit: u64) -> Result<Vec<Waiting>, LedgerError> {
        self.read_events(Entity::find().filter(Column::PublishedAt.is_null()), limit).await
    }

    async fn read_events(&self, query: Select<Entity>, limit: u64) -> Result<Vec<Waiting>, LedgerError> {
        let ledger = self.clone();
        let query = query.order_by_asc(Column::Seq).limit(limit);
        let rows = self.detached("read_events", async move { Ok(query.all(&ledger.db).await?) }).await?;
        let read = rows.into_iter().map(|row| {
            let damaged = |column| LedgerError::Damaged { id: row.event_id.clone(), column };
            let event = OutcomeEvent {
                kind: OutcomeKind::parse(&row.kind).ok_or_else(|| damaged("outbox.kind"))?,
                data: serde_json::from_str(&row.body).map_err(|_| damaged("outbox.body"))?,
            };
            Ok(Waiting { seq: row.seq, event_id: row.event_id, at_ms: row.created_at, event })
        });
        Ok(leave_out_damaged(read))
    }

    /// Marks events that the broker has confirmed.
    ///
    /// # Errors
    /// When the database does not answer; they are then sent again, under the same ids.
    pub async fn mark_published(&self, seqs: Vec<i64>) -> Result<(), LedgerError> {
        let ledger = self.clone();
        self.detached("mark_published", async move {
            if seqs.is_empty() {
                return Ok(());
            }
            mark(&ledger, &ledger.db, &seqs).await?;
            ledger.count_commit();
            Ok(())
        })
        .await
    }
}

/// Marks events as published, each found by its key: of a list PostgreSQL may read the whole table.
pub(crate) async fn mark(ledger: &Ledger, db: &impl ConnectionTrait, seqs: &[i64]) -> Result<(), LedgerError> {
    let backend = db.get_database_backend();
    let (now, keys) = (ledger.now_text(), serde_json::json!(seqs).to_string());
    let text = match backend {
        DbBackend::Sqlite => {
            format!("UPDATE outbox SET published_at = {now} WHERE seq IN (SELECT value FROM json_each(?))")
        }
        _ => {
            let place = each_by_key("SELECT o.ctid AS place FROM outbox AS o WHERE o.seq = r.seq::bigint");
            format!(
                "UPDATE outbox SET published_at = {now} FROM json_array_elements_text($1::json) AS r(seq) \
                 CROSS JOIN {place} AS found WHERE outbox.ctid = found.place"
            )
        }
    };
    db.execute_raw(Statement::from_sql_and_values(backend, text, [keys.into()])).await?;
    Ok(())
}
