//! What a person is asked to grant: a list of words (RFC 6749 section 3.3; Foxy docs: permissions).

use crate::resource::Scope;

/// The ends of the words that open less than everything in a store, such as `transaction_read`.
const PARTIAL: &[&str] = &["_read", "_write", "_resend"];

/// What the authorization endpoint was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What it is about: a user or a store.
    pub(crate) scope: Scope,
    /// The number of the store, where `store_id_…` names one.
    pub(crate) store: Option<u64>,
    /// All words, separated by one space each.
    pub(crate) words: String,
}

impl Asked {
    /// Reads the words; `None` if one of them is unknown, if they contradict one another, or if nothing is asked for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let mut scopes = Vec::new();
        let mut store = None;
        for word in &words {
            match (Scope::parse(word), word.strip_prefix("store_id_")) {
                (Some(Scope::Client), _) => return None,
                (Some(scope), _) => scopes.push(scope),
                (None, Some(number)) if store.is_none() => store = Some(number.parse().ok()?),
                (None, None) if is_partial(word) => scopes.push(Scope::Store),
                (None, _) => return None,
            }
        }
        let (scope, others) = scopes.split_first()?;
        let one = others.iter().all(|other| other == scope) && (store.is_none() || *scope == Scope::Store);
        one.then(|| Self { scope: *scope, store, words: words.join(" ") })
    }

    /// The same, as if no word had named a store.
    pub(crate) fn of_any_store(mut self) -> Self {
        let words: Vec<_> = self.words.split(' ').filter(|word| !word.starts_with("store_id_")).collect();
        self.words = words.join(" ");
        self.store = None;
        self
    }

    /// What it means, a line for each word that opens something.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let line = |word: &str| match (Scope::parse(word), word.rsplit_once('_')) {
            (Some(Scope::User), _) => Some("see and change your user, and create stores for it".to_owned()),
            (Some(Scope::Store), _) => Some("see and change everything in the store".to_owned()),
            (None, Some((kind, "read"))) => Some(format!("see in the store: {}", kind.replace('_', " "))),
            (None, Some((kind, "write"))) => Some(format!("change in the store: {}", kind.replace('_', " "))),
            (None, Some((kind, "resend"))) => Some(format!("send again: {}", kind.replace('_', " "))),
            (Some(Scope::Client) | None, _) => None,
        };
        self.words.split(' ').filter_map(line).collect()
    }
}

fn is_partial(word: &str) -> bool {
    let kind = PARTIAL.iter().find_map(|end| word.strip_suffix(end)).unwrap_or_default();
    !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_list_of_known_words_about_one_thing() {
        for (text, scope, store) in [
            ("user_full_access", Scope::User, None),
            ("store_full_access", Scope::Store, None),
            (" store_id_8  store_full_access", Scope::Store, Some(8)),
            ("transaction_read coupon_write", Scope::Store, None),
            ("webhook_resend store_id_9", Scope::Store, Some(9)),
        ] {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(Asked::parse(text), Some(Asked { scope, store, words }), "{text}");
        }
        for text in [
            "",
            "client_full_access",
            "store_id_8",
            "store_full_access store_id_x",
            "store_full_access store_id_8 store_id_9",
            "user_full_access store_id_8",
            "user_full_access store_full_access",
            "store_full_access everything",
            "_read",
        ] {
            assert_eq!(Asked::parse(text), None, "{text}");
        }
    }
}
