//! Tokens, and what they open.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::moment::now_ms;
use crate::resource::Resource;

/// What a token opens, as [`Simulator`](crate::Simulator) tells tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// `client_full_access`, `user_full_access` or `store_full_access`; or other words that a person was asked for.
    pub scope: String,
    /// The `self` link of the client, user or store.
    pub uri: String,
}

/// Who was given access to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grantee {
    /// The OAuth client that may use the token.
    pub(crate) client_id: String,
    /// What it opens.
    pub(crate) resource: Resource,
    /// The words of its scope, where they are not just the one for full access to the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) words: Option<String>,
}

impl Grantee {
    /// Full access.
    pub(crate) fn of(client_id: impl Into<String>, resource: Resource) -> Self {
        Self { client_id: client_id.into(), resource, words: None }
    }

    /// The scope as the token endpoint says it.
    pub(crate) fn scope(&self) -> &str {
        self.words.as_deref().unwrap_or(self.resource.scope().as_str())
    }

    /// Whether it has the same client, user and scope (Foxy docs: rels/integration). A store has one user, and the
    /// resource says which store it is, whether or not a word of the scope repeats it.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let words = |grantee: &Self| -> BTreeSet<String> {
            let words = grantee.scope().split(' ').filter(|word| !word.starts_with("store_id_"));
            words.map(str::to_owned).collect()
        };
        self.client_id == other.client_id && self.resource == other.resource && words(self) == words(other)
    }

    /// Whether it opens everything in the resource.
    pub(crate) fn is_full(&self) -> bool {
        self.scope().split(' ').any(|word| word == self.resource.scope().as_str())
    }
}

/// Why an access token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Never given out, or given out by an earlier process.
    Unknown,
    /// Its time is over.
    Expired,
}

/// Where a refresh token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// It was answered with what it opens.
    Created,
    /// A person granted it.
    Granted,
    /// It was added as an integration. Books of earlier releases say this of granted ones, too.
    #[default]
    Added,
}

/// What a refresh token opens, and since when.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) grantee: Grantee,
    #[serde(default)]
    pub(crate) source: Source,
    /// Zero in books of earlier releases.
    #[serde(default)]
    pub(crate) since_ms: u64,
}

impl Refresh {
    /// One that begins now.
    pub(crate) fn begin(grantee: Grantee, source: Source) -> Self {
        Self { grantee, source, since_ms: now_ms() }
    }
}

/// Every token that was given out. Access tokens live in memory only; refresh tokens are in the journal too, as part
/// of what they open.
#[derive(Default)]
pub(crate) struct Grants {
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    /// Every refresh token in the order in which it was kept; the place of one is its number as an integration.
    kept: Vec<String>,
    /// Those that open nothing any more: a record that is written again must not revive its first one.
    ended: HashSet<String>,
    /// By a new refresh token the one that ends with its first use.
    replaces: HashMap<String, String>,
}

/// An access token.
struct Access {
    grantee: Grantee,
    expires_at: Instant,
    /// The refresh token that came with it.
    refresh_token: Option<String>,
}

/// A living refresh token.
pub(crate) struct Kept<'a> {
    /// Its number, which no other gets.
    pub(crate) number: u64,
    pub(crate) token: &'a str,
    pub(crate) refresh: &'a Refresh,
}

impl Grants {
    /// A token that nothing has been given yet: with a seed, a restart would draw the booked ones again.
    pub(crate) fn draw(&self, dice: &mut Dice) -> String {
        loop {
            let token = dice.token();
            let is_known = self.refresh.contains_key(&token) || self.access.contains_key(&token);
            if !is_known && !self.ended.contains(&token) {
                return token;
            }
        }
    }

    /// Gives out an access token, along with this refresh token if there is one.
    pub(crate) fn open_access(
        &mut self,
        dice: &mut Dice,
        grantee: Grantee,
        refresh_token: Option<&str>,
        lifetime: Duration,
    ) -> String {
        let token = self.draw(dice);
        let expires_at = Instant::now() + lifetime;
        let access = Access { grantee, expires_at, refresh_token: refresh_token.map(str::to_owned) };
        self.access.insert(token.clone(), access);
        token
    }

    /// What an access token opens now.
    pub(crate) fn access(&self, token: &str) -> Result<&Grantee, Refused> {
        match self.access.get(token) {
            None => Err(Refused::Unknown),
            Some(access) if access.expires_at <= Instant::now() => Err(Refused::Expired),
            Some(access) => Ok(&access.grantee),
        }
    }

    /// Every access token given out so far, also those whose time is over.
    pub(crate) fn access_tokens(&self) -> Vec<String> {
        self.access.keys().cloned().collect()
    }

    /// Ends every access token given out so far.
    pub(crate) fn expire_access(&mut self) {
        let now = Instant::now();
        self.access.values_mut().for_each(|access| access.expires_at = now);
    }

    /// Remembers a refresh token. It lives on (10 years at Foxy) unless the fault script replaces it.
    pub(crate) fn keep_refresh(&mut self, token: String, refresh: Refresh) {
        if !self.ended.contains(&token) && self.refresh.insert(token.clone(), refresh).is_none() {
            self.kept.push(token);
        }
    }

    /// Ends a refresh token.
    pub(crate) fn end_refresh(&mut self, token: String) {
        self.refresh.remove(&token);
        self.ended.insert(token);
    }

    /// The living refresh tokens of a resource, oldest first.
    pub(crate) fn kept_for(&self, resource: Resource) -> impl Iterator<Item = Kept<'_>> {
        (1..).zip(&self.kept).filter_map(move |(number, token)| {
            let refresh = self.refresh.get(token).filter(|refresh| refresh.grantee.resource == resource)?;
            Some(Kept { number, token, refresh })
        })
    }

    /// A refresh token's number.
    pub(crate) fn number_of(&self, token: &str) -> Option<u64> {
        (1..).zip(&self.kept).find(|(_, kept)| *kept == token).map(|(number, _)| number)
    }

    /// Ends the access tokens of the same client, user and scope.
    pub(crate) fn end_access_like(&mut self, grantee: &Grantee) {
        self.access.retain(|_, access| !access.grantee.is_like(grantee));
    }

    /// Ends the access tokens that came with this refresh token.
    pub(crate) fn end_access_with(&mut self, refresh_token: &str) {
        self.access.retain(|_, access| access.refresh_token.as_deref() != Some(refresh_token));
    }

    /// Ends every token of a resource.
    pub(crate) fn end_all_of(&mut self, resource: Resource) {
        self.access.retain(|_, access| access.grantee.resource != resource);
        let ended = self.refresh.extract_if(|_, of| of.grantee.resource == resource).map(|(token, _)| token);
        self.ended.extend(ended);
    }

    /// Lets `old` end when `new` is used. Kept in memory only.
    pub(crate) fn replace_later(&mut self, old: String, new: String) {
        self.replaces.insert(new, old);
    }

    /// The refresh token that ends now that this one is used.
    pub(crate) fn replaced_by(&mut self, used: &str) -> Option<String> {
        self.replaces.remove(used)
    }

    /// What a refresh token opens.
    pub(crate) fn refresh(&self, token: &str) -> Option<&Refresh> {
        self.refresh.get(token)
    }
}
