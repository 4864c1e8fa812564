//! OAuth 2.0 as Foxy speaks it: token answers and token errors (RFC 6749 section 5, RFC 6750 section 3).

use std::time::Duration;

use foxden_vault::{AccessToken, AuthorizationCode, RefreshToken};
use serde_json::Value;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::answer::{Answer, OddAnswer};
use crate::body::Body;
use crate::read::{ReadError, refusal};
use crate::struck::Struck;
use crate::{Cause, SetupFault, TokenScope};

/// Access tokens are replaced this long before they expire, so that none expires between our check and Foxy's.
const MARGIN: Duration = Duration::from_secs(60);

/// How long an access token lives when its answer does not say (Foxy docs: refreshing tokens).
const USUAL_LIFETIME: Duration = Duration::from_secs(7200);

/// What Foxy granted: the two tokens, and what they open.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Opens the scope for `expires_in`. Empty, and expired at once, if the answer to a creation left it out: the
    /// refresh token that came without it is still worth keeping.
    pub access: AccessToken,
    /// Makes access tokens for ten years. It does not change when used (Foxy docs: refreshing tokens); should it
    /// change nevertheless, [`HeldToken`](crate::HeldToken) sees to it that the new one is kept.
    pub refresh: RefreshToken,
    /// As the answer says, such as `user_full_access`; empty if it did not say.
    pub scope: String,
    /// The access token's life from when it was answered.
    pub expires_in: Duration,
}

/// An access token with the moment from which we ask for another.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    /// The token.
    pub(crate) access: AccessToken,
    /// A while before it expires.
    pub(crate) good_until: Instant,
}

/// The error codes that tell us apart what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OAuthError {
    /// `invalid_token`: expired, revoked or unknown.
    InvalidToken,
    /// `insufficient_scope`.
    InsufficientScope,
    /// `invalid_client`, `unauthorized_client`.
    InvalidClient,
    /// `invalid_grant`.
    InvalidGrant,
    /// `invalid_scope`.
    InvalidScope,
    /// `invalid_request`, `unsupported_grant_type`, or a code of Foxy's own.
    Other,
}

/// What a token is asked for with.
#[derive(Debug, Clone)]
pub(crate) enum Grant {
    /// The client itself (`client_credentials`, scope `client_full_access`).
    Client,
    /// Whoever granted this refresh token.
    Refresh {
        /// The token.
        token: RefreshToken,
        /// What it is to open.
        scope: TokenScope,
    },
    /// A person, in a browser (`authorization_code`).
    Code {
        /// Opens what was granted, once.
        code: AuthorizationCode,
        /// Where the browser was sent back to with it, if the request for authorization named it.
        redirect_uri: Option<String>,
        /// What the person was asked for.
        scope: TokenScope,
    },
}

/// The token fields that an answer has, each of them optional.
struct TokenFields {
    access: Option<AccessToken>,
    refresh: Option<RefreshToken>,
    scope: String,
    is_bearer: bool,
    lifetime: Duration,
}

impl Granted {
    /// The `token` of an answer to a creation (Foxy docs: rels/create_user, rels/stores). The refresh token is what matters; without it
    /// the grant is lost, without anything else it is not.
    pub(crate) fn of_creation(body: &Value) -> Option<Self> {
        Self::of_fields(body.get("token")?)
    }

    /// From an object that has the token's fields among others, in the answer to a creation.
    pub(crate) fn of_fields(token: &Value) -> Option<Self> {
        let fields = TokenFields::of(token);
        // It comes once, so the refresh token is kept whatever the answer says of its scope: using it will show.
        let access = fields.access.filter(|_| fields.is_bearer);
        let expires_in = if access.is_some() { fields.lifetime } else { Duration::ZERO };
        let access = access.unwrap_or_else(|| AccessToken::new(""));
        Some(Self { access, refresh: fields.refresh?, scope: fields.scope, expires_in })
    }

    /// The access token, asked for at `since`; of no use where it is said to have another scope.
    pub(crate) fn bearer(&self, since: Instant, scope: TokenScope) -> Bearer {
        let lifetime = if scope.is_in(&self.scope) { self.expires_in } else { Duration::ZERO };
        Bearer::new(self.access.clone(), since, lifetime)
    }
}

impl Bearer {
    fn new(access: AccessToken, since: Instant, lifetime: Duration) -> Self {
        Self { access, good_until: since + lifetime - MARGIN.min(lifetime / 2) }
    }

    /// Whether it may still be used.
    pub(crate) fn is_good(&self) -> bool {
        Instant::now() < self.good_until
    }
}

impl OAuthError {
    /// The error that a body or a challenge names. Should they differ, the body wins: it is what Foxy documents.
    pub(crate) fn of(body: &Value, challenge: Option<&str>) -> Option<Self> {
        let code = body.get("error").and_then(Value::as_str).or(challenge)?;
        Some(match code {
            "invalid_token" => Self::InvalidToken,
            "insufficient_scope" => Self::InsufficientScope,
            "invalid_client" | "unauthorized_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "invalid_scope" => Self::InvalidScope,
            _ => Self::Other,
        })
    }
}

impl Grant {
    /// The form to send to the token endpoint.
    pub(crate) fn form(&self) -> Zeroizing<String> {
        // With room enough not to grow, which would leave a copy behind. A byte is sent as three at most.
        let longest = match self {
            Self::Client => 0,
            Self::Refresh { token, .. } => token.expose().len(),
            Self::Code { code, redirect_uri, .. } => code.expose().len() + redirect_uri.as_ref().map_or(0, String::len),
        };
        let mut whole = Zeroizing::new(String::with_capacity(128 + 3 * longest));
        let mut form = url::form_urlencoded::Serializer::new(&mut *whole);
        match self {
            Self::Client => {
                form.append_pair("grant_type", "client_credentials").append_pair("scope", TokenScope::Client.as_str())
            }
            Self::Refresh { token, .. } => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose())
            }
            Self::Code { code, redirect_uri, .. } => {
                form.append_pair("grant_type", "authorization_code").append_pair("code", code.expose());
                match redirect_uri {
                    Some(uri) => form.append_pair("redirect_uri", uri),
                    // The official SDK for JavaScript sends none.
                    None => &mut form,
                }
            }
        };
        form.finish();
        whole
    }

    /// What no answer to its holder may bring into an error.
    pub(crate) fn struck(&self) -> Struck {
        match self {
            Self::Client => Struck::default(),
            Self::Refresh { token, .. } => Struck::default().refresh(token),
            Self::Code { code, .. } => Struck::default().code(code),
        }
    }

    /// Reads a token endpoint's answer to this grant, which was asked for at `since`.
    pub(crate) fn read(&self, answer: &Answer, since: Instant) -> Result<(Granted, Bearer), ReadError> {
        if !answer.is_success() {
            return Err(self.refused(answer));
        }
        let document = answer.body.first_object().ok_or_else(|| match &answer.body {
            Body::Cut { cause, .. } => ReadError::Unavailable { retry_after: None, source: Cause::clone(cause) },
            Body::Whole(_) => ReadError::odd(OddAnswer::NotJson),
            Body::TooLarge => ReadError::odd(OddAnswer::TooLarge),
        })?;
        let mut fields = TokenFields::of(&document);
        let access = fields.access.ok_or_else(|| ReadError::odd(OddAnswer::Lacks("access_token")))?;
        if !fields.is_bearer {
            return Err(SetupFault::OtherTokenType.into());
        }
        if !self.scope().is_in(&fields.scope) {
            return Err(SetupFault::OtherScope(self.scope()).into());
        }
        answer.struck.strike(&mut fields.scope);
        let refresh = match (fields.refresh, self) {
            // Id and secret make others (RFC 6749 section 4.4.3). One may come (official foxyclient-php: README).
            (_, Self::Client) => RefreshToken::new(""),
            (Some(refresh), _) => refresh,
            // Left out, the old one stays valid (RFC 6749 section 6).
            (None, Self::Refresh { token, .. }) => token.clone(),
            (None, Self::Code { .. }) => return Err(ReadError::odd(OddAnswer::Lacks("refresh_token"))),
        };
        let bearer = Bearer::new(access.clone(), since, fields.lifetime);
        Ok((Granted { access, refresh, scope: fields.scope, expires_in: fields.lifetime }, bearer))
    }

    /// What was asked for.
    const fn scope(&self) -> TokenScope {
        match self {
            Self::Client => TokenScope::Client,
            Self::Refresh { scope, .. } | Self::Code { scope, .. } => *scope,
        }
    }

    fn refused(&self, answer: &Answer) -> ReadError {
        let error = OAuthError::of(&answer.body.json().unwrap_or_default(), answer.challenge.as_deref());
        match (answer.status, error, self) {
            (400 | 401, Some(OAuthError::InvalidGrant), Self::Refresh { .. } | Self::Code { .. }) => ReadError::Revoked,
            (400 | 401, Some(OAuthError::InvalidClient), _) | (401, _, _) => SetupFault::InvalidClient.into(),
            (400 | 403, Some(OAuthError::InvalidScope | OAuthError::InsufficientScope), _) => {
                SetupFault::InsufficientScope.into()
            }
            (400, Some(_), _) => SetupFault::GrantRefused.into(),
            (403, _, _) => SetupFault::Forbidden.into(),
            _ => refusal(answer),
        }
    }
}

impl TokenFields {
    /// Reads by hand: a deserializer's error would quote the value it did not expect, and here that is a token.
    fn of(body: &Value) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Anything but visible ASCII could not be sent in a header; RFC 6750 section 2.1 allows fewer characters still.
        let header_safe = |token: &&str| token.bytes().all(|byte| byte.is_ascii_graphic());
        let seconds = body.get("expires_in").and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        // A life beyond a day would be a mistake, and would keep a dead token in use.
        let lifetime = seconds.map_or(USUAL_LIFETIME, Duration::from_secs).min(Duration::from_secs(86_400));
        Self {
            access: text("access_token").filter(header_safe).map(AccessToken::new),
            // One with a character that could not be read would open nothing, and hide that it is lost.
            refresh: text("refresh_token").filter(|token| !token.contains('\u{fffd}')).map(RefreshToken::new),
            scope: text("scope").unwrap_or_default().to_owned(),
            // RFC 6749 section 7.1: a client must not use a token whose type it does not understand. Required, but who
            // leaves it out means the usual one.
            is_bearer: body.get("token_type").is_none_or(|said| said.as_str().is_some_and(is_bearer)),
            lifetime,
        }
    }
}

/// The type is compared without regard to case (RFC 6749 section 7.1).
fn is_bearer(said: &str) -> bool {
    said.eq_ignore_ascii_case("bearer")
}

#[cfg(test)]
mod tests;
