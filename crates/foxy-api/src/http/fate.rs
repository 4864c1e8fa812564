//! What may have become of a request without an answer.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::NotSent;

/// What may have become of a request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never left.
    NotSent(NotSent),
    /// It never left, since the pace does not allow it before so much time has passed.
    HeldBack(Duration),
    /// It may have been read; time ran out.
    TimedOut,
    /// It may have been read; the connection ended, or brought nonsense.
    ConnectionLost,
    /// The same, on a connection that was kept from an earlier call: it may have been closed before the request came.
    KeptConnectionLost,
}

/// Sorts an error by what may have happened. That nothing was sent is never inferred from the kind of error alone: it
/// is claimed only if no connection ever asked for the body.
pub(super) fn fate(error: &reqwest::Error, handed_over: bool) -> Fate {
    match (handed_over, error.is_timeout()) {
        (false, _) => Fate::NotSent(not_sent(error)),
        (true, true) => Fate::TimedOut,
        (true, false) => Fate::ConnectionLost,
    }
}

fn not_sent(error: &reqwest::Error) -> NotSent {
    if error.is_builder() {
        NotSent::RequestInvalid
    } else if error.is_timeout() {
        // Without a connect error it was the whole call's time that ended, before there was a connection.
        if error.is_connect() { NotSent::ConnectTimedOut } else { NotSent::DeadlinePassed }
    } else if error.is_dns() {
        NotSent::NameNotResolved
    } else if chain(error).any(|reason| reason.is::<rustls::Error>()) {
        NotSent::Tls
    } else if chain(error).filter_map(|reason| reason.downcast_ref::<io::Error>()).any(is_refused) {
        NotSent::ConnectionRefused
    } else {
        NotSent::ConnectFailed
    }
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// An error and all its reasons, also those that an I/O error wraps, which its `source` passes over.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// A request's body that notes when a connection asks for it.
///
/// The connection does so after it is made and before it sends the body's first byte, and no server can create anything
/// without the body. Until then, the call had no effect.
pub(super) struct Watched {
    pub(super) body: reqwest::Body,
    pub(super) handed_over: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = <reqwest::Body as HttpBody>::Data;
    type Error = <reqwest::Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.handed_over.store(true, Ordering::Release);
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
