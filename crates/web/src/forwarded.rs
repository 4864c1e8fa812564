//! Whose request it is: the peer's, or that of a client for whom a proxy of ours speaks.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

/// Which header names the client. Proxies append to one of them, and pass the other one through as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A text that names neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write x-forwarded-for or forwarded")]
pub struct MalformedHeaderName;

impl FromStr for ForwardedBy {
    type Err = MalformedHeaderName;

    fn from_str(text: &str) -> Result<Self, MalformedHeaderName> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(MalformedHeaderName),
        }
    }
}

/// Which proxies are believed, and how they name the client.
#[derive(Clone, Debug)]
pub struct Forwarding {
    header: Option<ForwardedBy>,
    proxies: Vec<IpNet>,
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IP address or network; write 10.0.0.7, 10.0.0.0/8 or fd00::/8")]
pub struct MalformedNetwork(String);

/// Who sent a request, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// An IPv4 address, or an IPv6 network of 64 bits: one customer of a provider has all of its addresses.
    Known(IpAddr),
    /// A proxy at a Unix socket that did not say.
    Unknown,
}

impl Forwarding {
    /// No header is believed: each connection is its client's own.
    pub fn none() -> Self {
        Self { header: None, proxies: Vec::new() }
    }

    /// Proxies at these addresses are believed, and so is any program that can connect to a Unix socket.
    ///
    /// # Errors
    /// On the first text that is neither an address nor a network.
    pub fn by<'a>(header: ForwardedBy, proxies: impl IntoIterator<Item = &'a str>) -> Result<Self, MalformedNetwork> {
        let network = |text: &str| {
            let alone = || text.parse().map(|ip: IpAddr| IpNet::from(ip.to_canonical())).ok();
            text.parse().ok().or_else(alone).ok_or_else(|| MalformedNetwork(text.to_owned()))
        };
        let proxies = proxies.into_iter().map(network).collect::<Result<_, _>>()?;
        Ok(Self { header: Some(header), proxies })
    }

    /// The client behind a peer: the last address that no proxy of ours stands at. What is left of it was written by
    /// the client, who can write anything.
    pub(crate) fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Client {
        let mut nearest = peer.map(|peer| peer.ip().to_canonical());
        if nearest.is_none_or(|peer| self.is_proxy(peer)) {
            for named in self.named(headers).iter().rev() {
                let Some(address) = named else { break };
                nearest = Some(*address);
                if !self.is_proxy(*address) {
                    break;
                }
            }
        }
        nearest.map_or(Client::Unknown, |address| Client::Known(network_of(address)))
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }

    /// The addresses on the way, farthest first. One that can't be read is `None`.
    fn named(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let (name, is_list) = match self.header {
            None => return Vec::new(),
            Some(ForwardedBy::XForwardedFor) => (HeaderName::from_static("x-forwarded-for"), true),
            Some(ForwardedBy::Forwarded) => (FORWARDED, false),
        };
        let lines = headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("?"));
        let entry = |entry: &str| if is_list { address(entry) } else { forwarded_for(entry) };
        lines.flat_map(|line| line.split(',').map(entry)).collect()
    }
}

/// The `for` of one element. Commas within quotes are no matter: an address has none.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, value)| value.trim());
    let value = values.next()?;
    address(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, perhaps with a port, an IPv6 one perhaps in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarding: &Forwarding, peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        let headers = lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let peer = (!peer.is_empty()).then(|| SocketAddr::new(peer.parse().unwrap(), 1));
        match forwarding.client(peer, &headers.collect()) {
            Client::Known(address) => address.to_string(),
            Client::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn a_header_is_believed_from_a_configured_proxy_only() {
        let by = Forwarding::by(ForwardedBy::XForwardedFor, ["10.0.0.0/8"]).unwrap();
        let line = [("x-forwarded-for", "1.2.3.4")];
        assert_eq!(client(&by, "10.1.1.1", &line), "1.2.3.4");
        assert_eq!(client(&by, "::ffff:10.1.1.1", &line), "1.2.3.4");
        assert_eq!(client(&by, "11.1.1.1", &line), "11.1.1.1");
        assert_eq!(client(&Forwarding::none(), "10.1.1.1", &line), "10.1.1.1");
        assert_eq!(client(&by, "10.1.1.1", &[("forwarded", "for=1.2.3.4")]), "10.1.1.1");
        assert_eq!(client(&by, "10.1.1.1", &[]), "10.1.1.1");
    }

    #[test]
    fn what_the_client_itself_wrote_is_not_believed() {
        let by = Forwarding::by(ForwardedBy::XForwardedFor, ["10.0.0.1", "10.0.0.2"]).unwrap();
        let spoofed = [("x-forwarded-for", "6.6.6.6, 1.2.3.4"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(client(&by, "10.0.0.1", &spoofed), "1.2.3.4");
        // A proxy that names nothing readable stands for its clients.
        assert_eq!(client(&by, "10.0.0.1", &[("x-forwarded-for", "1.2.3.4, <script>")]), "10.0.0.1");
        assert_eq!(client(&by, "10.0.0.1", &[("x-forwarded-for", "1.2.3.4, \u{e9}")]), "10.0.0.1");
    }

    #[test]
    fn a_peer_at_a_unix_socket_is_a_proxy() {
        let by = Forwarding::by(ForwardedBy::XForwardedFor, []).unwrap();
        assert_eq!(client(&by, "", &[("x-forwarded-for", "6.6.6.6, 1.2.3.4")]), "1.2.3.4");
        assert_eq!(client(&by, "", &[]), "unknown");
    }

    #[test]
    fn the_standard_header_is_read_in_all_its_forms() {
        let by = Forwarding::by(ForwardedBy::Forwarded, ["10.0.0.1"]).unwrap();
        for (value, expected) in [
            ("for=1.2.3.4", "1.2.3.4"),
            ("proto=https;For=\"1.2.3.4:5678\";by=10.0.0.1", "1.2.3.4"),
            ("for=6.6.6.6, for=\"[2001:db8:1:2:3::4]:99\"", "2001:db8:1:2::"),
            ("for=\"[2001:db8::1]\"", "2001:db8::"),
            ("for=_hidden", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("host=1.2.3.4", "10.0.0.1"),
        ] {
            assert_eq!(client(&by, "10.0.0.1", &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_header_is_named_in_any_case() {
        assert_eq!("X-Forwarded-For".parse(), Ok(ForwardedBy::XForwardedFor));
        assert_eq!("forwarded".parse(), Ok(ForwardedBy::Forwarded));
        assert_eq!("x-real-ip".parse::<ForwardedBy>(), Err(MalformedHeaderName));
    }

    #[test]
    fn a_text_that_is_no_network_is_refused() {
        let refused = Forwarding::by(ForwardedBy::XForwardedFor, ["10.0.0.0/8", "proxy"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            r#""proxy" is no IP address or network; write 10.0.0.7, 10.0.0.0/8 or fd00::/8"#
        );
    }
}
