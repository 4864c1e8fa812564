//! Which Foxy, and as whom.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_FOXY_API` | `production` | `production`, `production-io` (its newer name), `sandbox`, `simulator`, or an https URL; http to loopback only |
//! | `FOXDEN_FOXY_CLIENT_ID` | | the OAuth client's id; not needed with the simulator |
//! | `FOXDEN_FOXY_CLIENT_SECRET` (`_FILE`) | | the OAuth client's secret; not needed with the simulator |
//! | `FOXDEN_FOXY_OTHER_CLIENTS` (`_FILE`) | | ids and secrets of further OAuth clients, for tokens that were given to them |
//! | `FOXDEN_FOXY_H_CAPTCHA_CODE` (`_FILE`) | | the hCaptcha code of creations whose event has none, for Foxy's test keys |
//! | `FOXDEN_CALL_TIMEOUT` | `30s` | how long one call may take, 100ms to 10m |
//! | `FOXDEN_CONNECT_TIMEOUT` | `5s` | how long connecting may take, 10ms to 1m; part of the call's time |
//! | `FOXDEN_CONNECTION_IDLE` | `3s` | how long a connection for creates may be idle, up to 1m; 0s: each has its own |
//! | `FOXDEN_FOXY_RATE` | `5` | how many requests a second, decimals allowed, up to 1000; `0` or `off`: no limit, as with the simulator unless set |
//! | `FOXDEN_FOXY_BURST` | `10` | how many requests may go at once after a rest, 1 to 10000 |
//! | `FOXDEN_FOXY_ALLOWS` | | ids from X1 to X6, separated by commas: what Foxy is known to allow beyond its documentation |
//! | `FOXDEN_BREAKER_FAILURES` | `5` | after how many outages in a row no call is sent until Foxy answers again, up to 1000; `0`: never |
//! | `FOXDEN_SIMULATOR_BOOKS` | `foxy-sim.books.jsonl` | where the simulator keeps what it was asked to make |
//! | `FOXDEN_SIMULATOR_LATENCY` | `0ms` | how long the simulator takes to answer: `20ms`, or `20ms..80ms` |
//!
//! Where Foxy asks people for their consent is in [`authorization`](super::authorization).
//!
//! A `FOXDEN_SIMULATOR_` variable without `FOXDEN_FOXY_API=simulator` is a mistake: whoever sets one believes to be
//! playing, while the default is the real Foxy.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use foxden_ledger::ClientId;
use foxden_vault::ClientSecret;
use foxy_api::{CaptchaCode, Rate};
use url::{Host, Url};

use super::{AuthorizationPage, FoxyAllows, Need, OtherClients, other_clients, reader::Reader, secret_file, text};

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct FoxySettings {
    /// Which Foxy.
    pub(crate) api: FoxyApi,
    /// As whom. There for a command that requires it, except with the simulator, which brings its own client.
    pub(crate) client: Option<ClientCredentials>,
    /// Where it asks people for their consent. `None` with the simulator, which says so once it has started, and with
    /// an address of which nothing else is known.
    pub(crate) authorization: Option<AuthorizationPage>,
    /// Further clients, to which tokens were given.
    pub(crate) other_clients: OtherClients,
    /// The captcha code of creations whose event has none.
    pub(crate) h_captcha_code: Option<CaptchaCode>,
    /// How the simulator behaves, if it is the one.
    pub(crate) simulator: SimulatorSettings,
    /// How long one call may take, connecting included.
    pub(crate) call_timeout: Duration,
    /// How long connecting may take.
    pub(crate) connect_timeout: Duration,
    /// How long a connection for creates may be idle before it is closed.
    pub(crate) connection_idle: Duration,
    /// How many requests are sent at most.
    pub(crate) rate: Option<Rate>,
    /// What Foxy is known to allow beyond its documentation.
    pub(crate) allows: FoxyAllows,
    /// After how many outages in a row no call is sent; 0: never.
    pub(crate) breaker_failures: u32,
}

/// Which Foxy to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoxyApi {
    /// The real one, by its older name.
    Production,
    /// The real one, by its newer name.
    ProductionIo,
    /// Foxy's own place to try things out.
    Sandbox,
    /// Ours, inside this process.
    Simulator,
    /// The API home at this address: https, or http to loopback; an origin alone.
    Url(Url),
}

/// The OAuth client that foxden is to Foxy.
#[derive(Clone, Debug)]
pub(crate) struct ClientCredentials {
    /// Its id, which is public.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: ClientSecret,
    /// The file that the secret was read from, where it was given by one.
    pub(crate) secret_file: Option<PathBuf>,
}

/// How the simulator behaves.
#[derive(Clone, Debug)]
pub(crate) struct SimulatorSettings {
    /// Where it keeps what it was asked to make.
    pub(crate) books: PathBuf,
    /// Where it sends people back to, as if that was registered there.
    pub(crate) redirect_uri: Option<String>,
    /// How long it takes to answer.
    pub(crate) latency: Latency,
}

/// A range of durations to draw from, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    /// The shortest.
    pub(crate) min: Duration,
    /// The longest; never below `min`.
    pub(crate) max: Duration,
}

/// How long one call may take. Not part of [`FoxySettings::read`], since the worker's settings depend on it too.
pub(super) fn call_timeout(reader: &mut Reader) -> Option<Duration> {
    reader.duration("FOXDEN_CALL_TIMEOUT", &(Duration::from_millis(100)..=Duration::from_mins(10)))
}

impl FoxySettings {
    pub(super) fn read(reader: &mut Reader, need: Need, call_timeout: Option<Duration>) -> Option<Self> {
        let api = reader.value("FOXDEN_FOXY_API", FoxyApi::parse);
        let authorization = AuthorizationPage::read(reader, api.as_ref());
        let client = client(reader, need, api.as_ref());
        let other_clients = other_clients::read(reader, need, client.as_ref().map(|client| client.id.as_str()));
        let h_captcha_code = captcha_code(reader, need);
        let connect_timeout =
            reader.duration("FOXDEN_CONNECT_TIMEOUT", &(Duration::from_millis(10)..=Duration::from_mins(1)));
        let connection_idle = reader.duration("FOXDEN_CONNECTION_IDLE", &(Duration::ZERO..=Duration::from_mins(1)));
        let rate = rate(reader, api.as_ref());
        // A mistake in it is noted by the reader.
        let allows = reader.value("FOXDEN_FOXY_ALLOWS", FoxyAllows::parse).unwrap_or_default();
        let breaker_failures = reader.value("FOXDEN_BREAKER_FAILURES", |text| text::number_within(text, &(0..=1000)));
        for name in ["FOXDEN_SIMULATOR_BOOKS", "FOXDEN_SIMULATOR_LATENCY"] {
            if reader.is_set(name) && api.as_ref().is_some_and(|api| *api != FoxyApi::Simulator) {
                reader.refuse(name, "is for the simulator only, but FOXDEN_FOXY_API is not simulator");
            }
        }
        let books = reader.value("FOXDEN_SIMULATOR_BOOKS", |text| Ok(PathBuf::from(text)));
        let latency = reader.value("FOXDEN_SIMULATOR_LATENCY", Latency::parse);
        Some(Self {
            api: api?,
            client,
            authorization,
            other_clients,
            h_captcha_code,
            simulator: SimulatorSettings { books: books?, redirect_uri: None, latency: latency? },
            call_timeout: call_timeout?,
            connect_timeout: connect_timeout?,
            connection_idle: connection_idle?,
            rate: rate?,
            allows,
            breaker_failures: breaker_failures?,
        })
    }
}

/// The rate of requests. The simulator's process is our own, so it is spared only if somebody wants to see that.
fn rate(reader: &mut Reader, api: Option<&FoxyApi>) -> Option<Option<Rate>> {
    const RATE: &str = "FOXDEN_FOXY_RATE";
    let per_second = reader.value(RATE, |text| match text {
        "off" => Ok(0.0),
        number => number
            .parse()
            .ok()
            .filter(|rate| *rate == 0.0 || (0.001..=1000.0).contains(rate))
            .ok_or_else(|| "expected requests per second from 0.001 to 1000, or off".to_owned()),
    });
    let burst = reader.value("FOXDEN_FOXY_BURST", |text| text::number_within(text, &(1..=10_000)));
    let (per_second, burst) = (per_second?, burst?);
    let is_off = per_second == 0.0 || (api == Some(&FoxyApi::Simulator) && !reader.is_set(RATE));
    Some((!is_off).then_some(Rate { per_second, burst }))
}

fn client(reader: &mut Reader, need: Need, api: Option<&FoxyApi>) -> Option<ClientCredentials> {
    const ID: &str = "FOXDEN_FOXY_CLIENT_ID";
    const SECRET: &str = "FOXDEN_FOXY_CLIENT_SECRET";
    // With the simulator no client is needed, but half a one is a mistake; so it is where one is used if set.
    let need = match need {
        Need::Required if api == Some(&FoxyApi::Simulator) => Need::IfSet,
        other => other,
    };
    if need == Need::Required || (need == Need::IfSet && reader.is_set(SECRET)) {
        reader.require(ID);
    }
    let need_of_secret = if need == Need::IfSet && reader.is_set(ID) { Need::Required } else { need };
    reader.prepare_secret(SECRET, need_of_secret);
    let id = reader.value(ID, |text| {
        let wrong = |_| format!("expected up to {} letters, digits and signs other than a colon", ClientId::MAX);
        ClientId::parse(text).map(|id| id.to_string()).map_err(wrong)
    });
    let secret = reader.value(SECRET, parse_secret);
    Some(ClientCredentials { id: id?, secret: secret?, secret_file: reader.secret_file(SECRET) })
}

pub(super) fn parse_secret(text: &str) -> Result<ClientSecret, String> {
    // RFC 6749, appendix A.2. A line break, the usual accident, would only show as a client that Foxy refuses.
    let fits = text.chars().all(|character| matches!(character, ' '..='~'));
    if fits { Ok(ClientSecret::new(text)) } else { Err("expected a single line of ASCII characters".to_owned()) }
}

/// The client's secret as it stands in this file now, by the rules under which the settings read it.
///
/// # Errors
/// What is wrong with the file, without what is in it.
pub(crate) fn client_secret_in(file: &Path) -> Result<ClientSecret, String> {
    let text = secret_file::read(&file.to_string_lossy())?;
    parse_secret(&text).map_err(|problem| format!("{}: {problem}", file.display()))
}

fn captcha_code(reader: &mut Reader, need: Need) -> Option<CaptchaCode> {
    const CODE: &str = "FOXDEN_FOXY_H_CAPTCHA_CODE";
    reader.prepare_secret(CODE, if need == Need::Unused { Need::Unused } else { Need::IfSet });
    reader.value(CODE, |text| {
        let wrong = |_| format!("expected 1 to {} visible ASCII characters without spaces", CaptchaCode::MAX);
        CaptchaCode::parse(text).map_err(wrong)
    })
}

impl FoxyApi {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "production" => Ok(Self::Production),
            "production-io" => Ok(Self::ProductionIo),
            "sandbox" => Ok(Self::Sandbox),
            "simulator" => Ok(Self::Simulator),
            address => Self::parse_address(address),
        }
    }

    fn parse_address(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or("expected production, production-io, sandbox, simulator, or the https URL of an API home")?;
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err("expected https; http is for addresses of this machine only".to_owned());
        }
        let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if !url.username().is_empty() || url.password().is_some() || has_more {
            return Err("expected a URL without user, password, path, query and fragment".to_owned());
        }
        Ok(Self::Url(url))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

impl Latency {
    /// Reads one duration or a range of two.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let most = Duration::from_mins(10);
        match (text::duration(min), text::duration(max)) {
            (Some(min), Some(max)) if min <= max && max <= most => Ok(Self { min, max }),
            _ => Err("expected a duration up to 10m such as 20ms, or two such as 20ms..80ms".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for text in ["http://127.0.0.1:8787", "http://localhost:8787/", "http://[::1]:8787", "https://hapi.example"] {
            assert_eq!(FoxyApi::parse(text), Ok(FoxyApi::Url(Url::parse(text).unwrap())));
        }
        for text in ["http://hapi.example", "http://10.0.0.1", "http://localhost.example"] {
            let error = FoxyApi::parse(text).unwrap_err();
            assert_eq!(error, "expected https; http is for addresses of this machine only");
        }
    }

    #[test]
    fn an_address_is_an_origin_alone() {
        for text in [
            "https://fox:s3cret@hapi.example",
            "https://hapi.example/v1",
            "https://hapi.example/?a=b",
            "https://hapi.example/#a",
        ] {
            let error = FoxyApi::parse(text).unwrap_err();
            assert_eq!(error, "expected a URL without user, password, path, query and fragment");
        }
    }

    #[test]
    fn anything_else_is_no_foxy() {
        for text in ["Production", "test", "ftp://hapi.example", "s3cret"] {
            let error = FoxyApi::parse(text).unwrap_err();
            assert_eq!(
                error,
                "expected production, production-io, sandbox, simulator, or the https URL of an API home"
            );
        }
    }

    #[test]
    fn latency_is_one_duration_or_a_range() {
        let ms = Duration::from_millis;
        assert_eq!(Latency::parse("0ms"), Ok(Latency { min: ms(0), max: ms(0) }));
        assert_eq!(Latency::parse("20ms..80ms"), Ok(Latency { min: ms(20), max: ms(80) }));
        for text in ["80ms..20ms", "20..80", "20ms..", "..", "11m"] {
            assert!(Latency::parse(text).is_err(), "{text}");
        }
    }
}
