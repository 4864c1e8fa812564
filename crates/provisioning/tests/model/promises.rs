//! The promises, as what must be true of the world after each step, and of a world at rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_custody::TokenRow;
use foxden_ledger::{
    AttemptOutcome, Credential, Filter, OutcomeKind, ParkedReason, Provisioning, Scope, State, Step, Word,
};
use foxden_vault::Sealed;

use crate::{
    books::{Books, Call, Kind, Thing},
    shape::Shape,
    world::World,
};

/// What was true after the last step.
#[derive(Default)]
pub(crate) struct Promises {
    rows: BTreeMap<String, Provisioning>,
    /// Tokens that were in the ledger or in an escrow once.
    safe: BTreeSet<String>,
    /// How many calls were looked at.
    calls: usize,
    /// The intents whose calls have reached Foxy's door.
    sent: BTreeSet<(String, u32)>,
    /// How many runs that were given up were looked at.
    abandoned: usize,
    /// What there was at the last look: commits, things made, calls, acknowledgements, runs that were given up, and
    /// files in escrows.
    seen: Option<(u64, usize, usize, usize, usize, Vec<PathBuf>)>,
}

/// How a promise was broken.
pub(crate) type Broken = String;

macro_rules! promise {
    ($holds:expr, $($otherwise:tt)+) => {
        if !$holds {
            return Err(format!($($otherwise)+));
        }
    };
}

impl Promises {
    /// Of a world whose ledger is another one now.
    pub(crate) fn from_now_on(world: &World) -> Self {
        let books = world.books();
        Self { calls: books.calls.len(), abandoned: books.abandoned.len(), ..Self::default() }
    }

    /// What must be true after each step.
    pub(crate) async fn hold(&mut self, world: &World) -> Result<(), Broken> {
        let in_escrow = world.escrow_files();
        let now = {
            let books = world.books();
            promise!(books.broken.is_empty(), "{}", books.broken.join("; "));
            let acknowledged = world.acknowledged.lock().unwrap().len();
            let (things, calls, abandoned) = (books.things.len(), books.calls.len(), books.abandoned.len());
            (world.ledger.commits(), things, calls, acknowledged, abandoned, in_escrow.clone())
        };
        if self.seen.as_ref() == Some(&now) {
            return Ok(());
        }
        self.seen = Some(now);
        let rows = rows(world).await;
        self.steps_are_legal(&rows)?;
        self.no_signup_is_lost(world, &rows)?;
        self.no_effect_is_doubled(world, &rows)?;
        addresses_are_their_own(world, &rows)?;
        self.calls_are_announced(world, &rows)?;
        self.an_unsent_call_is_not_left_in_doubt(world, &rows)?;
        self.no_token_is_dropped(world, &rows, &in_escrow).await?;
        self.rows = rows;
        Ok(())
    }

    fn steps_are_legal(&self, rows: &BTreeMap<String, Provisioning>) -> Result<(), Broken> {
        for (id, row) in rows {
            let leased = row.lease_until_ms.is_some();
            promise!(leased || row.state != State::InFlight, "{id} is in flight without a lease: {row:?}");
            promise!(row.due_at_ms.is_some() || leased || at_rest(row), "{id} waits for nothing: {row:?}");
            let Some(before) = self.rows.get(id) else { continue };
            promise!(row.step >= before.step, "{id} went back a step: {before:?} to {row:?}");
            promise!(row.epoch >= before.epoch, "{id} lost an epoch: {before:?} to {row:?}");
            promise!(row.intents >= before.intents, "{id} lost an intent: {before:?} to {row:?}");
            promise!(before.state != State::Closed || row.state == State::Closed, "{id} was opened again");
            let crossed = (before.state, row.state) == (State::Unknown, State::InFlight);
            // A user's token that was found by a lookup announces the store.
            promise!(
                !crossed || row.step != before.step || row.domain_try > before.domain_try,
                "{id} went from unknown to in flight: {before:?} to {row:?}"
            );
        }
        Ok(())
    }

    fn no_signup_is_lost(&self, world: &World, rows: &BTreeMap<String, Provisioning>) -> Result<(), Broken> {
        for number in world.acknowledged.lock().unwrap().iter() {
            let id = world.signups[*number].id.as_str();
            promise!(rows.contains_key(id), "{id} was acknowledged and is not in the ledger");
        }
        promise!(self.rows.keys().all(|id| rows.contains_key(id)), "a row is gone");
        Ok(())
    }

    fn no_effect_is_doubled(&self, world: &World, rows: &BTreeMap<String, Provisioning>) -> Result<(), Broken> {
        let books = world.books();
        for signup in &world.signups {
            let id = signup.id.as_str();
            let made = |kind| books.things.iter().filter(|thing| thing.signup == id && thing.kind == kind).count();
            let generations = rows.get(id).map_or(0, |row| row.generation as usize);
            if let Some(restored) = &world.restored {
                // What the copy does not know may be made again, under a user that is kept or one of the next
                // generation: OPERATIONS says so.
                if !restored.knows(id) && (world.shape.keep_user_tokens || world.shape.mailbox) {
                    continue;
                }
                let made = |things: &[Thing]| things.iter().any(|thing| thing.signup == id && thing.kind == Kind::User);
                let (lost, after) = (&books.things[restored.lost.clone()], &books.things[restored.lost.end..]);
                promise!(!(made(lost) && made(after)), "{id} was given another user: {:?}", books.things);
            }
            promise!(made(Kind::Store) <= 1, "{id} has more than one store: {:?}", books.things);
            let may_be_older = world.restored.is_some();
            promise!(
                may_be_older || made(Kind::User) <= generations,
                "{id} has more users than generations: {:?}",
                books.things
            );
        }
        Ok(())
    }

    /// Every call that reached Foxy's door stands in the ledger: step, key, and a lease that has not expired.
    fn calls_are_announced(&mut self, world: &World, rows: &BTreeMap<String, Provisioning>) -> Result<(), Broken> {
        let calls: Vec<Call> = world.books().calls[self.calls..].to_vec();
        self.calls += calls.len();
        for call in calls.iter().filter(|call| call.open) {
            let row = rows.get(&call.signup);
            let Some(row) = row else { return Err(format!("a call for no signup: {call:?}")) };
            let (step, key) = match call.kind {
                Kind::User => (Step::User, world.email_of(row)),
                Kind::Store => (Step::Store, row.store_domain.clone().unwrap_or_default()),
            };
            promise!(key == call.key || !world.clocks_agree(), "{call:?} was announced as {key}: {row:?}");
            let announced = (row.step, row.state) == (step, State::InFlight);
            let held = row.lease_until_ms.is_some_and(|until| until > world.clock.now_ms());
            promise!((announced && held) || !world.clocks_agree(), "{call:?} is not announced: {row:?}");
            self.sent.insert((call.signup.clone(), row.intents));
        }
        Ok(())
    }

    /// A worker that gives up a call that was announced and not sent writes that down. Else the call is swept in doubt,
    /// and whatever Foxy had before counts as its effect.
    fn an_unsent_call_is_not_left_in_doubt(
        &mut self,
        world: &World,
        rows: &BTreeMap<String, Provisioning>,
    ) -> Result<(), Broken> {
        let abandoned: Vec<(String, i64, u32)> = world.books().abandoned[self.abandoned..].to_vec();
        self.abandoned += abandoned.len();
        for (id, epoch, intent) in abandoned.iter().filter(|_| world.clocks_agree()) {
            let Some(row) = rows.get(id) else { continue };
            // A later intent is one whose commit was not answered while the lease lasted. Its worker can't know of it.
            let is_announced = (row.state, row.epoch, row.intents) == (State::InFlight, *epoch, *intent);
            // Once its lease is over a worker may give up what it has to record, and a renewal may still come.
            let is_leased = row.intent_at_ms.is_some_and(|announced| {
                Duration::from_millis(world.clock.now_ms().abs_diff(announced)) < world.shape.lease
            });
            let was_sent = self.sent.contains(&(id.clone(), row.intents));
            promise!(
                !(is_announced && is_leased) || was_sent,
                "a call was announced, not sent, and left in doubt: {row:?}"
            );
        }
        Ok(())
    }

    /// What was in the ledger or in an escrow stays, until it is wiped where it has served.
    async fn no_token_is_dropped(
        &mut self,
        world: &World,
        rows: &BTreeMap<String, Provisioning>,
        in_escrow: &[PathBuf],
    ) -> Result<(), Broken> {
        let mut safe = BTreeSet::new();
        for path in in_escrow {
            safe.insert(token_in(path, world, rows));
        }
        let mut wiped = BTreeSet::new();
        // Where Foxy has given no token out there is none to be found.
        let has_none = world.books().delivered.is_empty() && world.restored.is_none();
        for (id, row) in rows.iter().filter(|_| !has_none) {
            for held in world.ledger.credentials(&row.id).await.unwrap() {
                match &held.sealed {
                    Some(sealed) => {
                        let token = world.custody.open_token(&TokenRow::of(row, &held), sealed).unwrap();
                        safe.insert(token.expose().to_owned());
                    }
                    None => {
                        let is_given_up = world.acts.given_up_stores.contains(id);
                        promise!(held.scope == Scope::User || is_given_up, "{id}: a store's token was wiped");
                        let is_of_no_use = world.shape.may_wipe_user_tokens() || row.forgotten_at_ms.is_some();
                        promise!(row.state == State::Closed && is_of_no_use, "{id}: wiped too early");
                        wiped.insert((id.as_str(), held.scope));
                    }
                }
            }
        }
        let books = world.books();
        for token in self.safe.difference(&safe) {
            let thing = books.things.iter().find(|thing| thing.had(token)).unwrap();
            let scope = if thing.kind == Kind::User { Scope::User } else { Scope::Store };
            let served = wiped.contains(&(thing.signup.as_str(), scope));
            // Foxy takes it no more. What has come in its place was safe first.
            let mut later =
                thing.replaced.iter().skip_while(|replaced| *replaced != token).skip(1).chain([&thing.token]);
            let is_replaced = *token != thing.token && later.any(|later| safe.contains(later));
            promise!(served || is_replaced, "the token of {thing:?} was safe and is gone");
        }
        drop(books);
        self.safe.extend(safe);
        Ok(())
    }

    /// What must be true once nothing moves any more.
    pub(crate) async fn hold_at_rest(&mut self, world: &World) -> Result<(), Broken> {
        self.hold(world).await?;
        promise!(world.escrow_files().is_empty(), "tokens are left in an escrow");
        let events = world.ledger.waiting_events(1000).await.unwrap();
        for signup in &world.signups {
            let id = signup.id.as_str();
            let Some(row) = self.rows.get(id) else { return Err(format!("{id} was never accepted")) };
            // A sibling that was parked and went on later may have been no help when it was asked.
            let went_on = |id: &str| {
                events.iter().any(|told| told.event.data.signup_id == id && told.event.kind == OutcomeKind::Resumed)
            };
            // Whose customer was forgotten, nobody knows as another's.
            let is_provisioned = |id: &str| {
                self.rows
                    .get(id)
                    .is_some_and(|row| row.is_provisioned() && row.forgotten_at_ms.is_none() && !went_on(id))
            };
            rests_for_a_reason(world, &self.rows, row, is_provisioned).await?;
            let told: Vec<_> =
                events.iter().filter(|told| told.event.data.signup_id == id).map(|told| told.event.kind).collect();
            let (last, before) = told.split_last().ok_or_else(|| format!("nothing was told of {id}"))?;
            let expected = match row.state {
                State::Closed if row.is_cancelled() => OutcomeKind::Cancelled,
                State::Closed => OutcomeKind::Provisioned,
                _ => OutcomeKind::Parked,
            };
            let in_pairs = before.chunks(2).all(|pair| {
                *pair == [OutcomeKind::Parked, OutcomeKind::Resumed]
                    || (row.is_cancelled() && *pair == [OutcomeKind::Parked])
            });
            promise!(*last == expected && in_pairs, "{id} came to {row:?}, and {told:?} was told");
        }
        let books = world.books();
        for (boot, token) in &books.delivered {
            let safe = self.safe.contains(token) || world.killed.contains(boot);
            promise!(safe, "{token} reached worker {boot}, which was never killed, and is lost");
        }
        Ok(())
    }
}

/// A store's address stands on one row, and that is the signup's that the store was made for.
fn addresses_are_their_own(world: &World, rows: &BTreeMap<String, Provisioning>) -> Result<(), Broken> {
    let books = world.books();
    let mut stand = BTreeMap::new();
    for (id, row) in rows {
        let Some(uri) = &row.store_uri else { continue };
        let other = stand.insert(uri, id);
        promise!(other.is_none(), "{uri} stands on the rows of {other:?} and {id}");
        // One that is not marked can't know that signups which the copy lacks have stores under its user.
        if world.restored.is_some() && row.restored_to_ms.is_none() && row.user_from.is_some() {
            continue;
        }
        let store = books.things.iter().find(|thing| thing.uri == *uri);
        promise!(store.is_some_and(|store| store.signup == *id), "{id} has the address of {store:?}: {row:?}");
    }
    Ok(())
}

async fn rows(world: &World) -> BTreeMap<String, Provisioning> {
    let rows = world.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
    rows.into_iter().map(|row| (row.signup_id.to_string(), row)).collect()
}

/// Whether nothing will happen to it by itself.
pub(crate) fn at_rest(row: &Provisioning) -> bool {
    matches!(row.state, State::Parked | State::Closed)
}

/// Provisioned with everything that belongs to it, or parked for a reason that is true.
async fn rests_for_a_reason(
    world: &World,
    rows: &BTreeMap<String, Provisioning>,
    row: &Provisioning,
    is_provisioned: impl Fn(&str) -> bool,
) -> Result<(), Broken> {
    let id = row.signup_id.as_str();
    let kept = world.ledger.credentials(&row.id).await.unwrap();
    let tokens = |scope: Scope| -> Vec<String> {
        let of_scope = kept.iter().filter(|held| held.scope == scope && held.intent >= row.key_intent);
        let open = |held: &Credential| {
            let opened = world.custody.open_token(&TokenRow::of(row, held), held.sealed.as_ref()?);
            Some(opened.unwrap().expose().to_owned())
        };
        of_scope.filter_map(open).collect()
    };
    // Where a call of its own ended unsure, a stranger's user can't be told from ours: there is no list to look into.
    let evidence = world.ledger.attempts(&row.id).await.unwrap();
    let ended = |outcome| evidence.iter().any(|call| call.intent >= row.key_intent && call.outcome == outcome);
    let (doubted, perhaps_unread) = (ended(AttemptOutcome::Unknown), ended(AttemptOutcome::UnknownOnKeptConnection));
    // Users of the same customer whose tokens are kept. One may have come after this one was given up.
    let mut kept_users = BTreeSet::new();
    if world.shape.keep_user_tokens && !world.shape.settings_differ && row.tried_for < world.shape.give_up_after {
        for other in rows.values().filter(|other| other.account_id.is_some() && other.account_id == row.account_id) {
            let tokens = world.ledger.credentials(&other.id).await.unwrap();
            // Where the other's own call was in doubt, its token may have come late.
            let evidence = world.ledger.attempts(&other.id).await.unwrap();
            let was_in_doubt = evidence.iter().any(|call| call.step == Step::User && is_in_doubt(&call.outcome));
            let is_kept = !was_in_doubt && tokens.iter().any(|held| held.scope == Scope::User && held.sealed.is_some());
            if is_kept && is_provisioned(other.signup_id.as_str()) {
                kept_users.extend(other.user_uri.clone());
            }
        }
    }
    let domain = world.domain_of(row);
    // Under a worker of an earlier release it need not have come to a call of the other's.
    let mut others_doubted = world.acts.chosen_without_asking;
    for other in rows.values().filter(|other| other.id != row.id) {
        // Forgetting wipes whose it was and what it called for; a call that was cancelled has no evidence of its end.
        others_doubted |= other.forgotten_at_ms.is_some() || (other.in_doubt && other.store_domain == domain);
        if other.account_id != row.account_id {
            continue;
        }
        let evidence = world.ledger.attempts(&other.id).await.unwrap();
        others_doubted |= evidence.iter().any(|call| is_in_doubt(&call.outcome) && call.natural_key == domain);
    }
    let books = world.books();
    let by_domain = books.find(Kind::Store, domain.as_deref().unwrap_or_default());
    let by_email = books.find(Kind::User, &world.email_of(row));
    let own = |thing: &Thing| thing.signup == id;
    let in_list = |list: &[String]| list.iter().any(|told| told == id || Some(told) == row.store_domain.as_ref());
    let is_behind = world.restored.as_ref().is_some_and(|restored| row.restored_to_ms.is_some() || !restored.knows(id));
    let holds = match (row.state, row.parked_reason) {
        (State::Parked, Some(reason)) if is_behind => is_reason_enough(reason, row, &books),
        // Its last reason stays on the row of one that was parked.
        (State::Closed, _) if row.is_cancelled() => world.acts.cancelled.contains(id) && row.payload.is_none(),
        (State::Closed, None) if row.forgotten_at_ms.is_some() => {
            books.things.iter().any(|thing| thing.kind == Kind::Store && own(thing)) && row.payload.is_none()
        }
        (State::Closed, None) => {
            row.step == Step::Done
                && by_domain.is_some_and(|store| {
                    own(store)
                        && Some(&store.uri) == row.store_uri.as_ref()
                        && Some(&store.owner) == row.user_uri.as_ref()
                        && tokens(Scope::Store) == [store.token.clone()]
                })
                && (world.shape.may_keep_user_tokens()
                    || kept.iter().all(|held| held.scope != Scope::User || held.sealed.is_none()))
        }
        (State::Parked, Some(reason)) => match reason {
            ParkedReason::UserTokenLost => {
                by_email.is_some_and(|user| own(user) || (doubted && !kept_users.contains(&user.uri)))
                    && tokens(Scope::User).is_empty()
            }
            ParkedReason::EmailInDoubt => {
                by_email.is_some() && perhaps_unread && row.mailbox.is_none() && tokens(Scope::User).is_empty()
            }
            ParkedReason::StoreTokenLost => by_domain.is_some_and(own) && tokens(Scope::Store).is_empty(),
            ParkedReason::EmailTaken => by_email.is_some_and(|user| !own(user) && !is_provisioned(&user.signup)),
            ParkedReason::UserTokenNotKept => {
                by_email.is_some_and(|user| !own(user))
                    && row.account_id.is_some()
                    && world.shape.may_wipe_user_tokens()
            }
            // Foxy may have removed it since.
            ParkedReason::DomainTaken => books
                .things
                .iter()
                .any(|store| store.kind == Kind::Store && Some(&store.key) == domain.as_ref() && !own(store)),
            ParkedReason::SuspiciousLink => in_list(&books.bad_links),
            ParkedReason::RejectedByFoxy => in_list(&books.refused),
            ParkedReason::UserTokenRefused => in_list(&books.revoked),
            // Another signup of the customer once had a call for this domain in doubt. No address is named.
            ParkedReason::StoreUnclear => {
                row.store_uri.is_none()
                    && tokens(Scope::Store).is_empty()
                    && row.parked_detail.as_ref().is_some_and(|detail| !detail.contains("http") && detail.contains(id))
                    && others_doubted
            }
            ParkedReason::AttemptsExhausted => world.shape.give_up_after < Shape::default().give_up_after,
            ParkedReason::DomainReserved
            | ParkedReason::CaptchaRefused
            | ParkedReason::InvalidEvent
            | ParkedReason::KeyMissing
            | ParkedReason::CustodyMismatch => false,
        },
        _ => false,
    };
    promise!(holds, "{id} rests without a true reason: {row:?}, {kept:?}, {:?}", books.things);
    Ok(())
}

/// Whether a call that ended so may have had an effect.
fn is_in_doubt(outcome: &Word<AttemptOutcome>) -> bool {
    *outcome == AttemptOutcome::Unknown || *outcome == AttemptOutcome::UnknownOnKeptConnection
}

/// Whether one may rest for this reason whose past is not in the ledger.
fn is_reason_enough(reason: ParkedReason, row: &Provisioning, books: &Books) -> bool {
    match reason {
        ParkedReason::StoreTokenLost => {
            let owned = |store: &Thing| store.kind == Kind::Store && Some(&store.owner) == row.user_uri.as_ref();
            books.things.iter().any(owned)
        }
        ParkedReason::StoreUnclear => row.store_uri.is_none(),
        ParkedReason::DomainReserved
        | ParkedReason::CaptchaRefused
        | ParkedReason::InvalidEvent
        | ParkedReason::KeyMissing
        | ParkedReason::CustodyMismatch => false,
        _ => true,
    }
}

/// The token in an escrow's file.
fn token_in(path: &Path, world: &World, rows: &BTreeMap<String, Provisioning>) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = rows.values().find(|row| row.id.as_str() == file["provisioning_id"]).unwrap();
    let scope = Scope::parse(file["scope"].as_str().unwrap()).unwrap();
    let sealed = Sealed::from_bytes(STANDARD.decode(file["sealed"].as_str().unwrap()).unwrap()).unwrap();
    let intent = u32::try_from(file["intent"].as_u64().unwrap()).unwrap();
    let around = TokenRow::of_call(row, scope, intent, file["resource_uri"].as_str());
    world.custody.open_token(&around, &sealed).unwrap().expose().to_owned()
}
