//! Grants kept in memory, which behave as the ledger's do: a trip is spent once, in its own browser.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use foxden_web::{
    Answer, Arrival, Asked, ChoiceId, CookieHash, Departure, Ending, Grants, Link, OAuthError, Reason, StateHash,
    Ticket, Trip, TripId, Unavailable, Wanted, Whose,
};

pub(crate) const TICKET: &str = "FXT1.good-ticket_1";

/// A trip as the fake keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) state: StateHash,
    pub(crate) cookie: CookieHash,
    pub(crate) ending: Option<Ending>,
}

#[derive(Debug)]
pub(crate) struct Fake {
    links: Mutex<HashMap<String, Link>>,
    trips: Mutex<Vec<Kept>>,
    /// Codes in the order in which they would be exchanged.
    codes: Mutex<Vec<String>>,
    chosen: Mutex<Vec<String>>,
    /// Names of the calls that change something.
    changes: Mutex<Vec<&'static str>>,
    /// How trips with a code end.
    pub(crate) fate: Mutex<Ending>,
    pub(crate) authorize: Mutex<String>,
    pub(crate) arriving_takes: Mutex<Duration>,
    pub(crate) is_away: AtomicBool,
    pub(crate) panics: AtomicBool,
}

pub(crate) fn asked(store: &str) -> Asked {
    Asked { reason: Reason::Recover, wanted: Wanted::Store, store: Some(store.to_owned()) }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            links: Mutex::new([(TICKET.to_owned(), Link::Open(asked("Ada’s shop")))].into()),
            trips: Mutex::default(),
            codes: Mutex::default(),
            chosen: Mutex::default(),
            changes: Mutex::default(),
            fate: Mutex::new(Ending::Granted),
            authorize: Mutex::new("https://foxy.example/authorize?response_type=code&client_id=c".to_owned()),
            arriving_takes: Mutex::default(),
            is_away: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_link(&self, link: Link) {
        locked(&self.links).insert(TICKET.to_owned(), link);
    }

    pub(crate) fn ends(&self, fate: Ending) {
        *locked(&self.fate) = fate;
    }

    pub(crate) fn trips(&self) -> Vec<Kept> {
        locked(&self.trips).clone()
    }

    pub(crate) fn codes(&self) -> Vec<String> {
        locked(&self.codes).clone()
    }

    pub(crate) fn chosen(&self) -> Vec<String> {
        locked(&self.chosen).clone()
    }

    pub(crate) fn changes(&self) -> Vec<&'static str> {
        locked(&self.changes).clone()
    }

    fn answer<T>(&self, answer: T) -> Result<T, Unavailable> {
        assert!(!self.panics.load(Ordering::Relaxed), "the fake was told to panic");
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Unavailable("the database is away".into()));
        }
        Ok(answer)
    }

    fn link(&self, ticket: &Ticket) -> Link {
        locked(&self.links).get(ticket.as_str()).cloned().unwrap_or(Link::Unknown)
    }

    /// A trip by its id, which is its place here.
    fn own<T>(&self, trip: &TripId, cookie: CookieHash, of: impl FnOnce(usize, &mut Kept) -> T) -> Whose<T> {
        let place = trip.as_str().strip_prefix("trip-").and_then(|place| place.parse::<usize>().ok());
        let mut trips = locked(&self.trips);
        match place.and_then(|place| trips.get_mut(place).map(|kept| (place, kept))) {
            None => Whose::Unknown,
            Some((_, kept)) if kept.cookie != cookie => Whose::OtherBrowser,
            Some((place, kept)) => Whose::Own(of(place, kept)),
        }
    }
}

#[async_trait]
impl Grants for Fake {
    async fn look(&self, ticket: &Ticket) -> Result<Link, Unavailable> {
        self.answer(self.link(ticket))
    }

    async fn begin(&self, ticket: &Ticket, state: StateHash, cookie: CookieHash) -> Result<Departure, Unavailable> {
        locked(&self.changes).push("begin");
        let departure = match self.link(ticket) {
            Link::Open(_) => {
                locked(&self.trips).push(Kept { state, cookie, ending: None });
                Departure::To(locked(&self.authorize).parse().unwrap())
            }
            Link::Ended(..) | Link::Unknown => Departure::Closed,
        };
        self.answer(departure)
    }

    async fn arrive(&self, state: StateHash, cookie: CookieHash, answer: Answer) -> Result<Arrival, Unavailable> {
        locked(&self.changes).push("arrive");
        self.answer(())?;
        let pause = *locked(&self.arriving_takes);
        tokio::time::sleep(pause).await;
        let place = self.trips().iter().position(|kept| kept.state == state);
        let Some(place) = place else { return Ok(Arrival::Unknown) };
        let mut trips = locked(&self.trips);
        let kept = &mut trips[place];
        if kept.cookie != cookie {
            return Ok(Arrival::OtherBrowser);
        }
        if kept.ending.is_none() {
            kept.ending = Some(match answer {
                Answer::Code(code) => {
                    locked(&self.codes).push(code.expose().to_owned());
                    locked(&self.fate).clone()
                }
                Answer::Error(OAuthError::AccessDenied) => Ending::Denied,
                Answer::Error(_) => Ending::Failed,
            });
        }
        Ok(Arrival::Trip(TripId::parse(&format!("trip-{place}")).unwrap()))
    }

    async fn trip(&self, trip: &TripId, cookie: CookieHash) -> Result<Whose<Trip>, Unavailable> {
        let whose = self.own(trip, cookie, |place, kept| Trip {
            grant_id: format!("grant-{place}"),
            signup_id: "acct_1".to_owned(),
            asked: asked("Ada’s shop"),
            again: Some(Ticket::parse(TICKET).unwrap()),
            ending: kept.ending.clone().unwrap_or(Ending::Pending),
        });
        self.answer(whose)
    }

    async fn choose(&self, trip: &TripId, cookie: CookieHash, choice: &ChoiceId) -> Result<Whose<()>, Unavailable> {
        locked(&self.changes).push("choose");
        let whose = self.own(trip, cookie, |_, kept| {
            let offered = match &kept.ending {
                Some(Ending::Choose(choices)) => choices.iter().any(|offered| offered.id == *choice),
                _ => false,
            };
            if offered {
                locked(&self.chosen).push(choice.as_str().to_owned());
                kept.ending = Some(Ending::Granted);
            }
        });
        self.answer(whose)
    }
}
