//! Authorization codes. They live in memory only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::grants::Grantee;

/// Every code that was given out and not used yet.
#[derive(Default)]
pub(crate) struct Codes(HashMap<String, Code>);

struct Code {
    grantee: Grantee,
    sent_to: SentTo,
    expires_at: Instant,
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
        self.0.insert(code.clone(), Code { grantee, sent_to, expires_at });
        code
    }

    /// Uses a code up. `None`: unknown, used, too old, another client's, or exchanged with another redirect URI.
    pub(crate) fn take(&mut self, code: &str, client_id: &str, redirect_uri: Option<&str>) -> Option<Grantee> {
        let code = self.0.remove(code)?;
        let is_theirs = code.grantee.client_id == client_id && code.sent_to.fits(redirect_uri);
        let fits = is_theirs && Instant::now() < code.expires_at;
        fits.then_some(code.grantee)
    }
}
