//! The rows that batches write: which columns, and the statements over them.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult as _, Statement, TryIntoModel};

use super::carried::{Carried, Hex, carried, each_by_key, over};
use crate::{
    connect::Ledger,
    connections::Transaction,
    entity::{attempt, provisioning::Model},
    error::LedgerError,
    state::Scope,
};

carried! {
    /// Evidence.
    AttemptRow {
        id: &'a str => Text,
        provisioning_id: &'a str => Text,
        intent: i32 => Count,
        epoch: i64 => Number,
        owner: &'a str => Text,
        kind: &'a str => Text,
        step: &'a str => Text,
        natural_key: Option<&'a str> => Text,
        started_at: i64 => Number,
        ended_at: i64 => Number,
        outcome: &'a str => Text,
        http_status: Option<i32> => Count,
        logref: Option<&'a str> => Text,
        note: Option<&'a str> => Text,
    }
}

impl<'a> From<&'a attempt::Model> for AttemptRow<'a> {
    fn from(row: &'a attempt::Model) -> Self {
        Self {
            id: &row.id,
            provisioning_id: &row.provisioning_id,
            intent: row.intent,
            epoch: row.epoch,
            owner: &row.owner,
            kind: &row.kind,
            step: &row.step,
            natural_key: row.natural_key.as_deref(),
            started_at: row.started_at,
            ended_at: row.ended_at,
            outcome: &row.outcome,
            http_status: row.http_status,
            logref: row.logref.as_deref(),
            note: row.note.as_deref(),
        }
    }
}

carried! {
    /// A token.
    CredentialRow {
        id: String => Text,
        provisioning_id: &'a str => Text,
        scope: &'a str => Text,
        intent: i32 => Count,
        apart: bool => Flag,
        resource_uri: Option<&'a str> => Text,
        sealed: Option<Hex<'a>> => Bytes,
        client_id: Option<&'a str> => Text,
        which_foxy: Option<String> => Text,
        created_at: i64 => Number,
        wiped_at: Option<i64> => Number,
    }
}

carried! {
    /// An outcome event.
    EventRow {
        event_id: String => Text,
        provisioning_id: &'a str => Text,
        signup_id: &'a str => Text,
        kind: &'a str => Text,
        body: String => Text,
        created_at: i64 => Number,
    }
}

carried! {
    /// A provisioning whose user's tokens are wiped.
    Wiped {
        provisioning_id: &'a str => Text,
        wiped_at: i64 => Number,
    }
}

carried! {
    /// What a record can change of a provisioning. The payload it can only wipe.
    Advanced {
        id: &'a str => Text,
        step: &'a str => Text,
        state: &'a str => Text,
        parked_reason: Option<&'a str> => Text,
        parked_detail: Option<&'a str> => Text,
        is_wiped: bool => Flag,
        generation: i32 => Count,
        user_from: Option<&'a str> => Text,
        user_uri: Option<&'a str> => Text,
        store_uri: Option<&'a str> => Text,
        store_domain: Option<&'a str> => Text,
        domain_try: i32 => Count,
        in_doubt: bool => Flag,
        doubt_ended_at: Option<i64> => Number,
        refused: Option<&'a str> => Text,
        intents: i32 => Count,
        key_intent: i32 => Count,
        retries: i32 => Count,
        tries: i32 => Count,
        tried_ms: i64 => Number,
        lookups: i32 => Count,
        step_since: i64 => Number,
        due_at: Option<i64> => Number,
        not_before: Option<i64> => Number,
        lease_owner: Option<&'a str> => Text,
        lease_until: Option<i64> => Number,
        intent_at: Option<i64> => Number,
        updated_at: i64 => Number,
        closed_at: Option<i64> => Number,
    }
}

impl<'a> From<&'a Model> for Advanced<'a> {
    fn from(row: &'a Model) -> Self {
        Self {
            id: &row.id,
            step: &row.step,
            state: &row.state,
            parked_reason: row.parked_reason.as_deref(),
            parked_detail: row.parked_detail.as_deref(),
            is_wiped: row.payload.is_none(),
            generation: row.generation,
            user_from: row.user_from.as_deref(),
            user_uri: row.user_uri.as_deref(),
            store_uri: row.store_uri.as_deref(),
            store_domain: row.store_domain.as_deref(),
            domain_try: row.domain_try,
            in_doubt: row.in_doubt,
            doubt_ended_at: row.doubt_ended_at,
            refused: row.refused.as_deref(),
            intents: row.intents,
            key_intent: row.key_intent,
            retries: row.retries,
            tries: row.tries,
            tried_ms: row.tried_ms,
            lookups: row.lookups,
            step_since: row.step_since,
            due_at: row.due_at,
            not_before: row.not_before,
            lease_owner: row.lease_owner.as_deref(),
            lease_until: row.lease_until,
            intent_at: row.intent_at,
            updated_at: row.updated_at,
            closed_at: row.closed_at,
        }
    }
}

/// Rows that this transaction has locked, and the time at which it asked for that.
pub(super) struct Locked {
    rows: BTreeMap<String, Model>,
    damaged: BTreeSet<String>,
    pub(super) now: i64,
}

impl Locked {
    /// The row of this id, if there is one.
    pub(super) fn row(&self, id: &str) -> Result<Option<&Model>, LedgerError> {
        if self.damaged.contains(id) {
            return Err(LedgerError::Damaged { id: id.to_owned(), column: "row" });
        }
        Ok(self.rows.get(id))
    }
}

/// Locks rows, in the order of their ids, and reads the clock: in one statement. Every transaction that locks several
/// rows locks them in this order, so none waits in a circle; an `UPDATE` has no order.
pub(super) async fn lock(ledger: &Ledger, txn: &Transaction, ids: &BTreeSet<&str>) -> Result<Locked, LedgerError> {
    let backend = txn.get_database_backend();
    let keys = serde_json::to_string(ids).map_err(|_| LedgerError::Schema("an id can't be carried".to_owned()))?;
    let now = ledger.now_text();
    let select = match backend {
        // It has one writer, and needs no lock.
        DbBackend::Sqlite => format!(
            "SELECT provisionings.*, {now} AS now FROM provisionings WHERE id IN (SELECT value FROM json_each(?)) \
             ORDER BY id"
        ),
        // The lock itself keeps the planner from rearranging the look.
        _ => format!(
            "SELECT p.*, {now} AS now FROM (SELECT id FROM json_array_elements_text($1::json) AS j(id) ORDER BY id) AS r \
             CROSS JOIN LATERAL (SELECT * FROM provisionings AS q WHERE q.id = r.id FOR UPDATE) AS p"
        ),
    };
    let mut locked = Locked { rows: BTreeMap::new(), damaged: BTreeSet::new(), now: 0 };
    let found = txn.query_all_raw(Statement::from_sql_and_values(backend, select, [keys.into()])).await?;
    for row in &found {
        locked.now = row.try_get("", "now")?;
        let id: String = row.try_get("", "id")?;
        match Model::from_query_result(row, "") {
            Ok(model) => drop(locked.rows.insert(id, model)),
            Err(_) => drop(locked.damaged.insert(id)),
        }
    }
    if found.is_empty() {
        locked.now = ledger.now_in(txn).await?;
    }
    Ok(locked)
}

/// Writes rows as they were advanced. They are locked.
pub(super) async fn write(txn: &Transaction, rows: &[&Model]) -> Result<(), LedgerError> {
    if rows.is_empty() {
        return Ok(());
    }
    let advanced: Vec<Advanced<'_>> = rows.iter().map(|row| Advanced::from(*row)).collect();
    let backend = txn.get_database_backend();
    let statement = over(backend, &advanced, |table| match backend {
        DbBackend::Sqlite => {
            format!("UPDATE provisionings SET {} FROM {table} WHERE provisionings.id = r.id", advancing())
        }
        // A locked row stays where it is.
        _ => {
            let place = each_by_key("SELECT q.ctid AS place FROM provisionings AS q WHERE q.id = r.id");
            format!(
                "UPDATE provisionings SET {} FROM {table} CROSS JOIN {place} AS found \
                 WHERE provisionings.ctid = found.place",
                advancing()
            )
        }
    })?;
    let written = txn.execute_raw(statement).await?.rows_affected();
    if written == rows.len() as u64 { Ok(()) } else { Err(LedgerError::Schema("a locked row is gone".to_owned())) }
}

/// What an update sets, given [`Advanced`] rows as the table `r`.
pub(super) fn advancing() -> String {
    let columns = Advanced::COLUMNS.iter().map(|(name, _)| *name).filter(|name| !["id", "is_wiped"].contains(name));
    let set: Vec<String> = columns.map(|name| format!("{name} = r.{name}")).collect();
    format!("{}, payload = CASE WHEN r.is_wiped THEN NULL ELSE payload END", set.join(", "))
}

/// Inserts evidence. Answers the ids of what is new.
pub(super) async fn insert_attempts(
    txn: &Transaction,
    rows: impl IntoIterator<Item = attempt::ActiveModel>,
) -> Result<BTreeSet<String>, LedgerError> {
    let rows = rows.into_iter().map(TryIntoModel::try_into_model).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<_> = rows.iter().map(AttemptRow::from).collect();
    let statement = insert(txn, "attempts", &rows, "ON CONFLICT (id) DO NOTHING RETURNING id")?;
    let new = txn.query_all_raw(statement).await?;
    new.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// Inserts tokens. Answers the ids of those that are the first of their calls.
pub(super) async fn insert_credentials(
    txn: &Transaction,
    rows: &[CredentialRow<'_>],
) -> Result<BTreeSet<String>, LedgerError> {
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known = "ON CONFLICT (provisioning_id, scope, intent) DO NOTHING RETURNING id";
    let new = txn.query_all_raw(insert(txn, "credentials", rows, known)?).await?;
    new.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// Inserts outcome events.
pub(super) async fn insert_events(txn: &Transaction, rows: &[EventRow<'_>]) -> Result<(), LedgerError> {
    if !rows.is_empty() {
        txn.execute_raw(insert(txn, "outbox", rows, "")?).await?;
    }
    Ok(())
}

/// Wipes the users' tokens of these provisionings; the rows stay as evidence.
pub(super) async fn wipe_user_tokens(txn: &Transaction, rows: &[Wiped<'_>]) -> Result<(), LedgerError> {
    if rows.is_empty() {
        return Ok(());
    }
    let backend = txn.get_database_backend();
    let scope = Scope::User.as_str();
    let statement = over(backend, rows, |table| match backend {
        DbBackend::Sqlite => format!(
            "UPDATE credentials SET sealed = NULL, wiped_at = r.wiped_at FROM {table} \
             WHERE credentials.provisioning_id = r.provisioning_id AND credentials.scope = '{scope}'"
        ),
        _ => {
            let tokens = each_by_key(&format!(
                "SELECT c.id FROM credentials AS c WHERE c.provisioning_id = r.provisioning_id AND c.scope = '{scope}'"
            ));
            format!(
                "UPDATE credentials SET sealed = NULL, wiped_at = r.wiped_at FROM {table} CROSS JOIN {tokens} AS found \
                 WHERE credentials.id = found.id"
            )
        }
    })?;
    txn.execute_raw(statement).await?;
    Ok(())
}

fn insert<T: Carried>(db: &impl ConnectionTrait, into: &str, rows: &[T], then: &str) -> Result<Statement, LedgerError> {
    // SQLite takes the `ON` of `ON CONFLICT` for a join's, but for the condition.
    over(db.get_database_backend(), rows, |table| {
        let names = T::names();
        format!("INSERT INTO {into} ({names}) SELECT {names} FROM {table} WHERE true {then}")
    })
}
