//! Refresh tokens in use, and where they are kept.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use foxden_vault::RefreshToken;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use crate::answer::OddAnswer;
use crate::oauth::{Bearer, Grant};
use crate::pace::Turn;
use crate::struck::Struck;
use crate::wire::Wire;
use crate::{Cause, Granted, ReadError, TokenScope};

/// At most this many tokens of one place are tried: each costs a request.
const MOST_REFUSED: usize = 4;

/// Another process that was answered the successor needs this long at most to keep it; short beside a call's timeout.
const GRACE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where one refresh token is kept, so that it survives being replaced.
///
/// Foxy documents that refresh tokens do not change when used; OAuth allows it (RFC 6749 section 6), and then the old
/// one may be dead.
pub trait TokenKeeper: fmt::Debug + Send + Sync {
    /// Foxy has answered `new` to `used`. Ends once `new` survives a crash; nothing is done with it before.
    fn replace(&self, used: RefreshToken, new: RefreshToken) -> Keeping<()>;

    /// All tokens that are kept in this place, the one to be tried first at the beginning. Asked when Foxy has refused
    /// one: another process may have been answered its successor.
    fn kept(&self) -> Keeping<Vec<RefreshToken>>;

    /// The client that the tokens of this place were given to: Foxy refuses them from any other. `None` if that is not
    /// known; then it is tried with the one that creates.
    fn client_id(&self) -> Option<&str> {
        None
    }

    /// Foxy has accepted a token of this place from the client that was tried. Waited for, but no more depends on it.
    fn accepted(&self) -> Keeping<()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Asked before Foxy is. What it answers is dropped once nothing more can come of that, so a process that ends in
    /// good order can wait for it.
    fn at_work(&self) -> Box<dyn Send> {
        Box::new(())
    }
}

/// What a [`TokenKeeper`] is doing.
pub type Keeping<T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send>>;

/// A refresh token in use. Cheap to clone; clones are one token, and see its successor.
///
/// Without a [`TokenKeeper`] a successor lives in memory only: that is for tokens that are kept nowhere.
#[derive(Debug, Clone)]
pub struct HeldToken(Arc<Held>);

#[derive(Debug)]
struct Held {
    /// Locked while Foxy is asked: two answers to one token could be two successors.
    in_use: Mutex<RefreshToken>,
    /// The latest that were in use, for callers that can't wait for the lock.
    known: std::sync::Mutex<Vec<RefreshToken>>,
    keeper: OnceLock<Arc<dyn TokenKeeper>>,
}

impl HeldToken {
    /// A token that is kept nowhere, yet.
    pub fn new(token: RefreshToken) -> Self {
        let known = std::sync::Mutex::new(vec![token.clone()]);
        Self(Arc::new(Held { in_use: Mutex::new(token), known, keeper: OnceLock::new() }))
    }

    /// What no answer to its holder may bring into an error.
    pub(crate) fn struck(&self) -> Struck {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(Struck::default(), Struck::refresh)
    }

    /// The same token; it is kept there. The first keeper stays.
    #[must_use]
    pub fn kept_by(self, keeper: Arc<dyn TokenKeeper>) -> Self {
        self.0.keeper.get_or_init(|| keeper);
        self
    }

    /// Makes an access token. Once Foxy is asked this continues whatever becomes of the caller: an answer that no one
    /// waits for could hold the only living token.
    pub(crate) async fn refresh(
        &self,
        wire: &Wire,
        scope: TokenScope,
        turn: Option<Turn>,
    ) -> Result<(Granted, Bearer), ReadError> {
        let (held, wire) = (self.clone(), wire.clone());
        let at_work = self.0.keeper.get().map(|keeper| keeper.at_work());
        let asking = async move {
            let asked = held.ask(&wire, scope, turn).await;
            drop(at_work);
            asked
        };
        let asked = tokio::spawn(asking.in_current_span()).await;
        asked.unwrap_or_else(|_| Err(ReadError::odd(OddAnswer::None)))
    }

    async fn ask(
        &self,
        wire: &Wire,
        scope: TokenScope,
        mut turn: Option<Turn>,
    ) -> Result<(Granted, Bearer), ReadError> {
        let mut in_use = self.0.in_use.lock().await;
        // What stands in the place where a successor goes.
        let (mut place, mut token) = (in_use.clone(), in_use.clone());
        let mut refused = Vec::new();
        loop {
            let client_id = self.0.keeper.get().and_then(|keeper| keeper.client_id());
            match wire.token_of(client_id, &Grant::Refresh { token: token.clone(), scope }, turn.take()).await {
                Ok((granted, bearer)) => {
                    // Also if it can't be kept: then the next use finds it here.
                    *in_use = granted.refresh.clone();
                    self.remember(&granted.refresh);
                    if !is_same(&granted.refresh, &place) {
                        self.replace(place, granted.refresh.clone()).await?;
                    }
                    if let Some(keeper) = self.0.keeper.get() {
                        // It is tried again with the next use.
                        drop(keeper.accepted().await);
                    }
                    return Ok((granted, bearer));
                }
                Err(ReadError::Revoked) => {
                    refused.push(token);
                    match self.other_than(&refused).await? {
                        Some(other) => (place, token) = other,
                        None => return Err(ReadError::Revoked),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn remember(&self, token: &RefreshToken) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|one| is_same(one, token)) {
            known.push(token.clone());
            let surplus = known.len().saturating_sub(MOST_REFUSED);
            known.drain(..surplus);
        }
    }

    async fn replace(&self, used: RefreshToken, new: RefreshToken) -> Result<(), ReadError> {
        match self.0.keeper.get() {
            Some(keeper) => keeper.replace(used, new).await.map_err(|source| ReadError::NotKept { source }),
            None => {
                tracing::warn!(
                    event = "foxy.token_not_kept",
                    "Foxy answered another refresh token in the place of one that is kept nowhere; it ends with this \
                     process",
                );
                Ok(())
            }
        }
    }

    /// What to ask with once Foxy has refused these, and what stands in its place: a refusal is believed only when
    /// nothing else is kept, and a process that may have been answered a successor had time to keep it.
    async fn other_than(&self, refused: &[RefreshToken]) -> Result<Option<(RefreshToken, RefreshToken)>, ReadError> {
        let Some(keeper) = self.0.keeper.get().filter(|_| refused.len() < MOST_REFUSED) else { return Ok(None) };
        let until = Instant::now() + GRACE;
        loop {
            let kept = keeper.kept().await.map_err(|source| ReadError::NotKept { source })?;
            let is_other = |kept: &&RefreshToken| !refused.iter().any(|refused| is_same(refused, kept));
            if let (Some(first), Some(other)) = (kept.first(), kept.iter().find(is_other)) {
                return Ok(Some((first.clone(), other.clone())));
            }
            // Nothing is waited for where the place was given up.
            if kept.is_empty() || Instant::now() >= until {
                return Ok(None);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

impl From<RefreshToken> for HeldToken {
    fn from(token: RefreshToken) -> Self {
        Self::new(token)
    }
}

/// Both are ours, so how long this takes tells nothing.
fn is_same(a: &RefreshToken, b: &RefreshToken) -> bool {
    a.expose() == b.expose()
}
