//! Answers, before they become bytes: faults still change them. They hold tokens, so they have no `Debug`.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::moment::now_ms;
use crate::resource::Resource;

/// The media type of resources.
const HAL: &str = "application/hal+json";
/// The media type of `fx:errors`.
const ERRORS: &str = "application/vnd.error+json";

/// What an answer carries.
pub(crate) enum Content {
    Empty,
    Json(Value),
    Text(String),
    Bytes(Vec<u8>),
}

/// One answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) content: Content,
    /// What was made and whose token is in here, to be booked as answered once it is with the socket.
    pub(crate) receipt: Option<Resource>,
}

impl Reply {
    fn new(status: StatusCode, media: &str, content: Content) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, media.to_owned())], content, receipt: None }
    }

    /// A resource.
    pub(crate) fn hal(status: StatusCode, document: Value) -> Self {
        Self::new(status, HAL, Content::Json(document))
    }

    /// Plain JSON, as the token endpoint speaks it.
    pub(crate) fn json(status: StatusCode, document: Value) -> Self {
        Self::new(status, "application/json", Content::Json(document))
    }

    /// A web page: a person's, or a gateway's.
    pub(crate) fn page(status: StatusCode, html: String) -> Self {
        Self::new(status, "text/html; charset=UTF-8", Content::Text(html))
    }

    /// No body at all.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), content: Content::Empty, receipt: None }
    }

    /// Foxy's own errors, one entry for each message. They share a reference: as at Foxy it is the time in seconds.
    pub(crate) fn errors<M: AsRef<str>>(status: StatusCode, messages: &[M]) -> Self {
        let logref = format!("id-{}", now_ms() / 1000);
        let entries: Vec<_> =
            messages.iter().map(|message| json!({ "logref": logref, "message": message.as_ref() })).collect();
        let document = json!({
            "total": entries.len(),
            "_links": { "curies": curies() },
            "_embedded": { "fx:errors": entries },
        });
        Self::new(status, ERRORS, Content::Json(document))
    }

    /// A request that does not say which version of the API it speaks.
    pub(crate) fn no_version() -> Self {
        Self::bad_request("The FOXY-API-VERSION request header is required, and must be 1.")
            .with_header(CACHE_CONTROL, "no-cache")
    }

    /// One mistake in the request.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::errors(StatusCode::BAD_REQUEST, &[message])
    }

    /// Nothing is there, or nothing the caller may know of.
    pub(crate) fn not_found(message: &str) -> Self {
        Self::errors(StatusCode::NOT_FOUND, &[message])
    }

    /// RFC 6749 section 5.2.
    pub(crate) fn oauth_error(status: StatusCode, error: &str, description: &str) -> Self {
        Self::json(status, json!({ "error": error, "error_description": description }))
    }

    /// RFC 6750 section 3.1: the access token opens nothing, or not this.
    pub(crate) fn bearer_error(status: StatusCode, error: &str, description: &str) -> Self {
        Self::oauth_error(status, error, description).with_header(
            WWW_AUTHENTICATE,
            format!("Bearer realm=\"Foxy\", error=\"{error}\", error_description=\"{description}\""),
        )
    }

    /// The same answer with one header more.
    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The body's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.content {
            Content::Empty => Vec::new(),
            Content::Json(document) => document.to_string().into_bytes(),
            Content::Text(text) => text.clone().into_bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        }
    }

    /// The answer around any body.
    pub(crate) fn into_response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            // A fault script's own URL may hold what no header can; then the header is left out.
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// The `_links` of a resource, absolute from the simulator's own base.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    base: &'a str,
    links: Map<String, Value>,
}

impl<'a> Links<'a> {
    /// None but the curies.
    pub(crate) fn from_base(base: &'a str) -> Self {
        let mut links = Map::new();
        links.insert("curies".to_owned(), curies());
        Self { base, links }
    }

    /// One link more, to a path below the base.
    pub(crate) fn with(mut self, rel: &str, path: &str, title: &str) -> Self {
        self.links.insert(rel.to_owned(), json!({ "href": format!("{}{path}", self.base), "title": title }));
        self
    }

    /// The finished links.
    pub(crate) fn done(self) -> Value {
        Value::Object(self.links)
    }
}

/// Foxy's link relations all share one prefix (Foxy docs: link relationships).
fn curies() -> Value {
    json!([{ "name": "fx", "href": "https://api.foxycart.com/rels/{rel}", "templated": true }])
}
