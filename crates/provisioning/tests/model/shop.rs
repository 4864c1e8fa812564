//! Foxy, played without a network.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use foxden_provisioning::{Calls, MadeUser};
use foxden_vault::{AccessToken, RefreshToken};
use foxy_api::{
    ApiOrigins, CreatedStore, Doubt, Evidence, Granted, Line, LinkProblem, NewStore, NewUser, NoEffect, NotSent,
    Outcome, ReadError, Rejection, RejectionKind, Report, ResourceUri, SetupFault, StoreSearch, TokenKeeper, TokenLoss,
};
use tokio::time::Instant;

use crate::{
    books::{Books, Call, Kind, Thing},
    director::{Boot, Director, Fate, Order, Phase},
    session::Session,
};

/// One boot's connection to Foxy.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) director: Director,
    pub(crate) boot: Boot,
    /// For how long after a call's end a listing may lack what it made.
    pub(crate) lag: Duration,
    /// Whether a user's list of stores does so each time.
    pub(crate) lists_late: bool,
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

    async fn create(&self, mut call: Call, session: Option<&Session>, deadline: Instant) -> Ended {
        let operation = if call.kind == Kind::User { "create_user" } else { "create_store" };
        if Instant::now() >= deadline {
            return Ended::Failed(Outcome::NoEffect(NoEffect::NotSent(NotSent::DeadlinePassed)));
        }
        let signup = call.signup.clone();
        if let Some(session) = session
            && let Err(error) = self.open(session).await
        {
            return self.not_opened(&signup, &error);
        }
        let number = self.books().receive(call.clone(), self.clocks_agree);
        call.number = Some(number);
        let ended = self.answer(operation, &call, session, deadline).await;
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
                if matches!(rejection.kind, RejectionKind::InvalidFields | RejectionKind::Unread) {
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
        books.end(number, deadline, sure);
        ended
    }

    /// What comes of a call whose token could not be had.
    fn not_opened(&self, signup: &str, error: &ReadError) -> Ended {
        Ended::Failed(Outcome::NoEffect(match error {
            ReadError::Revoked => {
                self.books().revoked.push(signup.to_owned());
                NoEffect::TokenRefused
            }
            _ => NoEffect::Unavailable { retry_after: None },
        }))
    }

    async fn answer(
        &self,
        operation: &'static str,
        call: &Call,
        session: Option<&Session>,
        deadline: Instant,
    ) -> Ended {
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
            Order::Foxy(Fate::Doubt) => return doubt(self.books().lost_connection()),
            Order::Foxy(Fate::Late) => {
                self.books().late.push(call.clone());
                return doubt(Doubt::Status(502));
            }
            Order::Foxy(Fate::Rotated) => {
                let rotated = match session {
                    Some(session) => tokio::time::timeout_at(deadline, self.rotate(session)).await,
                    None => Ok(Ok(())),
                };
                match rotated {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return self.not_opened(&call.signup, &error),
                    Err(_) => return no_effect(NoEffect::NotSent(NotSent::DeadlinePassed)),
                }
            }
            Order::Go | Order::Foxy(_) => {}
        }
        let made = self.books().make(call);
        let after = self.director.arrive(self.boot, operation, Phase::After);
        let Ok(order) = tokio::time::timeout_at(deadline, after).await else { return doubt(Doubt::TimedOut) };
        match (made, order) {
            (_, Order::Away) => doubt(self.books().lost_connection()),
            (Err(_), Order::Foxy(Fate::Garbled)) => rejected(RejectionKind::Unread),
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
        (key, session): (&str, Option<&Session>),
        look: impl FnOnce(&Books, Duration) -> T,
    ) -> Result<T, ReadError> {
        let hidden_for = match self.director.arrive(self.boot, operation, Phase::Before).await {
            Order::Go if self.lists_late && matches!(operation, "find_store" | "stores") => self.lag,
            Order::Go => Duration::ZERO,
            Order::Foxy(Fate::Rotated) => {
                if let Some(session) = session {
                    self.rotate(session).await?;
                }
                Duration::ZERO
            }
            Order::Foxy(Fate::Lag) => self.lag,
            Order::Foxy(Fate::Revoked) if operation == "find_store" => {
                self.books().revoked.push(key.to_owned());
                return Err(ReadError::Revoked);
            }
            _ => return Err(ReadError::RateLimited { retry_after: None }),
        };
        if let Some(session) = session {
            let opened = self.open(session).await;
            opened.inspect_err(|error| {
                if matches!(error, ReadError::Revoked) {
                    self.books().revoked.push(key.to_owned());
                }
            })?;
        }
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
    type Session = Session;

    async fn create_user(
        &self,
        user: &NewUser,
        _: Line,
        deadline: Instant,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Report<MadeUser<Session>> {
        let call = self.call(Kind::User, &user.email, &user.first_name, "");
        let ended = self.create(call, None, deadline).await;
        report(ended, |thing, uri| {
            let session = self.session_by(&thing.token, None);
            MadeUser { uri, token: RefreshToken::new(thing.token), session }
        })
    }

    async fn create_store(
        &self,
        session: &Session,
        store: &NewStore,
        deadline: Instant,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Report<CreatedStore> {
        let signup = store.email.split('@').next().unwrap_or_default();
        let call = self.call(Kind::Store, &store.domain, signup, &session.user);
        let ended = self.create(call, Some(session), deadline).await;
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

    fn session(&self, refresh: RefreshToken, keeper: Arc<dyn TokenKeeper>) -> Session {
        self.session_by(refresh.expose(), Some(keeper))
    }

    fn kept_by(&self, session: Session, keeper: Arc<dyn TokenKeeper>) -> Session {
        session.kept_by(keeper)
    }

    async fn find_store(&self, session: &Session, domain: &str) -> Result<StoreSearch, ReadError> {
        let origins = ApiOrigins::explicit("http://127.0.0.1:9").unwrap();
        self.read("find_store", (domain, Some(session)), |books, hidden_for| {
            match books.visible(Kind::Store, domain, hidden_for).filter(|store| store.owner == session.user) {
                Some(store) => StoreSearch::Found { uri: ResourceUri::parse(&store.uri, &origins).unwrap() },
                None => StoreSearch::Absent,
            }
        })
        .await
    }

    async fn stores(&self, session: &Session) -> Result<Vec<ResourceUri>, ReadError> {
        let origins = ApiOrigins::explicit("http://127.0.0.1:9").unwrap();
        self.read("stores", (&session.user, Some(session)), |books, hidden_for| {
            let is_listed = |thing: &&Thing| {
                let is_old = thing.called_at.elapsed() >= hidden_for;
                thing.kind == Kind::Store && thing.owner == session.user && is_old && !thing.is_removed
            };
            let uri = |store: &Thing| ResourceUri::parse(&store.uri, &origins).unwrap();
            books.things.iter().filter(is_listed).map(uri).collect()
        })
        .await
    }

    async fn email_exists(&self, email: &str) -> Result<bool, ReadError> {
        self.read("email_exists", (email, None), |books, hidden_for| {
            books.visible(Kind::User, email, hidden_for).is_some()
        })
        .await
    }

    async fn store_domain_exists(&self, domain: &str) -> Result<bool, ReadError> {
        self.read("store_domain_exists", (domain, None), |books, hidden_for| {
            books.visible(Kind::Store, domain, hidden_for).is_some()
        })
        .await
    }

    async fn probe(&self) -> Result<(), ReadError> {
        Ok(())
    }
}
