//! What may be logged: paths and statuses, at any level; never a secret, a query, or a person's data.

use std::fmt;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use foxy_api::{CaptchaCode, NewUser, Outcome, TokenScope};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::exchange::brought;
use crate::server::{EMAIL, Reply, SECRET, Server, ann, far, shop};

/// Every event and span of every library, at every level, with every field.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Log {
    fn line(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.0.lock().unwrap();
        write!(text, "{} {}", metadata.level(), metadata.target()).unwrap();
        record(&mut Line(&mut text));
        text.push('\n');
    }
}

impl Visit for Line<'_> {
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &value);
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.line(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        self.line(event.metadata(), |line| event.record(line));
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn nothing_secret_or_personal_is_logged_even_at_trace() {
    let log = Log::default();
    // For the whole program: with one for this thread alone, an event that another test's thread meets first would be
    // switched off for all. What the other tests log is then checked too.
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let server = Server::foxy_but(|call| match (call.line.as_str(), call.nth) {
        ("POST /users", 0) => Some(Reply::error(400, &format!("email {EMAIL} is already in use"))),
        ("POST /users", 1) => Some(Reply::HangUp),
        ("POST /token", _) if call.body.contains("c0de-lost") => Some(Reply::HangUp),
        _ => None,
    })
    .await;
    let foxy = server.client();
    let said = {
        let ann = NewUser { captcha: CaptchaCode::parse("captcha-s0lved").ok(), ..ann() };
        let rejected = foxy.create_user(&ann, far()).await;
        let unknown = foxy.create_user(&ann, far()).await;
        let Outcome::Done(user) = foxy.create_user(&ann, far()).await.outcome else { panic!("no user") };
        let store = user.session().create_store(&shop(), far()).await;
        let listed = user.session().find_store("anns-shop").await;
        let exists = foxy.email_exists(EMAIL).await;
        let exchange = |code| foxy.exchange_code(brought(code, "client-1", TokenScope::User));
        let (granted, lost) = (exchange("c0de-granted").await, exchange("c0de-lost").await);
        let created = format!("{rejected:?} {unknown:?} {user:?} {store:?}");
        format!("{foxy:?} {:?} {created} {listed:?} {exists:?} {granted:?} {lost:?}", user.session())
    };
    let logged = log.0.lock().unwrap().clone();

    assert!(logged.contains("Foxy answered") && logged.contains("path=\"/users\""), "{logged}");
    assert!(logged.contains("no answer from Foxy"), "{logged}");
    let tokens = ["client-access", "user-access", "user-refresh", "store-refresh"];
    let personal = [EMAIL, "ann.lee", "Lee", "55401"];
    let requests = [SECRET, "c0de-", "captcha-s0lved", "Y2xpZW50LTE6", "email="];
    for secret in [&tokens[..], &personal, &requests].concat() {
        for (name, text) in [("log", &logged), ("values", &said)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} in the {name}: {}", line.unwrap_or_default());
        }
    }
}
