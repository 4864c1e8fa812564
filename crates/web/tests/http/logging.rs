//! What the log says of all this, and what it never says.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex, atomic::Ordering},
};

use foxden_web::StateHash;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry,
};

use crate::{fake::TICKET, site::Site};

/// Everything that is said, of every level and by every library.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
        self.0.lock().unwrap().push('\n');
    }

    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        span.record(&mut self.clone());
    }
}

#[tokio::test]
async fn the_log_has_neither_ticket_nor_state_nor_code_nor_cookie_nor_query() {
    let log = Log::default();
    // The tests' runtime has this thread alone, so all of it is heard here.
    let _heard = tracing::subscriber::set_default(registry().with(log.clone()));
    let site = Site::new().await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    browser.get(&format!("/grant/{TICKET}")).await;
    browser.come_back(&format!("code=c0de-m4rked&state={state}&error_uri=qu3ry")).await;
    browser.come_back(&format!("code=c0de-m4rked&state={}&x=qu3ry", "A".repeat(43))).await;
    browser.send("POST", &format!("/grant/{TICKET}"), "", "").await;
    site.fake.is_away.store(true, Ordering::Relaxed);
    browser.get(&format!("/grant/{TICKET}")).await;
    site.stop().await.unwrap();
    let log = log.0.lock().unwrap().clone();
    for said in [
        r#"event="web.started""#,
        r#"event="web.answered" method=GET route="/grant/{ticket}" status=200 "#,
        r#"event="web.answered" method=GET route="/callback" status=303"#,
        r#"event="web.refused" reason="unknown" times=1"#,
        r#"event="web.refused" reason="cross-site" times=1"#,
        r#"event="web.unavailable" times=1 error="grants can't be asked now: the database is away""#,
        r#"event="web.stopped""#,
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
    let cookie = browser.cookie.unwrap();
    let hash = format!("{:?}", StateHash::of(&state).unwrap().as_bytes());
    for secret in [TICKET, &state, &hash, "m4rked", cookie.split_once('=').unwrap().1, "qu3ry", "203.0.113.7"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}
