//! A client whose secret is changed while it works.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use foxden_vault::ClientSecret;
use foxy_api::{ApiOrigins, Foxy, Outcome, ReadError, SecretSource, Settings, SetupFault, TokenScope};
use foxy_sim::{Config, Simulator};
use tokio::task::JoinSet;

use crate::server::{client_of, far};

/// A source that a test writes to. What is announced is told once as changed; the rest is found by reading only.
#[derive(Debug, Default)]
struct Source {
    announced: Mutex<Option<String>>,
    content: Mutex<Option<String>>,
    content_from_the_third_read: Mutex<Option<String>>,
    reads: Mutex<usize>,
}

impl SecretSource for Source {
    fn changed(&self) -> Option<ClientSecret> {
        self.announced.lock().unwrap().take().map(ClientSecret::new)
    }

    fn read(&self) -> Option<ClientSecret> {
        let mut reads = self.reads.lock().unwrap();
        *reads += 1;
        if *reads == 3
            && let Some(content) = self.content_from_the_third_read.lock().unwrap().take()
        {
            *self.content.lock().unwrap() = Some(content);
        }
        self.content.lock().unwrap().clone().map(ClientSecret::new)
    }
}

struct Rotated {
    sim: Simulator,
    source: Arc<Source>,
    foxy: Foxy,
}

impl Rotated {
    /// A client that has worked with the first secret.
    async fn begin() -> Self {
        let sim = Simulator::start(Config::default()).await.unwrap();
        let (id, secret) = sim.client();
        client_of(sim.base_url(), id, secret, Duration::from_secs(20)).probe().await.unwrap();
        let settings = Settings {
            api: ApiOrigins::explicit(sim.base_url()).unwrap(),
            client_id: id.into(),
            client_secret: ClientSecret::new(secret),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(20),
            connection_idle: Duration::from_secs(3),
            rate: None,
            h_captcha_code: None,
            user_agent: "foxy-api-test/1".into(),
        };
        let source = Arc::new(Source::default());
        let foxy = Foxy::with_secret_source(settings, source.clone()).unwrap();
        foxy.probe().await.unwrap();
        Self { sim, source, foxy }
    }

    /// Another secret at Foxy; tokens made before are over.
    async fn change_at_foxy(&self, secret: &str) {
        let report = self.foxy.change_client_secret(&ClientSecret::new(secret), far()).await;
        assert!(matches!(report.outcome, Outcome::Done(())), "{report:?}");
        self.sim.expire_access_tokens();
    }

    /// How many requests to the token endpoint a probe takes.
    async fn probe(&self) -> (usize, Result<(), ReadError>) {
        let before = self.sim.requests("POST /token");
        let probed = self.foxy.probe().await;
        ((self.sim.requests("POST /token") - before) as usize, probed)
    }
}

#[tokio::test]
async fn a_secret_that_was_changed_is_asked_with_at_once() {
    let rotated = Rotated::begin().await;
    rotated.change_at_foxy("another").await;
    *rotated.source.announced.lock().unwrap() = Some("another".into());
    assert!(matches!(rotated.probe().await, (1, Ok(()))));
    rotated.sim.expire_access_tokens();
    assert!(matches!(rotated.probe().await, (1, Ok(()))), "it is the one in use now");
}

#[tokio::test]
async fn a_refused_secret_is_looked_for_where_it_stands() {
    let rotated = Rotated::begin().await;
    rotated.change_at_foxy("another").await;
    *rotated.source.content.lock().unwrap() = Some("wrong, too".into());
    let (asked, probed) = rotated.probe().await;
    assert!(matches!(probed, Err(ReadError::SetupFault(SetupFault::InvalidClient))), "{probed:?}");
    assert_eq!(asked, 2, "a secret that Foxy has refused is not sent again");
    *rotated.source.content.lock().unwrap() = Some("another".into());
    assert!(matches!(rotated.probe().await, (2, Ok(()))));
}

#[tokio::test]
async fn a_secret_that_foxy_has_before_its_source_does_is_waited_for() {
    let rotated = Rotated::begin().await;
    rotated.change_at_foxy("another").await;
    *rotated.source.content_from_the_third_read.lock().unwrap() = Some("another".into());
    assert!(matches!(rotated.probe().await, (2, Ok(()))));
    assert_eq!(*rotated.source.reads.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_wrong_secret_in_the_source_costs_a_request_and_not_the_working_one() {
    let rotated = Rotated::begin().await;
    rotated.sim.expire_access_tokens();
    for wrong in ["wrong", "", "wrong again"] {
        *rotated.source.announced.lock().unwrap() = Some(wrong.into());
        *rotated.source.content.lock().unwrap() = Some(wrong.into());
        assert!(matches!(rotated.probe().await, (2, Ok(()))), "{wrong:?}");
        rotated.sim.expire_access_tokens();
        assert!(matches!(rotated.probe().await, (1, Ok(()))), "{wrong:?}");
        rotated.sim.expire_access_tokens();
    }
    assert_eq!(*rotated.source.reads.lock().unwrap(), 0);
}

#[tokio::test]
async fn many_identities_that_need_a_token_at_once_all_find_the_new_secret() {
    let rotated = Rotated::begin().await;
    let user = match rotated.foxy.create_user(&crate::server::ann(), far()).await.outcome {
        Outcome::Done(user) => user.token.refresh,
        other => panic!("a user was expected: {other:?}"),
    };
    rotated.change_at_foxy("another").await;
    *rotated.source.content.lock().unwrap() = Some("another".into());
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let (foxy, user) = (rotated.foxy.clone(), user.clone());
        asked.spawn(async move { foxy.access_token(user, TokenScope::User).await.is_ok() });
    }
    assert!(asked.join_all().await.into_iter().all(|opened| opened));
}
