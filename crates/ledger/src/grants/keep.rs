//! Keeping what a person has granted: the token, and what it changes for its signup, in one transaction.
//!
//! The token's envelope says inside under which number it is kept, so the number is chosen before the transaction
//! ([`Provisioning::number_of_granted`]); where the row has moved on by then, nothing is written, and the caller judges
//! and seals anew.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _, sea_query::Expr,
};

use crate::{
    address::{ResourcePath, is_same_resource},
    connect::Ledger,
    connections::Transaction,
    credentials::{self, Kept, Road},
    entity::{credential, grant, provisioning, trip},
    error::LedgerError,
    evidence,
    grants::{
        effects::{close, go_on},
        ending::{end_trip, ending},
        grant::Grant,
        words::{GrantReason, GrantState, TripEnding, Wanted},
    },
    ids::{GrantId, ProvisioningId, SignupId, TripId},
    outbox::OutcomeEvent,
    parked::resume_for_user_token,
    provisioning::Provisioning,
    query::{self, Credential},
    record::NewCredential,
    state::{AttemptKind, AttemptOutcome, Scope, State, Step},
    transactions::Ending::{Commit, RollBack},
};

/// What was granted and judged right, and what is to come of it.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The trip that brought it, which is spent: what it brought is kept once.
    pub trip: TripId,
    /// The token, with the address that it opens, sealed under [`Provisioning::number_of_granted`].
    pub credential: NewCredential,
    /// Whether it is known to be the right one. A store that no one expected waits for [`Ledger::confirm_grant`].
    pub is_confirmed: bool,
    /// What comes of it.
    pub then: Then,
}

/// What comes of a grant that is kept.
#[derive(Debug, Clone)]
pub struct Then {
    /// The store's domain: of the store that was granted, or to be tried first under the user that was.
    pub store_domain: Option<String>,
    /// Keep the sealed event of a signup that is closed by this.
    pub keep_payload: bool,
    /// And its sealed user token.
    pub keep_user_token: bool,
    /// Who brings it, for the evidence: a worker, or a program's name.
    pub who: String,
    /// The outcome event of a signup that is closed by this; `None` where no outcome events are made.
    pub provisioned: Option<fn(&Provisioning) -> OutcomeEvent>,
}

/// What keeping a grant came to, with the signup as it then stands.
#[derive(Debug)]
pub enum KeptGrant {
    /// It is kept, and the signup was closed as provisioned, or continues.
    Kept(Box<Provisioning>),
    /// It is kept beside what the signup has, whose state stays.
    Beside(Box<Provisioning>),
    /// It is kept, and waits to be confirmed.
    Unconfirmed(Box<Provisioning>),
    /// It was kept before.
    Known(Box<Provisioning>),
    /// Its customer was forgotten: it was wiped.
    Wiped(Box<Provisioning>),
    /// The signup has changed since it was judged, or the number is another one by now. Nothing was written.
    Moved(Box<Provisioning>),
    /// The signup has no use for it. Nothing was written.
    NotWanted(Box<Provisioning>),
    /// The store is this signup's. Nothing was written.
    StoreOfAnother(SignupId),
    /// There is no such trip that is spent, or no such grant that waits to be confirmed.
    NotFound,
}

impl Provisioning {
    /// The number under which a granted token is sealed and kept, beside the tokens that are `held` for this row.
    ///
    /// Of a row at rest it is one that no call or token has had. While a worker may be at it, or until the store is
    /// confirmed, the number is that of an earlier natural key, so that the token steers nothing.
    pub fn number_of_granted(&self, held: &[Credential], is_confirmed: bool) -> u32 {
        let last = held.iter().map(|held| held.intent).chain([self.intents]).max().unwrap_or(0);
        match self.state {
            State::Parked | State::Closed if is_confirmed => last.saturating_add(1),
            State::Parked | State::Closed | State::Due | State::InFlight | State::Unknown => {
                self.key_intent.saturating_sub(1)
            }
        }
    }
}

/// A grant whose signup, and then it, are locked.
struct Locked {
    grant: Grant,
    model: provisioning::Model,
    row: Provisioning,
}

impl Ledger {
    /// Keeps what a trip has brought for its grant, which was judged with the row as it was `judged`. Keeping it again
    /// is harmless. A grant that has ended meanwhile still keeps it: a token in hand is never dropped.
    ///
    /// # Errors
    /// [`LedgerError::FormatEnded`] if the token is of a format that has ended. Else when the commit did not happen or
    /// is not known to have: try again.
    pub async fn keep_granted(&self, judged: &Provisioning, keeping: Keeping) -> Result<KeptGrant, LedgerError> {
        let (ledger, judged) = (self.clone(), judged.clone());
        self.detached("keep_granted", async move {
            let work = ledger.transaction(async |txn, now| {
                let trip = trip::Entity::find_by_id(keeping.trip.as_str()).one(txn).await?;
                let Some(trip) = trip.filter(|trip| trip.spent_at.is_some()) else {
                    return Ok(RollBack((None, KeptGrant::NotFound)));
                };
                let locked = lock(txn, &GrantId::from_row(trip.grant_id)).await?;
                let Some(locked) = locked else { return Ok(RollBack((None, KeptGrant::NotFound))) };
                // Read under the lock: of two that keep the same one waits here.
                let kept = trip::Entity::find_by_id(keeping.trip.as_str()).one(txn).await?;
                let is_kept = |trip: trip::Model| trip.ending.as_deref() == Some(TripEnding::Granted.as_str());
                if kept.is_some_and(is_kept) {
                    return Ok(RollBack((None, KeptGrant::Known(Box::new(locked.row)))));
                }
                let model = locked.model.clone();
                match ledger.keep_in(txn, &judged, locked, &keeping, now).await? {
                    Ok((kept, answer)) => Ok(Commit((Some((model, kept)), answer))),
                    Err(refused) => Ok(RollBack((None, refused))),
                }
            });
            let (to_report, answer) = work.await?;
            if let Some((model, kept)) = to_report {
                credentials::report(&model, &keeping.credential, kept, true);
            }
            Ok(answer)
        })
        .await
    }

    /// Confirms the store of a grant that waits for that: its signup is closed as provisioned.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have, or a row is damaged. To repeat it is harmless.
    pub async fn confirm_grant(&self, id: &GrantId, then: Then) -> Result<KeptGrant, LedgerError> {
        let (ledger, id) = (self.clone(), id.clone());
        let work = self.transaction(async move |txn, now| {
            let Some(locked) = lock(txn, &id).await? else { return Ok(RollBack(KeptGrant::NotFound)) };
            let (uri, row) = (locked.grant.expected_uri.clone(), locked.row.clone());
            match (locked.grant.state, uri) {
                (GrantState::Unconfirmed, Some(uri)) if row.state == State::Parked => {
                    if let Some(other) = ledger.other_with(txn, &row, &uri).await? {
                        return Ok(RollBack(KeptGrant::StoreOfAnother(other)));
                    }
                    let closed = close(txn, locked.model, &uri, &then, now).await?;
                    finish(txn, &row, &locked.grant, &then, now).await?;
                    Ok(Commit(KeptGrant::Kept(Box::new(closed))))
                }
                // It has come to its end otherwise; the token stays beside what it has.
                (GrantState::Unconfirmed, Some(_)) if row.state == State::Closed => {
                    finish(txn, &row, &locked.grant, &then, now).await?;
                    Ok(Commit(KeptGrant::Beside(Box::new(row))))
                }
                (GrantState::Unconfirmed, _) => Ok(RollBack(KeptGrant::Moved(Box::new(row)))),
                (GrantState::Kept, _) => Ok(RollBack(KeptGrant::Known(Box::new(row)))),
                (GrantState::Open | GrantState::Expired | GrantState::Withdrawn, _) => {
                    Ok(RollBack(KeptGrant::NotFound))
                }
            }
        });
        self.detached("confirm_grant", work).await
    }

    /// Keeps it, or says why nothing was written.
    async fn keep_in(
        &self,
        txn: &Transaction,
        judged: &Provisioning,
        locked: Locked,
        keeping: &Keeping,
        now: i64,
    ) -> Result<Result<(Kept, KeptGrant), KeptGrant>, LedgerError> {
        let Locked { grant, model, row } = locked;
        let (credential, then) = (&keeping.credential, &keeping.then);
        let number = row.number_of_granted(&held(txn, &row).await?, keeping.is_confirmed);
        let stands = |row: &Provisioning| (row.state, row.step, row.epoch);
        // A parked row has no lease; one that has is not as it should be, and nothing is done to it.
        let is_leased = row.state == State::Parked && model.lease_until.is_some_and(|until| until >= now);
        if stands(&row) != stands(judged) || number != credential.intent || is_leased {
            return Ok(Err(KeptGrant::Moved(Box::new(row))));
        }
        let Some(uri) = credential.resource_uri.clone() else { return Ok(Err(KeptGrant::NotWanted(Box::new(row)))) };
        let fate = match (grant.wanted, credential.scope) {
            (Wanted::Store, Scope::Store) if !keeping.is_confirmed => match may_wait(&grant, &uri) {
                true => Fate::Waits,
                false => return Ok(Err(KeptGrant::NotWanted(Box::new(row)))),
            },
            (Wanted::Store, Scope::Store) if row.state == State::Parked => Fate::Closes,
            (Wanted::Store, Scope::Store) => Fate::Beside,
            (Wanted::User, Scope::User) => match user_fate(&grant, &row, &uri) {
                Some(fate) => fate,
                None => return Ok(Err(KeptGrant::NotWanted(Box::new(row)))),
            },
            (Wanted::Store, Scope::User) | (Wanted::User, Scope::Store) => {
                return Ok(Err(KeptGrant::NotWanted(Box::new(row))));
            }
        };
        if fate == Fate::Closes
            && let Some(other) = self.other_with(txn, &row, &uri).await?
        {
            return Ok(Err(KeptGrant::StoreOfAnother(other)));
        }
        credentials::touch(txn, &row.id).await?;
        let kept =
            credentials::insert(txn, &model, credential, Road::Grant { ends: fate == Fate::Closes }, now).await?;
        self.refuse_if_ended(txn, &credential.sealed).await?;
        end_trip(txn, &keeping.trip, TripEnding::Granted).await?;
        if fate == Fate::Waits && kept != Kept::Wiped {
            wait(txn, &grant, &uri).await?;
            return Ok(Ok((kept, KeptGrant::Unconfirmed(Box::new(row)))));
        }
        finish(txn, &row, &grant, then, now).await?;
        if kept == Kept::Wiped {
            return Ok(Ok((kept, KeptGrant::Wiped(Box::new(row)))));
        }
        let answer = match fate {
            Fate::Closes => KeptGrant::Kept(Box::new(close(txn, model, &uri, then, now).await?)),
            Fate::Continues => KeptGrant::Kept(Box::new(go_on(txn, model, &uri, then, now).await?)),
            Fate::Beside | Fate::Waits => {
                if credential.scope == Scope::User {
                    resume_for_user_token(txn, &row.id, now).await?;
                }
                KeptGrant::Beside(Box::new(row))
            }
        };
        Ok(Ok((kept, answer)))
    }

    /// Who else has the store with this address. No two rows may: so of two signups that are given one store at the
    /// same moment one waits here for the other.
    async fn other_with(
        &self,
        txn: &Transaction,
        row: &Provisioning,
        uri: &str,
    ) -> Result<Option<SignupId>, LedgerError> {
        use provisioning::{Column, Entity};
        let path = ResourcePath::of(uri);
        if !self.is_embedded() {
            let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            txn.query_one_raw(self.statement(lock, [path.as_str().into()])).await?;
        }
        let other = Entity::find().filter(path.is_in("store_uri", self.is_embedded()));
        let other = other.filter(Column::Id.ne(row.id.as_str())).one(txn).await?;
        Ok(other.map(|other| SignupId::from_row(other.signup_id)))
    }
}

/// What a granted token does to its signup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is provisioned.
    Closes,
    /// It continues under the user.
    Continues,
    /// Nothing.
    Beside,
    /// Nothing yet.
    Waits,
}

/// Whether a store that no one expected can wait to be confirmed: no other one does, and someone still waits for one.
fn may_wait(grant: &Grant, uri: &str) -> bool {
    match grant.state {
        GrantState::Open => true,
        GrantState::Unconfirmed => is_same_resource(grant.expected_uri.as_deref(), Some(uri)),
        GrantState::Kept | GrantState::Expired | GrantState::Withdrawn => false,
    }
}

/// What a user's token does, if it is of use.
fn user_fate(grant: &Grant, row: &Provisioning, uri: &str) -> Option<Fate> {
    match row.state {
        // The store is there, or is to be none: the customer's own account is no use any more.
        State::Closed if grant.reason == GrantReason::TakeOver => None,
        // A token of another signup's user is asked for there: it is used from there.
        State::Parked if row.step != Step::Done && row.user_from.is_none() => Some(Fate::Continues),
        State::Closed if is_same_resource(row.user_uri.as_deref(), Some(uri)) => Some(Fate::Beside),
        State::Parked | State::Closed | State::Due | State::InFlight | State::Unknown => None,
    }
}

/// Locks a grant, and its signup before it.
async fn lock(txn: &Transaction, id: &GrantId) -> Result<Option<Locked>, LedgerError> {
    let find = || grant::Entity::find_by_id(id.as_str());
    let Some(found) = find().one(txn).await? else { return Ok(None) };
    let model = credentials::lock_row(txn, &ProvisioningId::from_row(found.provisioning_id)).await?;
    let Some(found) = find().lock_exclusive().one(txn).await? else { return Ok(None) };
    Ok(Some(Locked { grant: Grant::from_row(found)?, row: Provisioning::from_row(model.clone())?, model }))
}

async fn held(txn: &Transaction, row: &Provisioning) -> Result<Vec<Credential>, LedgerError> {
    let held = credential::Entity::find().filter(credential::Column::ProvisioningId.eq(row.id.as_str()));
    held.all(txn).await?.into_iter().map(query::read).collect()
}

/// The grant waits to be confirmed, and says for which store.
async fn wait(txn: &Transaction, grant: &Grant, uri: &str) -> Result<(), LedgerError> {
    use grant::{Column, Entity};
    Entity::update_many()
        .col_expr(Column::State, Expr::val(GrantState::Unconfirmed.as_str()))
        .col_expr(Column::ExpectedUri, Expr::val(uri))
        .filter(Column::Id.eq(grant.id.as_str()))
        .exec(txn)
        .await?;
    Ok(())
}

/// The grant is kept, and there is evidence of it.
async fn finish(
    txn: &Transaction,
    row: &Provisioning,
    grant: &Grant,
    then: &Then,
    now: i64,
) -> Result<(), LedgerError> {
    ending(GrantState::Kept, now).filter(grant::Column::Id.eq(grant.id.as_str())).exec(txn).await?;
    let stood = match row.parked_reason {
        Some(reason) if row.state == State::Parked => format!("was parked: {reason}"),
        _ => format!("was {}", row.standing()),
    };
    let note = format!("{}, {}; {stood}", grant.reason, grant.wanted);
    let act = (AttemptKind::Grant, AttemptOutcome::Granted);
    evidence::insert(txn, [evidence::of_act(row, act, &then.who, &note, now)]).await?;
    Ok(())
}
