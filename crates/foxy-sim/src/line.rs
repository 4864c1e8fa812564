//! Connections that can be cut, and that say when an answer has left.
//!
//! A handler can't close its connection through hyper. So each accepted socket is wrapped, and shares a small
//! state with the handlers of its requests: once the line is cut, the next write fails, hyper gives the
//! connection up and drops the socket. HTTP/1.1 without pipelining has one request on a line at a time; under HTTP/2
//! those that share a line are cut together, as they are where a real connection breaks.

use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::core::{Core, lock};
use crate::resource::Resource;

/// How a connection ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Closed: the peer reads an end of file.
    Close,
    /// Reset: the peer's read fails.
    Reset,
}

/// What a connection and the requests on it share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cut: Option<Cut>,
    /// How long after the next write the connection is closed.
    close_after: Option<Duration>,
    /// When it is closed.
    close_at: Option<Instant>,
    receipts: Vec<Resource>,
}

impl Line {
    /// Ends the connection in place of the next write.
    pub(crate) fn cut(&self, how: Cut) {
        lock(&self.0).cut = Some(how);
    }

    /// Closes the connection this long after the next write, whatever is under way on it by then.
    pub(crate) fn close_after(&self, delay: Duration) {
        lock(&self.0).close_after = Some(delay);
    }

    /// Books this as answered with the next write.
    pub(crate) fn expect_receipt(&self, receipt: Option<Resource>) {
        lock(&self.0).receipts.extend(receipt);
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

/// A listener whose connections can be cut.
pub(crate) struct Lines {
    listener: TcpListener,
    core: Arc<Core>,
}

impl Lines {
    /// Wraps a bound listener.
    pub(crate) fn over(listener: TcpListener, core: Arc<Core>) -> Self {
        Self { listener, core }
    }
}

impl Listener for Lines {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        self.core.connections.fetch_add(1, Ordering::Relaxed);
        // Best effort: without it, small answers may wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        (Wire { stream, line: Line::default(), core: Arc::clone(&self.core), closing: None }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A socket whose writing can be ended by its [`Line`].
pub(crate) struct Wire {
    stream: TcpStream,
    line: Line,
    core: Arc<Core>,
    closing: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// Whether the time has come to close the connection; if not yet, the reader is woken then.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = lock(&self.line.0).close_at else { return false };
        let closing = self.closing.get_or_insert_with(|| Box::pin(sleep_until(at)));
        closing.as_mut().poll(cx).is_ready()
    }

    /// What comes before every write: the end of a line that was cut, or else the receipts.
    ///
    /// They are booked before the write rather than after it, so that a client that has read its answer always finds
    /// it booked.
    fn before_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (cut, receipts) = {
            let mut state = lock(&self.line.0);
            if state.close_at.is_some_and(|at| at <= Instant::now()) {
                state.cut.get_or_insert(Cut::Close);
            } else if let Some(delay) = state.close_after.take() {
                state.close_at.get_or_insert(Instant::now() + delay);
            }
            (state.cut, take(&mut state.receipts))
        };
        if let Some(how) = cut {
            if how == Cut::Reset {
                // With no time to linger, closing the socket sends RST instead of FIN.
                self.stream.set_zero_linger()?;
            }
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        receipts.into_iter().for_each(|resource| self.core.book_answered(resource));
        // hyper need not read again before the time comes, so it is woken then.
        self.is_over(cx);
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Nothing read is the end of what the peer sends, upon which hyper closes.
        if self.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.before_write(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.before_write(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.before_write(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
