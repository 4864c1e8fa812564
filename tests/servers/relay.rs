//! A relay between the workers and a server: it can cut every connection that it carries, at any moment, or just
//! after a commit, whose answer is then lost. It can swallow the answer to a certain request and all that
//! follows. And it can let them fall silent, one way or both: they stay open, and what comes that way is swallowed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use url::Url;

/// What a request says that commits, without TLS: the word; or what only a statement carries that commits by itself,
/// a column of new signups or the versions of rows that are recorded.
const COMMITS: [&[u8]; 3] = [b"COMMIT", b"\"fingerprint\":", b"\"version\":"];

/// How the database library asks, after an operation, whether a connection is still there. The operation's caller has
/// its answer by then, so it is no round trip of anything.
const SYNC: &[u8] = &[b'S', 0, 0, 0, 4];

/// Passes bytes on to one server; it ends with this value.
pub(super) struct Relay {
    port: u16,
    orders: Arc<watch::Sender<Orders>>,
    accepting: JoinHandle<()>,
}

/// A direction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// What all connections are told.
#[derive(Default)]
struct Orders {
    /// A connection ends once this is no longer what it was when it began.
    cuts: u64,
    /// The same for falling silent, each way.
    silences: [u64; 2],
    /// New connections are taken, and nothing is done with them.
    is_deaf: bool,
    /// All are to be cut at a commit, after so many others.
    commits_first: Option<usize>,
    /// Once these bytes were sent over a connection, nothing that comes back on it is heard.
    unanswered: Option<&'static [u8]>,
    /// How long everything is on its way, each way.
    distance: Duration,
    /// How often a request followed an answer, on all connections.
    round_trips: AtomicUsize,
}

impl Relay {
    /// A relay to the server that a URL names.
    pub(super) async fn to(url: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let orders = Arc::new(watch::Sender::default());
        let accepting = tokio::spawn(accept(listener, server, orders.clone()));
        Self { port, orders, accepting }
    }

    /// The same URL by way of the relay.
    pub(super) fn through(&self, url: &str) -> String {
        let mut url = Url::parse(url).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.into()
    }

    /// Moves the server away: everything takes this long, each way.
    pub(super) fn move_away(&self, distance: Duration) {
        self.orders.send_modify(|orders| orders.distance = distance);
    }

    /// How many round trips there were: requests that followed an answer, and those that were the first of a
    /// connection.
    pub(super) fn round_trips(&self) -> usize {
        self.orders.borrow().round_trips.load(Ordering::SeqCst)
    }

    /// How many connections there are.
    pub(super) fn open(&self) -> usize {
        self.orders.receiver_count()
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        cut(&self.orders);
    }

    /// Swallows what comes this way on the connections that there are. New ones are served.
    pub(super) fn silence(&self, way: Way) {
        self.orders.send_modify(|orders| orders.silences[way as usize] += 1);
    }

    /// Swallows what comes back on a connection from when these bytes were sent over it.
    pub(super) fn swallow_answers_to(&self, request: &'static [u8]) {
        self.orders.send_modify(|orders| orders.unanswered = Some(request));
    }

    /// Swallows everything, also on connections that come from now on.
    pub(super) fn go_deaf(&self) {
        self.orders.send_modify(|orders| orders.is_deaf = true);
        self.silence(Way::ToServer);
        self.silence(Way::ToClient);
    }

    /// Cuts all connections, and does nothing with those that come from now on.
    pub(super) fn go_away(&self) {
        self.orders.send_modify(|orders| orders.is_deaf = true);
        self.cut();
    }

    /// Serves new connections again. Those that have fallen silent stay so.
    pub(super) fn serve_again(&self) {
        self.orders.send_modify(|orders| orders.is_deaf = false);
    }

    /// Cuts all connections once the server has done a commit, after so many others, and before it is heard of.
    /// Answers false if no such commit came in time; then nothing was cut.
    pub(super) async fn cut_at_commit(&self, commits_first: usize, patience: Duration) -> bool {
        let mut orders = self.orders.subscribe();
        let began = orders.borrow().cuts;
        self.orders.send_modify(|orders| orders.commits_first = Some(commits_first));
        let cut = tokio::time::timeout(patience, orders.wait_for(|orders| orders.cuts != began)).await.is_ok();
        self.orders.send_modify(|orders| orders.commits_first = None);
        cut
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

fn cut(orders: &watch::Sender<Orders>) {
    orders.send_modify(|orders| {
        orders.cuts += 1;
        orders.commits_first = None;
    });
}

/// Whether this commit is the one to cut at.
fn is_ordered(orders: &watch::Sender<Orders>) -> bool {
    let mut is_ordered = false;
    orders.send_if_modified(|orders| {
        is_ordered = orders.commits_first == Some(0);
        orders.commits_first = orders.commits_first.and_then(|first| first.checked_sub(1));
        false
    });
    is_ordered
}

async fn accept(listener: TcpListener, server: (String, u16), orders: Arc<watch::Sender<Orders>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let (server, orders) = (server.clone(), orders.clone());
        tokio::spawn(async move {
            if orders.borrow().is_deaf {
                // It stays open until all are cut.
                let mut told = orders.subscribe();
                let began = told.borrow().cuts;
                drop(told.wait_for(|orders| orders.cuts != began).await);
                drop(client);
                return;
            }
            // A server that is away looks like one that hangs up.
            if let Ok(server) = TcpStream::connect(server).await {
                carry(client, server, &orders).await;
            }
        });
    }
}

/// Carries one connection until either side ends it, or it is cut.
async fn carry(client: TcpStream, server: TcpStream, orders: &watch::Sender<Orders>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let mut told = orders.subscribe();
    let (began, silences) = {
        let orders = told.borrow();
        (orders.cuts, orders.silences)
    };
    let is_silent = |way: Way| orders.borrow().silences[way as usize] != silences[way as usize];
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_answered = AtomicBool::new(true);
    let on_its_way = || tokio::time::sleep(orders.borrow().distance);
    let (is_unheard, is_unanswered) = (AtomicBool::new(false), AtomicBool::new(false));
    let requests = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            if is_silent(Way::ToServer) {
                continue;
            }
            let request = &buffer[..length];
            let says = |what: &[u8]| request.windows(what.len()).any(|said| said == what);
            if COMMITS.into_iter().any(says) && is_ordered(orders) {
                is_unheard.store(true, Ordering::Relaxed);
            }
            if orders.borrow().unanswered.is_some_and(says) {
                is_unanswered.store(true, Ordering::Relaxed);
            }
            if request != SYNC && is_answered.swap(false, Ordering::SeqCst) {
                orders.borrow().round_trips.fetch_add(1, Ordering::SeqCst);
            }
            on_its_way().await;
            if to_server.write_all(request).await.is_err() {
                break;
            }
        }
    };
    let answers = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            if is_silent(Way::ToClient) || is_unanswered.load(Ordering::Relaxed) {
                continue;
            }
            is_answered.store(true, Ordering::SeqCst);
            on_its_way().await;
            if is_unheard.load(Ordering::Relaxed) {
                cut(orders);
            } else if to_client.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        biased;
        _ = told.wait_for(|orders| orders.cuts != began) => {}
        () = requests => {}
        () = answers => {}
    }
}
