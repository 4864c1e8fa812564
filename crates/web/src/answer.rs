//! What a browser brings to the redirect URI.

use foxden_vault::AuthorizationCode;
use url::form_urlencoded;

use crate::{
    grants::{Answer, OAuthError},
    secret::State,
};

/// RFC 6749 sets no limit. Codes of servers in use have some hundred bytes.
const LONGEST_CODE: usize = 2048;

/// Reads `state` with either `code` or `error`, each once (RFC 6749 section 3.1). Other parameters are ignored, as
/// section 4.1.2 wants it; so is `error_description`, which anyone could have written.
pub(crate) fn read_answer(query: &str) -> Option<(State, Answer)> {
    let (mut state, mut code, mut error) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "state" => &mut state,
            "code" => &mut code,
            "error" => &mut error,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    let answer = match (code, error) {
        (Some(code), None) if is_code(&code) => Answer::Code(AuthorizationCode::new(code)),
        (None, Some(error)) => Answer::Error(error_named(&error)),
        _ => return None,
    };
    Some((State::parse(&state?)?, answer))
}

/// Visible characters and spaces (RFC 6749 appendix A.11).
fn is_code(code: &str) -> bool {
    (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

fn error_named(error: &str) -> OAuthError {
    match error {
        "access_denied" => OAuthError::AccessDenied,
        "invalid_request" => OAuthError::InvalidRequest,
        "unauthorized_client" => OAuthError::UnauthorizedClient,
        "unsupported_response_type" => OAuthError::UnsupportedResponseType,
        "invalid_scope" => OAuthError::InvalidScope,
        "server_error" => OAuthError::ServerError,
        "temporarily_unavailable" => OAuthError::TemporarilyUnavailable,
        _ => OAuthError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> String {
        "s".repeat(43)
    }

    fn read(rest: &str) -> Option<Answer> {
        read_answer(&format!("state={}&{rest}", state())).map(|(_, answer)| answer)
    }

    #[test]
    fn a_code_or_an_error_is_read() {
        assert!(matches!(read("code=a%2Bb&iss=x").unwrap(), Answer::Code(code) if code.expose() == "a+b"));
        let denied = read("error=access_denied&error_description=%3Cscript%3E").unwrap();
        assert!(matches!(denied, Answer::Error(OAuthError::AccessDenied)));
        assert!(matches!(read("error=%0d%0aSet-Cookie:x").unwrap(), Answer::Error(OAuthError::Other)));
    }

    #[test]
    fn what_is_malformed_or_said_twice_is_no_answer() {
        let long = format!("code={}", "c".repeat(2049));
        for rest in
            ["", "code=", "code=a&code=b", "code=a&error=b", "code=a%00", "code=%C3%A9", &long, "code=a&state=x"]
        {
            assert!(read(rest).is_none(), "{rest}");
        }
        assert!(read_answer("code=a").is_none());
        assert!(read_answer(&format!("code=a&state={}", "s".repeat(44))).is_none());
    }
}
