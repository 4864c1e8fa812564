//! Everything that reads what a server sent, at doors for fuzzing: whatever comes in, nothing panics, nothing grows beyond
//! what came, and no address comes out that was not checked.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use foxden_vault::{AuthorizationCode, RefreshToken};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::answer::{Answer, challenge_error};
use crate::body::{self, Body};
use crate::captcha::CaptchaSent;
use crate::client::Answered;
use crate::errors::Creating;
use crate::http::{Failure, Fate};
use crate::link::Links;
use crate::listing::Page;
use crate::oauth::Grant;
use crate::outcome::{self, Ending};
use crate::read::{self, Reading};
use crate::struck::Struck;
use crate::{ApiOrigins, Document, Methods, Outcome, ReadError, ResourceUri, TokenScope, reasons, retry_after};

const STATUSES: &[u16] =
    &[200, 201, 202, 204, 301, 307, 400, 401, 403, 404, 408, 409, 410, 418, 422, 429, 500, 502, 503, 504, 999];

const RELS: &[&str] = &["self", "next", "fx:token", "fx:create_user", "fx:stores", "fx:attributes"];

/// The first byte chooses status and shape, the rest is the body.
fn answer(input: &[u8]) -> Option<Answer> {
    let (choice, body) = input.split_first()?;
    let status = STATUSES[usize::from(*choice) % STATUSES.len()];
    let text = String::from_utf8_lossy(body);
    let body = match usize::from(*choice) / STATUSES.len() {
        11 => Body::Cut {
            read: body.to_vec().into(),
            cause: Arc::new(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
        },
        12 => Body::TooLarge,
        _ => Body::Whole(body.to_vec().into()),
    }
    .plain();
    if let Body::Whole(read) | Body::Cut { read, .. } = &body {
        assert!(read.len() <= body::LARGEST.max(input.len()), "a body has a cap");
    }
    let retry_after = retry_after::parse(&text, OffsetDateTime::UNIX_EPOCH);
    assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(3600)), "a wait has a cap");
    let location = Some(text.clone().into_owned());
    Some(Answer {
        status,
        retry_after,
        challenge: challenge_error(&text),
        allow: Some(Methods::parse(&text)),
        location,
        body,
        struck: Struck::default(),
    })
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn is_ours(uri: &ResourceUri, origins: &ApiOrigins) {
    assert!(origins.trust(uri.url()) && uri.as_str().len() <= 8192, "an address that was not checked");
}

/// HAL documents: what is created, read, listed.
pub fn documents(input: &[u8]) {
    let Some(answer) = answer(input) else { return };
    let origins = ApiOrigins::production();
    let exchange = Ok(answer);
    for creating in [Creating::User, Creating::Store, Creating::Other] {
        if let Ending::Final(Outcome::Done(created)) = outcome::judge(creating, CaptchaSent::Own, &exchange) {
            assert!(!created.token.refresh.expose().is_empty(), "a creation without a token is not done");
        }
    }
    if let Ending::Final(Outcome::Done(answered)) =
        outcome::judge_creation(Creating::Other, &exchange, |document| Answered::read(document, &origins))
    {
        assert!(answered.leads_to_a_secret(), "a client whose secret can't be had is not done");
    }
    drop(outcome::judge_change(&exchange));
    if let Some(resource) = outcome::evidence(&exchange, &origins).resource {
        is_ours(&resource, &origins);
    }
    let Ok(answer) = exchange else { return };
    if let Reading::Document(document) = read::judge(&answer) {
        if let Ok(read) = Document::of(document.clone(), &origins) {
            is_ours(&read.uri, &origins);
            assert!(!read.properties.contains_key("client_secret"), "a secret stands apart");
        }
        if let Ok(page) = Page::read(&document, &ResourceUri::home(&origins), &origins) {
            page.addresses().for_each(|uri| is_ours(uri, &origins));
        }
    }
}

/// The token endpoint's answers.
pub fn tokens(input: &[u8]) {
    let Some(answer) = answer(input) else { return };
    let code = Grant::Code { code: AuthorizationCode::new("code"), redirect_uri: None, scope: TokenScope::User };
    for grant in [Grant::Client, Grant::Refresh { token: RefreshToken::new("refresh"), scope: TokenScope::User }, code]
    {
        let since = Instant::from_std(Clock::now());
        match grant.read(&answer, since) {
            Ok((granted, bearer)) => {
                assert!(
                    granted.access.expose().bytes().all(|byte| byte.is_ascii_graphic()),
                    "a header could not carry it"
                );
                assert!(bearer.good_until <= since + Duration::from_secs(86_400), "a token's life has a cap");
            }
            Err(ReadError::Revoked) => assert!(!matches!(grant, Grant::Client), "a client has no refresh token"),
            Err(_) => {}
        }
    }
}

/// Foxy's own error bodies.
pub fn errors(input: &[u8]) {
    let refused = Answer::bare(400, Body::Whole(input.to_vec().into()));
    for error in reasons::of(&refused) {
        assert!(error.message().chars().count() <= 1000, "a message has a cap");

        for plain in [&error.logref, &error.code].into_iter().flatten() {
            assert!(plain.len() <= 100 && plain.is_ascii() && !plain.contains([' ', '@']), "a log would take it in");
        }
        let without = error.without_message();
        assert_eq!(format!("{error:?}"), format!("{without:?}"), "a message is personal");
    }
}

/// Links, as text by themselves and in documents.
pub fn links(input: &[u8]) {
    for origins in [ApiOrigins::production(), ApiOrigins::sandbox()] {
        if let Ok(uri) = ResourceUri::parse(&String::from_utf8_lossy(input), &origins) {
            is_ours(&uri, &origins);
        }
        let links = Links::of(&json(input));
        for rel in RELS {
            match links.uri(rel, &origins) {
                Ok(uri) => is_ours(&uri, &origins),
                Err(problem) => assert!(problem.to_string().len() < 300, "a log would take it in"),
            }
        }
    }
}

/// All of them, with a first byte as the first two take it.
pub fn everything(input: &[u8]) {
    documents(input);
    tokens(input);
    let body = input.get(1..).unwrap_or_default();
    errors(body);
    links(body);
    for fate in [Fate::TimedOut, Fate::ConnectionLost, Fate::KeptConnectionLost] {
        let lost = Err(Failure { fate, cause: None });
        assert!(matches!(outcome::judge(Creating::User, CaptchaSent::No, &lost), Ending::Final(Outcome::Unknown(_))));
    }
}

#[cfg(test)]
mod tests;
