//! The client's secret, and where a newer one comes from once it was changed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foxden_vault::ClientSecret;
use tokio::time::{Instant, sleep};

use crate::struck::Struck;

/// So many refusals lead to another try: of what was changed, of the one in use, and of what has come meanwhile.
const MOST_REFUSED: usize = 2;

/// Longer than it takes to try a new secret and put it in its place; short beside a pause of all calls.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Where a client's secret stands, so that a program goes on when the secret is changed at Foxy.
///
/// Asked before a token is fetched, which is rare: by then it may take the time of reading a small file.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The secret as it stands there, if it may have changed since this was asked last.
    fn changed(&self) -> Option<ClientSecret>;

    /// The secret as it stands there. Asked when Foxy has refused the one in use.
    fn read(&self) -> Option<ClientSecret>;
}

/// The secrets of clients other than the one that creates. Tokens were given to them, and are refreshed by no other.
pub trait ClientSecrets: fmt::Debug + Send + Sync {
    /// The secret of this client as it stands now. Asked before a token is fetched, which is rare: by then it may
    /// take the time of reading a small file.
    fn secret_of(&self, client_id: &str) -> Option<ClientSecret>;
}

/// The secret in use: the last one that Foxy took. Another takes its place only when Foxy has taken that one, so a source
/// with something wrong in it costs a request, and no working secret.
#[derive(Debug)]
pub(crate) struct Secrets {
    in_use: Mutex<ClientSecret>,
    source: Option<Arc<dyn SecretSource>>,
}

impl Secrets {
    /// Begins with this secret.
    pub(crate) fn new(secret: ClientSecret, source: Option<Arc<dyn SecretSource>>) -> Self {
        Self { in_use: Mutex::new(secret), source }
    }

    /// What to ask with: what was put into the source lately, else the one in use.
    pub(crate) fn first(&self) -> ClientSecret {
        let changed = self.source.as_ref().and_then(|source| source.changed());
        changed.unwrap_or_else(|| self.in_use().clone())
    }

    /// What to ask with once Foxy has refused these: the one in use, which somebody else may have found meanwhile, or what
    /// the source has. It is given a moment to have another, since Foxy has a new secret just before the source does.
    pub(crate) async fn other_than(&self, refused: &[ClientSecret]) -> Option<ClientSecret> {
        // However often the source changes meanwhile, Foxy is not asked for ever.
        if refused.len() > MOST_REFUSED {
            return None;
        }
        let until = Instant::now() + GRACE;
        loop {
            let is_other = |secret: &ClientSecret| !refused.iter().any(|refused| is_same(refused, secret));
            let in_use = self.in_use().clone();
            let found = Some(in_use).filter(is_other).or_else(|| self.source.as_ref()?.read().filter(is_other));
            if found.is_some() || self.source.is_none() || Instant::now() >= until {
                return found;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The last one that Foxy took, or the first one ever.
    pub(crate) fn latest(&self) -> ClientSecret {
        self.in_use().clone()
    }

    /// Foxy took this one.
    pub(crate) fn took(&self, secret: &ClientSecret) {
        let mut in_use = self.in_use();
        if !is_same(&in_use, secret) {
            *in_use = secret.clone();
            drop(in_use);
            tracing::info!(event = "foxy.secret_reloaded", "the client's secret was changed; the new one is in use");
        }
    }

    /// What no answer may bring into an error.
    pub(crate) fn struck(&self, struck: Struck) -> Struck {
        struck.client_secret(&self.in_use())
    }

    fn in_use(&self) -> MutexGuard<'_, ClientSecret> {
        // A secret is replaced whole.
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both are ours and nobody else's guess, so it tells nobody anything how long this takes.
fn is_same(a: &ClientSecret, b: &ClientSecret) -> bool {
    a.expose() == b.expose()
}
