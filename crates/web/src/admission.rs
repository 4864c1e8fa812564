//! What is done for every request: limits before it is served, headers and a line of the log after.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
};
use tokio::time::timeout;

use crate::{
    door::Door,
    pages::Trouble,
    reply::{HasForm, Reply},
};

/// Largest body. The form that has one sends some hundred bytes.
pub(crate) const LARGEST_BODY: usize = 4096;

/// Who is at the other end of the connection; nothing if it is a Unix socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<SocketAddr>);

/// Serves a request within the limits.
pub(crate) async fn admit(State(door): State<Arc<Door>>, request: Request, next: Next) -> Reply {
    let began = Instant::now();
    // The route's pattern: what stands in its place is a ticket or a code.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let reply = within_limits(&door, began, request, next).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let (status, duration_ms) = (reply.status().as_u16(), began.elapsed().as_millis());
    tracing::debug!(event = "web.answered", %method, route, status, duration_ms, "a request was answered");
    reply
}

async fn within_limits(door: &Door, now: Instant, request: Request, next: Next) -> Reply {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    let client = door.settings.forwarding.client(peer, request.headers());
    let admitted = door.rates.lock().unwrap_or_else(PoisonError::into_inner).admit(client, now);
    if let Err(wait) = admitted {
        let mut reply = door.trouble(Trouble::TooOften);
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        return reply;
    }
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST_BODY as u64) {
        return door.trouble(Trouble::TooLarge);
    }
    match timeout(door.settings.limits.request_time, next.run(request)).await {
        Ok(reply) => reply,
        Err(_) => door.trouble(Trouble::Late),
    }
}

/// Nothing here is kept, framed, guessed at or shared with another window, and no other place learns where a person
/// comes from.
pub(crate) async fn headers(State(door): State<Arc<Door>>, mut reply: Reply) -> Reply {
    // To ourselves alone: without any referrer, browsers hide the origin of a form, too.
    let referrer = if reply.extensions().get::<HasForm>().is_some() { "same-origin" } else { "no-referrer" };
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, door.layout.policy());
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, referrer),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}
