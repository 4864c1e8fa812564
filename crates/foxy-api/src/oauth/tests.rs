//! What is sent to the token endpoint, and what its answers mean.

use serde_json::json;

use super::*;

const TOKEN: &str = r#"{"access_token":"a1","expires_in":7200,"token_type":"Bearer","scope":"s user_full_access","refresh_token":"r1"}"#;

fn answer(status: u16, body: &str) -> Answer {
    Answer::bare(status, Body::Whole(body.as_bytes().to_vec().into()))
}

fn refresh() -> Grant {
    Grant::Refresh { token: RefreshToken::new("r0+&"), scope: TokenScope::User }
}

#[test]
fn the_forms_are_those_of_the_rfc() {
    assert_eq!(Grant::Client.form().as_str(), "grant_type=client_credentials&scope=client_full_access");
    assert_eq!(refresh().form().as_str(), "grant_type=refresh_token&refresh_token=r0%2B%26");
}

#[test]
fn a_token_answer_is_read_whole() {
    let since = Instant::now();
    let (granted, bearer) = refresh().read(&answer(200, TOKEN), since).unwrap();
    assert_eq!(
        (granted.access.expose(), granted.refresh.expose(), granted.scope.as_str()),
        ("a1", "r1", "s user_full_access")
    );
    assert_eq!(granted.expires_in, Duration::from_secs(7200));
    assert_eq!(bearer.good_until, since + Duration::from_secs(7140));
}

#[test]
fn a_refresh_that_names_no_new_refresh_token_keeps_the_old_one() {
    let (granted, _) = refresh().read(&answer(200, r#"{"access_token":"a1"}"#), Instant::now()).unwrap();
    assert_eq!(granted.refresh.expose(), "r0+&");
    assert_eq!(granted.expires_in, USUAL_LIFETIME);
}

#[test]
fn a_clients_answer_is_read_with_or_without_a_refresh_token_and_none_is_kept() {
    for refresh in ["", r#","refresh_token":"r1""#] {
        let body = format!(r#"{{"access_token":"a1","scope":"client_full_access"{refresh}}}"#);
        let (granted, _) = Grant::Client.read(&answer(200, &body), Instant::now()).unwrap();
        assert_eq!((granted.access.expose(), granted.refresh.expose()), ("a1", ""), "{body}");
    }
}

#[test]
fn a_token_is_read_under_every_success_and_in_every_wrapping() {
    let read = |status, body: &str| refresh().read(&answer(status, body), Instant::now()).unwrap().0;
    assert_eq!(read(201, TOKEN).access.expose(), "a1");
    assert_eq!(read(203, &format!("\u{feff}{TOKEN}\n\n")).access.expose(), "a1");
}

#[test]
fn a_short_lived_token_is_used_for_half_its_life_at_least() {
    let since = Instant::now();
    let bearer = Bearer::new(AccessToken::new("a"), since, Duration::from_secs(10));
    assert_eq!(bearer.good_until, since + Duration::from_secs(5));
}

#[test]
fn every_token_error_has_one_meaning() {
    let word = |error: ReadError| match error {
        ReadError::SetupFault(fault) => format!("{fault:?}"),
        ReadError::RateLimited { .. } => "rate limited".into(),
        ReadError::Unavailable { .. } => "unavailable".into(),
        ReadError::Revoked => "revoked".into(),
        ReadError::NotKept { source } => format!("not kept: {source}"),
        ReadError::HeldBack { wait } => format!("held back {wait:?}"),
        ReadError::Unreadable { source } => format!("unreadable: {source}"),
    };
    for (status, body, of_user, of_client) in [
        (400, r#"{"error":"invalid_grant"}"#, "revoked", "GrantRefused"),
        (401, r#"{"error":"invalid_grant"}"#, "revoked", "InvalidClient"),
        (400, r#"{"error":"invalid_client"}"#, "InvalidClient", "InvalidClient"),
        (401, r#"{"error":"invalid_client"}"#, "InvalidClient", "InvalidClient"),
        (401, "", "InvalidClient", "InvalidClient"),
        (400, r#"{"error":"unauthorized_client"}"#, "InvalidClient", "InvalidClient"),
        (400, r#"{"error":"invalid_scope"}"#, "InsufficientScope", "InsufficientScope"),
        (400, r#"{"error":"invalid_request"}"#, "GrantRefused", "GrantRefused"),
        (400, "", "unreadable: Foxy answered with status 400", "unreadable: Foxy answered with status 400"),
        (403, "", "Forbidden", "Forbidden"),
        (307, "", "unreadable: Foxy answered with status 307", "unreadable: Foxy answered with status 307"),
        (429, "", "rate limited", "rate limited"),
        (502, "<html>", "unavailable", "unavailable"),
        (200, r#"{"access_token":"a","token_type":"mac"}"#, "OtherTokenType", "OtherTokenType"),
        (200, r#"{"access_token":"a","token_type":7}"#, "OtherTokenType", "OtherTokenType"),
        (
            200,
            r#"{"access_token":"a","token_type":"BEARER","scope":"store_full_access","refresh_token":"r"}"#,
            "OtherScope(User)",
            "OtherScope(Client)",
        ),
        (
            200,
            "<html>",
            "unreadable: the answer's body is not a JSON object",
            "unreadable: the answer's body is not a JSON object",
        ),
        (
            200,
            "{}",
            "unreadable: the answer has no usable access_token",
            "unreadable: the answer has no usable access_token",
        ),
        (
            200,
            r#"{"access_token":"a\r\nX: y"}"#,
            "unreadable: the answer has no usable access_token",
            "unreadable: the answer has no usable access_token",
        ),
    ] {
        let read = |grant: Grant| word(grant.read(&answer(status, body), Instant::now()).unwrap_err());
        assert_eq!((read(refresh()).as_str(), read(Grant::Client).as_str()), (of_user, of_client), "{status} {body}");
    }
}

#[test]
fn a_creation_without_an_access_token_still_grants_its_refresh_token() {
    let granted = Granted::of_creation(&json!({"token": {"refresh_token": "r", "access_token": 7}})).unwrap();
    assert_eq!((granted.refresh.expose(), granted.access.expose(), granted.expires_in), ("r", "", Duration::ZERO));
    assert!(!granted.bearer(Instant::now(), TokenScope::User).is_good());
}

#[test]
fn a_creation_s_access_token_of_another_type_or_scope_is_not_used_and_its_refresh_token_is_kept() {
    let granted = |member: &str, said: &str| {
        let mut token = json!({"refresh_token": "r", "access_token": "a", "scope": "user_full_access"});
        token[member] = said.into();
        let granted = Granted::of_creation(&json!({ "token": token })).unwrap();
        assert_eq!(granted.refresh.expose(), "r");
        granted.bearer(Instant::now(), TokenScope::User).is_good()
    };
    assert!(granted("token_type", "bearer"));
    assert!(!granted("token_type", "mac"));
    assert!(!granted("scope", "store_full_access"));
}

#[test]
fn a_creation_without_a_refresh_token_grants_nothing() {
    for body in [json!({}), json!({"token": null}), json!({"token": {"access_token": "a", "refresh_token": ""}})] {
        assert!(Granted::of_creation(&body).is_none(), "{body}");
    }
}

#[test]
fn debug_shows_no_token() {
    let (granted, bearer) = refresh().read(&answer(200, TOKEN), Instant::now()).unwrap();
    let text = format!("{granted:?} {bearer:?} {:?}", refresh());
    assert!(!text.contains("a1") && !text.contains("r1") && !text.contains("r0"), "{text}");
}
