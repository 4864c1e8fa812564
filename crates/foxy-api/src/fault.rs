//! Faults of the set-up, as opposed to faults of one signup; and how sources of errors are kept.

use std::error::Error;
use std::sync::Arc;

use crate::{LinkProblem, TokenScope};

/// Why something failed, kept as a value: an HTTP library's error without its URL, or one of our own.
///
/// Shared, since one failed token fetch may fail every call that waited for it. Neither `Display` nor `Debug` of it,
/// nor of its sources, holds an address, a token or a body.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// A fault of the set-up: of our OAuth client, of Foxy's settings for it, or of the API's own links.
///
/// Trying again is of no use, and so are other signups: pause, tell a person, keep everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupFault {
    /// The token endpoint knows no such client id and secret (RFC 6749 section 5.2: `invalid_client`,
    /// `unauthorized_client`).
    #[error("Foxy refuses the client id or the client secret; compare them with the OAuth client's own")]
    InvalidClient,
    /// The refresh token was given to another client than ours, whose secret we were not given.
    #[error("the token was given to the client {0}, whose secret is not among those of other clients")]
    OtherClientUnknown(String),
    /// The refresh token was given to another client than ours, which the token endpoint refuses.
    #[error("Foxy refuses the client {0}, to which the token was given, or its secret")]
    OtherClientRefused(String),
    /// The token endpoint refuses this kind of request for our client (RFC 6749 section 5.2: `invalid_request`,
    /// `unsupported_grant_type`, or `invalid_grant` where no grant was handed in).
    #[error("Foxy's token endpoint refuses the request as such")]
    GrantRefused,
    /// Status 403.
    #[error("Foxy forbids the call to this client")]
    Forbidden,
    /// The token's scope does not allow the call (RFC 6750 section 3.1: `insufficient_scope`; RFC 6749:
    /// `invalid_scope`).
    #[error("the token's scope does not allow the call; does the client have client_full_access?")]
    InsufficientScope,
    /// Foxy asks for an hCaptcha code, and none was sent (Foxy docs: rels/create_user).
    #[error("Foxy demands a captcha; ask Foxy to exempt this client from it")]
    CaptchaDemanded,
    /// Foxy refuses the code of [`Settings::h_captcha_code`](crate::Settings::h_captcha_code), which all creations share.
    #[error(
        "Foxy refuses the captcha code of the setting h_captcha_code; such a code serves test keys only. Ask Foxy to \
         exempt this client from the captcha"
    )]
    CaptchaRefused,
    /// A token fetched a moment ago was refused as invalid, twice.
    #[error("Foxy refuses access tokens that it has only just issued")]
    TokenRefused,
    /// The token endpoint answered a token of another scope than the one asked for. It was not used, and nothing that
    /// came with it was kept.
    #[error("Foxy's token endpoint was asked for {0} and answered a token of another scope, which was not used")]
    OtherScope(TokenScope),
    /// The token endpoint answered a token that is not of the type `bearer`. It was not used, and nothing that came
    /// with it was kept.
    #[error("Foxy's token endpoint answered a token that is no bearer token, which was not used")]
    OtherTokenType,
    /// A link leads away from the configured origins. Nothing was sent there.
    #[error("the {rel} link leads to {origin}, which is not the API; nothing was sent there")]
    ForeignLink {
        /// The link's relation.
        rel: &'static str,
        /// Scheme, host and port of where it leads.
        origin: String,
    },
    /// A document lacks a link that the token's scope should have brought.
    #[error("Foxy's answer has no usable {0} link; does the token have the right scope?")]
    MissingLink(&'static str),
}

impl From<LinkProblem> for SetupFault {
    fn from(problem: LinkProblem) -> Self {
        match problem {
            LinkProblem::Missing { rel } | LinkProblem::Malformed { rel } => Self::MissingLink(rel),
            LinkProblem::Foreign { rel, origin } => Self::ForeignLink { rel, origin },
        }
    }
}
