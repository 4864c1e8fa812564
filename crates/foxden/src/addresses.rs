//! Addresses of Foxy's that were kept: nothing uses, exports or publishes one before it was checked.
//!
//! Anyone who can write to the database can put any address there, and a token would go with it.

use foxden_ledger::Provisioning;
use foxy_api::{ApiOrigins, ResourceUri};
use serde_json::{Map, Value};

use crate::{
    settings::{FoxyApi, FoxySettings},
    terminal::printable,
};

/// What kept addresses are checked against.
#[derive(Clone, Debug)]
pub(crate) struct Addresses(ApiOrigins);

/// The addresses of a row that are not Foxy's.
#[derive(Debug, Default)]
pub(crate) struct Untrusted {
    /// Of its user.
    pub(crate) user_uri: Option<String>,
    /// Of its store.
    pub(crate) store_uri: Option<String>,
}

impl Addresses {
    /// Those of the Foxy that the settings name. A simulator's need not run: any of this machine's passes for it.
    pub(crate) fn of(settings: &FoxySettings) -> Self {
        Self(match &settings.api {
            FoxyApi::Production => ApiOrigins::production(),
            FoxyApi::ProductionIo => ApiOrigins::production_io(),
            FoxyApi::Sandbox => ApiOrigins::sandbox(),
            FoxyApi::Url(url) => ApiOrigins::explicit(url.as_str()).expect("the settings take only what is one"),
            FoxyApi::Simulator => ApiOrigins::explicit("http://127.0.0.1/").expect("it is on this machine"),
        })
    }

    /// Those of a Foxy that is there.
    pub(crate) fn at(origins: &ApiOrigins) -> Self {
        Self(origins.clone())
    }

    /// The address as it may be used; `None` if it is not of this Foxy.
    pub(crate) fn checked(&self, text: &str) -> Option<String> {
        ResourceUri::kept(text, &self.0).ok().map(|uri| uri.to_string())
    }

    /// Takes what is not Foxy's out of an address that is to be shown.
    pub(crate) fn shown(&self, address: Option<&str>) -> Option<String> {
        let text = address?;
        let printed = printable(text);
        Some(if self.checked(text).is_some() { printed.into_owned() } else { format!("{printed} (not trusted)") })
    }

    /// Takes the addresses that are not Foxy's out of a row.
    pub(crate) fn sift(&self, row: &mut Provisioning) -> Untrusted {
        let foreign = |address: &mut Option<String>| address.take_if(|text| self.checked(text).is_none());
        Untrusted { user_uri: foreign(&mut row.user_uri), store_uri: foreign(&mut row.store_uri) }
    }
}

impl Untrusted {
    /// For scripts, under a name of their own, so that none is taken for an address.
    pub(crate) fn json(&self) -> Option<Value> {
        let named = [("user_uri", &self.user_uri), ("store_uri", &self.store_uri)];
        let fields: Map<_, _> =
            named.into_iter().filter_map(|(name, uri)| Some((name.to_owned(), uri.clone()?.into()))).collect();
        (!fields.is_empty()).then(|| fields.into())
    }
}
