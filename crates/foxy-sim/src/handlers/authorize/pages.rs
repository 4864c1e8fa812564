//! What a person sees. Everything that comes from elsewhere is escaped.

use std::fmt::Write;

use axum::http::StatusCode;
use url::form_urlencoded;

use crate::call::Call;
use crate::core::Core;
use crate::reply::Reply;
use crate::resource::Resource;

/// A page to choose who grants access.
pub(super) fn choice(core: &Core, call: &Call, candidates: &[(Resource, &str)]) -> Reply {
    let mut html = "<!DOCTYPE html>\n<title>Foxy, simulated</title>\n<h1>Grant access as</h1>\n<ul>\n".to_owned();
    let link = |name: &str, value: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query()).append_pair(name, value);
        escape(&format!("/authorize?{}", query.finish()))
    };
    for (resource, name) in candidates {
        let href = link("sim_as", &format!("{}{}", core.base, resource.path()));
        // Writing to a String can't fail.
        let _ = writeln!(html, "<li><a href=\"{href}\">{}</a></li>", escape(name));
    }
    let _ = writeln!(html, "</ul>\n<p><a href=\"{}\">Deny access</a></p>", link("sim_deny", "1"));
    Reply::page(StatusCode::OK, html)
}

/// A request that can't be answered at the client's own address.
pub(super) fn refusal(reason: &str) -> Reply {
    let html = format!("<!DOCTYPE html>\n<title>Foxy, simulated</title>\n<p>{reason}</p>\n");
    Reply::page(StatusCode::BAD_REQUEST, html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
