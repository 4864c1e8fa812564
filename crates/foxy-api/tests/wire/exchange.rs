//! Codes that a browser brings back: each is sent once, whatever becomes of it.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foxden_vault::{AuthorizationCode, ClientSecret};
use foxy_api::{
    BroughtCode, ClientSecrets, CodeRefusal, ExchangeError, Foxy, Granted, ReadError, SecretSource, SetupFault,
    TokenScope,
};
use foxy_sim::{Config, Simulator};
use reqwest::redirect::Policy;
use serde_json::json;

use crate::resources::{CALLBACK, done, integration, registrar};
use crate::server::{Call, EMAIL, Reply, SECRET, Server, client_of, far, settings_of, shop};
use crate::simulator::{client, user};

/// A code that a test's own server is sent.
const CODE: &str = "c0de-of-a-browser-7";

const EXCHANGE: &str = "POST /token?grant_type=authorization_code";

/// A simulator with a user and that user's store.
pub(crate) async fn shops() -> (Simulator, Foxy) {
    let sim = Simulator::start(Config { redirect_uri: CALLBACK.into(), ..Config::default() }).await.unwrap();
    let foxy = client(&sim);
    done(user(&foxy).await.session().create_store(&shop(), far()).await);
    (sim, foxy)
}

/// What a browser brings back once a person has granted this to this client.
pub(crate) async fn code_for(sim: &Simulator, client_id: &str, scope: &str, redirect_uri: Option<&str>) -> String {
    let mut grant = vec![("response_type", "code"), ("client_id", client_id), ("scope", scope), ("state", "s")];
    grant.push(("sim_as", EMAIL));
    grant.extend(redirect_uri.map(|uri| ("redirect_uri", uri)));
    let browser = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    let back = browser.get(sim.authorize_url()).query(&grant).send().await.unwrap();
    let back = reqwest::Url::parse(back.headers()["location"].to_str().unwrap()).unwrap();
    back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

pub(crate) fn brought<'a>(code: &str, client_id: &'a str, scope: TokenScope) -> BroughtCode<'a> {
    BroughtCode { code: AuthorizationCode::new(code), client_id, redirect_uri: None, scope }
}

/// An error in one word.
fn word(error: &ExchangeError) -> String {
    match error {
        ExchangeError::NotSent { source } => format!("not sent: {source}"),
        ExchangeError::Refused(refusal) => format!("refused: {refusal:?}"),
        ExchangeError::OtherGrant(fault) => format!("other grant: {fault:?}"),
        ExchangeError::InDoubt { .. } => "in doubt".into(),
    }
}

/// All that an error says, to people and to developers.
fn all_said(error: &ExchangeError) -> String {
    let mut said = format!("{error:?} {error:#?}");
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        write!(said, " {error} {error:?}").unwrap();
        next = error.source();
    }
    said
}

fn is_exchange(call: &Call) -> bool {
    call.line == "POST /token" && call.body.contains("authorization_code")
}

/// How a test's own server's exchange ends with this reply, sent once.
async fn ends(reply: impl Fn(&Call) -> Reply + Send + Sync + 'static, call_timeout: Duration) -> ExchangeError {
    let server = Server::foxy_but(move |call| is_exchange(call).then(|| reply(call))).await;
    let foxy = server.client_with(call_timeout);
    foxy.probe().await.unwrap();
    let error = foxy.exchange_code(brought(CODE, "client-1", TokenScope::Store)).await.unwrap_err();
    let sent: Vec<_> = server.all_calls().into_iter().filter(|call| call.body.contains(CODE)).collect();
    let [call] = &sent[..] else { panic!("it was sent {} times: {}", sent.len(), word(&error)) };
    assert_eq!(call.body, format!("grant_type=authorization_code&code={CODE}"));
    let others = server.all_calls().iter().filter(|other| other.connection == call.connection).count();
    assert_eq!(others, 1, "a connection that was kept may be closed by now");
    error
}

#[tokio::test]
async fn a_code_is_sent_once_however_the_exchange_ends() {
    let token = |member: &str, said: &str| {
        let mut token = json!({"access_token": "a", "refresh_token": "r", "token_type": "Bearer"});
        token[member] = said.into();
        Reply::json(200, &token)
    };
    let whole = || r#"{"access_token":"a","refresh_token":"r"}"#.to_owned();
    for (reply, expected) in [
        (Reply::oauth(400, "invalid_grant"), "refused: Code"),
        (Reply::oauth(401, "invalid_client"), "refused: SetupFault(InvalidClient)"),
        (Reply::oauth(400, "unauthorized_client"), "refused: SetupFault(InvalidClient)"),
        (Reply::oauth(400, "invalid_request"), "refused: SetupFault(GrantRefused)"),
        (Reply::oauth(400, "invalid_scope"), "refused: SetupFault(InsufficientScope)"),
        (Reply::status(401), "refused: SetupFault(InvalidClient)"),
        (Reply::html(403), "refused: SetupFault(Forbidden)"),
        (Reply::status(404), "refused: Status(404)"),
        (Reply::status(410), "refused: Status(410)"),
        (Reply::html(400), "refused: Status(400)"),
        (
            Reply::Send(429, vec![("retry-after", "7".into())], String::new()),
            "refused: RateLimited { retry_after: Some(7s) }",
        ),
        (token("scope", "user_full_access"), "other grant: OtherScope(Store)"),
        (token("scope", "store_full_accesses store_id_1"), "other grant: OtherScope(Store)"),
        (token("token_type", "mac"), "other grant: OtherTokenType"),
        (token("access_token", ""), "in doubt"),
        (token("refresh_token", ""), "in doubt"),
        (Reply::html(200), "in doubt"),
        (Reply::Cut(200, Vec::new(), "{".into()), "in doubt"),
        (Reply::Send(200, Vec::new(), " ".repeat(1024 * 1024 + 1)), "in doubt"),
        (Reply::Send(307, vec![("location", "/token".into())], whole()), "in doubt"),
        (Reply::status(408), "in doubt"),
        (Reply::status(409), "in doubt"),
        (Reply::html(502), "in doubt"),
        (Reply::Send(503, vec![("retry-after", "0".into())], whole()), "in doubt"),
        (Reply::HangUp, "in doubt"),
    ] {
        let (said, reply) = (format!("{reply:?}"), Mutex::new(Some(reply)));
        // A second sending would find the exchange working.
        let once = move |_: &Call| reply.lock().unwrap().take().unwrap_or_else(|| Reply::json(200, &json!({})));
        let error = ends(once, Duration::from_secs(20)).await;
        assert_eq!(word(&error), expected, "{said}");
    }
}

#[tokio::test]
async fn a_code_without_an_answer_in_time_is_in_doubt() {
    for reply in [Reply::Stall, Reply::Begin(200, r#"{"access_token":"a","#.into())] {
        let error = ends(move |_| reply.clone(), Duration::from_millis(700)).await;
        assert_eq!(word(&error), "in doubt");
    }
}

#[tokio::test]
async fn what_the_exchange_needs_first_costs_no_code() {
    for (reply, expected) in [
        (
            Reply::oauth(401, "invalid_client"),
            "not sent: Foxy refuses the client id or the client secret; compare them",
        ),
        (Reply::html(502), "not sent: Foxy is not available"),
        (Reply::status(429), "not sent: Foxy asks us to slow down"),
    ] {
        let server = Server::foxy_but(move |call| (call.line == "POST /token").then(|| reply.clone())).await;
        let error = server.client().exchange_code(brought(CODE, "client-1", TokenScope::User)).await.unwrap_err();
        assert!(word(&error).starts_with(expected), "{}", word(&error));
        assert!(server.all_calls().iter().all(|call| !call.body.contains(CODE)), "{expected}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_has_moved_is_found_before_the_code_is_sent() {
    let server = Server::foxy_but(|call| match (call.line.as_str(), call.nth) {
        ("GET /", 0) => {
            Some(Reply::json(200, &json!({"_links": {"fx:token": {"href": format!("{}/old", call.base)}}})))
        }
        ("POST /token", 1) => Some(Reply::json(200, &json!({"access_token": "a", "refresh_token": "r"}))),
        _ => None,
    })
    .await;
    let granted = server.client().exchange_code(brought(CODE, "client-1", TokenScope::User)).await.unwrap();
    assert_eq!((granted.access.expose(), granted.refresh.expose()), ("a", "r"));
    assert_eq!(server.calls("POST /token")[1].body, format!("grant_type=authorization_code&code={CODE}"));
    assert!(server.calls("POST /old").iter().all(|call| !call.body.contains(CODE)));
}

#[tokio::test]
async fn a_code_goes_to_no_token_endpoint_elsewhere() {
    let elsewhere = Server::foxy().await;
    let href = elsewhere.base().to_owned();
    let server = Server::foxy_but(move |call| {
        let links = json!({"fx:token": {"href": format!("{href}/token")}});
        (call.line == "GET /").then(|| Reply::json(200, &json!({ "_links": links })))
    })
    .await;
    let error = server.client().exchange_code(brought(CODE, "client-1", TokenScope::User)).await.unwrap_err();
    let foreign =
        matches!(error, ExchangeError::NotSent { source: ReadError::SetupFault(SetupFault::ForeignLink { .. }) });
    assert!(foreign, "{error:?}");
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn neither_code_nor_secret_is_in_what_an_error_says() {
    let echo = |call: &Call| {
        let said = format!("{} {}", call.body, call.header("authorization"));
        Reply::json(400, &json!({"error": said, "error_description": said, "message": said, "scope": said}))
    };
    let echoed_scope = |call: &Call| {
        Reply::json(200, &json!({"access_token": "a", "refresh_token": "r", "scope": format!("{} x", call.body)}))
    };
    let basic = "Y2xpZW50LTE6Y2xpZW50LXMzY3JldA==";
    for error in [
        ends(echo, Duration::from_secs(20)).await,
        ends(echoed_scope, Duration::from_secs(20)).await,
        ends(|_| Reply::HangUp, Duration::from_secs(20)).await,
    ] {
        let said = all_said(&error);
        for secret in [CODE, SECRET, basic] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
    // What was granted says its scope, which may repeat the code, too.
    let server = Server::foxy_but(|call| {
        let scope = format!("user_full_access {CODE}");
        is_exchange(call).then(|| Reply::json(200, &json!({"access_token": "a", "refresh_token": "r", "scope": scope})))
    })
    .await;
    let brought = brought(CODE, "client-1", TokenScope::User);
    assert!(!format!("{brought:?}").contains(CODE));
    let granted = server.client().exchange_code(brought).await.unwrap();
    assert_eq!(granted.scope, "user_full_access […]");
}

#[tokio::test]
async fn a_code_from_a_browser_opens_what_was_granted_once() {
    let (sim, foxy) = shops().await;
    let id = sim.client().0;
    let code = code_for(&sim, id, "user_full_access", None).await;
    let exchange = || foxy.exchange_code(brought(&code, id, TokenScope::User));
    let granted = exchange().await.unwrap();
    let read = foxy.user(granted.refresh).read().await.unwrap();
    assert_eq!(read.text("email"), Some(EMAIL));
    assert!(matches!(exchange().await, Err(ExchangeError::Refused(CodeRefusal::Code))));
}

#[tokio::test]
async fn where_the_browser_was_sent_is_named_where_it_was_named_before() {
    let (sim, foxy) = shops().await;
    let id = sim.client().0;
    for (asked, exchanged, fits) in [
        (None, None, true),
        (None, Some(CALLBACK), true),
        (Some(CALLBACK), Some(CALLBACK), true),
        (Some(CALLBACK), None, false),
        (Some(CALLBACK), Some("http://127.0.0.1:9/other"), false),
    ] {
        let code = code_for(&sim, id, "user_full_access", asked).await;
        let brought = BroughtCode { redirect_uri: exchanged, ..brought(&code, id, TokenScope::User) };
        let error = foxy.exchange_code(brought).await.map(drop).err();
        let expected = (!fits).then(|| "refused: Code".to_owned());
        assert_eq!(error.as_ref().map(word), expected, "{asked:?} {exchanged:?}");
    }
}

#[tokio::test]
async fn what_a_person_granted_is_taken_only_if_it_holds_what_was_asked_for() {
    let (sim, foxy) = shops().await;
    let id = sim.client().0;
    for (granted, held) in [
        ("store_full_access", true),
        ("store_full_access store_id_1", true),
        ("transaction_read store_full_access", true),
        ("transaction_read store_id_1", false),
        ("user_full_access", false),
    ] {
        let code = code_for(&sim, id, granted, None).await;
        match foxy.exchange_code(brought(&code, id, TokenScope::Store)).await {
            Ok(token) => {
                assert!(held, "{granted}");
                assert_eq!(token.scope, granted);
                foxy.store(token.refresh).read().await.unwrap();
            }
            Err(ExchangeError::OtherGrant(SetupFault::OtherScope(TokenScope::Store))) => assert!(!held, "{granted}"),
            Err(error) => panic!("{granted}: {error}"),
        }
    }
}

#[tokio::test]
async fn each_fault_of_foxys_leaves_a_refusal_or_a_doubt_and_one_request() {
    let (sim, foxy) = shops().await;
    let id = sim.client().0;
    for (fault, expected) in [
        ("oauth_error(invalid_grant)", "refused: Code"),
        ("oauth_error(invalid_client)", "refused: SetupFault(InvalidClient)"),
        ("scope(user_full_access)", "other grant: OtherScope(Store)"),
        ("status(500)", "in doubt"),
        ("status_after_work(500)", "in doubt"),
        ("reset_before_work", "in doubt"),
        ("reset_after_work", "in doubt"),
        ("refuse", "in doubt"),
        ("cut_body", "in doubt"),
        ("garbage", "in doubt"),
        ("redirect(307)", "in doubt"),
    ] {
        sim.set_faults(format!("{EXCHANGE}: {fault} first 1").parse().unwrap());
        let code = code_for(&sim, id, "store_full_access", None).await;
        let before = sim.requests(EXCHANGE);
        let error = foxy.exchange_code(brought(&code, id, TokenScope::Store)).await.unwrap_err();
        assert_eq!((word(&error).as_str(), sim.requests(EXCHANGE) - before), (expected, 1), "{fault}");
        assert!(!all_said(&error).contains(&code), "{fault}");
    }
}

/// The secrets of other clients, or what was announced as the secret of the own one.
#[derive(Debug)]
struct Secret(Option<&'static str>, Mutex<Option<String>>);

impl ClientSecrets for Secret {
    fn secret_of(&self, client_id: &str) -> Option<ClientSecret> {
        (Some(client_id) == self.0).then(|| ClientSecret::new(self.1.lock().unwrap().clone().unwrap()))
    }
}

impl SecretSource for Secret {
    fn changed(&self) -> Option<ClientSecret> {
        self.1.lock().unwrap().take().map(ClientSecret::new)
    }

    fn read(&self) -> Option<ClientSecret> {
        None
    }
}

#[tokio::test]
async fn a_code_of_another_client_is_exchanged_as_that_client_alone() {
    let (sim, _) = shops().await;
    let (own, secret) = sim.client();
    let made = done(registrar(sim.base_url()).create_client(&integration(Some("other")), far()).await);
    let settings = || settings_of(sim.base_url(), own, secret, Duration::from_secs(20));
    let knowing = |secret: &str| {
        let others = Arc::new(Secret(Some("other"), Mutex::new(Some(secret.to_owned()))));
        Foxy::with_other_clients(settings(), None, others).unwrap()
    };
    let exchange = async |foxy: Foxy| -> Result<Granted, ExchangeError> {
        let code = code_for(&sim, "other", "user_full_access", None).await;
        foxy.exchange_code(brought(&code, "other", TokenScope::User)).await
    };
    let granted = exchange(knowing(made.secret.expose())).await.unwrap();
    let other = client_of(sim.base_url(), "other", made.secret.expose(), Duration::from_secs(20));
    other.user(granted.refresh).read().await.unwrap();

    let unknown = "not sent: the token was given to the client other, whose secret is not among those of other clients";
    assert_eq!(word(&exchange(Foxy::try_new(settings()).unwrap()).await.unwrap_err()), unknown);
    let refused = "not sent: Foxy refuses the client other, to which the token was given, or its secret";
    assert_eq!(word(&exchange(knowing("wrong")).await.unwrap_err()), refused);
    sim.set_faults(format!("{EXCHANGE}: oauth_error(invalid_client)").parse().unwrap());
    let late = exchange(knowing(made.secret.expose())).await.unwrap_err();
    assert_eq!(word(&late), r#"refused: SetupFault(OtherClientRefused("other"))"#);
}

#[tokio::test]
async fn a_secret_that_was_changed_or_is_wrong_costs_no_code() {
    let (sim, own) = shops().await;
    let (id, secret) = sim.client();
    let announced = Arc::new(Secret(None, Mutex::default()));
    let settings = settings_of(sim.base_url(), id, secret, Duration::from_secs(20));
    let foxy = Foxy::with_secret_source(settings, announced.clone()).unwrap();
    done(own.change_client_secret(&ClientSecret::new("another"), far()).await);
    for (times, secret) in [(1, "another"), (2, "wrong")] {
        *announced.1.lock().unwrap() = Some(secret.to_owned());
        let code = code_for(&sim, id, "user_full_access", None).await;
        foxy.exchange_code(brought(&code, id, TokenScope::User)).await.unwrap();
        assert_eq!(sim.requests(EXCHANGE), times, "{secret}");
    }
}
