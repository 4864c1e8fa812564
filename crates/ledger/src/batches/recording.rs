//! Entries that are recorded together: what most of them need in one statement for all, the rest one after the other, in
//! the same transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sea_orm::EntityTrait as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    carried::Hex,
    rows::{self, CredentialRow, EventRow, Locked, Wiped},
};
use crate::{
    connect::Ledger,
    connections::Transaction,
    credentials::{self, Kept, Road},
    entity::{attempt, provisioning::Model},
    error::LedgerError,
    evidence,
    ids::ProvisioningId,
    outbox::insert_event,
    parked,
    provisioning::Claimed,
    record::{Entry, Next, Recorded},
    siblings,
    state::ParkedReason,
    transitions,
};

/// An entry that waits to be recorded.
pub(crate) struct Recording {
    pub(crate) entry: Entry,
    /// When it began to wait: its lease counts from then.
    pub(crate) asked_at: Instant,
}

/// What a person should know of a token, once it is committed.
struct Told {
    row: Model,
    kept: Kept,
    is_late: bool,
}

/// What an entry has come to, if the transaction is committed.
pub(super) struct Done {
    pub(super) answer: Result<Recorded, LedgerError>,
    told: Option<Told>,
}

impl Done {
    const fn of(answer: Result<Recorded, LedgerError>) -> Self {
        Self { answer, told: None }
    }

    /// Reports what was committed.
    pub(super) fn report(&self, entry: &Entry) {
        if let (Some(told), Some(credential)) = (&self.told, &entry.credential) {
            credentials::report(&told.row, credential, told.kept, told.is_late);
        }
    }
}

/// An entry that can be written beside others, with its row before and after.
struct Common<'a> {
    at: usize,
    entry: &'a Entry,
    before: &'a Model,
    after: Model,
    claimed: Claimed,
    kept: Option<Kept>,
}

/// Records entries. The answers are in their order. An error is that of a statement, and leaves nothing written.
pub(super) async fn record(
    ledger: &Ledger,
    txn: &Transaction,
    entries: &[&Recording],
) -> Result<Vec<Done>, LedgerError> {
    let ids = entries.iter().flat_map(|recording| {
        let entry = &recording.entry;
        [Some(entry.lease.id.as_str()), entry.owner_to_lock().map(ProvisioningId::as_str)].into_iter().flatten()
    });
    let locked = rows::lock(ledger, txn, &ids.collect()).await?;
    let mut done: BTreeMap<usize, Done> = BTreeMap::new();
    let (mut common, mut singly) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (at, recording) in entries.iter().enumerate() {
        let is_first = seen.insert(recording.entry.lease.id.as_str());
        match beside_others(recording, &locked) {
            Err(error) => drop(done.insert(at, Done::of(Err(error)))),
            Ok(Some((before, after, claimed))) if is_first => {
                common.push(Common { at, entry: &recording.entry, before, after, claimed, kept: None });
            }
            Ok(_) => singly.push(at),
        }
    }
    // Known evidence says that its entry was written before.
    let new = insert_attempts(txn, &common, locked.now).await?;
    let (common, known): (Vec<_>, Vec<_>) =
        common.into_iter().partition(|common| new.contains(&common.entry.attempt.id.to_string()));
    singly.extend(known.into_iter().map(|common| common.at));
    for (at, finished) in write_together(txn, common, locked.now).await? {
        done.insert(at, finished);
    }
    singly.sort_by_key(|at| (entries[*at].entry.lease.id.as_str(), *at));
    for at in singly {
        done.insert(at, record_one(ledger, txn, entries[at], locked.now).await?);
    }
    Ok(done.into_values().collect())
}

/// The row before and after, if the entry asks for nothing that others have to be looked at for.
fn beside_others<'a>(
    recording: &Recording,
    locked: &'a Locked,
) -> Result<Option<(&'a Model, Model, Claimed)>, LedgerError> {
    let entry = &recording.entry;
    let row = locked.row(entry.lease.id.as_str())?;
    let before = row.ok_or_else(|| LedgerError::NotOurs { id: entry.lease.id.to_string() })?;
    // A late token may have come since the worker that parks a row looked for one.
    if !is_held(entry, before) || entry.owner_to_lock().is_some() || matches!(entry.next, Next::Parked { .. }) {
        return Ok(None);
    }
    let mut after = before.clone();
    transitions::advance(&mut after, &entry.facts, &entry.next, locked.now);
    let claimed = claimed(recording, after.clone())?;
    Ok(Some((before, after, claimed)))
}

fn is_held(entry: &Entry, row: &Model) -> bool {
    row.lease_owner.as_deref() == Some(entry.lease.owner.as_str()) && row.epoch == entry.lease.epoch
}

fn claimed(recording: &Recording, row: Model) -> Result<Claimed, LedgerError> {
    let entry = &recording.entry;
    let mut claimed = Claimed::new(row, &entry.lease.owner, recording.asked_at, Duration::ZERO)?;
    claimed.lease.until = match entry.next {
        Next::InFlight { lease, .. } => recording.asked_at + lease,
        _ => entry.lease.until,
    };
    Ok(claimed)
}

async fn insert_attempts(txn: &Transaction, common: &[Common<'_>], now: i64) -> Result<BTreeSet<String>, LedgerError> {
    let evidence = |common: &Common<'_>| evidence::of_call(&common.entry.lease, &common.entry.attempt, now);
    rows::insert_attempts(txn, common.iter().map(evidence)).await
}

/// Writes all but the evidence, which is there.
async fn write_together(
    txn: &Transaction,
    mut common: Vec<Common<'_>>,
    now: i64,
) -> Result<Vec<(usize, Done)>, LedgerError> {
    keep_tokens(txn, &mut common, now).await?;
    rows::write(txn, &common.iter().map(|common| &common.after).collect::<Vec<_>>()).await?;
    let to_wipe = common.iter().filter(|common| common.entry.wipes_user_tokens());
    let to_wipe = to_wipe.map(|common| Wiped { provisioning_id: &common.before.id, wiped_at: now });
    rows::wipe_user_tokens(txn, &to_wipe.collect::<Vec<_>>()).await?;
    let events = common.iter().filter_map(|common| {
        let event = common.entry.event.as_ref()?;
        Some(EventRow {
            event_id: Uuid::now_v7().to_string(),
            provisioning_id: &common.before.id,
            signup_id: &event.data.signup_id,
            kind: event.kind.as_str(),
            body: serde_json::to_string(&event.data).expect("strings and options always serialize"),
            created_at: now,
        })
    });
    rows::insert_events(txn, &events.collect::<Vec<_>>()).await?;
    let finished = common.into_iter().map(|common| {
        let told = common.kept.map(|kept| Told { row: common.before.clone(), kept, is_late: false });
        (common.at, Done { answer: Ok(Recorded::Written(Box::new(common.claimed))), told })
    });
    Ok(finished.collect())
}

/// Keeps the tokens that came. One whose call has a token already is looked at alone.
async fn keep_tokens(txn: &Transaction, common: &mut [Common<'_>], now: i64) -> Result<(), LedgerError> {
    let mut rows = Vec::new();
    let mut ids = vec![None; common.len()];
    for (common, id) in common.iter().zip(&mut ids) {
        if let Some(new) = &common.entry.credential {
            let fresh = Uuid::now_v7().to_string();
            *id = Some(fresh.clone());
            let (is_forgotten, road) = (credentials::is_forgotten(common.before, new.scope), common.entry.road(true));
            rows.push(CredentialRow {
                id: fresh,
                provisioning_id: &common.before.id,
                scope: new.scope.as_str(),
                intent: i32::try_from(new.intent).unwrap_or(i32::MAX),
                apart: credentials::is_apart(new.scope, road),
                resource_uri: new.resource_uri.as_deref().filter(|_| common.before.links_forgotten_at.is_none()),
                sealed: (!is_forgotten).then(|| Hex(new.sealed.as_bytes())),
                client_id: new.client.as_ref().map(|client| client.id.as_str()),
                which_foxy: new.client.as_ref().map(|client| client.foxy.to_string()),
                created_at: now,
                wiped_at: is_forgotten.then_some(now),
            });
        }
    }
    let first = rows::insert_credentials(txn, &rows).await?;
    for (common, id) in common.iter_mut().zip(ids) {
        let (Some(new), Some(id)) = (&common.entry.credential, id) else { continue };
        common.kept = Some(match first.contains(&id) {
            true if credentials::is_forgotten(common.before, new.scope) => Kept::Wiped,
            true => Kept::First,
            false => credentials::insert(txn, common.before, new, common.entry.road(true), now).await?,
        });
    }
    Ok(())
}

/// Records one entry by itself, after the others of its transaction.
async fn record_one(ledger: &Ledger, txn: &Transaction, recording: &Recording, now: i64) -> Result<Done, LedgerError> {
    let entry = &recording.entry;
    // Others of this transaction may have changed it.
    let mut row = credentials::lock_row(txn, &entry.lease.id).await?;
    if attempt::Entity::find_by_id(entry.attempt.id.to_string()).one(txn).await?.is_some() {
        return written_before(recording, row, now).map(|recorded| Done::of(Ok(recorded)));
    }
    let is_held = is_held(entry, &row);
    let shared = entry.shared_user.as_ref().filter(|_| is_held && entry.facts.name_anything());
    if let Some(owner) = shared
        && let Some(contention) = siblings::contention(txn, ledger.is_embedded(), entry, owner).await?
    {
        return Ok(Done::of(Ok(Recorded::Contended(contention))));
    }
    let mut told = None;
    if let Some(credential) = &entry.credential {
        let kept = credentials::insert(txn, &row, credential, entry.road(is_held), now).await?;
        told = Some(Told { row: row.clone(), kept, is_late: !is_held });
    }
    evidence::insert(txn, [evidence::of_call(&entry.lease, &entry.attempt, now)]).await?;
    if !is_held {
        if let Some(credential) = &entry.credential {
            credentials::resume(txn, &entry.lease.id, credential, now).await?;
        }
        return Ok(Done { answer: Ok(Recorded::LeaseLost), told });
    }
    transitions::advance(&mut row, &entry.facts, &entry.next, now);
    rows::write(txn, &[&row]).await?;
    if entry.wipes_user_tokens() {
        credentials::wipe_user_tokens(txn, &entry.lease.id, now).await?;
    }
    let mut event = entry.event.clone();
    // A late token may have come since this worker looked for one. The row is ours to write, so none can now.
    if matches!(entry.next, Next::Parked { .. })
        && let Some(resumed) = credentials::unpark_for_token_held(txn, &row, now).await?
    {
        (row, event) = (resumed, None);
    }
    let owner = entry.shared_user.as_ref().unwrap_or(&entry.lease.id);
    if let Some(used) = entry.refused_user_token()
        && !credentials::is_in_use(txn, owner, used).await?
        && let Some(resumed) = parked::resume_row(txn, &row, now).await?
    {
        (row, event) = (resumed, None);
    }
    if let Some(event) = event {
        insert_event(txn, entry.lease.id.as_str(), event, now).await?;
    }
    let claimed = claimed(recording, row)?;
    Ok(Done { answer: Ok(Recorded::Written(Box::new(claimed))), told })
}

/// What became of an entry whose first commit happened after all. If the row has been taken since, it was by another's
/// right.
fn written_before(recording: &Recording, row: Model, now: i64) -> Result<Recorded, LedgerError> {
    let lease = &recording.entry.lease;
    if row.epoch != lease.epoch {
        return Ok(Recorded::LeaseLost);
    }
    let claimed = Claimed::as_it_stands(row, &lease.owner, recording.asked_at, now)?;
    Ok(Recorded::Written(Box::new(claimed)))
}

impl Entry {
    /// The signup that made the user, if its row must be locked: before a domain is chosen or a store claimed, and by
    /// whoever puts another token in the place of the user's.
    fn owner_to_lock(&self) -> Option<&ProvisioningId> {
        let own = Some(&self.lease.id).filter(|_| self.refused_user_token().is_some());
        let is_asked = self.facts.name_anything() || self.refused_user_token().is_some();
        self.shared_user.as_ref().filter(|_| is_asked).or(own)
    }

    /// The user's token for whose refusal this parks.
    fn refused_user_token(&self) -> Option<&foxden_vault::Sealed> {
        let parks_for_it = matches!(self.next, Next::Parked { reason: ParkedReason::UserTokenRefused, .. });
        self.refused_token.as_ref().filter(|_| parks_for_it)
    }

    const fn wipes_user_tokens(&self) -> bool {
        matches!(self.next, Next::Provisioned { keep_user_token: false, .. })
    }

    fn road(&self, is_held: bool) -> Road {
        Road::Answer { ends: is_held && matches!(self.next, Next::Provisioned { .. }) }
    }
}
