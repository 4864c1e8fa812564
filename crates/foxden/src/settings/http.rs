//! The pages for grants, behind the platform's TLS proxy.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_HTTP_LISTEN` | | where a worker serves the pages: `127.0.0.1:8080` or `unix:/run/foxden/http.sock`; without it, there are none |
//! | `FOXDEN_HTTP_PLATFORM_NAME` | | the platform's name on the pages |
//! | `FOXDEN_HTTP_PLATFORM_COLOR` | `#336699` | the platform's color on the pages |
//! | `FOXDEN_HTTP_PLATFORM_HELP` | | where a person gets help: an `https:` or `mailto:` URL |
//! | `FOXDEN_HTTP_RETURN_URL` | | the platform's page, where a person goes with a signed result; without it, a page of foxden's |
//! | `FOXDEN_HTTP_RESULT_KEY` (`_FILE`) | | what signs that result, 32 bytes or more |
//! | `FOXDEN_HTTP_FORWARDED_BY` | `none` | the header by which the proxy names the client: `x-forwarded-for`, `forwarded` or `none` |
//! | `FOXDEN_HTTP_PROXIES` | | the proxies that are believed, as addresses or networks, separated by commas |
//!
//! The public URL and the redirect URI are in [`grants`](super::grants). All the rest without `FOXDEN_HTTP_LISTEN` is a
//! mistake: setting it means believing that there are pages.

use std::time::Duration;

use foxden_web::{
    Color, ForwardedBy, Forwarding, Limits, ListenAddress, Platform, PublicUrl, RedirectUri, ResultKey, ReturnTo,
    ReturnUrl,
};

use super::{
    AuthorizationPage, FoxyApi, FoxySettings, GrantSettings, Need, authorization::AUTHORIZE_URL, reader::Reader,
};

const LISTEN: &str = "FOXDEN_HTTP_LISTEN";
const NAME: &str = "FOXDEN_HTTP_PLATFORM_NAME";
const COLOR: &str = "FOXDEN_HTTP_PLATFORM_COLOR";
const HELP: &str = "FOXDEN_HTTP_PLATFORM_HELP";
const RETURN_URL: &str = "FOXDEN_HTTP_RETURN_URL";
const RESULT_KEY: &str = "FOXDEN_HTTP_RESULT_KEY";
const FORWARDED_BY: &str = "FOXDEN_HTTP_FORWARDED_BY";
const PROXIES: &str = "FOXDEN_HTTP_PROXIES";

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct HttpSettings {
    /// Where the pages are served.
    pub(crate) listen: ListenAddress,
    public_url: PublicUrl,
    redirect_uri: RedirectUri,
    platform: Platform,
    return_to: Option<ReturnTo>,
    forwarding: Forwarding,
}

impl HttpSettings {
    /// `None` also for a command that serves no pages: it has no use for the key.
    pub(super) fn read(
        reader: &mut Reader,
        need: Need,
        (foxy, grants): (Option<&FoxySettings>, Option<&GrantSettings>),
    ) -> Option<Self> {
        let listen = reader.value(LISTEN, |text| text.parse::<ListenAddress>().map_err(|error| error.to_string()));
        let platform = platform(reader);
        let return_to = return_to(reader, need);
        let forwarding = forwarding(reader, listen.as_ref());
        if !reader.is_set(LISTEN) {
            for name in [NAME, COLOR, HELP, RETURN_URL, RESULT_KEY, FORWARDED_BY, PROXIES] {
                if reader.is_set(name) {
                    reader.refuse(name, format!("is for the pages only, but {LISTEN} is not set"));
                }
            }
            return None;
        }
        for name in ["FOXDEN_HTTP_PUBLIC_URL", NAME] {
            if !reader.is_set(name) {
                reader.refuse(name, format!("the pages need it, and {LISTEN} is set"));
            }
        }
        let is_unknown = |foxy: &FoxySettings| foxy.authorization.is_none() && foxy.api != FoxyApi::Simulator;
        if foxy.is_some_and(is_unknown) && !reader.is_set(AUTHORIZE_URL) {
            let problem = "the pages need it where FOXDEN_FOXY_API is an address: people grant access there";
            reader.refuse(AUTHORIZE_URL, problem);
        }
        let grants = grants?;
        let public_url = grants.public_url.clone()?;
        let redirect_uri = RedirectUri::parse(grants.redirect_uri.as_deref()?, &public_url).ok()?;
        if need == Need::Unused {
            return None;
        }
        Some(Self {
            listen: listen?,
            public_url,
            redirect_uri,
            platform: platform?,
            return_to: return_to?,
            forwarding: forwarding?,
        })
    }

    /// Where to listen, and what the pages are told. `grace` is how long stopping may take: longer than the exchange of
    /// a code, so that one which has begun is recorded.
    pub(crate) fn into_pages(
        self,
        authorization: &AuthorizationPage,
        grace: Duration,
    ) -> (ListenAddress, foxden_web::Settings) {
        let Self { listen, public_url, redirect_uri, platform, return_to, forwarding } = self;
        let authorization = authorization.origins();
        let limits = Limits { drain_time: grace, ..Limits::default() };
        let settings =
            foxden_web::Settings { public_url, redirect_uri, authorization, platform, return_to, forwarding, limits };
        (listen, settings)
    }
}

fn platform(reader: &mut Reader) -> Option<Platform> {
    let color: Option<Color> =
        reader.value(COLOR, |text| text.parse().map_err(|error: foxden_web::MalformedColor| error.to_string()));
    // Each by itself first, since a platform names one mistake at a time.
    let check = |name: &str, help: Option<&str>| {
        let any = "#000000".parse().expect("it is a color");
        Platform::try_new(name, any, help).map(drop).map_err(|error| error.to_string())
    };
    let name = reader.value(NAME, |text| check(text, None).map(|()| text.to_owned()));
    let help = reader.value(HELP, |text| check("any", Some(text)).map(|()| text.to_owned()));
    Platform::try_new(&name?, color?, help.as_deref()).ok()
}

fn return_to(reader: &mut Reader, need: Need) -> Option<Option<ReturnTo>> {
    reader.prepare_secret(RESULT_KEY, if need == Need::Unused { Need::Unused } else { Need::IfSet });
    let url = reader.value(RETURN_URL, |text| ReturnUrl::parse(text).map_err(|error| error.to_string()));
    let key = reader.value(RESULT_KEY, |text| ResultKey::parse(text.as_bytes()).map_err(|error| error.to_string()));
    for (name, other) in [(RETURN_URL, RESULT_KEY), (RESULT_KEY, RETURN_URL)] {
        if reader.is_set(name) && !reader.is_set(other) {
            reader.refuse(name, format!("{other} is not set; the return URL and the key of its results go together"));
        }
    }
    if !reader.is_set(RETURN_URL) {
        return Some(None);
    }
    Some(Some(ReturnTo { url: url?, key: key? }))
}

fn forwarding(reader: &mut Reader, listen: Option<&ListenAddress>) -> Option<Forwarding> {
    let header = reader.value(FORWARDED_BY, |text| match text {
        "none" => Ok(None),
        text => text.parse::<ForwardedBy>().map(Some).map_err(|error| format!("{error}, or none")),
    });
    let proxies = reader.value(PROXIES, |text| {
        let networks: Vec<String> = text.split(',').map(|network| network.trim().to_owned()).collect();
        // Not its error, which repeats the text.
        let wrong = "expected IP addresses or networks, separated by commas, such as 10.0.0.7 or fd00::/8";
        Forwarding::by(ForwardedBy::Forwarded, networks.iter().map(String::as_str)).map_err(|_| wrong.to_owned())?;
        Ok(networks)
    });
    let Some(header) = header? else {
        if reader.is_set(PROXIES) {
            reader.refuse(PROXIES, format!("{FORWARDED_BY} does not say by which header they name the client"));
        }
        if matches!(listen, Some(ListenAddress::Unix(_))) && !reader.is_set(FORWARDED_BY) {
            let problem =
                format!("{LISTEN} is a socket, where only a header names the client; none: all share one limit");
            reader.refuse(FORWARDED_BY, problem);
        }
        return Some(Forwarding::none());
    };
    // At a socket, whoever may connect is believed.
    if matches!(listen, Some(ListenAddress::Tcp(_))) && !reader.is_set(PROXIES) {
        reader.refuse(PROXIES, format!("{FORWARDED_BY} names a header, and no one is believed about it"));
    }
    let proxies = proxies.unwrap_or_default();
    Forwarding::by(header, proxies.iter().map(String::as_str)).ok()
}
