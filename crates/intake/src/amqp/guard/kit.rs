//! The library's way to take a stream of ours: its runtime names the type.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use async_rs::{
    Runtime, Tokio,
    traits::{Executor, Reactor, RuntimeKit},
    util::Task,
};
use futures::{
    Stream,
    io::{AsyncRead, AsyncWrite},
};
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::AMQPUriTcpExt as _,
    uri::{AMQPScheme, AMQPUri},
};

use super::{frames::FRAME_MAX, stream::GuardedStream};
use crate::Tls;

/// Tokio, whose connections are guarded.
#[derive(Clone, Debug)]
pub(in crate::amqp) struct Guarded(Tokio);

/// Connects to a broker over a guarded stream.
pub(in crate::amqp) async fn connect(
    uri: AMQPUri,
    tls: Tls,
    properties: ConnectionProperties,
) -> lapin::Result<Connection> {
    let tokio = Tokio::current();
    let plain_runtime = Runtime::new(tokio.clone());
    let connect = async move |uri: AMQPUri, _: Runtime<Guarded>| {
        let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
        let mut wire = plain.connect_async(&plain_runtime).await?;
        if uri.scheme == AMQPScheme::AMQPS {
            // The library's own way to TLS always trusts the system's authorities too, and fails where there are none.
            wire = wire.into_rustls(&tls.connector()?, &uri.authority.host).await?;
        }
        Ok(AsyncTcpStream::Plain(GuardedStream::new(wire, uri.query.frame_max.unwrap_or(FRAME_MAX))))
    };
    Connection::connector(uri, Runtime::new(Guarded(tokio)), connect, properties).await
}

impl RuntimeKit for Guarded {}

impl Executor for Guarded {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, f: F) -> T {
        self.0.block_on(f)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, f: F) -> Task<Self::Task<T>> {
        self.0.spawn(f)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, f: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(f)
    }
}

impl Reactor for Guarded {
    type TcpStream = GuardedStream;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// The library never asks for it.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<GuardedStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, dur: Duration) -> Self::Sleep {
        self.0.sleep(dur)
    }

    fn interval(&self, dur: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(dur)
    }

    fn tcp_connect_addr(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(addr);
        async move { Ok(GuardedStream::new(AsyncTcpStream::Plain(connecting.await?), FRAME_MAX)) }
    }
}
