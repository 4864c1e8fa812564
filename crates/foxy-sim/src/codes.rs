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
    redirect_uri: Option<String>,
    expires_at: Instant,
}

impl Codes {
    /// Gives out a code, bound to the redirect URI if the request named one.
    pub(crate) fn open(
        &mut self,
        dice: &mut Dice,
        grantee: Grantee,
        redirect_uri: Option<String>,
        lifetime: Duration,
    ) -> String {
        let code = dice.token();
        let expires_at = Instant::now() + lifetime;
        self.0.insert(code.clone(), Code { grantee, redirect_uri, expires_at });
        code
    }

    /// Uses a code up. `None`: unknown, used, too old, another client's, or exchanged with another redirect URI.
    ///
    /// A code bound to a redirect URI may be exchanged without naming it, since the official SDK never does.
    pub(crate) fn take(&mut self, code: &str, client_id: &str, redirect_uri: Option<&str>) -> Option<Grantee> {
        let code = self.0.remove(code)?;
        let redirect_fits = match (code.redirect_uri.as_deref(), redirect_uri) {
            (Some(asked), Some(given)) => asked == given,
            _ => true,
        };
        let fits = redirect_fits && code.grantee.client_id == client_id && Instant::now() < code.expires_at;
        fits.then_some(code.grantee)
    }
}
