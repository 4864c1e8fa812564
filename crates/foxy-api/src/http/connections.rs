//! Connections for calls that change something: one call at a time on each, kept for a short while between two.
//!
//! A connection that a server closes while it is idle can swallow the next request (hyper issue 2136), and whether that
//! was read is then not known. Three rules keep that rare and make it known: one call at a time, so that a broken
//! connection puts one call in doubt; none is idle for longer than a limit or than the server announces; and each call
//! knows whether its connection had been used before.
//!
//! The HTTP library doesn't say which of its pooled connections took a request. So each of these clients has a pool of
//! its own, with one connection in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use reqwest::header::{CONNECTION, HeaderMap, HeaderName};
use reqwest::{Client, ClientBuilder, Response, Version};
use tokio::time::Instant;

/// RFC 2068 section 19.7.1.1; obsolete, and still what servers announce their idle limit by.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// How much earlier than the server announces a connection is given up: the server's time begins when it sends its
/// answer, and the next request must arrive within it.
const MARGIN: Duration = Duration::from_secs(1);

/// Those that are kept, and how others are made.
pub(super) struct Connections {
    make: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    limit: Duration,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The one that was used last comes last.
    connections: Vec<(Client, Instant)>,
    is_watched: bool,
}

/// One connection, for one call.
pub(super) struct Connection {
    /// Sends on it, or on a new one if it was seen closed.
    pub(super) client: Client,
    /// Whether it may have carried a call before.
    pub(super) was_used: bool,
}

impl Connections {
    /// None yet. `limit` is the longest that one may be idle; zero: none is kept.
    pub(super) fn new(limit: Duration, make: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { make: Box::new(make), limit, idle: Mutex::default() })
    }

    /// One for a call.
    pub(super) fn take(&self) -> Result<Connection, reqwest::Error> {
        let kept = {
            let mut idle = self.idle();
            idle.close_before(Instant::now());
            idle.connections.pop()
        };
        match kept {
            Some((client, _)) => Ok(Connection { client, was_used: true }),
            None => Ok(Connection { client: self.fresh()?, was_used: false }),
        }
    }

    /// Keeps one whose answer was read to its end, for as long as its server and the limit allow.
    pub(super) fn keep(self: &Arc<Self>, connection: Connection, allowed: Duration) {
        let time = allowed.min(self.limit);
        if time.is_zero() {
            return;
        }
        let mut idle = self.idle();
        idle.connections.push((connection.client, Instant::now() + time));
        if !idle.is_watched {
            idle.is_watched = true;
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// A new one, which no call has used.
    pub(super) fn fresh(&self) -> Result<Client, reqwest::Error> {
        let most = usize::from(!self.limit.is_zero());
        // Idle ones are closed here: the library would look at each once in its own time-out.
        (self.make)().http1_only().pool_max_idle_per_host(most).pool_idle_timeout(None).build()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Idle {
    /// Closes those whose time is over, and answers when the next one's is.
    fn close_before(&mut self, now: Instant) -> Option<Instant> {
        self.connections.retain(|(_, until)| *until > now);
        self.connections.iter().map(|(_, until)| *until).min()
    }
}

/// Closes idle connections when their time is over, until there are none.
async fn watch(connections: Weak<Connections>) {
    loop {
        let next = {
            let Some(connections) = connections.upgrade() else { return };
            let mut idle = connections.idle();
            let next = idle.close_before(Instant::now());
            idle.is_watched = next.is_some();
            next
        };
        match next {
            Some(until) => tokio::time::sleep_until(until).await,
            None => return,
        }
    }
}

/// How long the connection of this answer may be kept, as far as the server says; zero: not at all.
pub(super) fn allowed_idle(response: &Response) -> Duration {
    if response.version() == Version::HTTP_11 { allowed_by(response.headers()) } else { Duration::ZERO }
}

fn allowed_by(headers: &HeaderMap) -> Duration {
    let words = |name| {
        let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        texts.flat_map(|text| text.split(',')).map(str::trim)
    };
    // RFC 9112 section 9.6.
    if words(CONNECTION).any(|option| option.eq_ignore_ascii_case("close")) {
        return Duration::ZERO;
    }
    let parameters = words(KEEP_ALIVE).filter_map(|parameter| parameter.split_once('='));
    let timeouts = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .map(|(_, value)| value.trim().trim_matches('"').parse().unwrap_or(0));
    timeouts.min().map_or(Duration::MAX, |seconds| Duration::from_secs(seconds).saturating_sub(MARGIN))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_server_says_how_long_its_connections_may_be_idle() {
        let seconds = Duration::from_secs;
        for (connection, keep_alive, allowed) in [
            (None, None, Duration::MAX),
            (Some("keep-alive"), Some("timeout=5, max=100"), seconds(4)),
            (None, Some("max=100, Timeout = \"61\""), seconds(60)),
            (None, Some("timeout=1"), Duration::ZERO),
            (None, Some("timeout=0"), Duration::ZERO),
            (None, Some("timeout=soon"), Duration::ZERO),
            (None, Some("max=100"), Duration::MAX),
            (Some("close"), None, Duration::ZERO),
            (Some("foo, Close"), Some("timeout=5"), Duration::ZERO),
        ] {
            let mut headers = HeaderMap::new();
            connection.map(|value| headers.insert(CONNECTION, HeaderValue::from_static(value)));
            keep_alive.map(|value| headers.insert(KEEP_ALIVE, HeaderValue::from_static(value)));
            assert_eq!(allowed_by(&headers), allowed, "{connection:?} {keep_alive:?}");
        }
    }
}
