//! One request from its first byte to its last.

use std::sync::Arc;
use std::task::Poll;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures::stream;

use crate::call::Call;
use crate::core::Core;
use crate::faults::{Ending, Fault, Verdict, instead_of_work, upon_answer};
use crate::handlers;
use crate::line::{Cut, Line};
use crate::reply::Reply;
use crate::routes::{self, Route};

/// Bodies are small; this stops a runaway client, not a real one.
const BODY_LIMIT: usize = 1024 * 1024;

/// Answers any request, or doesn't, as the fault script wants it.
pub(crate) async fn serve(
    State(core): State<Arc<Core>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let found = routes::find(&head.method, head.uri.path());
    let mut call = Call {
        found,
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: Bytes::new(),
        lag: Default::default(),
        other_grant: None,
        oauth_error: None,
    };
    let mut body = Some(body);
    let mut is_whole = true;
    if call.route() == Some(Route::Token) {
        is_whole = read(&mut call, body.take()).await;
    }
    let verdict = core.receive(call.route(), call.grant_type());
    call.lag = verdict.lag;
    match &verdict.fault {
        Some(Fault::OtherGrant(name)) => call.other_grant = Some(name.clone()),
        Some(Fault::OauthError(error)) => call.oauth_error = Some(error.clone()),
        _ => {}
    }
    if let Some(Fault::CloseIdle(delay)) = verdict.fault {
        line.close_after(delay);
    }
    let is_head = call.method == Method::HEAD;
    let ending = if verdict.fault == Some(Fault::Refuse) {
        Ending::Cut(Cut::Close)
    } else if is_whole && read(&mut call, body).await {
        // A task of its own: when the client hangs up, hyper drops this future, but a server that has read a request
        // goes on with it.
        let task = tokio::spawn(run(core, call, verdict));
        task.await.unwrap_or(Ending::Cut(Cut::Close))
    } else {
        Ending::Answer(Reply::errors(StatusCode::PAYLOAD_TOO_LARGE, &["The request body could not be read."]))
    };
    match ending {
        Ending::Answer(reply) => {
            line.expect_receipt(reply.receipt);
            let bytes = reply.bytes();
            reply.into_response(Body::from(bytes))
        }
        Ending::Broken(reply) if !is_head => broken(reply),
        Ending::Broken(_) => cut(&line, Cut::Close),
        Ending::Cut(how) => cut(&line, how),
    }
}

/// Reads the body, if it is not read yet. `false`: it could not be.
async fn read(call: &mut Call, body: Option<Body>) -> bool {
    let Some(body) = body else { return true };
    match to_bytes(body, BODY_LIMIT).await {
        Ok(bytes) => call.body = bytes,
        Err(_) => return false,
    }
    true
}

/// Does the work, in the order and at the times that the fault wants.
async fn run(core: Arc<Core>, call: Call, verdict: Verdict) -> Ending {
    let stopped = Ending::Cut(Cut::Close);
    let (before, after) = core.delays();
    if !core.pause(before).await {
        return stopped;
    }
    let ending = match verdict.fault {
        None => Ending::Answer(handlers::answer(&core, &call)),
        Some(Fault::LateWork(delay)) => {
            tokio::spawn(async move {
                if core.pause(delay).await {
                    handlers::answer(&core, &call);
                }
            });
            return Ending::Cut(Cut::Close);
        }
        Some(fault) => {
            if let Some(ending) = instead_of_work(&fault, &call) {
                ending
            } else {
                if let Fault::StallBeforeWork(delay) = fault
                    && !core.pause(delay).await
                {
                    return stopped;
                }
                let mut reply = handlers::answer(&core, &call);
                if let Fault::Rotate(old) = fault {
                    handlers::rotate(&core, &call, old, &mut reply);
                }
                if let Fault::StallAfterWork(delay) = fault {
                    core.pause(delay).await;
                }
                upon_answer(&fault, reply, &core.base, &call)
            }
        }
    };
    if core.pause(after).await { ending } else { stopped }
}

fn cut(line: &Line, how: Cut) -> Response {
    line.cut(how);
    Response::new(Body::empty())
}

/// The head promises the whole body; half of it is sent, then the connection breaks.
fn broken(reply: Reply) -> Response {
    let whole = Bytes::from(reply.bytes());
    let mut half = Some(whole.slice(..whole.len() / 2));
    let mut flushed = false;
    let body = stream::poll_fn(move |cx| {
        if let Some(half) = half.take() {
            return Poll::Ready(Some(Ok(half)));
        }
        if !flushed {
            // hyper writes what it has when a body pends; were the error next, it would never send the head.
            flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::Error::other("the fault script cuts the body here"))))
    });
    reply.with_header(CONTENT_LENGTH, whole.len().to_string()).into_response(Body::from_stream(body))
}
