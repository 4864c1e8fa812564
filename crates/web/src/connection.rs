//! One connection, from its first byte to its last.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

use crate::{admission::Peer, settings::Limits};

/// Longest head of a request. A callback has the longest ones, with a code and a cookie.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// How long an answer may take to leave once it is there, when a connection is to end.
const FLUSH: Duration = Duration::from_secs(1);

/// All connections.
pub(crate) struct Connections {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    /// Turns true when they are to answer what is under way and close, and ends when they are to close.
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) open: TaskTracker,
}

impl Connections {
    /// Serves one more.
    pub(crate) fn open<S>(&self, stream: S, peer: Option<SocketAddr>, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let served = serve_one(stream, Peer(peer), self.router.clone(), self.limits, self.draining.clone());
        self.open.spawn(async move {
            served.await;
            drop(place);
        });
    }
}

/// Counts a request while it is under way.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve_one<S>(stream: S, peer: Peer, router: Router, limits: Limits, mut draining: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let under_way = UnderWay::one_more(&counted);
        request.extensions_mut().insert(peer);
        let answer = hyper::service::Service::call(&router, request);
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let retire_at = Instant::now() + limits.connection_time;
    let mut cut_at = retire_at + limits.request_time + FLUSH;
    let mut is_retired = false;
    loop {
        let retired = tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep_until(cut_at) => return,
            () = sleep_until(retire_at), if !is_retired => true,
            told = draining.wait_for(|draining| *draining && !is_retired) => told.is_ok(),
        };
        if !retired {
            return;
        }
        is_retired = true;
        connection.as_mut().graceful_shutdown();
        // hyper would wait for the first request of a connection that has had none, and for the rest of a head.
        if requests.load(Ordering::Relaxed) == 0 {
            cut_at = Instant::now() + FLUSH;
        }
    }
}
