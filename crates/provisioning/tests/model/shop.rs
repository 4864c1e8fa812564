//! Foxy, played without a network: keeps books of what was really made, and of who was told.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use foxden_provisioning::{Calls, MadeUser};
use foxden_vault::{AccessToken, RefreshToken};
use foxy_api::{
    ApiOrigins, CreatedStore, Doubt, Evidence, Granted, Line, LinkProblem, NewStore, NewUser, NoEffect, NotSent,
    Outcome, ReadError, Rejection, RejectionKind, Report, ResourceUri, SetupFault, StoreSearch, TokenLoss,
};
use tokio::time::Instant;

use crate::director::{Boot, Director, Fate, Order, Phase};

/// What was made.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(crate) kind: Kind,
    /// The email or the domain.
    pub(crate) key: String,
    pub(crate) uri: String,
    pub(crate) token: String,
    /// The signup it was made for; empty for a stranger's.
    pub(crate) signup: String,
    /// Whose a store is.
    pub(crate) owner: String,
    /// The call that made it; none of ours for a stranger's.
    call: Option<usize>,
    /// When that was sent.
    called_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Store,
}

/// A create call that reached Foxy's door, or was about to.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) signup: String,
    pub(crate) boot: Boot,
    owner: String,
    at: Instant,
    /// Its place among all calls, once it has one.
    number: Option<usize>,
    /// When it ended for its sender, who may have been killed.
    ended_at: Option<Instant>,
    /// When it arrived, among all that happened.
    order: usize,
    /// Whether its sender was given a sure answer: made, nothing made, or refused.
    sure: bool,
    /// Whether its sender still waits.
    pub(crate) open: bool,
}

/// What really happened.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) things: Vec<Thing>,
    pub(crate) calls: Vec<Call>,
    /// Calls that their senders gave up, and that Foxy has not worked on yet.
    late: Vec<Call>,
    /// Lookups that were answered: of what key, and when.
    lookups: Vec<(String, usize)>,
    /// Tokens that reached a worker, and which boot of it.
    pub(crate) delivered: Vec<(Boot, String)>,
    /// How many refusals, faults and bad links were handed out, by signup.
    pub(crate) refused: Vec<String>,
    pub(crate) revoked: Vec<String>,
    pub(crate) bad_links: Vec<String>,
    happened: usize,
    /// What a rule was broken by.
    pub(crate) broken: Vec<String>,
}

impl Books {
    fn next(&mut self) -> usize {
        self.happened += 1;
        self.happened
    }

    pub(crate) fn find(&self, kind: Kind, key: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.kind == kind && thing.key == key)
    }

    /// Somebody else's, made as long ago.
    pub(crate) fn make_strangers(&mut self, kind: Kind, key: &str, ago: Duration) {
        let call = Call {
            kind,
            key: key.to_owned(),
            signup: String::new(),
            boot: 0,
            owner: "a stranger".to_owned(),
            at: Instant::now() - ago,
            number: None,
            ended_at: None,
            order: 0,
            sure: true,
            open: false,
        };
        drop(self.make(&call));
    }

    fn make(&mut self, call: &Call) -> Result<Thing, RejectionKind> {
        if self.find(call.kind, &call.key).is_some() {
            return Err(if call.kind == Kind::User { RejectionKind::EmailTaken } else { RejectionKind::DomainTaken });
        }
        let number = self.things.len() + 1;
        let path = if call.kind == Kind::User { "users" } else { "stores" };
        let made = Thing {
            kind: call.kind,
            key: call.key.clone(),
            uri: format!("http://127.0.0.1:9/{path}/{number}"),
            token: format!("token-{number}"),
            signup: call.signup.clone(),
            owner: call.owner.clone(),
            call: call.number,
            called_at: call.at,
        };
        self.things.push(made.clone());
        Ok(made)
    }

    /// A create call arrives: a rule is broken if an earlier one on its key may still have an effect that nobody has
    /// looked for, or is still under way.
    fn receive(&mut self, mut call: Call, alone: bool) -> usize {
        call.order = self.next();
        let is_same =
            |earlier: &&Call| (earlier.kind, &earlier.key, &earlier.signup) == (call.kind, &call.key, &call.signup);
        if let Some(earlier) = self.calls.iter().rfind(is_same) {
            let looked_up = self.lookups.iter().any(|(key, order)| *key == call.key && *order > earlier.order);
            if !earlier.sure && !looked_up {
                self.broken.push(format!("sent again without a lookup: {call:?} after {earlier:?}"));
            }
            if earlier.open && alone {
                self.broken.push(format!("two calls at once: {call:?} and {earlier:?}"));
            }
        }
        let number = self.calls.len();
        self.calls.push(Call { number: Some(number), ..call });
        number
    }

    fn end(&mut self, number: usize, sure: bool) {
        self.calls[number].open = false;
        self.calls[number].ended_at.get_or_insert_with(Instant::now);
        self.calls[number].sure |= sure;
    }

    /// How many calls wait to be worked on late.
    pub(crate) fn late(&self) -> usize {
        self.late.len()
    }

    /// Foxy works on a call whose sender has given up.
    pub(crate) fn work_late(&mut self, number: usize) {
        let call = self.late.remove(number);
        drop(self.make(&call));
    }

    /// A process has ended: its calls are over for it. Those at Foxy's door may still be worked on.
    pub(crate) fn bury(&mut self, boot: Boot, still_come: bool) {
        let Self { calls, late, things, .. } = self;
        for call in calls.iter_mut().filter(|call| call.boot == boot && call.open) {
            call.open = false;
            call.ended_at = Some(Instant::now());
            if still_come && !things.iter().any(|thing| thing.kind == call.kind && thing.key == call.key) {
                late.push(call.clone());
            }
        }
    }

    /// What a listing shows that lags by `hidden_for`, at the most, behind the end of the call that made a thing.
    fn visible(&self, kind: Kind, key: &str, hidden_for: Duration) -> Option<&Thing> {
        let thing = self.find(kind, key)?;
        let since = thing.call.map_or(Some(thing.called_at), |number| self.calls[number].ended_at);
        let is_listed = hidden_for.is_zero() || since.is_some_and(|since| since.elapsed() >= hidden_for);
        is_listed.then_some(thing)
    }
}

/// One boot's connection to Foxy.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) director: Director,
    pub(crate) boot: Boot,
    /// For how long after a call's end a listing may lack what it made.
    pub(crate) lag: Duration,
    /// Whether leases are what they seem: no clock jumps.
    pub(crate) clocks_agree: bool,
}

/// How a create call ends.
enum Ended {
    Made(Thing, Option<Fate>),
    Failed(Outcome<()>),
}

impl Shop {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    async fn create(&self, mut call: Call, deadline: Instant) -> Ended {
        let operation = if call.kind == Kind::User { "create_user" } else { "create_store" };
        if Instant::now() >= deadline {
            return Ended::Failed(Outcome::NoEffect(NoEffect::NotSent(NotSent::DeadlinePassed)));
        }
        let signup = call.signup.clone();
        let number = self.books().receive(call.clone(), self.clocks_agree);
        call.number = Some(number);
        let ended = self.answer(operation, &call, deadline).await;
        let mut books = self.books();
        let sure = match &ended {
            Ended::Made(thing, fate) => {
                books.delivered.push((self.boot, thing.token.clone()));
                if fate.is_some() {
                    books.bad_links.push(signup);
                }
                true
            }
            Ended::Failed(Outcome::Rejected(rejection)) => {
                if matches!(rejection.kind, RejectionKind::InvalidFields | RejectionKind::Other) {
                    books.refused.push(signup);
                }
                true
            }
            Ended::Failed(Outcome::NoEffect(NoEffect::TokenRefused)) => {
                books.revoked.push(signup);
                true
            }
            Ended::Failed(outcome) => matches!(outcome, Outcome::NoEffect(_)),
        };
        books.end(number, sure);
        ended
    }

    async fn answer(&self, operation: &'static str, call: &Call, deadline: Instant) -> Ended {
        let doubt = |doubt| Ended::Failed(Outcome::Unknown(doubt));
        let no_effect = |why| Ended::Failed(Outcome::NoEffect(why));
        let before = self.director.arrive(self.boot, operation, Phase::Before);
        let Ok(order) = tokio::time::timeout_at(deadline, before).await else {
            self.books().late.push(call.clone());
            return doubt(Doubt::TimedOut);
        };
        match order {
            Order::Foxy(Fate::NotSent) | Order::Away => {
                return no_effect(NoEffect::NotSent(NotSent::ConnectionRefused));
            }
            Order::Foxy(Fate::Limited) => {
                return no_effect(NoEffect::RateLimited { retry_after: Some(Duration::from_secs(3)) });
            }
            Order::Foxy(Fate::SetUp) => return no_effect(NoEffect::SetupFault(SetupFault::CaptchaDemanded)),
            Order::Foxy(Fate::Revoked) if call.kind == Kind::Store => return no_effect(NoEffect::TokenRefused),
            Order::Foxy(Fate::Refused) => return rejected(RejectionKind::InvalidFields),
            Order::Foxy(Fate::Doubt) => return doubt(Doubt::ConnectionLost),
            Order::Foxy(Fate::Late) => {
                self.books().late.push(call.clone());
                return doubt(Doubt::Status(502));
            }
            Order::Go | Order::Foxy(_) => {}
        }
        let made = self.books().make(call);
        let after = self.director.arrive(self.boot, operation, Phase::After);
        let Ok(order) = tokio::time::timeout_at(deadline, after).await else { return doubt(Doubt::TimedOut) };
        match (made, order) {
            (_, Order::Away) => doubt(Doubt::ConnectionLost),
            (Err(_), Order::Foxy(Fate::Garbled)) => rejected(RejectionKind::Other),
            (Err(kind), _) => rejected(kind),
            (Ok(_), Order::Foxy(Fate::Garbled)) => Ended::Failed(Outcome::TokenLost(TokenLoss::BodyUnreadable)),
            (Ok(_), Order::Foxy(Fate::NoToken)) => Ended::Failed(Outcome::TokenLost(TokenLoss::NoToken)),
            (Ok(thing), Order::Foxy(Fate::BadLink)) => Ended::Made(thing, Some(Fate::BadLink)),
            (Ok(thing), _) => Ended::Made(thing, None),
        }
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        key: &str,
        look: impl FnOnce(&Books, Duration) -> T,
    ) -> Result<T, ReadError> {
        let hidden_for = match self.director.arrive(self.boot, operation, Phase::Before).await {
            Order::Go => Duration::ZERO,
            Order::Foxy(Fate::Lag) => self.lag,
            Order::Foxy(Fate::Revoked) if operation == "find_store" => {
                self.books().revoked.push(key.to_owned());
                return Err(ReadError::Revoked);
            }
            _ => return Err(ReadError::RateLimited { retry_after: None }),
        };
        let mut books = self.books();
        let order = books.next();
        // Absence among the user's own stores alone says nothing yet.
        if operation != "find_store" {
            books.lookups.push((key.to_owned(), order));
        }
        Ok(look(&books, hidden_for))
    }

    fn call(&self, kind: Kind, key: &str, signup: &str, owner: &str) -> Call {
        Call {
            kind,
            key: key.to_owned(),
            signup: signup.to_owned(),
            boot: self.boot,
            owner: owner.to_owned(),
            at: Instant::now(),
            number: None,
            ended_at: None,
            order: 0,
            sure: false,
            open: true,
        }
    }
}

fn rejected(kind: RejectionKind) -> Ended {
    Ended::Failed(Outcome::Rejected(Rejection { kind, status: 400, errors: Vec::new() }))
}

fn report<T>(ended: Ended, made: impl FnOnce(Thing, Result<ResourceUri, LinkProblem>) -> T) -> Report<T> {
    let outcome = match ended {
        Ended::Failed(outcome) => outcome.map(|()| unreachable!("a failure made nothing")),
        Ended::Made(thing, fate) => {
            let origins = ApiOrigins::explicit("http://127.0.0.1:9").unwrap();
            let uri = match fate {
                None => ResourceUri::parse(&thing.uri, &origins),
                Some(_) => Err(LinkProblem::Missing { rel: "self" }),
            };
            Outcome::Done(made(thing, uri))
        }
    };
    Report { outcome, evidence: Evidence::default() }
}

impl Calls for Shop {
    /// The user's address.
    type Session = String;

    async fn create_user(
        &self,
        user: &NewUser,
        _: Line,
        deadline: Instant,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Report<MadeUser<String>> {
        let call = self.call(Kind::User, &user.email, &user.first_name, "");
        let ended = self.create(call, deadline).await;
        report(ended, |thing, uri| MadeUser { uri, token: RefreshToken::new(thing.token), session: thing.uri })
    }

    async fn create_store(
        &self,
        session: &String,
        store: &NewStore,
        deadline: Instant,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Report<CreatedStore> {
        let signup = store.email.split('@').next().unwrap_or_default();
        let ended = self.create(self.call(Kind::Store, &store.domain, signup, session), deadline).await;
        report(ended, |thing, uri| CreatedStore {
            uri,
            token: Granted {
                access: AccessToken::new("access"),
                refresh: RefreshToken::new(thing.token),
                scope: "store_full_access".to_owned(),
                expires_in: Duration::from_secs(7200),
            },
        })
    }

    fn session(&self, refresh: RefreshToken) -> String {
        let books = self.books();
        let user = books.things.iter().find(|thing| thing.token == refresh.expose());
        user.map_or_else(|| "nobody".to_owned(), |user| user.uri.clone())
    }

    async fn find_store(&self, session: &String, domain: &str) -> Result<StoreSearch, ReadError> {
        let origins = ApiOrigins::explicit("http://127.0.0.1:9").unwrap();
        self.read("find_store", domain, |books, hidden_for| {
            match books.visible(Kind::Store, domain, hidden_for).filter(|store| store.owner == *session) {
                Some(store) => StoreSearch::Found { uri: ResourceUri::parse(&store.uri, &origins).unwrap() },
                None => StoreSearch::Absent,
            }
        })
        .await
    }

    async fn stores(&self, session: &String) -> Result<Vec<ResourceUri>, ReadError> {
        let origins = ApiOrigins::explicit("http://127.0.0.1:9").unwrap();
        self.read("stores", session, |books, hidden_for| {
            let is_listed = |thing: &&Thing| {
                thing.kind == Kind::Store && thing.owner == *session && thing.called_at.elapsed() >= hidden_for
            };
            let uri = |store: &Thing| ResourceUri::parse(&store.uri, &origins).unwrap();
            books.things.iter().filter(is_listed).map(uri).collect()
        })
        .await
    }

    async fn email_exists(&self, email: &str) -> Result<bool, ReadError> {
        self.read("email_exists", email, |books, hidden_for| books.visible(Kind::User, email, hidden_for).is_some())
            .await
    }

    async fn store_domain_exists(&self, domain: &str) -> Result<bool, ReadError> {
        self.read("store_domain_exists", domain, |books, hidden_for| {
            books.visible(Kind::Store, domain, hidden_for).is_some()
        })
        .await
    }

    async fn probe(&self) -> Result<(), ReadError> {
        Ok(())
    }
}
