//! The table, row by row.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{NotSent, RejectionKind};

const WAIT: Duration = Duration::from_secs(7);
const TOKEN: &str = r#"{"token":{"access_token":"a","refresh_token":"r","expires_in":7200,"scope":"user_full_access"},
    "_links":{"self":{"href":"https://api.foxycart.com/users/1"}}}"#;
const HTML: &str = "<html><h1>502 Bad Gateway</h1></html>";

fn answer(status: u16, body: Body) -> Answer {
    Answer { retry_after: Some(WAIT), ..Answer::bare(status, body) }
}

fn whole(body: &str) -> Body {
    Body::Whole(body.as_bytes().to_vec().into())
}

fn cut() -> Body {
    cut_after("")
}

fn cut_after(read: &str) -> Body {
    let cause = Arc::new(io::Error::from(io::ErrorKind::UnexpectedEof));
    Body::Cut { read: read.as_bytes().to_vec().into(), cause }
}

fn fx(message: &str) -> String {
    format!(r#"{{"total":1,"_embedded":{{"fx:errors":[{{"logref":"id-1","message":"{message}"}}]}}}}"#)
}

/// The ending in one line, as the table has it.
fn ending(creating: Creating, exchange: &Result<Answer, Failure>) -> String {
    told(judge(creating, CaptchaSent::No, exchange))
}

fn told(ending: Ending<Created>) -> String {
    match ending {
        Ending::StaleToken => "stale token".into(),
        Ending::StaleLink => "stale link".into(),
        Ending::Final(Outcome::Done(created)) => format!("done {}", created.token.refresh.expose()),
        Ending::Final(Outcome::NoEffect(reason)) => format!("no effect {reason:?}"),
        Ending::Final(Outcome::Rejected(rejection)) => format!("rejected {:?} {}", rejection.kind, rejection.status),
        Ending::Final(Outcome::Unknown(doubt)) => format!("unknown {doubt:?}"),
        Ending::Final(Outcome::TokenLost(loss)) => format!("token lost {loss:?}"),
    }
}

#[test]
fn every_answer_to_a_create_has_one_meaning() {
    let rejected = |kind: RejectionKind, status: u16| format!("rejected {kind:?} {status}");
    let fault = |fault: SetupFault| format!("no effect SetupFault({fault:?})");
    let oauth = |code: &str| format!(r#"{{"error":"{code}","error_description":"…"}}"#);
    let table = [
        (201, whole(TOKEN), "done r".to_owned()),
        (201, whole(r#"{"token":{"refresh_token":"r"}}"#), "done r".into()),
        (201, whole(r#"{"message":"created"}"#), "token lost NoToken".into()),
        (201, whole(r#"{"token":{"access_token":"a"}}"#), "token lost NoToken".into()),
        (201, whole(""), "token lost BodyUnreadable".into()),
        (201, whole(HTML), "token lost BodyUnreadable".into()),
        (201, cut(), "token lost BodyCut".into()),
        (201, Body::TooLarge, "token lost BodyTooLarge".into()),
        (200, whole(TOKEN), "done r".into()),
        (202, whole(TOKEN), "done r".into()),
        (201, whole(&format!("\u{feff}{TOKEN}")), "done r".into()),
        (201, whole(&format!("{TOKEN}<!-- 12 ms -->")), "done r".into()),
        (201, cut_after(TOKEN), "done r".into()),
        (201, cut_after(&TOKEN[..TOKEN.len() / 2]), "token lost BodyCut".into()),
        (200, cut_after(&TOKEN[..TOKEN.len() / 2]), "unknown Status(200)".into()),
        (200, whole(r#"{"message":"created"}"#), "unknown Status(200)".into()),
        (200, Body::TooLarge, "unknown Status(200)".into()),
        (202, whole(""), "unknown Status(202)".into()),
        (204, whole(""), "unknown Status(204)".into()),
        (101, whole(""), "unknown Status(101)".into()),
        (301, whole(""), "unknown Redirected".into()),
        (303, whole(""), "unknown Redirected".into()),
        (307, whole(""), "unknown Redirected".into()),
        (400, whole(&fx("first_name is required")), rejected(RejectionKind::InvalidFields, 400)),
        (400, whole(&fx("email is already in use")), rejected(RejectionKind::EmailTaken, 400)),
        (400, whole(""), rejected(RejectionKind::Unread, 400)),
        (400, whole(HTML), rejected(RejectionKind::Unread, 400)),
        (400, whole("email is already in use"), rejected(RejectionKind::EmailTaken, 400)),
        (
            400,
            whole(r#"{"title":"Bad","detail":"first_name is required"}"#),
            rejected(RejectionKind::InvalidFields, 400),
        ),
        (400, Body::TooLarge, rejected(RejectionKind::Unread, 400)),
        (400, cut(), "no effect ReasonsLost { status: 400 }".into()),
        (400, whole(r#"{"message": "unter"#), "no effect ReasonsLost { status: 400 }".into()),
        (400, whole(&fx("Please complete the captcha")), fault(SetupFault::CaptchaDemanded)),
        (403, whole(&fx("h-captcha-code is required")), fault(SetupFault::CaptchaDemanded)),
        (400, whole(&oauth("invalid_client")), fault(SetupFault::InvalidClient)),
        (401, whole(&oauth("invalid_client")), fault(SetupFault::InvalidClient)),
        (401, whole(&oauth("invalid_token")), "stale token".into()),
        (400, whole(&oauth("invalid_token")), "stale token".into()),
        (401, whole(""), "stale token".into()),
        (401, cut(), "stale token".into()),
        (403, whole(""), fault(SetupFault::Forbidden)),
        (403, cut(), fault(SetupFault::Forbidden)),
        (403, whole(&oauth("insufficient_scope")), fault(SetupFault::InsufficientScope)),
        (401, whole(&oauth("insufficient_scope")), fault(SetupFault::InsufficientScope)),
        (404, whole(&fx("Not found")), "stale link".into()),
        (410, whole(""), "stale link".into()),
        (405, whole(""), rejected(RejectionKind::Unread, 405)),
        (415, whole(&fx("Unsupported media type")), rejected(RejectionKind::InvalidFields, 415)),
        (422, whole(""), rejected(RejectionKind::Unread, 422)),
        (408, whole(""), "unknown Status(408)".into()),
        (409, whole(&fx("email is already in use")), "unknown Status(409)".into()),
        (429, whole(&fx("Too many requests")), "no effect RateLimited { retry_after: Some(7s) }".into()),
        (429, cut(), "no effect RateLimited { retry_after: Some(7s) }".into()),
        (500, whole(&fx("Something broke")), "unknown Status(500)".into()),
        (502, whole(HTML), "unknown Status(502)".into()),
        (503, whole(HTML), "unknown Status(503)".into()),
        (504, cut(), "unknown Status(504)".into()),
        (599, whole(""), "unknown Status(599)".into()),
    ];
    for (status, body, expected) in table {
        let label = format!("{status} {body:?}");
        assert_eq!(ending(Creating::User, &Ok(answer(status, body))), expected, "{label}");
    }
}

#[test]
fn a_store_is_rejected_by_its_domain() {
    for (message, kind) in [
        ("store_domain is already in use", "DomainTaken"),
        ("store_domain is invalid because it has a reserved format", "DomainReserved"),
        ("store_name is required", "InvalidFields"),
    ] {
        let exchange = Ok(answer(400, whole(&fx(message))));
        assert_eq!(ending(Creating::Store, &exchange), format!("rejected {kind} 400"));
    }
}

#[test]
fn a_refused_captcha_is_the_fault_of_whoever_gave_the_code() {
    for (sent, expected) in [
        (CaptchaSent::No, "no effect SetupFault(CaptchaDemanded)"),
        (CaptchaSent::OfSettings, "no effect SetupFault(CaptchaRefused)"),
        (CaptchaSent::Own, "rejected CaptchaRefused"),
    ] {
        for (status, suffix) in [(400, " 400"), (403, " 403")] {
            let exchange = Ok(answer(status, whole(&fx("A valid hCaptcha code is required"))));
            let suffix = if sent == CaptchaSent::Own { suffix } else { "" };
            assert_eq!(told(judge(Creating::User, sent, &exchange)), format!("{expected}{suffix}"));
        }
        // What says nothing of a captcha means what it means without a code.
        for (status, body, expected) in [
            (400, fx("email is already in use"), "rejected EmailTaken 400"),
            (403, fx("no"), "no effect SetupFault(Forbidden)"),
            (401, fx("captcha"), "stale token"),
        ] {
            assert_eq!(told(judge(Creating::User, sent, &Ok(answer(status, whole(&body))))), expected);
        }
    }
}

#[test]
fn no_answer_is_no_effect_only_if_nothing_was_sent() {
    for (fate, expected) in [
        (Fate::NotSent(NotSent::NameNotResolved), "no effect NotSent(NameNotResolved)"),
        (Fate::NotSent(NotSent::ConnectionRefused), "no effect NotSent(ConnectionRefused)"),
        (Fate::NotSent(NotSent::Tls), "no effect NotSent(Tls)"),
        (Fate::NotSent(NotSent::ConnectTimedOut), "no effect NotSent(ConnectTimedOut)"),
        (Fate::NotSent(NotSent::DeadlinePassed), "no effect NotSent(DeadlinePassed)"),
        (Fate::TimedOut, "unknown TimedOut"),
        (Fate::ConnectionLost, "unknown ConnectionLost"),
    ] {
        assert_eq!(ending(Creating::User, &Err(Failure { fate, cause: None })), expected);
    }
}

#[test]
fn a_challenge_names_the_error_that_a_body_does_not() {
    let exchange = Ok(Answer { challenge: Some("insufficient_scope".into()), ..answer(401, whole("")) });
    assert_eq!(ending(Creating::User, &exchange), "no effect SetupFault(InsufficientScope)");
}

#[test]
fn evidence_has_status_reference_and_resource() {
    let origins = ApiOrigins::production();
    let refused = evidence(&Ok(answer(400, whole(&fx("email is already in use")))), &origins);
    assert_eq!((refused.http_status, refused.logref.as_deref()), (Some(400), Some("id-1")));
    let done = evidence(&Ok(answer(201, whole(TOKEN))), &origins);
    assert_eq!(done.resource.unwrap().as_str(), "https://api.foxycart.com/users/1");
}

#[test]
fn a_lost_answer_may_still_say_where_the_resource_is() {
    let origins = ApiOrigins::production();
    let located = |location: &str| {
        let exchange = Ok(Answer { location: Some(location.into()), ..answer(201, cut()) });
        evidence(&exchange, &origins).resource.map(|uri| uri.to_string())
    };
    assert_eq!(located("/users/9").as_deref(), Some("https://api.foxycart.com/users/9"));
    assert_eq!(located("https://evil.example/users/9"), None);
}
