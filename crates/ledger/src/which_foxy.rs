//! Which Foxy, and which client of it.
//!
//! Users, stores, clients and tokens exist at one Foxy and nowhere else. Its addresses don't say which one it is:
//! production has two names, and a simulator has another port each time it starts.

use std::{fmt, str::FromStr};

use url::Url;

/// Which Foxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WhichFoxy {
    /// The real one, by any of its names.
    Production,
    /// Foxy's own place to try things out.
    Sandbox,
    /// A simulator that kept these books, on whatever port.
    Simulator(BooksId),
    /// One that is known by its origin alone.
    Origin(FoxyOrigin),
}

/// The id of a simulator's books: up to 64 ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BooksId(String);

/// An origin in its one form: scheme, host, and port unless it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FoxyOrigin(String);

/// A client of one Foxy: the same id at another is another client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FoxyClient {
    /// Where it exists.
    pub foxy: WhichFoxy,
    /// Its id there.
    pub id: ClientId,
}

/// The id of an OAuth client. It is public.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

/// Why a text names no Foxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected production, sandbox, simulator:ID with the id of its books, or an origin such as https://api.example.com"
)]
pub struct WhichFoxyError;

/// Why a text is no client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id is 1 to {} visible ASCII characters without spaces and colons", ClientId::MAX)]
pub struct ClientIdError;

const PRODUCTION: &str = "production";
const SANDBOX: &str = "sandbox";
const SIMULATOR: &str = "simulator:";

impl BooksId {
    /// Checks an id that a simulator has given.
    ///
    /// # Errors
    /// If it has another form.
    pub fn parse(text: &str) -> Result<Self, WhichFoxyError> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(text.to_owned())) } else { Err(WhichFoxyError) }
    }

    /// As the books have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FoxyOrigin {
    /// Checks an origin, and gives it its one form.
    ///
    /// # Errors
    /// If there is more to it than scheme, host and port, or the scheme is not http or https.
    pub fn parse(text: &str) -> Result<Self, WhichFoxyError> {
        let url = Url::parse(text).map_err(|_| WhichFoxyError)?;
        let is_of_the_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let has_user = !url.username().is_empty() || url.password().is_some();
        if is_of_the_web && is_bare && !has_user {
            Ok(Self(url.origin().ascii_serialization()))
        } else {
            Err(WhichFoxyError)
        }
    }

    /// Without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ClientId {
    /// The longest, in characters.
    pub const MAX: usize = 200;

    /// Checks an id from outside. RFC 6749, appendix A.1 allows blanks too, but one in an id is a slip; and RFC 7617
    /// section 2 excludes the colon, which ends the id in HTTP Basic.
    ///
    /// # Errors
    /// If it could not be sent.
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        let fits =
            (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if fits { Ok(Self(text.to_owned())) } else { Err(ClientIdError) }
    }

    /// As Foxy knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WhichFoxy {
    type Err = WhichFoxyError;

    /// Reads what `Display` prints. An origin is taken for one that is known by its origin alone: whether it is one of
    /// production's names is known elsewhere.
    fn from_str(text: &str) -> Result<Self, WhichFoxyError> {
        match text {
            PRODUCTION => Ok(Self::Production),
            SANDBOX => Ok(Self::Sandbox),
            _ => match text.strip_prefix(SIMULATOR) {
                Some(id) => BooksId::parse(id).map(Self::Simulator),
                None => FoxyOrigin::parse(text).map(Self::Origin),
            },
        }
    }
}

impl fmt::Display for WhichFoxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Production => f.write_str(PRODUCTION),
            Self::Sandbox => f.write_str(SANDBOX),
            Self::Simulator(BooksId(id)) => write!(f, "{SIMULATOR}{id}"),
            Self::Origin(FoxyOrigin(origin)) => f.write_str(origin),
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{BooksId, ClientId, ClientIdError, WhichFoxy, WhichFoxyError};

    #[test]
    fn which_foxy_is_read_as_it_is_printed() {
        for text in ["production", "sandbox", "simulator:00c0ffee", "https://api.example.com", "http://127.0.0.1:8787"]
        {
            assert_eq!(text.parse::<WhichFoxy>().unwrap().to_string(), text);
        }
        let simulator = WhichFoxy::Simulator(BooksId::parse("00c0ffee").unwrap());
        assert_eq!("simulator:00c0ffee".parse(), Ok(simulator));
    }

    #[test]
    fn an_origin_has_one_form() {
        let origin: WhichFoxy = "https://api.example.com".parse().unwrap();
        for other in ["https://api.example.com/", "https://API.Example.com:443", "HTTPS://api.example.com"] {
            assert_eq!(other.parse(), Ok(origin.clone()), "{other}");
        }
        for another in ["http://api.example.com", "https://api.example.com:8443", "https://example.com"] {
            assert_ne!(another.parse(), Ok(origin.clone()), "{another}");
        }
    }

    #[test]
    fn a_text_that_could_mean_two_things_names_no_foxy() {
        for text in [
            "",
            "Production",
            " production",
            "simulator",
            "simulator:",
            "simulator:a b",
            "simulator:a:b",
            "api.example.com",
            "https://api.example.com/v1",
            "https://api.example.com?a",
            "https://api.example.com/#a",
            "https://fox:s3cret@api.example.com",
            "ftp://api.example.com",
            "blob:https://api.example.com",
        ] {
            assert_eq!(text.parse::<WhichFoxy>(), Err(WhichFoxyError), "{text:?}");
        }
        assert_eq!(format!("simulator:{}", "a".repeat(65)).parse::<WhichFoxy>(), Err(WhichFoxyError));
    }

    #[test]
    fn a_client_id_can_be_sent_in_http_basic() {
        assert_eq!(ClientId::parse("client_1").unwrap().as_str(), "client_1");
        for text in ["", "a b", "a:b", "a\nb", "é"] {
            assert_eq!(ClientId::parse(text), Err(ClientIdError), "{text:?}");
        }
        assert_eq!(ClientId::parse(&"a".repeat(201)), Err(ClientIdError));
    }
}
