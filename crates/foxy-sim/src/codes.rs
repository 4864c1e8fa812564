//! Authorization codes. They live in memory only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::grants::Grantee;

/// Every code that was given out.
#[derive(Default)]
pub(crate) struct Codes(HashMap<String, Code>);

struct Code {
    grantee: Grantee,
    sent_to: SentTo,
    expires_at: Instant,
    outcome: Use,
}

/// What became of a code.
enum Use {
    /// Nothing yet.
    Unused,
    /// It was refused.
    Refused,
    /// It was exchanged for this refresh token.
    Exchanged(String),
}

/// Why a code is refused.
pub(crate) enum Refusal {
    /// Unknown, refused before, too old, another client's, or exchanged with another redirect URI.
    Unusable,
    /// The same client has exchanged it for this refresh token.
    Replayed(String),
}

/// Where the browser took a code.
pub(crate) struct SentTo {
    pub(crate) redirect_uri: String,
    /// Whether the request named it, or left it to what the client registered.
    pub(crate) was_named: bool,
}

impl SentTo {
    /// RFC 6749 section 4.1.3: what the authorization request named must be named again. The official SDK names
    /// nothing in either.
    fn fits(&self, given: Option<&str>) -> bool {
        given.map_or(!self.was_named, |given| given == self.redirect_uri)
    }
}

impl Codes {
    /// Gives out a code.
    pub(crate) fn open(&mut self, dice: &mut Dice, grantee: Grantee, sent_to: SentTo, lifetime: Duration) -> String {
        let code = dice.token();
        let expires_at = Instant::now() + lifetime;
        self.0.insert(code.clone(), Code { grantee, sent_to, expires_at, outcome: Use::Unused });
        code
    }

    /// Uses a code up and answers with what it opens.
    pub(crate) fn take(&mut self, code: &str, client_id: &str, redirect_uri: Option<&str>) -> Result<Grantee, Refusal> {
        let code = self.0.get_mut(code).ok_or(Refusal::Unusable)?;
        let is_own = code.grantee.client_id == client_id;
        match &code.outcome {
            Use::Unused => {}
            Use::Exchanged(refresh_token) if is_own => return Err(Refusal::Replayed(refresh_token.clone())),
            Use::Exchanged(_) | Use::Refused => return Err(Refusal::Unusable),
        }
        code.outcome = Use::Refused;
        let fits = is_own && code.sent_to.fits(redirect_uri) && Instant::now() < code.expires_at;
        fits.then(|| code.grantee.clone()).ok_or(Refusal::Unusable)
    }

    /// Remembers what a code was exchanged for.
    pub(crate) fn exchanged(&mut self, code: &str, refresh_token: &str) {
        if let Some(code) = self.0.get_mut(code) {
            code.outcome = Use::Exchanged(refresh_token.to_owned());
        }
    }
}
