//! An authorization request (RFC 6749 section 4.1.1), and the ways back to the client that sent it.

use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{Method, StatusCode};
use url::{Url, form_urlencoded};

use super::pages;
use crate::call::Call;
use crate::codes::SentTo;
use crate::core::Core;
use crate::grants::Grantee;
use crate::permissions::Asked;
use crate::records::{Client, Records, text};
use crate::reply::Reply;
use crate::resource::Resource;

/// A request whose client is known, so that its errors can be sent back there.
pub(super) struct Request {
    /// Who asks.
    pub(super) client: Client,
    /// What for, or what is wrong with the request: an error code of RFC 6749 section 4.1.2.1 and a description.
    pub(super) asked: Result<Asked, (&'static str, &'static str)>,
    /// Where the client's answer goes.
    pub(super) back: Url,
    /// This request's own address.
    pub(super) here: String,
    names_redirect_uri: bool,
    state: Option<String>,
    /// A page that was submitted is left with GET.
    redirect: StatusCode,
}

impl Request {
    /// Reads the query.
    ///
    /// # Errors
    /// A page: without a known client and its own redirect URI, no one is sent anywhere (RFC 6749 section 4.1.2.1).
    pub(super) fn read(records: &Records, call: &Call) -> Result<Self, Reply> {
        let value = |name: &str| call.query_value(name).filter(|value| !value.is_empty());
        let Some(client) = records.client_by_public_id(&value("client_id").unwrap_or_default()) else {
            return Err(pages::refusal("This client_id is unknown."));
        };
        let registered = text(&client.properties, "redirect_uri");
        let redirect_uri = value("redirect_uri");
        if redirect_uri.as_ref().is_some_and(|asked| asked != registered) {
            return Err(pages::refusal("This redirect_uri is not the client's own."));
        }
        let Ok(back) = Url::parse(registered) else {
            return Err(pages::refusal("The client has no redirect_uri."));
        };
        let state = value("state");
        let asked = if state.is_none() {
            Err(("invalid_request", "The state parameter is required"))
        } else if value("response_type").as_deref() != Some("code") {
            Err(("unsupported_response_type", "The response type must be code"))
        } else {
            let asked = value("scope").and_then(|scope| Asked::parse(&scope));
            asked.ok_or(("invalid_scope", "The scope is none that a person can grant"))
        };
        let redirect = if call.method == Method::POST { StatusCode::SEE_OTHER } else { StatusCode::FOUND };
        let here = "/authorize?".to_owned();
        let end = here.len();
        let here = form_urlencoded::Serializer::for_suffix(here, end).extend_pairs(call.query()).finish();
        Ok(Self {
            client: client.clone(),
            asked,
            back,
            here,
            names_redirect_uri: redirect_uri.is_some(),
            state,
            redirect,
        })
    }

    /// Sends the browser back with a code for this user or store.
    pub(super) fn granted(self, core: &Core, records: &mut Records, asked: Asked, resource: Resource) -> Reply {
        let grantee = Grantee { words: Some(asked.words), ..Grantee::of(&self.client.client_id, resource) };
        let redirect_uri = text(&self.client.properties, "redirect_uri").to_owned();
        let sent_to = SentTo { redirect_uri, was_named: self.names_redirect_uri };
        let Records { codes, dice, .. } = records;
        let code = codes.open(dice, grantee, sent_to, core.code_lifetime);
        self.back(&[("code", &code)])
    }

    /// Sends the browser back with an error.
    pub(super) fn refused(self, (error, description): (&str, &str)) -> Reply {
        self.back(&[("error", error), ("error_description", description)])
    }

    fn back(mut self, pairs: &[(&str, &str)]) -> Reply {
        self.back.query_pairs_mut().extend_pairs(pairs).extend_pairs(self.state.map(|state| ("state", state)));
        Reply::empty(self.redirect).with_header(LOCATION, self.back).with_header(CACHE_CONTROL, "no-store")
    }
}
