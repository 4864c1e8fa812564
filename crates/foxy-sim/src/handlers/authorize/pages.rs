//! What a person sees: plain HTML without scripts. Everything that comes from elsewhere is escaped.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_FRAME_OPTIONS};
use url::Position;

use super::Candidate;
use super::request::Request;
use crate::permissions::Asked;
use crate::records::text;
use crate::reply::Reply;
use crate::resource::Scope;

/// No `form-action`: browsers apply it to where a submitted form is redirected, and that is the client.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

const STYLE: &str = "body{font:1rem/1.5 sans-serif;max-width:30rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
    h1{font-size:1.4rem}label{display:block;margin:.6rem 0}input[type=email]{display:block;width:100%;\
    box-sizing:border-box;font:inherit;padding:.5rem}button{font:inherit;padding:.6rem 1.2rem;margin:.4rem .4rem 0 0}\
    .problem{color:#a00}small{color:#555}";

/// Asks who is there. `email` is what was typed before, `problem` what was wrong with it.
pub(super) fn log_in(request: &Request, email: &str, problem: Option<&str>) -> Reply {
    let problem = problem.map_or_else(String::new, |text| format!("<p class=\"problem\" role=\"alert\">{text}</p>\n"));
    let body = format!(
        "<p>{client} asks for access to your account.</p>\n{problem}{form}\
        <label>Email <input type=\"email\" name=\"email\" value=\"{email}\" autocomplete=\"username\" required autofocus>\
        </label>\n<p><small>No password is needed: this Foxy is simulated.</small></p>\n\
        <button name=\"do\" value=\"login\">Log in</button>\n\
        <button name=\"do\" value=\"deny\" formnovalidate>Cancel</button>\n</form>\n",
        client = client(request),
        form = form(request),
        email = escape(email),
    );
    page(if problem.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, "Log in", &body)
}

/// Asks the user of that email whether the client may have what it asks for, and of which of these.
pub(super) fn consent(request: &Request, asked: &Asked, email: &str, candidates: &[Candidate]) -> Reply {
    let wishes = asked.in_words().iter().fold(String::new(), |all, wish| all + "<li>" + &escape(wish) + "</li>\n");
    let choice = match candidates {
        [only] => format!(
            "<p>{kind}: <strong>{name}</strong></p>\n<input type=\"hidden\" name=\"resource\" value=\"{path}\">\n",
            kind = if asked.scope == Scope::Store { "Store" } else { "User" },
            name = escape(&only.name),
            path = only.resource.path(),
        ),
        several => {
            let label = |candidate: &Candidate| {
                let (name, path) = (escape(&candidate.name), candidate.resource.path());
                format!("<label><input type=\"radio\" name=\"resource\" value=\"{path}\" required> {name}</label>\n")
            };
            let labels: String = several.iter().map(label).collect();
            format!("<fieldset>\n<legend>Choose a store</legend>\n{labels}</fieldset>\n")
        }
    };
    let body = format!(
        "<p>{client} asks for access. It wants to:</p>\n<ul>\n{wishes}</ul>\n{form}{choice}\
        <button name=\"do\" value=\"allow\">Allow</button>\n\
        <button name=\"do\" value=\"deny\" formnovalidate>Deny</button>\n</form>\n\
        <p><small>Either way you go back to {back}.</small></p>\n{account}",
        client = client(request),
        form = form(request),
        back = escape(&request.back[..Position::BeforePath]),
        account = account(request, email),
    );
    page(StatusCode::OK, "Allow access?", &body)
}

/// The user of that email can't grant this.
pub(super) fn nothing_to_grant(request: &Request, asked: &Asked, email: &str) -> Reply {
    let lacks = asked.store.map_or("has no store".to_owned(), |number| format!("has no access to store {number}"));
    let body = format!(
        "<p>{client} asks for access to a store, and {email} {lacks}.</p>\n{form}\
        <button name=\"do\" value=\"deny\">Go back</button>\n</form>\n{account}",
        client = client(request),
        email = escape(email),
        form = form(request),
        account = account(request, email),
    );
    page(StatusCode::FORBIDDEN, "You can not grant this", &body)
}

/// A request that can't be answered at the client's own address.
pub(super) fn refusal(reason: &str) -> Reply {
    page(StatusCode::BAD_REQUEST, "This link does not work", &format!("<p>{}</p>\n", escape(reason)))
}

/// Who is logged in, and the way to be someone else.
fn account(request: &Request, email: &str) -> String {
    format!(
        "<hr>\n{form}<p>You are logged in as {email}.\n\
        <button name=\"do\" value=\"logout\">Use another account</button></p>\n</form>\n",
        form = form(request),
        email = escape(email),
    )
}

/// The client by its project and company.
fn client(request: &Request) -> String {
    let property = |name| escape(text(&request.client.properties, name));
    let (project, company) = (property("project_name"), property("company_name"));
    let project = if project.is_empty() { escape(&request.client.client_id) } else { project };
    if company.is_empty() {
        format!("<strong>{project}</strong>")
    } else {
        format!("<strong>{project}</strong> by {company}")
    }
}

/// A form's beginning. Its action carries the whole request.
fn form(request: &Request) -> String {
    format!("<form method=\"post\" action=\"{}\">\n", escape(&request.here))
}

fn page(status: StatusCode, title: &str, body: &str) -> Reply {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
        <title>{title} – Foxy, simulated</title>\n<style>{STYLE}</style>\n</head>\n\
        <body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    );
    let reply = Reply::page(status, html).with_header(CACHE_CONTROL, "no-store");
    reply.with_header(CONTENT_SECURITY_POLICY, POLICY).with_header(X_FRAME_OPTIONS, "DENY")
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
