//! Grants as the pages see them: the ledger's rows, custody's tickets, and provisioning's rules.

use std::time::Duration;

use async_trait::async_trait;
use foxden_ledger::{
    Back, Begun, Grant, GrantId, GrantReason, GrantState, LedgerError, Provisioning, Seen, Trip, TripEnding,
};
use foxden_provisioning::{Arrived, Brought, Granting};
use foxden_web::{
    Answer, Arrival, Asked, ChoiceId, CookieHash, Departure, Ended, Ending, Grants, Link, OAuthError, Reason,
    StateHash, Ticket, TripId, Unavailable, Wanted, Whose,
};
use tokio_util::task::TaskTracker;
use url::Url;

/// How long the end of a trip may be unknown: longer than all the patience with Foxy. Whoever had the code is dead
/// after that, and the person begins again.
const EXCHANGE_MS: i64 = 5 * 60 * 1000;

/// For how long a browser waits for that. Most are done by then, and their person needs no page that says to wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the [module](self).
pub(crate) struct Pages {
    granting: Granting,
    /// The client's, as it is registered at Foxy.
    redirect_uri: String,
    /// Codes that are being exchanged. None is cut off by a browser that hangs up.
    exchanges: TaskTracker,
}

impl Pages {
    pub(crate) fn new(granting: Granting, redirect_uri: String) -> Self {
        Self { granting, redirect_uri, exchanges: TaskTracker::new() }
    }

    /// Waits until no code is being exchanged. To be called once no browser can come any more.
    pub(crate) async fn ended(&self) {
        self.exchanges.close();
        self.exchanges.wait().await;
    }

    async fn now(&self) -> Result<i64, Unavailable> {
        self.granting.ledger.now_ms().await.map_err(unavailable)
    }

    async fn grant_of(&self, ticket: &Ticket) -> Result<Option<(Grant, Provisioning)>, Unavailable> {
        match self.granting.custody.read_ticket(ticket.as_str()) {
            Some((id, _)) => self.granting.ledger.find_grant(&id).await.map_err(unavailable),
            None => Ok(None),
        }
    }

    fn ticket(&self, grant: &GrantId, expires_at_ms: i64) -> Option<Ticket> {
        Ticket::parse(&self.granting.custody.ticket(grant, expires_at_ms)).ok()
    }
}

#[async_trait]
impl Grants for Pages {
    async fn look(&self, ticket: &Ticket) -> Result<Link, Unavailable> {
        let Some((grant, row)) = self.grant_of(ticket).await? else { return Ok(Link::Unknown) };
        let asked = asked(&grant, &row);
        Ok(match over(&grant, self.now().await?) {
            None => Link::Open(asked),
            Some(ended) => Link::Ended(asked, ended),
        })
    }

    async fn begin(&self, ticket: &Ticket, state: StateHash, cookie: CookieHash) -> Result<Departure, Unavailable> {
        let Some((grant, _)) = self.grant_of(ticket).await? else { return Ok(Departure::Closed) };
        let hashes = ((None, *state.as_bytes()), Some(*cookie.as_bytes()));
        match self.granting.begin(&grant, hashes.0, hashes.1, Some(&self.redirect_uri)).await.map_err(unavailable)? {
            Ok(address) => Url::parse(address.expose()).map(Departure::To).map_err(|error| Unavailable(error.into())),
            Err(Begun::NotOpen(_) | Begun::NotFound | Begun::Trip { .. }) => Ok(Departure::Closed),
        }
    }

    async fn arrive(&self, state: StateHash, cookie: CookieHash, answer: Answer) -> Result<Arrival, Unavailable> {
        let brought = match answer {
            Answer::Code(code) => Brought::Code(code),
            Answer::Error(OAuthError::AccessDenied) => Brought::Denial,
            Answer::Error(_) => Brought::Error,
        };
        let arrived = self.granting.arrive(*state.as_bytes(), Some(*cookie.as_bytes()), brought).await;
        let trip = match arrived.map_err(unavailable)? {
            Arrived::Back(returned) => {
                let trip = returned.trip().id.clone();
                let granting = self.granting.clone();
                let finished = self.exchanges.spawn(async move { granting.finish(returned).await });
                drop(tokio::time::timeout(PATIENCE, finished).await);
                trip
            }
            Arrived::Before(Trip { id, .. }) | Arrived::TooLate(Trip { id, .. }) => id,
            Arrived::OtherBrowser => return Ok(Arrival::OtherBrowser),
            Arrived::Unknown => return Ok(Arrival::Unknown),
        };
        TripId::parse(trip.as_str()).map(Arrival::Trip).map_err(|error| Unavailable(error.into()))
    }

    async fn trip(&self, trip: &TripId, cookie: CookieHash) -> Result<Whose<foxden_web::Trip>, Unavailable> {
        let Some(id) = foxden_ledger::TripId::parse(trip.as_str()) else { return Ok(Whose::Unknown) };
        let back = match self.granting.ledger.see_trip(&id, *cookie.as_bytes()).await.map_err(unavailable)? {
            Seen::Own(back) => back,
            Seen::OtherBrowser => return Ok(Whose::OtherBrowser),
            Seen::Unknown => return Ok(Whose::Unknown),
        };
        let now = self.now().await?;
        let Back { trip, grant, provisioning } = *back;
        let again = grant.is_open_at(now).then(|| self.ticket(&grant.id, grant.expires_at_ms)).flatten();
        Ok(Whose::Own(foxden_web::Trip {
            grant_id: grant.id.to_string(),
            signup_id: provisioning.signup_id.to_string(),
            asked: asked(&grant, &provisioning),
            again,
            ending: ending(&trip, &grant, now),
        }))
    }

    /// No trip offers stores.
    async fn choose(&self, _: &TripId, _: CookieHash, _: &ChoiceId) -> Result<Whose<()>, Unavailable> {
        Ok(Whose::Unknown)
    }
}

fn unavailable(error: LedgerError) -> Unavailable {
    Unavailable(error.into())
}

fn asked(grant: &Grant, row: &Provisioning) -> Asked {
    Asked {
        reason: match grant.reason {
            GrantReason::Recover => Reason::Recover,
            GrantReason::Connect => Reason::Connect,
            GrantReason::TakeOver => Reason::TakeOver,
            GrantReason::Reconnect => Reason::Reconnect,
        },
        wanted: match grant.wanted {
            foxden_ledger::Wanted::User => Wanted::User,
            foxden_ledger::Wanted::Store => Wanted::Store,
        },
        // Of a user's grant it is at most one that is yet to be made.
        store: row.store_domain.clone().filter(|_| grant.wanted == foxden_ledger::Wanted::Store),
    }
}

/// Why a grant waits for no one, if it doesn't.
fn over(grant: &Grant, now_ms: i64) -> Option<Ended> {
    match grant.state {
        GrantState::Open if grant.is_open_at(now_ms) => None,
        GrantState::Open | GrantState::Expired => Some(Ended::Expired),
        // The person has done their part.
        GrantState::Kept | GrantState::Unconfirmed => Some(Ended::Done),
        GrantState::Withdrawn => Some(Ended::Withdrawn),
    }
}

fn ending(trip: &Trip, grant: &Grant, now_ms: i64) -> Ending {
    let is_done = over(grant, now_ms) == Some(Ended::Done);
    match (trip.ending, trip.spent_at_ms) {
        (Some(TripEnding::Granted), _) => Ending::Granted,
        (Some(TripEnding::Denied), _) => Ending::Denied,
        (Some(TripEnding::Wrong), _) => Ending::Wrong,
        // By another trip.
        (Some(TripEnding::Failed | TripEnding::Expired), _) if is_done => Ending::AlreadyDone,
        (Some(TripEnding::Failed), _) => Ending::Failed,
        (Some(TripEnding::Expired), _) => Ending::Expired,
        // What lies in an escrow comes from there, and says nothing of its trip.
        (None, Some(_)) if is_done => Ending::Granted,
        (None, Some(spent_at_ms)) if now_ms.saturating_sub(spent_at_ms) < EXCHANGE_MS => Ending::Pending,
        (None, Some(_)) => Ending::Failed,
        // Not back yet. No page leads here by then.
        (None, None) if trip.expires_at_ms <= now_ms => Ending::Expired,
        (None, None) => Ending::Pending,
    }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{ClientId, ProvisioningId};

    use super::*;

    const SPENT_AT_MS: i64 = 1_000_000;

    fn grant(state: GrantState) -> Grant {
        Grant {
            id: GrantId::new(),
            provisioning: ProvisioningId::new(),
            reason: GrantReason::Recover,
            wanted: foxden_ledger::Wanted::Store,
            client_id: ClientId::parse("client").unwrap(),
            expected_uri: None,
            state,
            asked_at_ms: 0,
            expires_at_ms: 9_000_000,
            ended_at_ms: None,
        }
    }

    fn trip(ending: Option<TripEnding>, is_back: bool) -> Trip {
        let Grant { id, client_id, .. } = grant(GrantState::Open);
        Trip {
            id: foxden_ledger::TripId::new(),
            grant: id,
            client_id,
            scope: String::new(),
            redirect_uri: String::new(),
            started_at_ms: 900_000,
            expires_at_ms: 1_500_000,
            spent_at_ms: is_back.then_some(SPENT_AT_MS),
            ending,
        }
    }

    #[test]
    fn a_trip_has_the_end_that_the_ledger_knows_and_in_time_an_end() {
        use GrantState::{Expired, Kept, Open, Unconfirmed, Withdrawn};
        let shown = |ending: Option<TripEnding>, state, later_ms| {
            format!("{:?}", super::ending(&trip(ending, true), &grant(state), SPENT_AT_MS + later_ms))
        };
        for (ending, state, later_ms, expected) in [
            (None, Open, 0, "Pending"),
            (None, Open, EXCHANGE_MS - 1, "Pending"),
            (None, Open, EXCHANGE_MS, "Failed"),
            // From an escrow.
            (None, Kept, 0, "Granted"),
            (Some(TripEnding::Granted), Kept, EXCHANGE_MS, "Granted"),
            (Some(TripEnding::Granted), Unconfirmed, 0, "Granted"),
            (Some(TripEnding::Denied), Kept, 0, "Denied"),
            (Some(TripEnding::Wrong), Kept, 0, "Wrong"),
            (Some(TripEnding::Failed), Open, 0, "Failed"),
            (Some(TripEnding::Failed), Withdrawn, 0, "Failed"),
            (Some(TripEnding::Failed), Kept, 0, "AlreadyDone"),
            (Some(TripEnding::Expired), Expired, 0, "Expired"),
            (Some(TripEnding::Expired), Kept, 0, "AlreadyDone"),
        ] {
            assert_eq!(shown(ending, state, later_ms), expected, "{ending:?} {state:?} {later_ms}");
        }
        let away = |now_ms| format!("{:?}", ending(&trip(None, false), &grant(Open), now_ms));
        assert_eq!((away(1_499_999), away(1_500_000)), ("Pending".to_owned(), "Expired".to_owned()));
    }

    #[test]
    fn a_link_is_over_when_its_grant_is() {
        for (state, now_ms, expected) in [
            (GrantState::Open, 8_999_999, None),
            (GrantState::Open, 9_000_000, Some(Ended::Expired)),
            (GrantState::Expired, 0, Some(Ended::Expired)),
            (GrantState::Kept, 0, Some(Ended::Done)),
            (GrantState::Unconfirmed, 0, Some(Ended::Done)),
            (GrantState::Withdrawn, 0, Some(Ended::Withdrawn)),
        ] {
            assert_eq!(over(&grant(state), now_ms), expected, "{state:?} {now_ms}");
        }
    }
}
