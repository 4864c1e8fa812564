//! Trying the assumptions, one after the other.

use std::time::{Duration, Instant};

use foxden_vault::{ClientSecret, RefreshToken};
use foxy_api::{
    Attribute, CreatedStore, CreatedUser, Foxy, HeldToken, NewStore, NewUser, Outcome, ReadError, Rejection,
    RejectionKind, Report, SetupFault, StoreSearch, TokenScope, UserSession,
};
use serde_json::Map;

use super::{assumption::Assumption, left::Left};
use crate::terminal::printable;

/// As long as a lookup waits before it believes that something is absent.
const LAG: Duration = Duration::from_mins(10);
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What came of one assumption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It holds; with what was seen, if that is worth a word.
    Held(String),
    /// It does not; with what was seen instead.
    Broken(String),
}

/// Under which names things are made, so that a person recognizes them at Foxy.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    /// The user's login.
    pub(crate) email: String,
    /// The store's domain.
    pub(crate) domain: String,
}

/// The walk: what was found, reported as it is found.
pub(crate) struct Walk<'a> {
    foxy: &'a Foxy,
    marks: &'a Marks,
    left: &'a Left,
    call_timeout: Duration,
    tell: &'a mut dyn FnMut(Assumption, Finding),
}

/// A name with letters of several alphabets.
const FIRST_NAME: &str = "Zoë 狐";

impl<'a> Walk<'a> {
    pub(crate) fn new(
        foxy: &'a Foxy,
        marks: &'a Marks,
        left: &'a Left,
        call_timeout: Duration,
        tell: &'a mut dyn FnMut(Assumption, Finding),
    ) -> Self {
        Self { foxy, marks, left, call_timeout, tell }
    }

    /// What can be tried without creating anything. `false`: Foxy does not let us in, so nothing else can be tried.
    pub(crate) async fn look(&mut self, stranger: &Foxy) -> bool {
        let access = match self.foxy.probe().await {
            Ok(()) => Finding::Held(String::new()),
            Err(error) => Finding::Broken(chain(&error)),
        };
        let lets_us_in = matches!(access, Finding::Held(_));
        self.found(Assumption::Access, access);
        if !lets_us_in {
            return false;
        }
        let refused = match stranger.probe().await {
            Err(ReadError::SetupFault(SetupFault::InvalidClient)) => Finding::Held(String::new()),
            Ok(()) => Finding::Broken("any secret opens".into()),
            Err(error) => Finding::Broken(chain(&error)),
        };
        self.found(Assumption::WrongSecret, refused);
        let email = expect(self.foxy.email_exists(&self.marks.email).await, &false);
        self.found(Assumption::EmailAbsent, email);
        let domain = expect(self.foxy.store_domain_exists(&self.marks.domain).await, &false);
        self.found(Assumption::DomainAbsent, domain);
        true
    }

    /// Creates a user and tries what can be tried with it.
    pub(crate) async fn make_user(&mut self) -> Option<CreatedUser> {
        let user = new_user(self.marks);
        let made = self.made(Assumption::UserCreated, self.create_user(&user).await)?;
        let links = match made.links_stores() {
            true => Finding::Held(String::new()),
            false => Finding::Broken("it does not; the user's home document is asked instead, one request more".into()),
        };
        self.found(Assumption::UserLinksStores, links);
        let token = HeldToken::new(made.token.refresh.clone());
        let session = self.foxy.user(token.clone());
        let text = match session.read().await {
            Ok(read) => expect(Ok(read.text("first_name").unwrap_or_default().to_owned()), &FIRST_NAME.to_owned()),
            Err(error) => Finding::Broken(chain(&error)),
        };
        self.found(Assumption::UserText, text);
        let again = self.create_user(&user).await;
        self.found(Assumption::EmailTaken, refused(&again, &[RejectionKind::EmailTaken]));
        let found = lag(async || self.foxy.email_exists(&self.marks.email).await).await;
        self.found(Assumption::EmailFound, found);
        let case = expect(self.foxy.email_exists(&self.marks.email.to_uppercase()).await, &true);
        self.found(Assumption::EmailCase, case);
        let stores = expect(session.stores().await.map(|stores| stores.len()), &0);
        self.found(Assumption::NoStores, stores);
        let stays = self.stays(token, &made.token.refresh).await;
        self.found(Assumption::RefreshStays, stays);
        Some(made)
    }

    /// Creates a store of that user's and tries what can be tried with it.
    pub(crate) async fn make_store(&mut self, user: &CreatedUser) -> Option<CreatedStore> {
        let store = new_store(self.marks, self.marks.domain.clone());
        let session = user.session();
        let made = self.made(Assumption::StoreCreated, self.create_store(&session, &store).await)?;
        let again = self.create_store(&session, &store).await;
        self.found(Assumption::DomainTaken, refused(&again, &[RejectionKind::DomainTaken]));
        let reserved = NewStore { domain: "www".into(), ..store };
        let reserved = self.create_store(&session, &reserved).await;
        let kinds = [RejectionKind::DomainReserved, RejectionKind::DomainTaken];
        self.found(Assumption::DomainReserved, refused(&reserved, &kinds));
        self.look_for(&session).await;
        self.open(&made.token.refresh).await;
        Some(made)
    }

    async fn create_user(&self, user: &NewUser) -> Report<CreatedUser> {
        let mark = self.left.expect(format!("the user {}", printable(&user.email)));
        let report = self.foxy.create_user(user, self.deadline()).await;
        self.left.settle(mark, &report, |made| made.uri.clone().ok());
        report
    }

    async fn create_store(&self, session: &UserSession, store: &NewStore) -> Report<CreatedStore> {
        let mark = self.left.expect(format!("the store {}", store.domain));
        let report = session.create_store(store, self.deadline()).await;
        self.left.settle(mark, &report, |made| made.uri.clone().ok());
        report
    }

    async fn look_for(&mut self, session: &UserSession) {
        let domain = &self.marks.domain;
        let listed = lag(async || Ok(matches!(session.find_store(domain).await?, StoreSearch::Found { .. }))).await;
        self.found(Assumption::StoreListed, listed);
        let found = lag(async || self.foxy.store_domain_exists(domain).await).await;
        self.found(Assumption::DomainFound, found);
        let case = expect(self.foxy.store_domain_exists(&domain.to_uppercase()).await, &true);
        self.found(Assumption::DomainCase, case);
    }

    async fn open(&mut self, refresh: &RefreshToken) {
        let store = self.foxy.store(refresh.clone());
        let opened = match store.read().await {
            Ok(read) => expect(Ok(read.text("store_domain").unwrap_or_default().to_owned()), &self.marks.domain),
            Err(error) => Finding::Broken(chain(&error)),
        };
        self.found(Assumption::StoreToken, opened);
        let note = Attribute::restricted("foxden_verify", "1");
        let written = store.ensure_attribute(&note, self.deadline()).await;
        let finding = match (written.outcome, store.read().await) {
            (Outcome::Done(()), Ok(read)) if read.attributes.iter().any(|there| there.name == note.name) => {
                Finding::Held(String::new())
            }
            (Outcome::Done(()), Ok(_)) => Finding::Broken("it was taken, and is not embedded".into()),
            (_, Err(error)) => Finding::Broken(chain(&error)),
            (outcome, Ok(_)) => Finding::Broken(ending_of(&Report { outcome, evidence: written.evidence })),
        };
        self.found(Assumption::StoreNote, finding);
    }

    async fn stays(&self, token: HeldToken, first: &RefreshToken) -> Finding {
        match self.foxy.access_token(token, TokenScope::User).await {
            Ok(granted) if granted.refresh.expose() == first.expose() => Finding::Held(String::new()),
            Ok(_) => Finding::Broken("another one came; foxden keeps it in the place of the old one".into()),
            Err(error) => Finding::Broken(chain(&error)),
        }
    }

    /// Something created, or the finding that it was not.
    fn made<T: std::fmt::Debug>(&mut self, assumption: Assumption, report: Report<T>) -> Option<T> {
        let took = report.evidence.elapsed.as_millis();
        match report.outcome {
            Outcome::Done(made) => {
                self.found(assumption, Finding::Held(format!("after {took} ms")));
                Some(made)
            }
            outcome => {
                self.found(assumption, Finding::Broken(ending_of(&Report { outcome, evidence: report.evidence })));
                None
            }
        }
    }

    fn found(&mut self, assumption: Assumption, finding: Finding) {
        (self.tell)(assumption, finding);
    }

    fn deadline(&self) -> tokio::time::Instant {
        deadline(self.call_timeout)
    }
}

/// By when a call has ended. With a whole call's time to wait for its turn under the rate of calls: here no call is
/// worth giving up for its lateness.
pub(super) fn deadline(call_timeout: Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + 2 * call_timeout
}

/// The user of this run.
pub(super) fn new_user(marks: &Marks) -> NewUser {
    NewUser {
        first_name: FIRST_NAME.into(),
        last_name: "foxden verify".into(),
        email: marks.email.clone(),
        phone: None,
        extra: Map::new(),
        captcha: None,
    }
}

/// A store of this run.
pub(super) fn new_store(marks: &Marks, domain: String) -> NewStore {
    NewStore {
        name: "foxden verify".into(),
        domain,
        url: "https://foxden-verify.example".into(),
        email: marks.email.clone(),
        country: "US".into(),
        region: "MN".into(),
        postal_code: "55401".into(),
        extra: Map::new(),
        captcha: None,
    }
}

/// The same client with a secret that is not its own.
pub(crate) fn wrong_secret() -> ClientSecret {
    ClientSecret::new("foxden-verify-wrong-secret")
}

fn expect<T: PartialEq + std::fmt::Debug>(read: Result<T, ReadError>, expected: &T) -> Finding {
    match read {
        Ok(value) if value == *expected => Finding::Held(String::new()),
        Ok(value) => Finding::Broken(printable(&format!("Foxy says {value:?}")).into_owned()),
        Err(error) => Finding::Broken(chain(&error)),
    }
}

/// A second creation must be refused, and its words known.
fn refused<T: std::fmt::Debug>(report: &Report<T>, kinds: &[RejectionKind]) -> Finding {
    let known = matches!(&report.outcome, Outcome::Rejected(rejection) if kinds.contains(&rejection.kind));
    let ending = ending_of(report);
    if known { Finding::Held(ending) } else { Finding::Broken(ending) }
}

/// Asks until it is so, and tells how long that took.
async fn lag(look: impl AsyncFn() -> Result<bool, ReadError>) -> Finding {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(true) => return Finding::Held(format!("after {} ms", begun.elapsed().as_millis())),
            Ok(false) if begun.elapsed() < LAG => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(false) => return Finding::Broken("not within 10 minutes".into()),
            Err(error) => return Finding::Broken(chain(&error)),
        }
    }
}

/// What a call came to, with Foxy's own words: nothing was sent but what this walk made up.
pub(super) fn ending_of<T: std::fmt::Debug>(report: &Report<T>) -> String {
    let what = match &report.outcome {
        Outcome::Done(_) => "Foxy took it".to_owned(),
        Outcome::NoEffect(reason) => reason.to_string(),
        Outcome::Rejected(Rejection { errors, .. }) if errors.is_empty() => "refused without words".to_owned(),
        Outcome::Rejected(Rejection { errors, .. }) => {
            errors.iter().map(|error| format!("{:?}", error.message())).collect::<Vec<_>>().join(", ")
        }
        Outcome::Unknown(doubt) => doubt.to_string(),
        Outcome::TokenLost(loss) => loss.to_string(),
    };
    let status = report.evidence.http_status.map_or_else(String::new, |status| format!("status {status}: "));
    printable(&format!("{status}{what}")).into_owned()
}

pub(super) fn chain(error: &ReadError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(reason) = cause {
        text.push_str(&format!(": {reason}"));
        cause = reason.source();
    }
    printable(&text).into_owned()
}
