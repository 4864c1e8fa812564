//! The stream that the library reads from.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_rs::{Tokio, traits::Reactor};
use futures::io::{AsyncRead, AsyncWrite};
use lapin::AsyncTcpStream;

use super::frames::Frames;

/// As much is read at once.
const CHUNK: usize = 32 * 1024;

/// A connection to the broker, with TLS where it has it.
pub(super) type Wire = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// Hands on what comes from the broker as the library can take it. What goes there passes as it is.
pub(in crate::amqp) struct GuardedStream {
    wire: Wire,
    frames: Frames,
    chunk: Box<[u8]>,
    /// To be handed on, and how much of it has been.
    ready: Vec<u8>,
    handed_on: usize,
}

impl GuardedStream {
    pub(super) fn new(wire: Wire, frame_max: u32) -> Self {
        let (frames, ready) = (Frames::new(frame_max), Vec::new());
        Self { wire, frames, chunk: vec![0; CHUNK].into(), ready, handed_on: 0 }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.handed_on == this.ready.len() {
            this.ready.clear();
            this.handed_on = 0;
            let count = ready!(Pin::new(&mut this.wire).poll_read(cx, &mut this.chunk))?;
            if count == 0 {
                // Cut off within a frame: the library may make of it what it does.
                this.frames.finish(&mut this.ready);
                if this.ready.is_empty() {
                    return Poll::Ready(Ok(0));
                }
            } else {
                this.frames.take(&this.chunk[..count], &mut this.ready)?;
            }
        }
        let left = &this.ready[this.handed_on..];
        let count = left.len().min(buf.len());
        buf[..count].copy_from_slice(&left[..count]);
        this.handed_on += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_close(cx)
    }
}
