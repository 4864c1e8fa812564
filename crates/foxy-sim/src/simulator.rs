//! Starting, watching and stopping a simulator.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::books::Books;
use crate::config::{Config, Latency};
use crate::core::{Core, lock};
use crate::dice::Dice;
use crate::error::StartError;
use crate::faults::{FaultRule, FaultScript, Faults};
use crate::grants::{Grant, Grantee};
use crate::journal::{Entry, Journal};
use crate::line::{Line, Lines};
use crate::moment::now_ms;
use crate::records::{Client, Records};
use crate::routes::RoutePattern;
use crate::service;

/// How long stopping waits for answers that are being written.
const STOP_DEADLINE: Duration = Duration::from_millis(500);

/// A process writes the id of new books at once.
const NAMED_WITHIN: Duration = Duration::from_secs(2);
const NAMED_PAUSE: Duration = Duration::from_millis(50);

/// A running simulator. Dropping it stops it too; [`shutdown`](Self::shutdown) also waits until it has.
pub struct Simulator {
    core: Arc<Core>,
    books_id: String,
    client_id: String,
    client_secret: String,
    local: SocketAddr,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Simulator {
    /// Opens the books, binds the address and begins to answer.
    ///
    /// # Errors
    /// [`StartError`] says what could not be done.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut dice = match config.seed {
            0 => Dice::from_system().map_err(|error| StartError::Randomness(error.into()))?,
            seed => Dice::seeded(seed),
        };
        let (journal, entries) = match &config.books {
            Some(path) => open_books(path).await?,
            None => (None, Vec::new()),
        };
        let faults = Faults::follow(config.faults.clone(), dice.split());
        let latency = Mutex::new((config.latency, dice.split()));
        let mut records = Records::replay(journal, entries, dice);
        let books_id = name_books(&mut records, config.books.as_deref())?;
        let (client_id, client_secret) = seed_client(&mut records, &config)?;

        let bind = |source| StartError::Bind { addr: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(bind)?;
        let local = reachable(listener.local_addr().map_err(bind)?);
        let base = config.public_url.unwrap_or_else(|| format!("http://{local}"));
        let (stopping, mut stop) = watch::channel(false);
        let core = Arc::new(Core {
            base,
            access_token_lifetime: config.access_token_lifetime,
            code_lifetime: config.code_lifetime,
            captcha: config.captcha,
            captcha_code: config.captcha_code,
            allows: config.allows,
            records: Mutex::new(records),
            faults: Mutex::new(faults),
            latency,
            counts: Mutex::default(),
            token_counts: Mutex::default(),
            connections: Default::default(),
            stopping,
        });
        let app = Router::new().fallback(service::serve).with_state(Arc::clone(&core));
        let lines = Lines::over(listener, Arc::clone(&core));
        let server = tokio::spawn(async move {
            let serve = axum::serve(lines, app.into_make_service_with_connect_info::<Line>());
            // The sender lives in the core, which the connections hold: an error means that all is over.
            let stopped = async move { stop.wait_for(|stop| *stop).await.map_or((), |_| ()) };
            // Accepting retries by itself, so this never fails.
            let _ = serve.with_graceful_shutdown(stopped).await;
        });
        Ok(Self { core, books_id, client_id, client_secret, local, server: Mutex::new(Some(server)) })
    }

    /// Where it listens, for a proxy before it. It speaks HTTP/1.1, and HTTP/2 with a client that begins with that
    /// (RFC 9113 section 3.3).
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The API home, `http://127.0.0.1:PORT` or what was configured, without a trailing slash.
    pub fn base_url(&self) -> &str {
        &self.core.base
    }

    /// Where a person's browser is sent to grant access. It stands for Foxy's separate login site.
    ///
    /// A person logs in there by email, chooses, and allows or denies. Two parameters beside those of RFC 6749 skip the
    /// pages. `sim_as` grants at once: as the user of that email, if there is one thing to grant, or the store of that
    /// domain, or the user or store of that `self` link. `sim_deny` sends the browser back with `access_denied`.
    pub fn authorize_url(&self) -> String {
        format!("{}/authorize", self.core.base)
    }

    /// The id and secret of the seeded client.
    pub fn client(&self) -> (&str, &str) {
        (&self.client_id, &self.client_secret)
    }

    /// A snapshot of what was really made and how often each route was called.
    pub fn books(&self) -> Books {
        let mut books = lock(&self.core.records).books(&self.core.base);
        books.requests.clone_from(&lock(&self.core.counts));
        books
    }

    /// Which books these are: drawn when they were begun, and kept in them. Links change from run to run, since the
    /// port does; what has the same path under the same books is the same thing.
    pub fn books_id(&self) -> &str {
        &self.books_id
    }

    /// Whether what is made here outlives the process: there is a books file, and no other process has it.
    pub fn books_are_saved(&self) -> bool {
        lock(&self.core.records).are_saved()
    }

    /// Requests received on a route, such as `POST /users` or `POST /token?grant_type=authorization_code`; faulty and
    /// refused ones count too.
    ///
    /// # Panics
    /// When no route has that name, since a misspelt one would count zero for ever.
    #[track_caller]
    pub fn requests(&self, route: &str) -> u64 {
        let pattern: RoutePattern = route.parse().unwrap_or_else(|error| panic!("{error}"));
        match (pattern.route(), pattern.grant_type()) {
            (None, _) => self.total_requests(),
            (Some(_), Some(grant_type)) => lock(&self.core.token_counts).get(&grant_type).copied().unwrap_or_default(),
            (Some(route), None) => lock(&self.core.counts).get(&route.name()).copied().unwrap_or_default(),
        }
    }

    /// All requests received, unknown paths included.
    pub fn total_requests(&self) -> u64 {
        lock(&self.core.counts).values().sum()
    }

    /// All connections accepted, also those that ended: with the requests, how well clients keep them.
    pub fn connections(&self) -> u64 {
        self.core.connections.load(Ordering::Relaxed)
    }

    /// What an access token opens now.
    pub fn access_token_is_valid(&self, token: &str) -> Option<Grant> {
        lock(&self.core.records).grants.access(token).ok().map(|grantee| self.grant(grantee))
    }

    /// Every access token given out so far, also those whose time is over. The books don't hold them, and a test may
    /// have to search for them.
    pub fn access_tokens(&self) -> Vec<String> {
        lock(&self.core.records).grants.access_tokens()
    }

    /// What a refresh token opens.
    pub fn refresh_token_opens(&self, token: &str) -> Option<Grant> {
        lock(&self.core.records).grants.refresh(token).map(|refresh| self.grant(&refresh.grantee))
    }

    /// Ends every access token given out so far, as if its lifetime were over.
    pub fn expire_access_tokens(&self) {
        lock(&self.core.records).grants.expire_access();
    }

    /// Follows another fault script from here on; an empty one ends all faults.
    pub fn set_faults(&self, script: FaultScript) {
        lock(&self.core.faults).replace(script);
    }

    /// Follows one fault rule more.
    pub fn add_fault(&self, rule: FaultRule) {
        lock(&self.core.faults).add(rule);
    }

    /// Ends the faults that were set for exactly this route, or for `*`.
    pub fn clear_faults(&self, route: RoutePattern) {
        lock(&self.core.faults).clear(route);
    }

    /// Changes how long answers take from here on.
    pub fn set_latency(&self, latency: Latency) {
        lock(&self.core.latency).0 = latency;
    }

    /// Stops: no new connection, waiting requests are dropped with their work undone, the books file is free.
    pub async fn shutdown(&self) {
        self.stop();
        let server = lock(&self.server).take();
        if let Some(mut server) = server
            && tokio::time::timeout(STOP_DEADLINE, &mut server).await.is_err()
        {
            server.abort();
        }
    }

    fn stop(&self) {
        self.core.stopping.send_replace(true);
        lock(&self.core.records).close();
    }

    fn grant(&self, grantee: &Grantee) -> Grant {
        let uri = format!("{}{}", self.core.base, grantee.resource.path());
        Grant { scope: grantee.scope().to_owned(), uri }
    }
}

impl fmt::Debug for Simulator {
    /// Leaves out the client's secret and everything with a token in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { core, books_id, client_id, .. } = self;
        f.debug_struct("Simulator")
            .field("base_url", &core.base)
            .field("books_id", books_id)
            .field("client_id", client_id)
            .finish_non_exhaustive()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Opens the books. Where another process has just made them, it is given time to write what they are called.
async fn open_books(path: &Path) -> Result<(Option<Journal>, Vec<Entry>), StartError> {
    let mut opened = Journal::open(path)?;
    let is_unnamed = |(journal, entries): &(Option<Journal>, Vec<Entry>)| {
        journal.is_none() && !entries.iter().any(|entry| matches!(entry, Entry::Books { .. }))
    };
    for _ in 0..NAMED_WITHIN.as_millis() / NAMED_PAUSE.as_millis() {
        if !is_unnamed(&opened) {
            break;
        }
        tokio::time::sleep(NAMED_PAUSE).await;
        opened = Journal::open(path)?;
    }
    Ok(opened)
}

/// The id of the books; those that have none are given one. Never from the seed: two books under one seed are two.
fn name_books(records: &mut Records, path: Option<&Path>) -> Result<String, StartError> {
    if let Some(id) = &records.books_id {
        return Ok(id.clone());
    }
    let path = path.unwrap_or(Path::new("")).to_owned();
    if !path.as_os_str().is_empty() && !records.are_saved() {
        return Err(StartError::NoBooksId { path });
    }
    let id = Dice::from_system().map_err(|error| StartError::Randomness(error.into()))?.id();
    records.commit(Entry::Books { id: id.clone() }).map_err(|source| StartError::Books { path, source })?;
    Ok(id)
}

/// Finds the configured client in the books, changes its secret and redirect URI to the configured ones, or
/// makes it.
fn seed_client(records: &mut Records, config: &Config) -> Result<(String, String), StartError> {
    let booked = match config.client_id.as_str() {
        "" => records.clients.values().next(),
        id => records.client_by_public_id(id),
    };
    let booked = booked.cloned();
    let mut client = match booked.clone() {
        Some(client) => client,
        None => {
            let or_random = |configured: &str, records: &mut Records| {
                if configured.is_empty() { records.draw_token() } else { configured.to_owned() }
            };
            let now = now_ms();
            Client {
                id: records.next_client(),
                client_id: or_random(&config.client_id, records),
                client_secret: or_random(&config.client_secret, records),
                refresh_token: records.draw_token(),
                properties: Map::from_iter([("project_name".to_owned(), Value::from("foxy-sim"))]),
                created_at_ms: now,
                modified_at_ms: now,
            }
        }
    };
    if !config.client_secret.is_empty() {
        client.client_secret.clone_from(&config.client_secret);
    }
    let redirect_uri = Value::from(config.redirect_uri.as_str());
    client.properties.insert("redirect_uri".to_owned(), redirect_uri);
    let named = (client.client_id.clone(), client.client_secret.clone());
    let unchanged = booked
        .is_some_and(|booked| booked.client_secret == client.client_secret && booked.properties == client.properties);
    if !unchanged {
        let path = config.books.clone().unwrap_or_default();
        records.commit(Entry::Client(client)).map_err(|source| StartError::Books { path, source })?;
    }
    Ok(named)
}

/// An address that a client can connect to: "all interfaces" is one to listen on only.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
