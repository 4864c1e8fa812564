//! Serving until stopped.
//!
//! axum's own `serve` has no limits of time, so connections are hyper's here. HTTP/1.1 alone: the platform's proxy ends
//! TLS and speaks HTTP/2 with browsers.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    connection::Connections,
    door::Door,
    grants::Grants,
    listener::{Listener, Socket},
    seldom::Seldom,
    settings::Settings,
};

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered, and what they had begun has ended.
    Whole,
    /// The time to drain was over before that.
    CutOff {
        /// Connections that were open.
        connections: usize,
        /// What requests had begun, such as the end of a trip. It continues while the process lasts.
        under_way: usize,
    },
}

/// Serves the pages until `shutdown` ends, then lets what is under way end within its limit.
pub async fn serve(
    listener: Listener,
    settings: Settings,
    grants: Arc<dyn Grants>,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let limits = settings.limits;
    let door = Door::new(settings, grants);
    tracing::info!(event = "web.started", address = %listener.address(), "pages are served");
    let (drain, draining) = watch::channel(false);
    let connections = Connections { router: door.router(), limits, draining, open: TaskTracker::new() };
    tokio::select! {
        () = shutdown => {}
        () = accept(&listener, &connections) => {}
    }
    // From here on a connection is refused, and the proxy asks another process.
    drop(listener);
    drain.send_replace(true);
    connections.open.close();
    door.under_way.close();
    let drained = timeout(limits.drain_time, async {
        connections.open.wait().await;
        door.under_way.wait().await;
    });
    if drained.await.is_ok() {
        tracing::info!(event = "web.stopped", "pages are no longer served");
        return Drained::Whole;
    }
    let (open, under_way) = (connections.open.len(), door.under_way.len());
    drop(drain);
    tracing::error!(event = "web.stopped_early", connections = open, under_way, "pages were cut off");
    Drained::CutOff { connections: open, under_way }
}

/// Takes connections for ever, while there is room.
async fn accept(listener: &Listener, connections: &Connections) {
    let room = Arc::new(Semaphore::new(connections.limits.connections));
    let seldom = Seldom::default();
    let mut failures = 0_u64;
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = match &listener.socket {
            Socket::Tcp(listener) => {
                listener.accept().await.map(|(stream, peer)| connections.open(stream, Some(peer), place))
            }
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| connections.open(stream, None, place)),
        };
        match accepted {
            Ok(()) if failures > 0 => {
                tracing::info!(event = "web.accepts_again", failures, "connections are taken again");
                failures = 0;
            }
            Ok(()) => {}
            // It hung up before it was accepted.
            Err(error) if is_about_one(&error) => {}
            Err(error) => {
                failures += 1;
                if let Some(times) = seldom.due("web.accept_failed", Instant::now()) {
                    tracing::error!(event = "web.accept_failed", times, %error, "connections can't be taken");
                }
                // Such as too many open files: asked again at once it would come back at once.
                sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

fn is_about_one(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
