//! One request, read whole. It holds tokens and secrets, so it has no `Debug`.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::moment::now_ms;
use crate::reply::Reply;
use crate::routes::{Found, GrantType, Route};

/// One request, read whole.
pub(crate) struct Call {
    pub(crate) found: Found,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How old a user or store must be to be seen by collections and reports.
    pub(crate) lag: Duration,
    /// The user or store that a code opens in the place of what was granted.
    pub(crate) other_grant: Option<String>,
    /// The error that the authorization endpoint sends the browser back with, and its description.
    pub(crate) oauth_error: Option<String>,
}

impl Call {
    /// The route, if there is one.
    pub(crate) fn route(&self) -> Option<Route> {
        match self.found {
            Found::Route(route, _) => Some(route),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    /// Which kind of token a request to the token endpoint asks for. It stands in the body.
    pub(crate) fn grant_type(&self) -> Option<GrantType> {
        let form = self.form_only().filter(|_| self.route() == Some(Route::Token))?;
        GrantType::parse(form.get("grant_type")?.as_str()?)
    }

    /// Whether it came to the authorization endpoint, from a browser.
    pub(crate) fn is_authorization(&self) -> bool {
        matches!(self.route(), Some(Route::Authorize | Route::AnswerAuthorize))
    }

    /// A header's text, trimmed; `None` when it is missing or empty.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Whether collections and reports show what was made then.
    pub(crate) fn sees(&self, created_at_ms: u64) -> bool {
        let lag = u64::try_from(self.lag.as_millis()).unwrap_or(u64::MAX);
        created_at_ms.saturating_add(lag) <= now_ms()
    }

    /// The query's pairs, decoded.
    pub(crate) fn query(&self) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes()).into_owned()
    }

    /// One value of the query.
    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        self.query().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether the query asks for what this relation links to (Foxy docs: cheat sheet, zooming). What is to be embedded
    /// in that again, behind a colon, is not told.
    pub(crate) fn zooms(&self, rel: &str) -> bool {
        let wanted = self.query_value("zoom").unwrap_or_default();
        wanted.split(',').any(|path| path.split(':').next() == rel.strip_prefix("fx:"))
    }

    /// The body's properties, from JSON or a form.
    ///
    /// # Errors
    /// The answer to give when the body is of another type, or isn't what its type says.
    pub(crate) fn properties(&self) -> Result<Map<String, Value>, Reply> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match self.media_type().as_str() {
            // The official SDK's JSON leaves Node as text/plain: its fetch sets that type for any text body.
            "application/json" | "application/hal+json" | "text/plain" => serde_json::from_slice(&self.body)
                .map_err(|_| Reply::bad_request("The request body could not be read as a JSON object.")),
            "application/x-www-form-urlencoded" => Ok(self.form()),
            _ => Err(Reply::errors(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &["The request body must be application/json or application/x-www-form-urlencoded."],
            )),
        }
    }

    /// The body's pairs when it is a form; RFC 6749 wants nothing else at the token endpoint.
    pub(crate) fn form_only(&self) -> Option<Map<String, Value>> {
        (self.media_type() == "application/x-www-form-urlencoded").then(|| self.form())
    }

    fn form(&self) -> Map<String, Value> {
        form_urlencoded::parse(&self.body).map(|(name, value)| (name.into_owned(), Value::from(value))).collect()
    }

    fn media_type(&self) -> String {
        let header = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}
