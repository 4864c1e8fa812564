//! A person's way to Foxy and back, and what is kept of it.
//!
//! What may be asked for, and whether what was granted is what was wanted, is for the [plan](crate::grants) to say. A
//! code is exchanged once, by the caller that has spent its trip. A token that is judged right is kept in the ledger,
//! and in the escrow until the ledger has it.

mod keeping;
mod report;

use std::time::Duration;

use foxden_custody::{Custody, CustodyError, Escrow};
use foxden_ledger::{
    Asked, Asking, Back, Begun, By, Digest, FoxyClient, Grant, GrantId, KeptGrant, Ledger, LedgerError, NewTrip,
    Provisioning, Spent, Trip, TripEnding, TripId, Wanted,
};
use foxden_vault::{AuthorizationCode, AuthorizationState};
use foxy_api::{
    AuthorizationEndpoint, AuthorizationRequest, AuthorizationUrl, BroughtCode, ExchangeError, Foxy, Granted, Opened,
    ReadError, TokenScope,
};

use keeping::Right;

use crate::{
    grants::{Ask, Expected, Judgment, NoUse, Wrong, judge, scope_for},
    outcome::{grant_expired_event, grant_requested_event},
    request::user_email,
    schedule::Schedule,
};

/// How long a person may take from foxden to Foxy and back (RFC 6749 section 4.1.2: codes live for ten minutes at
/// most).
const TRIP_LIFETIME: Duration = Duration::from_secs(600);

/// How often what a token opens is asked for, before it is given up as unproven: for a minute at least. The person sees
/// meanwhile that it is not over.
const LOOKS: u32 = 8;

/// The longest wait between two looks that Foxy may ask for: a person waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What grants are asked for and kept with.
#[derive(Clone)]
pub struct Granting {
    /// Where grants, trips and tokens are.
    pub ledger: Ledger,
    /// What seals.
    pub custody: Custody,
    /// Where a token is held while the ledger is away; `None`: it is in memory alone then.
    pub escrow: Option<Escrow>,
    /// Foxy.
    pub foxy: Foxy,
    /// Where people are sent.
    pub endpoint: AuthorizationEndpoint,
    /// Who asks, and at which Foxy.
    pub client: FoxyClient,
    /// The rest.
    pub policy: GrantPolicy,
}

/// What an operator decides about grants.
#[derive(Debug, Clone)]
pub struct GrantPolicy {
    /// For how long a person may answer.
    pub lifetime: Duration,
    /// Keep the sealed event of a signup that a grant closes.
    pub keep_payloads: bool,
    /// And its user's token.
    pub keep_user_tokens: bool,
    /// Whether the parent app hears of grants.
    pub outcome_events: bool,
    /// Who brings what is granted, for the evidence: a worker, or a program's name.
    pub who: String,
}

/// Why no grant was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// The signup has no use for one.
    #[error(transparent)]
    NoUse(#[from] NoUse),
    /// It has changed meanwhile.
    #[error("the signup has changed just now; look again and repeat")]
    Changed,
    /// Its customer was forgotten.
    #[error("the signup's customer was forgotten")]
    Forgotten,
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a browser, or a person, brings back from Foxy.
#[derive(Debug, Clone)]
pub enum Brought {
    /// A code, to be exchanged once.
    Code(AuthorizationCode),
    /// The person said no.
    Denial,
    /// Foxy could not do it.
    Error,
}

/// What became of someone who came back.
#[derive(Debug)]
pub enum Arrived {
    /// The trip is spent by this arrival, and by no other. [Finish](Granting::finish) it.
    Back(Returned),
    /// It was over before.
    Before(Trip),
    /// The person was away for too long.
    TooLate(Trip),
    /// The trip began in another browser, or on the command line.
    OtherBrowser,
    /// There is no such trip.
    Unknown,
}

/// A person who is back, with what they brought.
#[derive(Debug)]
#[must_use = "the trip is spent, and only this can still use its code"]
pub struct Returned {
    back: Box<Back>,
    /// Whether the grant still waits.
    is_open: bool,
    brought: Brought,
}

impl Returned {
    /// Their trip.
    pub fn trip(&self) -> &Trip {
        &self.back.trip
    }
}

/// How a trip ended.
#[derive(Debug)]
pub enum Ended {
    /// What was wanted was granted and is kept.
    Kept(KeptGrant),
    /// It is safe in the escrow, and a worker moves it into the ledger.
    InEscrow,
    /// The grant had ended, or waits to be confirmed, when the person came back. The code was not used.
    GrantEnded,
    /// The person said no.
    Denied,
    /// No token came of it: Foxy has not answered, or not as it must. The person may try again.
    Failed(String),
    /// Access was granted to something else. It was not kept.
    Wrong(Wrong),
    /// Another scope was granted than was asked for. Nothing of it was used.
    OtherScope,
    /// The signup's contents can't be opened, so that nothing can be judged.
    Unopenable(CustodyError),
}

impl Ended {
    /// What the ledger does not know of it yet.
    fn unwritten(&self) -> Option<TripEnding> {
        match self {
            Self::Kept(KeptGrant::StoreOfAnother(_)) | Self::Wrong(_) | Self::OtherScope => Some(TripEnding::Wrong),
            Self::Kept(KeptGrant::NotWanted(_) | KeptGrant::NotFound | KeptGrant::Moved(_))
            | Self::GrantEnded
            | Self::Failed(_)
            | Self::Unopenable(_) => Some(TripEnding::Failed),
            Self::Kept(
                KeptGrant::Kept(_)
                | KeptGrant::Beside(_)
                | KeptGrant::Unconfirmed(_)
                | KeptGrant::Known(_)
                | KeptGrant::Wiped(_),
            )
            | Self::InEscrow
            | Self::Denied => None,
        }
    }
}

impl Granting {
    /// Asks for what the signup lacks, or answers what is asked for already. The audit has who opened it.
    ///
    /// # Errors
    /// [`NotAsked`], by why not.
    pub async fn ask(&self, row: &Provisioning, by: By) -> Result<Grant, NotAsked> {
        let wanted = Ask::of(row)?;
        let owner = match &wanted.at {
            None => None,
            Some(id) => Some(self.ledger.find_by_id(id).await?.ok_or(NoUse::Damaged)?),
        };
        let row = owner.as_ref().unwrap_or(row);
        let asking = Asking {
            id: GrantId::new(),
            reason: wanted.reason,
            wanted: wanted.wanted,
            by,
            client_id: self.client.id.clone(),
            expected_uri: wanted.expected_uri,
            lifetime: self.policy.lifetime,
            requested: self.policy.outcome_events.then_some(grant_requested_event),
            expired: self.policy.outcome_events.then_some(grant_expired_event),
        };
        match self.ledger.ask_for_grant(row, asking).await? {
            Asked::Opened(grant) => {
                tracing::info!(
                    event = "grant.requested",
                    signup_id = row.signup_id.as_str(),
                    grant = grant.id.as_str(),
                    reason = grant.reason.as_str(),
                    wanted = grant.wanted.as_str(),
                    "a person is asked to grant access",
                );
                Ok(grant)
            }
            Asked::There(grant) => Ok(grant),
            Asked::Changed => Err(NotAsked::Changed),
            Asked::Forgotten => Err(NotAsked::Forgotten),
        }
    }

    /// Begins a trip. Where to send the person; or how the grant stands, if it waits for no one. Who has no `state` at
    /// hand, only its hash, adds it to the address.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn begin(
        &self,
        grant: &Grant,
        (state, state_hash): (Option<&AuthorizationState>, Digest),
        cookie_hash: Option<Digest>,
        redirect_uri: Option<&str>,
    ) -> Result<Result<AuthorizationUrl, Begun>, LedgerError> {
        let scope = scope_for(grant.wanted, grant.expected_uri.as_deref());
        let trip = NewTrip {
            id: TripId::new(),
            state_hash,
            cookie_hash,
            client_id: self.client.id.clone(),
            scope: scope.clone(),
            redirect_uri: redirect_uri.unwrap_or_default().to_owned(),
            lifetime: TRIP_LIFETIME,
        };
        Ok(match self.ledger.begin_trip(&grant.id, trip).await? {
            Begun::Trip { .. } => {
                let client_id = self.client.id.as_str();
                Ok(self.endpoint.url(&AuthorizationRequest { client_id, scope: &scope, state, redirect_uri }))
            }
            other @ (Begun::NotOpen(_) | Begun::NotFound) => Err(other),
        })
    }

    /// Takes what came back from Foxy: spends the trip. No code is used yet.
    ///
    /// # Errors
    /// When the ledger does not answer: the trip may be spent then, and the person begins another.
    pub async fn arrive(
        &self,
        state_hash: Digest,
        cookie_hash: Option<Digest>,
        brought: Brought,
    ) -> Result<Arrived, LedgerError> {
        let ending = match brought {
            Brought::Code(_) => None,
            Brought::Denial => Some(TripEnding::Denied),
            Brought::Error => Some(TripEnding::Failed),
        };
        Ok(match self.ledger.spend_trip(state_hash, cookie_hash, ending).await? {
            Spent::Spent(back) => Arrived::Back(Returned { back, is_open: true, brought }),
            Spent::GrantEnded(back) => Arrived::Back(Returned { back, is_open: false, brought }),
            Spent::Before(trip) => Arrived::Before(trip),
            Spent::Expired(trip) => Arrived::TooLate(trip),
            Spent::OtherBrowser => Arrived::OtherBrowser,
            Spent::Unknown => Arrived::Unknown,
        })
    }

    /// Uses the code, once, and keeps what comes of it. Let it run to its end: it holds a token.
    pub async fn finish(&self, returned: Returned) -> Ended {
        let Returned { back, is_open, brought } = returned;
        let ended = match brought {
            Brought::Denial => Ended::Denied,
            Brought::Error => Ended::Failed("Foxy sent the person back with an error".to_owned()),
            Brought::Code(_) if !is_open => Ended::GrantEnded,
            Brought::Code(code) => self.use_code(&back, code).await,
        };
        Self::report(&back, &ended);
        if let Some(ending) = ended.unwritten()
            && let Err(error) = self.ledger.end_trip(&back.trip.id, ending).await
        {
            // The trip is spent, which is what matters.
            tracing::debug!(event = "grant.trip_not_ended", error = %error, "how a trip ended was not written down");
        }
        ended
    }

    /// Exchanges the code, judges what it opens, and keeps it.
    async fn use_code(&self, back: &Back, code: AuthorizationCode) -> Ended {
        let row = &back.provisioning;
        // All that judging and keeping needs comes first: a token that can't be judged is lost.
        let payload =
            match row.payload.as_ref().map(|sealed| self.custody.open_payload(&row.id, &row.signup_id, sealed)) {
                Some(Ok(payload)) => Some(payload),
                Some(Err(error)) => return Ended::Unopenable(error),
                None => None,
            };
        let email = payload.as_ref().and_then(|payload| user_email(row, payload).ok());
        let Some(expected) = Expected::of(&back.grant, row, email.as_deref()) else {
            return Ended::Failed(
                "nothing is known that would prove what is granted; the code was not used".to_owned(),
            );
        };
        let held = match self.ledger.credentials(&row.id).await {
            Ok(held) => held,
            Err(error) => return Ended::Failed(format!("the code was not used: {}", chain(&error))),
        };
        let scope = scope_of(back.grant.wanted);
        let brought = BroughtCode {
            code,
            client_id: back.trip.client_id.as_str(),
            redirect_uri: Some(back.trip.redirect_uri.as_str()).filter(|uri| !uri.is_empty()),
            scope,
        };
        let granted = match self.foxy.exchange_code(brought).await {
            Ok(granted) => granted,
            Err(ExchangeError::OtherGrant(_)) => return Ended::OtherScope,
            Err(error) => return Ended::Failed(chain(&error)),
        };
        let opened = match self.opened(&granted, back.grant.wanted).await {
            Ok(opened) => opened,
            Err(error) => return Ended::Failed(format!("what was granted could not be looked at: {}", chain(&error))),
        };
        match judge(expected, &opened) {
            Judgment::Keep(uri) => self.keep(back, payload.as_ref(), held, Right { granted, uri, opened }).await,
            Judgment::Wrong(wrong) => Ended::Wrong(wrong),
        }
    }

    /// What it opens. A token in hand is worth some patience.
    async fn opened(&self, granted: &Granted, wanted: Wanted) -> Result<Opened, ReadError> {
        let pause = Schedule::new(Duration::from_millis(500), Duration::from_secs(30));
        let mut looks = 0;
        loop {
            let seen = match wanted {
                Wanted::User => self.foxy.opened_user(granted).await,
                Wanted::Store => self.foxy.opened_store(granted).await,
            };
            match seen {
                Err(error) if looks + 1 < LOOKS => {
                    tracing::debug!(event = "grant.not_looked_at", error = %error, "what was granted is looked at again");
                    let asked_for = match error {
                        ReadError::RateLimited { retry_after } => retry_after.unwrap_or_default().min(LONGEST_WAIT),
                        ReadError::HeldBack { wait } => wait.min(LONGEST_WAIT),
                        _ => Duration::ZERO,
                    };
                    tokio::time::sleep(pause.wait(looks).max(asked_for)).await;
                    looks += 1;
                }
                seen => return seen,
            }
        }
    }
}

const fn scope_of(wanted: Wanted) -> TokenScope {
    match wanted {
        Wanted::User => TokenScope::User,
        Wanted::Store => TokenScope::Store,
    }
}

/// An error with its sources, for a person.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use foxden_ledger::SignupId;

    use super::*;

    #[test]
    fn a_trip_whose_token_was_not_kept_ends_too() {
        let other = || SignupId::parse("other").unwrap();
        for (ended, expected) in [
            (Ended::Kept(KeptGrant::StoreOfAnother(other())), Some(TripEnding::Wrong)),
            (Ended::Kept(KeptGrant::NotFound), Some(TripEnding::Failed)),
            (Ended::OtherScope, Some(TripEnding::Wrong)),
            (Ended::GrantEnded, Some(TripEnding::Failed)),
            // The ledger has it, or will.
            (Ended::Denied, None),
            (Ended::InEscrow, None),
        ] {
            assert_eq!(ended.unwritten(), expected, "{ended:?}");
        }
    }
}
