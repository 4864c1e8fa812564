//! Who is logged in at the authorization endpoint: the users behind browsers' cookies. Kept in memory only.

use std::collections::HashMap;

use crate::dice::Dice;

/// Users by the cookie's value.
#[derive(Default)]
pub(crate) struct Logins(HashMap<String, u64>);

impl Logins {
    /// Logs a user in and answers with the cookie's value.
    pub(crate) fn enter(&mut self, dice: &mut Dice, user: u64) -> String {
        let cookie = dice.token();
        self.0.insert(cookie.clone(), user);
        cookie
    }

    /// The number of the user behind this cookie.
    pub(crate) fn user(&self, cookie: &str) -> Option<u64> {
        self.0.get(cookie).copied()
    }

    /// Logs out.
    pub(crate) fn leave(&mut self, cookie: &str) {
        self.0.remove(cookie);
    }
}
