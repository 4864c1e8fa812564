//! Entries that are recorded together: what most of them need in one statement for all, the rest one after the other,
//! in the same transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sea_orm::EntityTrait as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    carried::Hex,
    rows::{self, CredentialRow, EventRow, Wiped},
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
    state::{ParkedReason, Scope},
    transitions,
};

/// An entry that waits to be recorded.
pub(crate) struct Recording {
    pub(crate) entry: Entry,
    /// When it began to wait: its lease counts from then.
    pub(crate) asked_at: Instant,
}

/// What a person should know of a token, once it is committed.
struct ToReport {
    row: Model,
    kept: Kept,
    is_late: bool,
}

/// What an entry has come to, if the transaction is committed.
pub(super) struct Done {
    pub(super) answer: Result<Recorded, LedgerError>,
    to_report: Option<ToReport>,
}

impl Done {
    const fn of(answer: Result<Recorded, LedgerError>) -> Self {
        Self { answer, to_report: None }
    }

    /// Reports what was committed.
    pub(super) fn report(&self, entry: &Entry) {
        if let (Some(kept), Some(credential)) = (&self.to_report, &entry.credential) {
            credentials::report(&kept.row, credential, kept.kept, kept.is_late);
        }
    }
}

/// An entry that can be written beside others, with its row before and after.
pub(super) struct Common<'a> {
    pub(super) at: usize,
    pub(super) entry: &'a Entry,
    pub(super) before: &'a Model,
    pub(super) after: Model,
    claimed: Claimed,
    kept: Option<Kept>,
}

impl<'a> Common<'a> {
    /// The entry with its row, if it asks for nothing that others have to be looked at for.
    pub(super) fn of(
        at: usize,
        recording: &'a Recording,
        before: &'a Model,
        now: i64,
    ) -> Result<Option<Self>, LedgerError> {
        let entry = &recording.entry;
        if !entry.may_be_beside_others() || !is_held(entry, before) {
            return Ok(None);
        }
        let mut after = before.clone();
        transitions::advance(&mut after, &entry.facts, &entry.next, now);
        let claimed = claimed(recording, after.clone())?;
        Ok(Some(Self { at, entry, before, after, claimed, kept: None }))
    }

    /// The row of its token, under a new id.
    pub(super) fn token_row(&self, now: i64) -> Option<CredentialRow<'_>> {
        let new = self.entry.credential.as_ref()?;
        let (is_forgotten, road) = (credentials::is_forgotten(self.before, new.scope), self.entry.road(true));
        Some(CredentialRow {
            id: Uuid::now_v7().to_string(),
            provisioning_id: &self.before.id,
            scope: new.scope.as_str(),
            intent: i32::try_from(new.intent).unwrap_or(i32::MAX),
            apart: credentials::is_apart(new.scope, road),
            resource_uri: new.resource_uri.as_deref().filter(|_| self.before.links_forgotten_at.is_none()),
            sealed: (!is_forgotten).then(|| Hex(new.sealed.as_bytes())),
            client_id: new.client.as_ref().map(|client| client.id.as_str()),
            which_foxy: new.client.as_ref().map(|client| client.foxy.to_string()),
            created_at: now,
            wiped_at: is_forgotten.then_some(now),
        })
    }

    /// What its token has become, if it is the first of its call.
    pub(super) fn keeps_first(&mut self) {
        self.kept = self.entry.credential.as_ref().map(|new| match credentials::is_forgotten(self.before, new.scope) {
            true => Kept::Wiped,
            false => Kept::First,
        });
    }

    /// The row of its outcome event, under a new id.
    pub(super) fn event_row(&self, now: i64) -> Option<EventRow<'_>> {
        let event = self.entry.event.as_ref()?;
        Some(EventRow {
            event_id: Uuid::now_v7().to_string(),
            provisioning_id: &self.before.id,
            signup_id: &event.data.signup_id,
            kind: event.kind.as_str(),
            body: serde_json::to_string(&event.data).expect("strings and options always serialize"),
            created_at: now,
        })
    }

    /// Whose users' tokens it wipes.
    pub(super) fn wiped(&self, now: i64) -> Option<Wiped<'_>> {
        let wiped = Wiped { provisioning_id: &self.before.id, wiped_at: now };
        self.entry.wipes_user_tokens().then_some(wiped)
    }

    /// It is written.
    pub(super) fn done(self) -> (usize, Done) {
        let to_report = self.kept.map(|kept| ToReport { row: self.before.clone(), kept, is_late: false });
        (self.at, Done { answer: Ok(Recorded::Written(Box::new(self.claimed))), to_report })
    }
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
        let id = recording.entry.lease.id.as_str();
        let row = locked.row(id).and_then(|row| row.ok_or_else(|| LedgerError::NotOurs { id: id.to_owned() }));
        match row.and_then(|before| Common::of(at, recording, before, locked.now)) {
            Err(error) => drop(done.insert(at, Done::of(Err(error)))),
            Ok(Some(beside_others)) if is_first => common.push(beside_others),
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
    rows::wipe_user_tokens(txn, &common.iter().filter_map(|common| common.wiped(now)).collect::<Vec<_>>()).await?;
    rows::insert_events(txn, &common.iter().filter_map(|common| common.event_row(now)).collect::<Vec<_>>()).await?;
    Ok(common.into_iter().map(Common::done).collect())
}

/// Keeps the tokens that came. One whose call has a token already is looked at alone.
async fn keep_tokens(txn: &Transaction, common: &mut [Common<'_>], now: i64) -> Result<(), LedgerError> {
    let rows: Vec<_> = common.iter().map(|common| common.token_row(now)).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.as_ref().map(|row| row.id.clone())).collect();
    let first = rows::insert_credentials(txn, &rows.into_iter().flatten().collect::<Vec<_>>()).await?;
    for (common, id) in common.iter_mut().zip(ids) {
        let (Some(new), Some(id)) = (&common.entry.credential, id) else { continue };
        if first.contains(&id) {
            common.keeps_first();
        } else {
            common.kept = Some(credentials::insert(txn, common.before, new, common.entry.road(true), now).await?);
        }
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
    let mut to_report = None;
    if let Some(credential) = &entry.credential {
        credentials::touch(txn, &entry.lease.id).await?;
        let kept = credentials::insert(txn, &row, credential, entry.road(is_held), now).await?;
        to_report = Some(ToReport { row: row.clone(), kept, is_late: !is_held });
    }
    evidence::insert(txn, [evidence::of_call(&entry.lease, &entry.attempt, now)]).await?;
    if !is_held {
        if let Some(credential) = &entry.credential {
            credentials::resume(txn, &entry.lease.id, credential, now).await?;
        }
        return Ok(Done { answer: Ok(Recorded::LeaseLost), to_report });
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
    Ok(Done { answer: Ok(Recorded::Written(Box::new(claimed))), to_report })
}

/// What became of an entry whose first commit happened after all. If the row has been taken since, it was by
/// another's right.
fn written_before(recording: &Recording, row: Model, now: i64) -> Result<Recorded, LedgerError> {
    let lease = &recording.entry.lease;
    if row.epoch != lease.epoch {
        return Ok(Recorded::LeaseLost);
    }
    let claimed = Claimed::as_it_stands(row, &lease.owner, recording.asked_at, now)?;
    Ok(Recorded::Written(Box::new(claimed)))
}

impl Entry {
    /// Whether it can be written beside others, if its lease is held. A late token may have come since the worker
    /// that parks a row looked for one, so that is looked at alone. So is an entry that brings a token which it wipes:
    /// one statement does not see what another part of it inserts.
    pub(super) fn may_be_beside_others(&self) -> bool {
        let brings_a_user_token = self.credential.as_ref().is_some_and(|token| token.scope == Scope::User);
        let is_wiped_at_once = self.wipes_user_tokens() && brings_a_user_token;
        self.owner_to_lock().is_none() && !matches!(self.next, Next::Parked { .. }) && !is_wiped_at_once
    }

    /// The signup that made the user, if its row must be locked: before a domain is chosen or a store claimed, and
    /// before anything that depends on which of the user's tokens is in use.
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
