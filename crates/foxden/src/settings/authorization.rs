//! Where Foxy asks people for their consent.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_FOXY_AUTHORIZE_URL` | | the https URL of the page; known for `production`, `production-io`, `sandbox` and `simulator` |

use foxden_web::FormTarget;
use url::Url;

use super::{FoxyApi, reader::Reader};

pub(super) const AUTHORIZE_URL: &str = "FOXDEN_FOXY_AUTHORIZE_URL";

/// Under both of its names: the page at the older one may redirect to the newer one.
const PRODUCTION: [&str; 2] = ["https://my.foxycart.com/authorize", "https://auth.foxy.io/authorize"];
const SANDBOX: &str = "https://my-sandbox.foxycart.com/authorize";

/// Where Foxy asks people for their consent.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationPage {
    /// The page's address, to which a request's parameters are added.
    pub(crate) url: Url,
    /// The same page's other addresses.
    also_at: Vec<Url>,
}

impl AuthorizationPage {
    /// The page of this Foxy, if it has one that is known: the simulator's is known once it has started.
    pub(super) fn read(reader: &mut Reader, api: Option<&FoxyApi>) -> Option<Self> {
        let given = reader.value(AUTHORIZE_URL, parse);
        let known: &[&str] = match api? {
            FoxyApi::Production => &PRODUCTION,
            FoxyApi::ProductionIo => &[PRODUCTION[1], PRODUCTION[0]],
            FoxyApi::Sandbox => &[SANDBOX],
            FoxyApi::Simulator | FoxyApi::Url(_) => &[],
        };
        let known = known.iter().map(|url| Url::parse(url).expect("it is a URL"));
        let mut addresses = given.into_iter().chain(known);
        Some(Self { url: addresses.next()?, also_at: addresses.collect() })
    }

    /// A page whose address is known only now: the simulator's.
    pub(crate) fn at(address: &str) -> Result<Self, String> {
        parse(address).map(|url| Self { url, also_at: Vec::new() })
    }

    /// The origins on the way there.
    pub(crate) fn origins(&self) -> Vec<FormTarget> {
        let addresses = std::iter::once(&self.url).chain(&self.also_at);
        addresses.map(|url| FormTarget::parse(url.as_str()).expect("it was parsed as one before")).collect()
    }
}

fn parse(text: &str) -> Result<Url, String> {
    FormTarget::parse(text).map_err(|error| error.to_string())?;
    // RFC 6749 section 3.1: it may have a query, and must not have a fragment.
    match Url::parse(text) {
        Ok(url) if url.fragment().is_none() => Ok(url),
        _ => Err("leave out the fragment".to_owned()),
    }
}
