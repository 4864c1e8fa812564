//! One identity's way into the API: its access token, its home document's links, and the calls made with both.

use std::mem::replace;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::answer::{Answer, OddAnswer};
use crate::captcha::CaptchaSent;
use crate::errors::Creating;
use crate::follow::{Followed, follow};
use crate::http::{Caller, Failure, Verb};
use crate::link::Links;
use crate::oauth::{Bearer, Grant};
use crate::outcome::{self, Created, Ending};
use crate::pace::{Line, Turn};
use crate::read::{self, Reading};
use crate::single_flight::{Kept, SingleFlight};
use crate::struck::Struck;
use crate::wiped;
use crate::wire::{Wire, held_back, unavailable};
use crate::{
    CaptchaCode, Cause, Evidence, HeldToken, Methods, NoEffect, NotSent, Outcome, ReadError, Report, ResourceUri,
    SetupFault, TokenKeeper, TokenScope,
};

/// Who acts.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// The client itself.
    Client,
    /// The user or store behind this refresh token, with this scope.
    Holder(HeldToken, TokenScope),
}

/// An identity: the client itself, a user or a store.
#[derive(Debug)]
pub(crate) struct Access {
    identity: Identity,
    token: SingleFlight<Bearer>,
    /// The links of the home document as this identity sees it, or those that another answer brought.
    home: SingleFlight<Links>,
}

/// A document, or the news that there is none at this address.
#[derive(Debug)]
pub(crate) enum Found {
    /// The document.
    Document(Value),
    /// 404 or 410; `absent` if Foxy says in words that what was asked about does not exist.
    Gone { status: u16, absent: bool },
}

/// Asked when a call's turn has come: whether it is still wanted. Much may have happened while it waited.
pub(crate) type Wanted<'a> = &'a (dyn Fn() -> bool + Sync);

/// When a call goes.
#[derive(Clone, Copy)]
pub(crate) struct When<'a> {
    /// By then it has ended.
    pub(crate) deadline: Instant,
    /// Where it waits for its turn.
    pub(crate) line: Line,
    pub(crate) wanted: Wanted<'a>,
}

impl When<'_> {
    /// In its turn, as something that was begun.
    fn begun(deadline: Instant) -> Self {
        Self { deadline, line: Line::Begun, wanted: &|| true }
    }
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To<'a> {
    /// To what the home document links under this relation.
    Home(&'static str),
    /// To an address that was just read.
    Known(&'a ResourceUri),
}

impl Access {
    /// An identity of which nothing but its right is known.
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity, token: SingleFlight::new(None), home: SingleFlight::new(None) }
    }

    /// An identity whose access token, and perhaps some links, came with an earlier answer.
    pub(crate) fn known(identity: Identity, token: Bearer, links: Option<Links>) -> Self {
        Self { identity, token: SingleFlight::new(Some(token)), home: SingleFlight::new(links) }
    }

    /// Lets its refresh token be kept there.
    pub(crate) fn keep_with(&self, keeper: Arc<dyn TokenKeeper>) {
        match &self.identity {
            Identity::Client => {}
            Identity::Holder(token, _) => drop(token.clone().kept_by(keeper)),
        }
    }

    /// Follows a link of the home document.
    pub(crate) async fn follow(&self, wire: &Wire, rel: &'static str) -> Result<Followed, ReadError> {
        follow(&self.home, rel, wire.origins(), || self.discover_home(wire, None)).await
    }

    /// Forgets the home document from which a link was followed.
    pub(crate) async fn forget_home(&self, edition: u64) {
        self.home.forget(edition).await;
    }

    /// Fetches the home document, whatever is kept, and keeps its links if `rel` is among them.
    pub(crate) async fn renew_home(&self, wire: &Wire, rel: &'static str) -> Result<(), ReadError> {
        let turn = wire.turn_to_read().await?;
        let links = self.discover_home(wire, Some(turn)).await?;
        links.uri(rel, wire.origins())?;
        self.home.keep(links).await;
        Ok(())
    }

    /// Fetches a document; once more with a fresh token, should the present one be refused. `None` as turn for what a
    /// call under way needs.
    pub(crate) async fn read(
        &self,
        wire: &Wire,
        uri: &ResourceUri,
        mut turn: Option<Turn>,
    ) -> Result<Found, ReadError> {
        let mut renewed = false;
        loop {
            let token = self.bearer(wire).await?;
            let caller = Caller { token: Some(&token.value.access), captcha: None, known: &self.struck(wire) };
            let answer = wire.http.get(uri, caller, turn.take()).await.map_err(unavailable)?;
            match read::judge(&answer) {
                Reading::Document(document) => return Ok(Found::Document(document)),
                Reading::Gone { status, absent } => return Ok(Found::Gone { status, absent }),
                Reading::Failed(error) => return Err(error),
                Reading::StaleToken => self.token.forget(token.edition).await,
            }
            if replace(&mut renewed, true) {
                return Err(SetupFault::TokenRefused.into());
            }
        }
    }

    /// Asks which methods a resource takes; once more with a fresh token, should the present one be refused.
    pub(crate) async fn methods(&self, wire: &Wire, uri: &ResourceUri) -> Result<Option<Methods>, ReadError> {
        let mut turn = Some(wire.turn_to_read().await?);
        let mut renewed = false;
        loop {
            let token = self.bearer(wire).await?;
            let caller = Caller { token: Some(&token.value.access), captcha: None, known: &self.struck(wire) };
            let answer = wire.http.options(uri, caller, turn.take()).await.map_err(unavailable)?;
            match answer.status {
                200..=299 => return Ok(answer.allow),
                401 => self.token.forget(token.edition).await,
                status => return Err(ReadError::odd(OddAnswer::Status(status))),
            }
            if replace(&mut renewed, true) {
                return Err(SetupFault::TokenRefused.into());
            }
        }
    }

    /// Creates what brings a token, at the address that the home document links as `rel`. Without a
    /// `captcha` code of its own it goes with that of the settings, if any.
    pub(crate) async fn create(
        &self,
        wire: &Wire,
        (creating, rel): (Creating, &'static str),
        body: &Value,
        captcha: Option<&CaptchaCode>,
        when: When<'_>,
    ) -> Report<Created> {
        let (captcha, sent) = match (captcha, &wire.settings.h_captcha_code) {
            (Some(own), _) => (Some(own), CaptchaSent::Own),
            (None, Some(shared)) => (Some(shared), CaptchaSent::OfSettings),
            (None, None) => (None, CaptchaSent::No),
        };
        let judge = |exchange: &_| outcome::judge(creating, sent, exchange);
        self.send_if(wire, (Verb::Post, To::Home(rel)), body, captcha, when, judge).await
    }

    /// Sends a call that changes something, before `deadline`. As [`Access::send_if`] in all else.
    pub(crate) async fn send<T>(
        &self,
        wire: &Wire,
        what: (Verb, To<'_>),
        body: &Value,
        deadline: Instant,
        judge: impl Fn(&Result<Answer, Failure>) -> Ending<T>,
    ) -> Report<T> {
        self.send_if(wire, what, body, None, When::begun(deadline), judge).await
    }

    /// Sends a call that changes something, if it is still wanted when its turn has come.
    ///
    /// It is sent again only where Foxy's answer says that nothing was changed: once with a fresh token, once to a link
    /// discovered anew. Waiting for its turn comes before all of that, and takes nothing from its time.
    async fn send_if<T>(
        &self,
        wire: &Wire,
        (verb, to): (Verb, To<'_>),
        body: &Value,
        captcha: Option<&CaptchaCode>,
        when: When<'_>,
        judge: impl Fn(&Result<Answer, Failure>) -> Ending<T>,
    ) -> Report<T> {
        let begun = Instant::now();
        let known = self.struck(wire).body(body);
        let body = if body.is_null() { Zeroizing::default() } else { wiped::text(body) };
        let mut evidence = Evidence::default();
        let mut turn = match wire.http.turn_to_create(when.line, when.deadline).await {
            Ok(turn) => Some(turn),
            Err(wait) => return held_back(wait, begun),
        };
        if !(when.wanted)() {
            evidence.elapsed = begun.elapsed();
            return Report { outcome: Outcome::NoEffect(NoEffect::NotSent(NotSent::Withdrawn)), evidence };
        }
        let deadline = when.deadline.min(Instant::now() + wire.http.call_timeout());
        let (mut renewed, mut rediscovered) = (false, false);
        let outcome = loop {
            let (link, token) = match self.prepare(wire, to, deadline).await {
                Ok(prepared) => prepared,
                Err((reason, cause)) => {
                    evidence.cause = cause;
                    break Outcome::NoEffect(reason);
                }
            };
            let caller = Caller { token: Some(&token.value.access), captcha, known: &known };
            let here = (verb, &link.uri);
            let exchange = wire.http.change(here, caller, body.clone(), deadline, turn.take()).await;
            evidence = outcome::evidence(&exchange, wire.origins());
            match judge(&exchange) {
                Ending::Final(outcome) => break outcome,
                Ending::StaleToken => {
                    self.token.forget(token.edition).await;
                    if replace(&mut renewed, true) {
                        break Outcome::NoEffect(NoEffect::SetupFault(SetupFault::TokenRefused));
                    }
                }
                Ending::StaleLink => {
                    self.home.forget(link.edition).await;
                    if matches!(to, To::Known(_)) || replace(&mut rediscovered, true) {
                        break Outcome::NoEffect(NoEffect::LinksChanged);
                    }
                }
            }
        };
        evidence.elapsed = begun.elapsed();
        Report { outcome, evidence }
    }

    /// Link and token for a call. All of it may be given up at the deadline: fetching them changes nothing at Foxy.
    async fn prepare(
        &self,
        wire: &Wire,
        to: To<'_>,
        deadline: Instant,
    ) -> Result<(Followed, Kept<Bearer>), (NoEffect, Option<Cause>)> {
        let passed = || (NoEffect::NotSent(NotSent::DeadlinePassed), None);
        if Instant::now() >= deadline {
            return Err(passed());
        }
        let fetch = async {
            let link = match to {
                To::Home(rel) => self.follow(wire, rel).await?,
                To::Known(uri) => Followed { uri: uri.clone(), edition: 0 },
            };
            Ok((link, self.bearer(wire).await?))
        };
        timeout_at(deadline, fetch).await.map_err(|_| passed())?.map_err(ReadError::into_no_effect)
    }

    /// Fetches what the home document links as `rel`; the link is discovered anew, once, should it have moved.
    pub(crate) async fn linked(&self, wire: &Wire, rel: &'static str) -> Result<(ResourceUri, Value), ReadError> {
        let mut last = 404;
        let mut turn = Some(wire.turn_to_read().await?);
        for _ in 0..2 {
            let link = self.follow(wire, rel).await?;
            match self.read(wire, &link.uri, turn.take()).await? {
                Found::Document(document) => return Ok((link.uri, document)),
                Found::Gone { status, .. } => last = status,
            }
            self.forget_home(link.edition).await;
        }
        Err(ReadError::odd(OddAnswer::Status(last)))
    }

    async fn discover_home(&self, wire: &Wire, turn: Option<Turn>) -> Result<Links, ReadError> {
        match self.read(wire, &ResourceUri::home(wire.origins()), turn).await? {
            Found::Document(document) => Ok(Links::of(&document)),
            Found::Gone { status, .. } => Err(ReadError::odd(OddAnswer::Status(status))),
        }
    }

    /// What no answer may bring into an error, whichever call it was that brought it to the server.
    fn struck(&self, wire: &Wire) -> Struck {
        wire.struck(match &self.identity {
            Identity::Client => Struck::default(),
            Identity::Holder(token, _) => token.struck(),
        })
    }

    async fn bearer(&self, wire: &Wire) -> Result<Kept<Bearer>, ReadError> {
        let fetch = || async {
            match &self.identity {
                Identity::Client => Ok(wire.token(&Grant::Client, None).await?.1),
                Identity::Holder(token, scope) => Ok(token.refresh(wire, *scope, None).await?.1),
            }
        };
        self.token.get(Bearer::is_good, fetch).await
    }
}
