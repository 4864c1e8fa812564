//! Answers: a page, or the way to one.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{
        HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse as _, Response},
};

use crate::{door::Door, pages::Page};

/// As axum has it.
pub(crate) type Reply = Response;

/// The name in a URL's path, which may be no text once its escapes are resolved. axum would answer that by itself.
pub(crate) type InPath = Result<Path<String>, PathRejection>;

/// On answers with a form, so that the headers fit.
#[derive(Clone, Copy)]
pub(crate) struct HasForm;

/// Seconds after which a person may try again what is away now.
const RETRY_IN: HeaderValue = HeaderValue::from_static("60");

impl Door {
    /// A whole page.
    pub(crate) fn page(&self, page: &Page) -> Reply {
        let document = self.layout.document(&page.heading, page.again_in, &page.body);
        let mut reply = (page.status, document).into_response();
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if page.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_IN);
        }
        if page.has_form {
            reply.extensions_mut().insert(HasForm);
        }
        reply
    }
}

/// The name, or a text that is none.
pub(crate) fn text_of(name: &InPath) -> &str {
    name.as_ref().map_or("", |Path(text)| text)
}

/// Sends a browser elsewhere, by GET.
pub(crate) fn see_other(location: &str) -> Reply {
    let mut location = HeaderValue::try_from(location).expect("URLs and our own paths are ASCII");
    // It may hold a state.
    location.set_sensitive(true);
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// Says that only this method is served.
pub(crate) fn allowing(mut reply: Reply, methods: &'static str) -> Reply {
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    reply
}
