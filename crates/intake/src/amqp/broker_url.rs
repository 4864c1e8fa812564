//! Where the broker is, without ever showing the password.

use std::fmt;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use url::{Host, Url};

use super::{dead_letter::FRAME_MAX_LEAST, guard::FRAME_MAX};

/// Seconds between heartbeats. The library's default is 60, and a silent loss is noticed after two of them.
const HEARTBEAT: u16 = 10;
/// Milliseconds for the TCP connection.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// The broker's address with the password in it. `Debug` and [`AmqpUrl::display`] show scheme, host and port only.
///
/// It is taken apart here, not by the library, whose error texts repeat the whole URL and which takes `localhost` for
/// what it can't read (an IPv6 address, for one).
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrl(AMQPUri);

/// Why a text is no usable broker URL. The text is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmqpUrlError {
    /// It is no URL, or one of another kind.
    #[error("expected amqp://user:password@host:port/vhost, or amqps:// for TLS; percent-encode special characters")]
    Form,
    /// It names no host.
    #[error("the broker's URL has no host")]
    Host,
    /// Its path is not one percent-encoded virtual host.
    #[error(
        "the broker's URL must end with the virtual host, percent-encoded, such as /%2f; leave it out for the default"
    )]
    Vhost,
    /// Something in it is percent-encoded, but not as UTF-8.
    #[error("the user name, password or virtual host in the broker's URL is not percent-encoded UTF-8")]
    Encoding,
    /// It asks for something we don't know, or with a value we can't read.
    #[error(
        "the broker's URL may only ask for heartbeat (seconds), connection_timeout (milliseconds) or frame_max (bytes)"
    )]
    Query,
    /// Frames that are too small for dead letters, or larger than we read.
    #[error(
        "frame_max in the broker's URL must be from {FRAME_MAX_LEAST} to {FRAME_MAX} bytes: smaller frames don't hold the \
         headers of dead letters; leave it out for {FRAME_MAX}"
    )]
    FrameMax,
}

impl AmqpUrl {
    /// Takes a URL apart (RabbitMQ docs: URI specification and URI query parameters).
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, AmqpUrlError> {
        let url = Url::parse(text).map_err(|_| AmqpUrlError::Form)?;
        let scheme = match url.scheme() {
            "amqp" => AMQPScheme::AMQP,
            "amqps" => AMQPScheme::AMQPS,
            _ => return Err(AmqpUrlError::Form),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(AmqpUrlError::Host),
        };
        // By the letter of RabbitMQ's URI specification a lone slash names the virtual host "". Most clients read it
        // as the default one, which is what a person who ends a URL with a slash means.
        let vhost = match url.path() {
            "" | "/" => "/".to_owned(),
            path => match path.strip_prefix('/') {
                Some(vhost) if !vhost.is_empty() && !vhost.contains('/') => decoded(vhost)?,
                _ => return Err(AmqpUrlError::Vhost),
            },
        };
        // RabbitMQ's own defaults, which it admits from its own machine only.
        let username = if url.username().is_empty() { "guest".to_owned() } else { decoded(url.username())? };
        let password = url.password().map_or_else(|| Ok("guest".to_owned()), decoded)?;
        let port = url.port().unwrap_or(if scheme == AMQPScheme::AMQPS { 5671 } else { 5672 });
        Ok(Self(AMQPUri {
            scheme,
            authority: AMQPAuthority { userinfo: AMQPUserInfo { username, password }, host, port },
            vhost,
            query: query(&url)?,
        }))
    }

    /// Scheme, host and port: what may be shown.
    pub fn display(&self) -> String {
        let host = &self.0.authority.host;
        // An IPv6 address needs its brackets back to be told from the port.
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        format!("{}://{open}{host}{close}:{}", self.0.scheme, self.0.authority.port)
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }

    /// Whether it asks for TLS.
    pub fn is_tls(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }

    /// Whether others on the network could read along: it is on another machine, and TLS is not asked for.
    pub fn is_exposed(&self) -> bool {
        let host = &self.0.authority.host;
        let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        !self.is_tls() && !is_loopback && !host.eq_ignore_ascii_case("localhost")
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

fn decoded(text: &str) -> Result<String, AmqpUrlError> {
    // A form decoder would take + for a blank, and passwords may well contain one.
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).ok_or(AmqpUrlError::Encoding);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).map_err(|_| AmqpUrlError::Encoding)?);
    }
    String::from_utf8(bytes).map_err(|_| AmqpUrlError::Encoding)
}

fn query(url: &Url) -> Result<AMQPQueryString, AmqpUrlError> {
    let mut query = AMQPQueryString {
        heartbeat: Some(HEARTBEAT),
        connection_timeout: Some(CONNECT_TIMEOUT_MS),
        // Else it would be the broker's, which may be without limit.
        frame_max: Some(FRAME_MAX),
        ..AMQPQueryString::default()
    };
    for (name, value) in url.query_pairs() {
        let unusable = |_| AmqpUrlError::Query;
        match name.as_ref() {
            "heartbeat" => query.heartbeat = Some(value.parse().map_err(unusable)?),
            "connection_timeout" => query.connection_timeout = Some(value.parse().map_err(unusable)?),
            "frame_max" => {
                let bytes = value.parse().map_err(unusable)?;
                if !(FRAME_MAX_LEAST..=FRAME_MAX).contains(&bytes) {
                    return Err(AmqpUrlError::FrameMax);
                }
                query.frame_max = Some(bytes);
            }
            _ => return Err(AmqpUrlError::Query),
        }
    }
    Ok(query)
}

impl fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmqpUrl({})", self.display())
    }
}

#[cfg(test)]
mod tests {
    use super::{AmqpUrl, AmqpUrlError};

    #[test]
    fn a_url_is_taken_apart_and_shown_without_its_password() {
        let url = AmqpUrl::parse("amqps://ada:p%40ss+w%c3%b6rd@mq.example/shop%2feu?heartbeat=5").unwrap();
        assert_eq!(url.0.authority.userinfo.username, "ada");
        assert_eq!(url.0.authority.userinfo.password, "p@ss+wörd");
        assert_eq!((url.0.vhost.as_str(), url.0.query.heartbeat), ("shop/eu", Some(5)));
        assert_eq!(url.display(), "amqps://mq.example:5671");
        assert_eq!(format!("{url:?}"), "AmqpUrl(amqps://mq.example:5671)");
    }

    #[test]
    fn frames_are_large_enough_for_dead_letters_and_no_larger_than_is_read() {
        let frame_max = |bytes: u32| {
            AmqpUrl::parse(&format!("amqp://mq.example?frame_max={bytes}")).map(|url| url.0.query.frame_max)
        };
        assert_eq!(AmqpUrl::parse("amqp://mq.example").unwrap().0.query.frame_max, Some(131_072));
        for good in [81_920, 131_072] {
            assert_eq!(frame_max(good), Ok(Some(good)));
        }
        for bad in [0, 4_096, 8_192, 81_919, 131_073, u32::MAX] {
            assert_eq!(frame_max(bad), Err(AmqpUrlError::FrameMax));
        }
        assert_eq!(
            AmqpUrlError::FrameMax.to_string(),
            "frame_max in the broker's URL must be from 81920 to 131072 bytes: smaller frames don't hold the headers of \
             dead letters; leave it out for 131072"
        );
    }

    #[test]
    fn what_is_left_out_has_rabbitmqs_defaults() {
        let url = AmqpUrl::parse("amqp://[::1]").unwrap();
        assert_eq!((url.0.vhost.as_str(), url.0.authority.host.as_str(), url.0.authority.port), ("/", "::1", 5672));
        assert_eq!(url.0.authority.userinfo.username, "guest");
        assert_eq!((url.0.query.heartbeat, url.display()), (Some(10), "amqp://[::1]:5672".to_owned()));
        for whole in
            ["amqp://127.0.0.1:5673/%2f", "amqp://guest:guest@127.0.0.1:5672/", "amqps://mq.example/?heartbeat=5"]
        {
            assert_eq!(AmqpUrl::parse(whole).unwrap().0.vhost, "/", "{whole}");
        }
    }

    #[test]
    fn a_broker_elsewhere_is_exposed_without_tls() {
        for exposed in ["amqp://mq.example", "amqp://10.0.0.5/v", "amqp://[2001:db8::1]"] {
            assert!(AmqpUrl::parse(exposed).unwrap().is_exposed(), "{exposed}");
        }
        for safe in ["amqps://mq.example", "amqp://localhost", "amqp://127.0.0.1", "amqp://[::1]"] {
            assert!(!AmqpUrl::parse(safe).unwrap().is_exposed(), "{safe}");
        }
    }

    #[test]
    fn what_would_be_misread_is_refused() {
        for (text, error) in [
            ("mq.example:5672", AmqpUrlError::Form),
            ("http://mq.example", AmqpUrlError::Form),
            ("not a url", AmqpUrlError::Form),
            ("amqp:///vhost", AmqpUrlError::Host),
            ("amqp://mq.example//", AmqpUrlError::Vhost),
            ("amqp://mq.example/a/b", AmqpUrlError::Vhost),
            ("amqp://a:%ff@mq.example", AmqpUrlError::Encoding),
            ("amqp://mq.example?verify=verify_none", AmqpUrlError::Query),
            ("amqp://mq.example?heartbeat=soon", AmqpUrlError::Query),
        ] {
            assert_eq!(AmqpUrl::parse(text), Err(error), "{text}");
        }
    }
}
