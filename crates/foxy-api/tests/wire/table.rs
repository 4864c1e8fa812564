//! What the end of a create call means, row by row, for users and for stores: the table in `docs/ARCHITECTURE.md`.
//!
//! Nearly all of it is played by the simulator and its fault script, so that what is said of a call is held against what
//! was really made. Three rows can't be: a client that has never reached Foxy must fetch links and a token first, and it
//! is that fetching which a name, a port or TLS stops. That such a failure stops the create itself as well is shown
//! beside the HTTP clients. The client has no circuit breaker; its row is in the saga's tests of outages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foxden_vault::{ClientSecret, RefreshToken};
use foxy_api::{ApiOrigins, CreatedUser, Foxy, NewUser, Outcome, Settings, UserSession};
use foxy_sim::{Config, Simulator};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::creates::word;
use crate::server::{Reply, Server, ann, client_of, far, shop};

/// Long enough for a call on a busy machine, short enough to be waited for.
const SHORT: Duration = Duration::from_secs(1);

/// Which create call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Create {
    User,
    Store,
}

/// How the call comes to its end.
#[derive(Debug, Clone, Copy)]
enum SetUp {
    /// The host's name is nobody's.
    NameUnknown,
    /// Foxy has answered before, and nothing listens there now.
    PortClosed,
    /// What listens there speaks no TLS.
    NoTls,
    /// What listens there takes connections and says nothing.
    Mute,
    /// The caller's time is over.
    DeadlinePassed,
    /// The client secret is wrong.
    WrongSecret,
    /// The token's scope does not cover the call. The simulator checks that, but its links lead nobody there.
    NarrowScope,
    /// The same was made before.
    Taken,
    /// The domain is of a form that Foxy keeps for itself.
    Reserved,
    /// One field is not what Foxy takes.
    Invalid,
    /// The simulator does this to the create call.
    Fault(&'static str),
    /// The same, and the caller's time ends while the call is under way.
    Outlasted(&'static str),
}

use SetUp::{
    DeadlinePassed, Fault, Invalid, Mute, NameUnknown, NarrowScope, NoTls, Outlasted, PortClosed, Reserved, Taken,
    WrongSecret,
};

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    said: String,
    /// How many create requests reached Foxy.
    calls: u64,
    /// How many users or stores are there because of them.
    made: usize,
}

impl Create {
    const fn line(self) -> &'static str {
        match self {
            Self::User => "POST /users",
            Self::Store => "POST /stores",
        }
    }

    fn made(self, sim: &Simulator) -> usize {
        match self {
            Self::User => sim.books().users.len(),
            Self::Store => sim.books().stores.len(),
        }
    }

    /// Makes the call, as the client's or as its user's, and says what it came to.
    async fn send(self, (foxy, session): (&Foxy, &UserSession), set_up: SetUp, deadline: Instant) -> String {
        let (mut user, mut store) = (ann(), shop());
        match set_up {
            Invalid => (user.last_name, store.country) = (String::new(), "Utopia".into()),
            Reserved => store.domain = "www".into(),
            _ => {}
        }
        match self {
            Self::User => said(&foxy.create_user(&user, deadline).await.outcome, |user| user.uri.is_ok()),
            Self::Store => said(&session.create_store(&store, deadline).await.outcome, |store| store.uri.is_ok()),
        }
    }
}

fn said<T>(outcome: &Outcome<T>, is_trusted: impl Fn(&T) -> bool) -> String {
    match outcome {
        Outcome::Done(created) if !is_trusted(created) => "done, link not trusted".into(),
        outcome => word(outcome),
    }
}

/// One row at one call. Some work is done late: as much as the row expects is waited for before it is counted.
async fn play(create: Create, set_up: SetUp, made: usize) -> Seen {
    match set_up {
        NameUnknown => nobody("https://foxy.invalid", create).await,
        NoTls => stranger(create, |heard| heard > 0).await,
        Mute => stranger(create, |_| false).await,
        NarrowScope => narrow(create).await,
        _ => simulated(create, set_up, made).await,
    }
}

async fn simulated(create: Create, set_up: SetUp, made: usize) -> Seen {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let (id, secret) = sim.client();
    let foxy = client_of(sim.base_url(), id, secret, Duration::from_secs(20));
    let maker = maker(&foxy).await;
    let (mut caller, mut session) = (foxy.clone(), maker.session());
    let mut deadline = far();
    match set_up {
        Fault(fault) => sim.set_faults(format!("{}: {fault}", create.line()).parse().unwrap()),
        Outlasted(fault) => {
            sim.set_faults(format!("{}: {fault}", create.line()).parse().unwrap());
            deadline = Instant::now() + SHORT;
        }
        DeadlinePassed => deadline = Instant::now(),
        PortClosed => sim.shutdown().await,
        Taken => assert_eq!(create.send((&foxy, &session), set_up, far()).await, "done"),
        WrongSecret => {
            caller = client_of(sim.base_url(), id, "wrong", Duration::from_secs(20));
            session = caller.user(maker.token.refresh.clone());
        }
        _ => {}
    }
    let (calls, before) = (sim.requests(create.line()), create.made(&sim));
    let said = create.send((&caller, &session), set_up, deadline).await;
    let all_made = async {
        while create.made(&sim) < before + made {
            tokio::task::yield_now().await;
        }
    };
    // What is not there by then is missed below.
    drop(tokio::time::timeout(Duration::from_secs(20), all_made).await);
    Seen { said, calls: sim.requests(create.line()) - calls, made: create.made(&sim) - before }
}

/// A user beside the one that rows are about, for stores to be made under. Links and tokens are known from here on.
async fn maker(foxy: &Foxy) -> CreatedUser {
    let user = NewUser { email: "maker@example.com".into(), ..ann() };
    match foxy.create_user(&user, far()).await.outcome {
        Outcome::Done(user) => user,
        other => panic!("a user was expected: {other:?}"),
    }
}

/// A client that has never reached Foxy, at an address where there is none.
async fn nobody(origin: &str, create: Create) -> Seen {
    // The provider is installed with it.
    drop(client_of("http://127.0.0.1:1", "client", "secret", SHORT));
    let foxy = Foxy::try_new(Settings {
        api: ApiOrigins::explicit(origin).unwrap(),
        client_id: "client".into(),
        client_secret: ClientSecret::new("secret"),
        h_captcha_code: None,
        connect_timeout: SHORT,
        call_timeout: Duration::from_secs(20),
        connection_idle: Duration::from_secs(3),
        rate: None,
        user_agent: "foxy-api-test/1".into(),
    })
    .unwrap();
    let session = foxy.user(RefreshToken::new("kept"));
    Seen { said: create.send((&foxy, &session), NameUnknown, far()).await, calls: 0, made: 0 }
}

/// The same where somebody listens who is no Foxy, and ends a connection once it has `heard` enough bytes on it.
/// Whatever is not TLS counts as a request.
async fn stranger(create: Create, enough: fn(usize) -> bool) -> Seen {
    const TLS_HANDSHAKE: u8 = 22;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let in_the_clear = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&in_the_clear);
    let listening = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let (mut bytes, mut heard) = ([0; 4096], 0);
                while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                    counter.fetch_add(u64::from(heard == 0 && bytes[0] != TLS_HANDSHAKE), Ordering::Relaxed);
                    heard += read;
                    if enough(heard) {
                        break;
                    }
                }
            });
        }
    });
    let seen = nobody(&origin, create).await;
    listening.abort();
    Seen { calls: in_the_clear.load(Ordering::Relaxed), ..seen }
}

/// A Foxy that finds the scope of every token too narrow for the create.
async fn narrow(create: Create) -> Seen {
    let line = match create {
        Create::User => "POST /users",
        Create::Store => "POST /users/1/stores",
    };
    let server =
        Server::foxy_but(move |call| (call.line == line).then(|| Reply::oauth(403, "insufficient_scope"))).await;
    let said = create.send((&server.client(), &server.session()), NarrowScope, far()).await;
    Seen { said, calls: server.count(line) as u64, made: 0 }
}

#[tokio::test]
async fn every_end_of_a_create_call_means_what_the_table_says() {
    // How it ends, what is said of it, how many requests reach Foxy, how many users or stores they make.
    let both = [
        // It never left.
        (NameUnknown, "no effect Unavailable { retry_after: None }", 0, 0),
        (PortClosed, "no effect NotSent(ConnectionRefused)", 0, 0),
        (NoTls, "no effect Unavailable { retry_after: None }", 0, 0),
        (Mute, "no effect Unavailable { retry_after: None }", 0, 0),
        (DeadlinePassed, "no effect NotSent(DeadlinePassed)", 0, 0),
        // 401 `invalid_token`: a fresh token once, and no more than once.
        (Fault("invalid_token first 1"), "done", 2, 1),
        (Fault("invalid_token"), "no effect SetupFault(TokenRefused)", 2, 0),
        // 429.
        (Fault("rate_limited(2)"), "no effect RateLimited { retry_after: Some(2s) }", 1, 0),
        (Fault("rate_limited"), "no effect RateLimited { retry_after: None }", 1, 0),
        // The set-up.
        (WrongSecret, "no effect SetupFault(InvalidClient)", 0, 0),
        (Fault("forbidden"), "no effect SetupFault(Forbidden)", 1, 0),
        (NarrowScope, "no effect SetupFault(InsufficientScope)", 1, 0),
        (Fault("captcha"), "no effect SetupFault(CaptchaDemanded)", 1, 0),
        // 404 and 410 on a cached link: discovered again once, and no more than once.
        (Fault("status(404) first 1"), "done", 2, 1),
        (Fault("status(410) first 1"), "done", 2, 1),
        (Fault("status(404)"), "no effect LinksChanged", 2, 0),
        (Fault("status(410)"), "no effect LinksChanged", 2, 0),
        // 400 with `fx:errors`; what is taken or reserved is below.
        (Invalid, "rejected InvalidFields 400", 1, 0),
        // Other 4xx but 408, 409.
        (Fault("status(405)"), "rejected InvalidFields 405", 1, 0),
        (Fault("status(422)"), "rejected InvalidFields 422", 1, 0),
        // Sent, and no answer that says yes or no: whether it had its effect or not.
        (Outlasted("stall_before_work(60s)"), "unknown TimedOut", 1, 0),
        (Outlasted("stall_after_work(60s)"), "unknown TimedOut", 1, 1),
        // The maker's call has left its connection.
        (Fault("refuse"), "unknown KeptConnectionLost", 1, 0),
        (Fault("reset_before_work"), "unknown KeptConnectionLost", 1, 0),
        (Fault("reset_after_work"), "unknown KeptConnectionLost", 1, 1),
        (Fault("late_work(1ms)"), "unknown KeptConnectionLost", 1, 1),
        (Fault("request_timeout"), "unknown Status(408)", 1, 0),
        (Fault("conflict"), "unknown Status(409)", 1, 0),
        (Fault("redirect(301)"), "unknown Redirected", 1, 0),
        (Fault("redirect(307)"), "unknown Redirected", 1, 0),
        (Fault("status(500)"), "unknown Status(500)", 1, 0),
        (Fault("status_after_work(500)"), "unknown Status(500)", 1, 1),
        (Fault("gateway_html(502)"), "unknown Status(502)", 1, 0),
        (Fault("gateway_html_after_work(504)"), "unknown Status(504)", 1, 1),
        (Fault("status_after_work(202)"), "unknown Status(202)", 1, 1),
        // 201 without a token that can be read.
        (Fault("cut_body"), "token lost BodyCut", 1, 1),
        (Fault("garbage"), "token lost BodyUnreadable", 1, 1),
        (Fault("no_token"), "token lost NoToken", 1, 1),
        // A success with a token, whichever success and however wrapped.
        (Fault("stall_after_work(1ms)"), "done", 1, 1),
        (Fault("success(200)"), "done", 1, 1),
        (Fault("success(202)"), "done", 1, 1),
        (Fault("bom"), "done", 1, 1),
        (Fault("gzip"), "done", 1, 1),
        (Fault("foreign_link"), "done, link not trusted", 1, 1),
        (Fault("no_self_link"), "done, link not trusted", 1, 1),
    ];
    let rejected = [
        (Create::User, Taken, "rejected EmailTaken 400"),
        (Create::Store, Taken, "rejected DomainTaken 400"),
        (Create::Store, Reserved, "rejected DomainReserved 400"),
    ];
    for (set_up, said, calls, made) in both {
        let (user, store) = tokio::join!(play(Create::User, set_up, made), play(Create::Store, set_up, made));
        for (create, seen) in [("user", user), ("store", store)] {
            assert_eq!(seen, Seen { said: said.into(), calls, made }, "{create} {set_up:?}");
        }
    }
    for (create, set_up, said) in rejected {
        let seen = play(create, set_up, 0).await;
        assert_eq!(seen, Seen { said: said.into(), calls: 1, made: 0 }, "{create:?} {set_up:?}");
    }
}
