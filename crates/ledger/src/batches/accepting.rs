//! Signups that are accepted together, in one statement that commits by itself.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryTrait as _,
    sea_query::Alias,
};
use tokio::time::Instant;

use super::carried::{Carried, Hex, Kind, carried, over};
use crate::{
    accept::{Accepted, Known, NewSignup, accepted, find_known, vanished},
    connect::{Ledger, millis},
    entity::provisioning::{Column, Entity, Model},
    error::{Fault, LedgerError},
    ids::WorkerId,
    provisioning::Claimed,
    state::{State, Step},
};

/// Signups that wait to be accepted: all of them, or none.
pub(crate) struct Accepting {
    pub(crate) signups: Vec<NewSignup>,
    /// Whose they are at once, and for how long. `None`: any worker may take them.
    pub(crate) lease: Option<(WorkerId, Duration)>,
    /// When they began to wait: their leases count from then.
    pub(crate) asked_at: Instant,
}

carried! {
    /// A new provisioning. Times are counted from now, which the statement knows.
    NewRow {
        id: &'a str => Text,
        signup_id: &'a str => Text,
        account_id: Option<&'a str> => Text,
        source: &'a str => Text,
        step: &'a str => Text,
        state: &'a str => Text,
        payload: Hex<'a> => Bytes,
        fingerprint: Hex<'a> => Bytes,
        mailbox: Option<&'a str> => Text,
        intents: i32 => Count,
        due_at: Option<i64> => Number,
        lease_owner: Option<&'a str> => Text,
        lease_until: Option<i64> => Number,
        epoch: i64 => Number,
        intent_at: Option<i64> => Number,
    }
}

/// What each new row begins with.
const BEGINNING: [(&str, &str); 11] = [
    ("generation", "1"),
    ("domain_try", "0"),
    ("in_doubt", "false"),
    ("key_intent", "1"),
    ("retries", "0"),
    ("tries", "0"),
    ("tried_ms", "0"),
    ("lookups", "0"),
    ("step_since", "clock.now"),
    ("accepted_at", "clock.now"),
    ("updated_at", "clock.now"),
];

/// Accepts signups. The answers are in their order; each list is in the order of its signups.
///
/// An error of the outer result says that none is known to be accepted; one of an inner result, that what is known of
/// a signup id could not be read.
pub(super) async fn accept(
    ledger: &Ledger,
    db: &impl ConnectionTrait,
    batch: &[&Accepting],
) -> Result<Vec<Result<Vec<Accepted>, LedgerError>>, LedgerError> {
    let mut rows: Vec<NewRow<'_>> = batch
        .iter()
        .flat_map(|accepting| accepting.signups.iter().map(|signup| new_row(ledger, signup, accepting.lease.as_ref())))
        .collect();
    // Every batch inserts in this order, so none waits in a circle. Of the same id the one that came first is first.
    rows.sort_by_key(|row| row.signup_id);
    let new = insert(ledger, db, &rows).await?;
    let repeats: Vec<&str> = rows.iter().filter(|row| !new.contains_key(row.id)).map(|row| row.signup_id).collect();
    let known = known(db, &repeats).await;
    let mut answers = Vec::with_capacity(batch.len());
    for accepting in batch {
        answers.push(match &known {
            Ok(known) => answer(ledger, db, accepting, &new, known).await,
            Err(error) if accepting.signups.iter().all(|signup| new.contains_key(signup.id.as_str())) => {
                answer(ledger, db, accepting, &new, &HashMap::new()).await.map_err(|_| error.clone())
            }
            Err(error) => Err(error.clone()),
        });
    }
    Ok(answers)
}

/// What is known of these signup ids. A row that can't be read hides none of the others.
async fn known(
    db: &impl ConnectionTrait,
    signup_ids: &[&str],
) -> Result<HashMap<String, Result<Known, LedgerError>>, LedgerError> {
    match find_known(db, signup_ids).await {
        Err(error) if error.fault() == Fault::Row => {}
        known => return known,
    }
    let mut known = HashMap::new();
    for signup_id in signup_ids {
        match find_known(db, &[signup_id]).await {
            Ok(found) => known.extend(found),
            Err(error) if error.fault() == Fault::Row => drop(known.insert((*signup_id).to_owned(), Err(error))),
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

/// The ids that are new, with when they were accepted. A repeat has the signup id of another row, or the id too if two
/// batches write it side by side.
async fn insert(
    ledger: &Ledger,
    db: &impl ConnectionTrait,
    rows: &[NewRow<'_>],
) -> Result<BTreeMap<String, i64>, LedgerError> {
    let backend = db.get_database_backend();
    let clock = format!("(SELECT {} AS now) AS clock", ledger.now_text());
    let statement = over(backend, rows, |table| {
        let from_now = |(name, kind): &(&str, Kind)| match kind {
            Kind::Number if *name != "epoch" => format!("clock.now + r.{name}"),
            _ => format!("r.{name}"),
        };
        let names: Vec<&str> = BEGINNING.iter().map(|(name, _)| *name).collect();
        let begin: Vec<&str> = BEGINNING.iter().map(|(_, value)| *value).collect();
        format!(
            "INSERT INTO provisionings ({}, {}) SELECT {}, {} FROM {table}, {clock} WHERE true \
             ON CONFLICT DO NOTHING RETURNING id, accepted_at",
            NewRow::names(),
            names.join(", "),
            NewRow::COLUMNS.iter().map(from_now).collect::<Vec<_>>().join(", "),
            begin.join(", "),
        )
    })?;
    let inserted = db.query_all_raw(statement).await?;
    inserted.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "accepted_at")?))).collect()
}

async fn answer(
    ledger: &Ledger,
    db: &impl ConnectionTrait,
    accepting: &Accepting,
    new: &BTreeMap<String, i64>,
    known: &HashMap<String, Result<Known, LedgerError>>,
) -> Result<Vec<Accepted>, LedgerError> {
    let mut answers = Vec::with_capacity(accepting.signups.len());
    for signup in &accepting.signups {
        answers.push(match (new.get(signup.id.as_str()), &accepting.lease) {
            (Some(_), None) => Accepted::Queued,
            (Some(now), Some((owner, lease))) => {
                let row = leased_row(ledger, signup, owner, *lease, *now);
                Accepted::Leased(Box::new(Claimed::new(row, owner, accepting.asked_at, *lease)?))
            }
            (None, lease) => {
                let own = match lease {
                    Some((owner, _)) => own(ledger, db, signup, owner, accepting.asked_at).await?,
                    None => None,
                };
                match own {
                    Some(claimed) => Accepted::Leased(Box::new(claimed)),
                    None => accepted(known.get(signup.signup_id.as_str()).ok_or_else(vanished)?.clone()),
                }
            }
        });
    }
    Ok(answers)
}

/// The row of a signup whose first commit happened after all, unless it has been worked on since.
async fn own(
    ledger: &Ledger,
    db: &impl ConnectionTrait,
    signup: &NewSignup,
    owner: &WorkerId,
    asked_at: Instant,
) -> Result<Option<Claimed>, LedgerError> {
    let mut own = Entity::find()
        .filter(Column::Id.eq(signup.id.as_str()))
        .filter(Column::LeaseOwner.eq(owner.as_str()))
        .filter(Column::Epoch.eq(1))
        .filter(Column::Intents.eq(1))
        .filter(Column::State.eq(State::InFlight.as_str()))
        .into_query();
    let own = own.expr_as(ledger.now(), Alias::new("now")).to_owned();
    let Some(row) = db.query_one(&own).await? else { return Ok(None) };
    let now = row.try_get("", "now")?;
    Claimed::as_it_stands(Model::from_query_result(&row, "")?, owner, asked_at, now).map(Some)
}

fn new_row<'a>(ledger: &'a Ledger, signup: &'a NewSignup, lease: Option<&'a (WorkerId, Duration)>) -> NewRow<'a> {
    let is_leased = lease.is_some();
    let state = if is_leased { State::InFlight } else { State::Due };
    NewRow {
        id: signup.id.as_str(),
        signup_id: signup.signup_id.as_str(),
        account_id: signup.account_id.as_deref(),
        source: signup.source.as_str(),
        step: Step::User.as_str(),
        state: state.as_str(),
        payload: Hex(signup.payload.as_bytes()),
        fingerprint: Hex(signup.fingerprint.as_bytes()),
        mailbox: ledger.mailbox.as_deref().filter(|_| is_leased),
        intents: i32::from(is_leased),
        due_at: (!is_leased).then_some(0),
        lease_owner: lease.map(|(owner, _)| owner.as_str()),
        lease_until: lease.map(|(_, length)| millis(*length)),
        epoch: i64::from(is_leased),
        intent_at: is_leased.then_some(0),
    }
}

/// The row as it was inserted.
fn leased_row(ledger: &Ledger, signup: &NewSignup, owner: &WorkerId, lease: Duration, now: i64) -> Model {
    Model {
        id: signup.id.to_string(),
        signup_id: signup.signup_id.to_string(),
        account_id: signup.account_id.clone(),
        source: signup.source.as_str().to_owned(),
        step: Step::User.as_str().to_owned(),
        state: State::InFlight.as_str().to_owned(),
        parked_reason: None,
        parked_detail: None,
        payload: Some(signup.payload.as_bytes().to_vec()),
        fingerprint: signup.fingerprint.as_bytes().to_vec(),
        mailbox: ledger.mailbox.as_deref().map(str::to_owned),
        generation: 1,
        user_from: None,
        user_uri: None,
        store_uri: None,
        store_domain: None,
        domain_try: 0,
        in_doubt: false,
        doubt_ended_at: None,
        refused: None,
        intents: 1,
        key_intent: 1,
        retries: 0,
        tries: 0,
        tried_ms: 0,
        lookups: 0,
        step_since: now,
        due_at: None,
        not_before: None,
        lease_owner: Some(owner.to_string()),
        lease_until: Some(now + millis(lease)),
        epoch: 1,
        intent_at: Some(now),
        accepted_at: now,
        updated_at: now,
        closed_at: None,
        forgotten_at: None,
        restored_to: None,
        tokens_forgotten_at: None,
        links_forgotten_at: None,
    }
}
