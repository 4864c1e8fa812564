//! Entries that are recorded by one statement, which commits by itself. On PostgreSQL only, where each statement of a
//! transaction, its beginning and its end are a round trip.
//!
//! Rows are read without a lock, and written only where they are still as they were read: the version that is
//! compared is PostgreSQL's own (`xmin`). So whatever one of these entries rests on must change the version of its
//! row.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DbBackend, FromQueryResult as _, Statement, TryIntoModel as _};

use super::{
    carried::{Carried, carried, carry, each_by_key, over, table},
    recording::{Common, Done, Recording},
    rows::{Advanced, AttemptRow, CredentialRow, EventRow, Wiped, advancing},
};
use crate::{
    connect::Ledger, connections::Held, entity::provisioning::Model, error::LedgerError, evidence, state::Scope,
};

carried! {
    /// What is asked of a row before an entry is written.
    Asked {
        id: &'a str => Text,
        attempt_id: String => Text,
        scope: Option<&'a str> => Text,
        intent: Option<i32> => Count,
    }
}

carried! {
    /// A row's version when it was read.
    Version {
        id: &'a str => Text,
        version: &'a str => Text,
    }
}

/// Rows as they were read, those that can be, with their versions; and when.
#[derive(Default)]
struct Read {
    rows: BTreeMap<String, (Model, String)>,
    now: i64,
}

/// Records those entries of which nothing but their own rows has to be looked at, and answers them in the order of
/// all. What has no answer is not written, and is for a transaction. An error leaves nothing written, or says that
/// this is not known.
pub(super) async fn record(ledger: &Ledger, entries: &[&Recording]) -> Result<Vec<Option<Done>>, LedgerError> {
    let mut done: Vec<Option<Done>> = entries.iter().map(|_| None).collect();
    let mut seen = BTreeSet::new();
    let first: Vec<_> = entries
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, recording)| seen.insert(&recording.entry.lease.id) && recording.entry.may_be_beside_others())
        .collect();
    if first.is_empty() {
        return Ok(done);
    }
    let mut held = ledger.db.hold().await?;
    let read = read(ledger, &mut held, first.iter().map(|(_, recording)| *recording)).await?;
    let common = first.iter().filter_map(|(at, recording)| {
        let (before, _) = read.rows.get(recording.entry.lease.id.as_str())?;
        // A row that can't be read is reported by the transaction.
        Common::of(*at, recording, before, read.now).ok().flatten()
    });
    let mut common: Vec<_> = common.collect();
    if common.is_empty() {
        held.give_back();
        return Ok(done);
    }
    let written = write(&mut held, &common, &read).await?;
    held.give_back();
    if !written.is_empty() {
        ledger.count_commit();
    }
    common.retain(|common| written.contains(&common.before.id));
    for mut common in common {
        common.keeps_first();
        let (at, answer) = common.done();
        done[at] = Some(answer);
    }
    Ok(done)
}

/// Reads the rows of these entries, but for those whose evidence or token is here already.
async fn read(
    ledger: &Ledger,
    held: &mut Held,
    entries: impl Iterator<Item = &Recording>,
) -> Result<Read, LedgerError> {
    let asked = entries.map(|recording| {
        let entry = &recording.entry;
        let token = entry.credential.as_ref();
        Asked {
            id: entry.lease.id.as_str(),
            attempt_id: entry.attempt.id.to_string(),
            scope: token.map(|token| token.scope.as_str()),
            intent: token.map(|token| i32::try_from(token.intent).unwrap_or(i32::MAX)),
        }
    });
    let now = ledger.now_text();
    let statement = over(DbBackend::Postgres, &asked.collect::<Vec<_>>(), |asked| {
        // Values rather than `NOT EXISTS`, which the planner may turn into a join that reads all evidence.
        let row = each_by_key("SELECT q.*, q.xmin::text AS version FROM provisionings AS q WHERE q.id = r.id");
        format!(
            "SELECT p.*, {now} AS now FROM {asked} CROSS JOIN {row} AS p \
             WHERE (SELECT a.id FROM attempts AS a WHERE a.id = r.attempt_id) IS NULL \
             AND (SELECT c.id FROM credentials AS c WHERE c.provisioning_id = r.id AND c.scope = r.scope \
             AND c.intent = r.intent) IS NULL"
        )
    })?;
    let mut read = Read::default();
    for row in held.query_all(statement).await? {
        read.now = row.try_get("", "now")?;
        if let Ok(model) = Model::from_query_result(&row, "") {
            read.rows.insert(model.id.clone(), (model, row.try_get("", "version")?));
        }
    }
    Ok(read)
}

/// Writes entries whose rows are as they were read. Answers the ids of those rows.
async fn write(held: &mut Held, entries: &[Common<'_>], read: &Read) -> Result<BTreeSet<String>, LedgerError> {
    let now = read.now;
    let versions = entries.iter().filter_map(|common| {
        let (row, version) = read.rows.get(&common.before.id)?;
        Some(Version { id: &row.id, version })
    });
    let attempts = entries
        .iter()
        .map(|common| evidence::of_call(&common.entry.lease, &common.entry.attempt, now).try_into_model())
        .collect::<Result<Vec<_>, _>>()?;
    let values = [
        carry(&versions.collect::<Vec<_>>())?,
        carry(&entries.iter().map(|common| Advanced::from(&common.after)).collect::<Vec<_>>())?,
        carry(&attempts.iter().map(AttemptRow::from).collect::<Vec<_>>())?,
        carry(&entries.iter().filter_map(|common| common.token_row(now)).collect::<Vec<_>>())?,
        carry(&entries.iter().filter_map(|common| common.event_row(now)).collect::<Vec<_>>())?,
        carry(&entries.iter().filter_map(|common| common.wiped(now)).collect::<Vec<_>>())?,
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, text(), values);
    let written = held.query_all(statement).await?;
    written.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// The statement. Its locks are taken in the order of the ids, as every batch takes them. A row that another
/// transaction was changing has another version once its lock is had.
fn text() -> String {
    let versions = table::<Version<'_>>(DbBackend::Postgres, 1, "r");
    let advanced = table::<Advanced<'_>>(DbBackend::Postgres, 2, "r");
    let wiped = table::<Wiped<'_>>(DbBackend::Postgres, 6, "r");
    format!(
        "WITH locked AS MATERIALIZED (SELECT l.id, l.version FROM (SELECT id FROM {versions} ORDER BY id) AS v \
         CROSS JOIN LATERAL (SELECT q.id, q.xmin::text AS version FROM provisionings AS q WHERE q.id = v.id \
         FOR UPDATE) AS l), \
         same AS MATERIALIZED (SELECT locked.id FROM locked JOIN {versions} ON r.id = locked.id \
         AND r.version = locked.version), \
         evidence AS ({}), tokens AS ({}), events AS ({}), \
         wiped AS (UPDATE credentials SET sealed = NULL, wiped_at = r.wiped_at FROM {wiped} \
         JOIN same ON same.id = r.provisioning_id \
         WHERE credentials.provisioning_id = r.provisioning_id AND credentials.scope = '{}') \
         UPDATE provisionings SET {} FROM {advanced} JOIN same ON same.id = r.id WHERE provisionings.id = r.id \
         RETURNING provisionings.id",
        insert::<AttemptRow<'_>>(3, "attempts"),
        insert::<CredentialRow<'_>>(4, "credentials"),
        insert::<EventRow<'_>>(5, "outbox"),
        Scope::User.as_str(),
        advancing(),
    )
}

/// Inserts what belongs to the rows that are the same.
fn insert<T: Carried>(parameter: usize, into: &str) -> String {
    let rows = table::<T>(DbBackend::Postgres, parameter, "r");
    format!(
        "INSERT INTO {into} ({}) SELECT {} FROM {rows} JOIN same ON same.id = r.provisioning_id",
        T::names(),
        T::names_in("r.")
    )
}
