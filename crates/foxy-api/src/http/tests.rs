//! What may be said of a create without an answer, tried against sockets that misbehave.

use std::io;
use std::pin::Pin;

use foxden_vault::ClientSecret;
use reqwest::dns::{Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ApiOrigins;

mod kept;

/// Long enough for a connection on a busy machine, short enough to be waited for.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

/// What the far end does with each connection.
type Deed = fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>>;

fn settings(origin: &str, connect_timeout: Duration, call_timeout: Duration) -> Settings {
    // A second installation of the same provider is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Settings {
        api: ApiOrigins::explicit(origin).unwrap(),
        client_id: "client".into(),
        client_secret: ClientSecret::new("secret"),
        h_captcha_code: None,
        connect_timeout,
        call_timeout,
        connection_idle: SHORT,
        rate: None,
        user_agent: "test".into(),
    }
}

fn common(https_only: bool) -> Common {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Common { user_agent: "test".into(), connect_timeout: LONG, https_only }
}

/// A create sent to `origin`. The rest is as in production, but for the timeouts.
async fn create(origin: &str, connect_timeout: Duration, call_timeout: Duration, left: Duration) -> Fate {
    let settings = settings(origin, connect_timeout, call_timeout);
    let uri = ResourceUri::home(&settings.api);
    let http = Http::try_new(&settings).unwrap();
    let token = AccessToken::new("t");
    let caller = Caller { token: Some(&token), captcha: None, known: &Struck::default() };
    let result = http.change((Verb::Post, &uri), caller, b"{}".to_vec().into(), Instant::now() + left, None).await;
    result.map(|answer| answer.status).unwrap_err().fate
}

/// A listener that does `deed` with every connection, and its address.
async fn far_end(deed: Deed) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(deed(stream));
        }
    });
    address
}

async fn read_some(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4096]).await;
}

#[tokio::test]
async fn a_refused_connection_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fate = create(&format!("http://{address}"), LONG, LONG, LONG).await;
    assert_eq!(fate, Fate::NotSent(NotSent::ConnectionRefused));
}

#[tokio::test]
async fn a_code_is_sent_only_where_a_connection_asks_for_it() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = deaf.local_addr().unwrap().to_string();
    drop(deaf);
    let mute = far_end(|mut stream| Box::pin(async move { read_some(&mut stream).await })).await;
    for (address, fate) in [(nobody, Fate::NotSent(NotSent::ConnectionRefused)), (mute, Fate::ConnectionLost)] {
        let settings = settings(&format!("http://{address}"), LONG, LONG);
        let code = foxden_vault::AuthorizationCode::new("c0de");
        let code = Grant::Code { code, redirect_uri: None, scope: crate::TokenScope::User };
        let (uri, secret) = (ResourceUri::home(&settings.api), ClientSecret::new("secret"));
        let exchange = Http::try_new(&settings).unwrap().exchange(&uri, &code, ("client", &secret)).await;
        assert_eq!(exchange.unwrap_err().fate, fate);
    }
}

/// A resolver that knows no name; a real one would make the test depend on the network.
struct KnowsNothing;

impl Resolve for KnowsNothing {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err(io::Error::other("no such name").into()) })
    }
}

#[tokio::test]
async fn a_name_that_is_not_resolved_sends_nothing() {
    let client = common(true).builder(tls().unwrap()).dns_resolver(KnowsNothing).build().unwrap();
    let failure = send(&client, client.post("https://foxy.example"), Struck::default(), &AtomicBool::new(false))
        .await
        .unwrap_err();
    assert_eq!(failure.fate, Fate::NotSent(NotSent::NameNotResolved));
}

#[tokio::test]
async fn a_failed_tls_handshake_sends_nothing() {
    let address = far_end(|mut stream| {
        Box::pin(async move {
            read_some(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        })
    });
    let fate = create(&format!("https://{}", address.await), LONG, LONG, LONG).await;
    assert_eq!(fate, Fate::NotSent(NotSent::Tls));
}

#[tokio::test]
async fn a_connection_lost_during_the_tls_handshake_sends_nothing() {
    let address = far_end(|mut stream| Box::pin(async move { read_some(&mut stream).await }));
    let fate = create(&format!("https://{}", address.await), LONG, LONG, LONG).await;
    assert_eq!(fate, Fate::NotSent(NotSent::ConnectFailed));
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_sends_nothing() {
    let silent: Deed = |stream| {
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
    };
    let origin = format!("https://{}", far_end(silent).await);
    assert_eq!(create(&origin, SHORT, LONG, LONG).await, Fate::NotSent(NotSent::ConnectTimedOut));
    // The deadline, and the call timeout, may end a call before its connect timeout does.
    assert_eq!(create(&origin, LONG, LONG, SHORT).await, Fate::NotSent(NotSent::DeadlinePassed));
    assert_eq!(create(&origin, LONG, SHORT, LONG).await, Fate::NotSent(NotSent::DeadlinePassed));
}

#[tokio::test]
async fn a_deadline_already_passed_connects_to_nobody() {
    let fate = create("http://127.0.0.1:1", LONG, LONG, Duration::ZERO).await;
    assert_eq!(fate, Fate::NotSent(NotSent::DeadlinePassed));
}

#[tokio::test]
async fn a_connection_lost_after_it_was_made_leaves_doubt() {
    let after_reading = far_end(|mut stream| Box::pin(async move { read_some(&mut stream).await })).await;
    let in_the_head = far_end(|mut stream| {
        Box::pin(async move {
            read_some(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 201 Cre").await;
        })
    });
    for address in [after_reading, in_the_head.await] {
        assert_eq!(create(&format!("http://{address}"), LONG, LONG, LONG).await, Fate::ConnectionLost);
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_leaves_doubt() {
    let address = far_end(|mut stream| {
        Box::pin(async move {
            read_some(&mut stream).await;
            let _ = stream.write_all(b"+OK dovecot ready\r\n\r\n").await;
            std::future::pending::<()>().await;
        })
    });
    assert_eq!(create(&format!("http://{}", address.await), LONG, LONG, LONG).await, Fate::ConnectionLost);
}

#[tokio::test]
async fn silence_after_sending_leaves_doubt() {
    let address = far_end(|mut stream| {
        Box::pin(async move {
            read_some(&mut stream).await;
            std::future::pending::<()>().await;
        })
    });
    let origin = format!("http://{}", address.await);
    assert_eq!(create(&origin, LONG, SHORT, LONG).await, Fate::TimedOut);
    assert_eq!(create(&origin, LONG, LONG, SHORT).await, Fate::TimedOut);
}
