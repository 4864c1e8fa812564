//! A scripted HTTP server: plays a well-behaved Foxy, except where a test says otherwise, and remembers all it was
//! asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foxden_vault::{ClientSecret, RefreshToken};
use foxy_api::{ApiOrigins, CaptchaCode, Foxy, NewStore, NewUser, Rate, Settings, UserSession};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The planted values that must show up nowhere.
pub(crate) const SECRET: &str = "client-s3cret";
pub(crate) const EMAIL: &str = "ann.lee+7@example.com";

/// What a test has the server do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status with headers and a body.
    Send(u16, Vec<(&'static str, String)>, String),
    /// The same, but the connection ends before all of the body has been sent.
    Cut(u16, Vec<(&'static str, String)>, String),
    /// A status and the beginning of a body; the rest does not come, and the connection stays open.
    Begin(u16, String),
    /// The connection ends without an answer.
    HangUp,
    /// No answer, and the connection stays open.
    Stall,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Send(status, Vec::new(), String::new())
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Send(status, Vec::new(), body.to_string())
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::Send(status, Vec::new(), "<html><h1>Bad Gateway</h1></html>".into())
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"_embedded": {"fx:errors": [{"logref": "id-9", "message": message}]}}))
    }

    pub(crate) fn oauth(status: u16, code: &str) -> Self {
        Self::json(status, &json!({"error": code, "error_description": "The access token provided has expired"}))
    }
}

/// A request, as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Method and path, such as `POST /users`.
    pub(crate) line: String,
    /// How many requests with this line came before.
    pub(crate) nth: usize,
    pub(crate) query: String,
    pub(crate) body: String,
    /// The number of the connection it came on.
    pub(crate) connection: usize,
    /// Where the server is.
    pub(crate) base: String,
    headers: HashMap<String, String>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    connections: usize,
    open: usize,
}

pub(crate) struct Server {
    base: String,
    seen: Arc<Mutex<Seen>>,
    accepting: AbortHandle,
}

impl Server {
    /// Foxy as it should be.
    pub(crate) async fn foxy() -> Self {
        Self::foxy_but(|_| None).await
    }

    /// Foxy as it should be, except where `exception` has an answer of its own.
    pub(crate) async fn foxy_but(exception: impl Fn(&Call) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let serve = accept(listener, base.clone(), Arc::clone(&seen), Arc::new(exception));
        Self { base, seen, accepting: tokio::spawn(serve).abort_handle() }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// All requests with this line, such as `POST /users`.
    pub(crate) fn calls(&self, line: &str) -> Vec<Call> {
        self.seen.lock().unwrap().calls.iter().filter(|call| call.line == line).cloned().collect()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.calls(line).len()
    }

    pub(crate) fn total(&self) -> usize {
        self.seen.lock().unwrap().calls.len()
    }

    pub(crate) fn all_calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().calls.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Waits until so many connections are left.
    pub(crate) async fn open_connections_are(&self, open: usize) {
        while self.seen.lock().unwrap().open != open {
            tokio::task::yield_now().await;
        }
    }

    /// Nothing listens any more.
    pub(crate) async fn stop(&self) {
        self.accepting.abort();
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Foxy {
        self.client_with(Duration::from_secs(20))
    }

    pub(crate) fn client_with(&self, call_timeout: Duration) -> Foxy {
        client_of(&self.base, "client-1", SECRET, call_timeout)
    }

    /// A client that keeps to a rate.
    pub(crate) fn client_at(&self, rate: Option<Rate>) -> Foxy {
        let settings = settings_of(&self.base, "client-1", SECRET, Duration::from_secs(20));
        Foxy::try_new(Settings { rate, ..settings }).unwrap()
    }

    /// A client whose creations share a captcha code.
    pub(crate) fn client_with_captcha(&self, code: &str) -> Foxy {
        let settings = settings_of(&self.base, "client-1", SECRET, Duration::from_secs(20));
        Foxy::try_new(Settings { h_captcha_code: CaptchaCode::parse(code).ok(), ..settings }).unwrap()
    }

    /// A session of a user whose refresh token was kept.
    pub(crate) fn session(&self) -> UserSession {
        self.client().user(RefreshToken::new("user-refresh"))
    }
}

pub(crate) fn client_of(base: &str, id: &str, secret: &str, call_timeout: Duration) -> Foxy {
    Foxy::try_new(settings_of(base, id, secret, call_timeout)).unwrap()
}

/// What such a client is made of.
pub(crate) fn settings_of(base: &str, id: &str, secret: &str, call_timeout: Duration) -> Settings {
    // A second installation of the same provider is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Settings {
        api: ApiOrigins::explicit(base).unwrap(),
        client_id: id.into(),
        client_secret: ClientSecret::new(secret),
        h_captcha_code: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout,
        connection_idle: Duration::from_secs(3),
        rate: None,
        user_agent: "foxy-api-test/1".into(),
    }
}

/// A deadline that no test should see.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

pub(crate) fn ann() -> NewUser {
    NewUser {
        first_name: "Ann".into(),
        last_name: "Lee".into(),
        email: EMAIL.into(),
        phone: None,
        extra: Map::new(),
        captcha: None,
    }
}

pub(crate) fn shop() -> NewStore {
    NewStore {
        name: "Ann's shop".into(),
        domain: "anns-shop".into(),
        url: "https://anns.example".into(),
        email: EMAIL.into(),
        country: "US".into(),
        region: "MN".into(),
        postal_code: "55401".into(),
        extra: Map::new(),
        captcha: None,
    }
}

async fn accept(
    listener: TcpListener,
    base: String,
    seen: Arc<Mutex<Seen>>,
    exception: Arc<impl Fn(&Call) -> Option<Reply> + Send + Sync + 'static>,
) {
    // Dropped with this future, which ends every connection.
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = {
            let mut seen = seen.lock().unwrap();
            seen.connections += 1;
            seen.open += 1;
            seen.connections
        };
        let (base, seen, exception) = (base.clone(), Arc::clone(&seen), Arc::clone(&exception));
        tasks.spawn(async move {
            let mut stream = BufStream::new(stream);
            while let Some(mut call) = read_call(&mut stream, &base, connection).await {
                {
                    let mut seen = seen.lock().unwrap();
                    call.nth = seen.calls.iter().filter(|earlier| earlier.line == call.line).count();
                    seen.calls.push(call.clone());
                }
                let reply = exception(&call).unwrap_or_else(|| foxy(&call));
                if !answer(&mut stream, reply).await {
                    break;
                }
            }
            seen.lock().unwrap().open -= 1;
        });
    }
}

async fn read_call(stream: &mut BufStream<TcpStream>, base: &str, connection: usize) -> Option<Call> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Call {
        line: format!("{method} {path}"),
        nth: 0,
        query: query.to_owned(),
        body: String::from_utf8(body).unwrap(),
        connection,
        base: base.to_owned(),
        headers,
    })
}

/// Sends a reply; whether the connection is still of use.
async fn answer(stream: &mut BufStream<TcpStream>, reply: Reply) -> bool {
    let (whole, status, headers, body) = match reply {
        Reply::Send(status, headers, body) => (true, status, headers, body),
        Reply::Cut(status, headers, body) => (false, status, headers, body),
        Reply::Begin(status, body) => {
            let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n\r\n", body.len() + 100);
            let sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
            assert!(sent.is_ok() && stream.flush().await.is_ok());
            std::future::pending().await
        }
        Reply::HangUp => return false,
        Reply::Stall => std::future::pending().await,
    };
    let length = if whole { body.len() } else { body.len() + 100 };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {length}\r\n{headers}\r\n");
    let sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
    sent.is_ok() && stream.flush().await.is_ok() && whole
}

fn foxy(call: &Call) -> Reply {
    let base = &call.base;
    let link = |path: &str| json!({"href": format!("{base}{path}")});
    let token = |whose: &str, scope: &str, nth: usize| {
        json!({
            "access_token": format!("{whose}-access-{nth}"), "refresh_token": format!("{whose}-refresh"),
            "expires_in": 7200, "token_type": "Bearer", "scope": scope,
        })
    };
    let bearer = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let mut links = json!({"self": link("/"), "fx:token": link("/token"), "fx:reporting": link("/reporting")});
    match call.line.as_str() {
        "GET /" => {
            if bearer.starts_with("client-") {
                links["fx:create_user"] = link("/users");
            } else if bearer.starts_with("user-") {
                links["fx:stores"] = link("/users/1/stores");
            }
            Reply::json(200, &json!({"_links": links}))
        }
        "POST /token" if call.body.contains("client_credentials") => {
            Reply::json(200, &token("client", "client_full_access", call.nth))
        }
        "POST /token" if call.body.contains("store-refresh") => {
            Reply::json(200, &token("store", "store_full_access", call.nth))
        }
        "POST /token" => Reply::json(200, &token("user", "user_full_access", call.nth)),
        "GET /reporting" => Reply::json(
            200,
            &json!({"_links": {
                "fx:reporting_email_exists": link("/reporting/email_exists"),
                "fx:reporting_store_domain_exists": link("/reporting/store_domain_exists"),
            }}),
        ),
        "GET /reporting/email_exists" => Reply::error(404, "This user was not found"),
        "GET /reporting/store_domain_exists" => Reply::error(404, "This store was not found."),
        "POST /users" => Reply::json(
            201,
            &json!({
                "message": "User created", "token": token("user", "user_full_access", 100 + call.nth),
                "_links": {"self": link("/users/1"), "fx:stores": link("/users/1/stores")},
            }),
        ),
        "POST /users/1/stores" => Reply::json(
            201,
            &json!({
                "message": "Store created", "token": token("store", "store_full_access", call.nth),
                "_links": {"self": link("/stores/1")},
            }),
        ),
        "GET /users/1/stores" => {
            Reply::json(200, &json!({"total_items": 0, "_embedded": {"fx:stores": []}, "_links": {}}))
        }
        _ => Reply::error(404, "No such page"),
    }
}
