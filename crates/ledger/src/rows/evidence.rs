//! Evidence: what the rows of the table `attempts` hold. They are written here, and for batches by the same rows.

use sea_orm::{ActiveValue::Set, EntityTrait as _, Statement, Value, sea_query::OnConflict};

use crate::{
    connect::{Ledger, millis},
    connections::Transaction,
    entity::{
        attempt::{ActiveModel, Column, Entity},
        provisioning,
    },
    error::LedgerError,
    ids::AttemptId,
    provisioning::{Lease, Provisioning},
    record::Attempt,
    state::{AttemptKind, AttemptOutcome, Step},
};

/// The longest note, in characters.
const NOTE_MAX: usize = 300;

/// The longest natural key and reference, in characters.
const REFERENCE_MAX: usize = 100;

/// The longest name of who did it, in characters: the length of a worker's id.
const OWNER_MAX: usize = 36;

/// Writes rows of evidence. One whose key is there already was written before, and is passed over. Answers how many were
/// new.
pub(crate) async fn insert(txn: &Transaction, rows: impl IntoIterator<Item = ActiveModel>) -> Result<u64, LedgerError> {
    let key = OnConflict::column(Column::Id).do_nothing().to_owned();
    Ok(Entity::insert_many(rows).on_conflict(key).exec_without_returning(txn).await?)
}

/// A call or a lookup of the holder of a lease.
pub(crate) fn of_call(lease: &Lease, attempt: &Attempt, now: i64) -> ActiveModel {
    ActiveModel {
        id: Set(attempt.id.to_string()),
        provisioning_id: Set(lease.id.to_string()),
        intent: Set(i32::try_from(attempt.intent).unwrap_or(i32::MAX)),
        epoch: Set(lease.epoch),
        owner: Set(lease.owner.to_string()),
        kind: Set(attempt.kind.as_str().to_owned()),
        step: Set(attempt.step.as_str().to_owned()),
        natural_key: Set(cut(attempt.natural_key.as_deref(), REFERENCE_MAX)),
        started_at: Set(now - millis(attempt.took)),
        ended_at: Set(now),
        outcome: Set(attempt.outcome.as_str().to_owned()),
        http_status: Set(attempt.http_status.map(i32::from)),
        logref: Set(cut(attempt.logref.as_deref(), REFERENCE_MAX)),
        note: Set(cut(attempt.note.as_deref(), NOTE_MAX)),
    }
}

/// Something that a person or the parent app did to a signup, which stood as it was `judged`.
pub(crate) fn of_act(
    judged: &Provisioning,
    (kind, outcome): (AttemptKind, AttemptOutcome),
    who: &str,
    note: &str,
    now: i64,
) -> ActiveModel {
    ActiveModel {
        id: Set(AttemptId::new().to_string()),
        provisioning_id: Set(judged.id.to_string()),
        intent: Set(i32::try_from(judged.intents).unwrap_or(i32::MAX)),
        epoch: Set(judged.epoch),
        owner: Set(who.chars().take(OWNER_MAX).collect()),
        kind: Set(kind.as_str().to_owned()),
        step: Set(judged.step.as_str().to_owned()),
        natural_key: Set(None),
        started_at: Set(now),
        ended_at: Set(now),
        outcome: Set(outcome.as_str().to_owned()),
        http_status: Set(None),
        logref: Set(None),
        note: Set(cut(Some(note), NOTE_MAX)),
    }
}

/// A call that was announced by a worker whose lease has expired.
pub(crate) fn of_expired(row: &provisioning::Model, now: i64) -> ActiveModel {
    ActiveModel {
        id: Set(AttemptId::new().to_string()),
        provisioning_id: Set(row.id.clone()),
        intent: Set(row.intents),
        epoch: Set(row.epoch),
        owner: Set(row.lease_owner.clone().unwrap_or_default()),
        kind: Set(AttemptKind::Expired.as_str().to_owned()),
        step: Set(row.step.clone()),
        // Other signups that want the domain must see that it may have been made.
        natural_key: Set(row.store_domain.clone().filter(|_| row.step == Step::Store.as_str())),
        started_at: Set(row.intent_at.unwrap_or(now)),
        ended_at: Set(now),
        outcome: Set(AttemptOutcome::Unknown.as_str().to_owned()),
        http_status: Set(None),
        logref: Set(None),
        note: Set(Some("the worker that announced this call vanished before it recorded an outcome".to_owned())),
    }
}

/// The statement that writes, for every row that meets the condition, that it was restored. `$1` in the condition is `to`.
pub(crate) fn of_restored(ledger: &Ledger, condition: &str, to: Value, who: &str, now: i64) -> Statement {
    let sql = format!(
        "INSERT INTO attempts (id, provisioning_id, intent, epoch, owner, kind, step, started_at, ended_at, outcome, note) \
         SELECT {}, id, intents, epoch, $3, $4, step, $2, $2, $5, 'the ledger was restored from an older copy' \
         FROM provisionings WHERE {condition}",
        ledger.fresh_id()
    );
    let owner: String = who.chars().take(OWNER_MAX).collect();
    let (kind, outcome) = (AttemptKind::Person.as_str(), AttemptOutcome::Restored.as_str());
    ledger.statement(&sql, [to, now.into(), owner.into(), kind.into(), outcome.into()])
}

/// At most `max` characters of a text that has no bound of its own.
fn cut(text: Option<&str>, max: usize) -> Option<String> {
    text.map(|text| text.chars().take(max).collect())
}
