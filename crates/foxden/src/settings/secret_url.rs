//! URLs of servers that may have a password in them.

use std::fmt;

use url::{Position, Url};
use zeroize::Zeroizing;

/// The URL of a broker. It may hold a password, so it is treated as a secret.
#[derive(Clone)]
pub(crate) struct SecretUrl(Zeroizing<String>);

impl SecretUrl {
    /// Takes a URL that begins with one of these.
    ///
    /// # Errors
    /// What is expected.
    pub(super) fn parse(text: &str, beginnings: &[&str]) -> Result<Self, String> {
        let expected = || format!("expected a URL that begins with {}", beginnings.join(" or "));
        let url = Url::parse(text).map_err(|_| expected())?;
        if !beginnings.iter().any(|beginning| text.strip_prefix(beginning).is_some_and(|rest| !rest.is_empty())) {
            return Err(expected());
        }
        // A password with one of these in it would end early, and what is left of it be shown as port or path.
        if url[Position::AfterPort..].contains('@') {
            return Err("expected @, /, ? and # in user and password to be percent-encoded".to_owned());
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether there is a password in this text: in the place URLs have for it, or as a parameter, where PostgreSQL's
    /// drivers take one too (PostgreSQL docs: connection URIs).
    pub(super) fn has_password(text: &str) -> bool {
        // PostgreSQL takes URLs that the URL standard does not, as `postgres://user:password@/db`.
        Url::parse(text).map_or_else(
            |_| text.contains('@'),
            |url| {
                url.password().is_some()
                    || url.query_pairs().any(|(name, _)| name.to_ascii_lowercase().contains("password"))
            },
        )
    }

    /// The URL itself, to connect with.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The URL without user, password and parameters, for people.
    pub(crate) fn display(&self) -> String {
        let Ok(url) = Url::parse(&self.0) else {
            return format!("{}:…", self.0.split(':').next().unwrap_or_default());
        };
        let mut shown = format!("{}:", url.scheme());
        if url.has_authority() {
            shown.push_str("//");
            shown.push_str(url.host_str().unwrap_or_default());
            if let Some(port) = url.port() {
                shown.push_str(&format!(":{port}"));
            }
        }
        shown.push_str(url.path());
        shown
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_path_are_shown() {
        for (text, shown) in
            [("amqps://fox:s3cret@mq.internal/%2f?heartbeat=10", "amqps://mq.internal/%2f"), ("amqp://mq", "amqp://mq")]
        {
            let url = SecretUrl::parse(text, &["amqp://", "amqps://"]).unwrap();
            assert_eq!(url.display(), shown);
            assert_eq!(url.expose(), text);
            assert_eq!(format!("{url:?}"), "SecretUrl([redacted])");
        }
    }

    #[test]
    fn a_password_is_found_wherever_it_may_stand() {
        for (text, found) in [
            ("postgres://fox:s3cret@db/foxden", true),
            ("postgres://fox@db/foxden?sslmode=require&password=s3cret", true),
            ("postgres://fox:s3cret@/foxden?host=/run/postgresql", true),
            ("postgres://fox@db/foxden", false),
            ("sqlite:foxden.db", false),
        ] {
            assert_eq!(SecretUrl::has_password(text), found, "{text}");
        }
    }

    #[test]
    fn another_scheme_is_refused_without_repeating_the_url() {
        for text in ["http://fox:s3cret@mq", "s3cret", "amqp://fox:s3cret@mq:port", "amqp:mq"] {
            let error = SecretUrl::parse(text, &["amqp://", "amqps://"]).unwrap_err();
            assert_eq!(error, "expected a URL that begins with amqp:// or amqps://");
        }
    }

    #[test]
    fn a_password_that_would_be_taken_for_a_path_is_refused() {
        for text in ["amqp://fox:12/s3cret@mq/shop", "amqp://fox:12#s3cret@mq", "amqp://fox:12?s3cret@mq"] {
            let error = SecretUrl::parse(text, &["amqp://"]).unwrap_err();
            assert_eq!(error, "expected @, /, ? and # in user and password to be percent-encoded");
        }
    }
}
