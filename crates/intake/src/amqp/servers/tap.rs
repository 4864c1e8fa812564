//! A relay before the broker that reads along on each connection: what was delivered and how that was settled, and how
//! much was published before it was confirmed.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy, sink},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

const METHOD: u8 = 1;
/// The number of bytes with which a client begins.
const PROTOCOL_HEADER: usize = 8;

/// How late confirms come: all that is sent ahead of them has been sent by then.
const CONFIRMS_TAKE: Duration = Duration::from_millis(10);

/// No new connections are carried after this value.
pub(super) struct Tap {
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    connections: Vec<Heard>,
    /// A connection ends before its next frame that acknowledges, after this number of others.
    cut_after: Option<usize>,
}

/// What went over one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) delivered: BTreeSet<u64>,
    /// What the broker knows to be acknowledged.
    pub(super) acknowledged: BTreeSet<u64>,
    pub(super) given_back: BTreeSet<u64>,
    /// How many frames acknowledged something.
    pub(super) frames: usize,
    /// How many messages each time were published before a confirm came.
    pub(super) batches: Vec<usize>,
    is_confirmed: bool,
}

impl Tap {
    /// A tap in front of the broker of this URL, and the tap's own URL.
    pub(super) async fn to(broker: &str) -> (Self, String) {
        let mut url = Url::parse(broker).unwrap();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, state) = (listener.local_addr().unwrap().port(), Arc::<Mutex<State>>::default());
        let accepting = tokio::spawn(accept(listener, server, state.clone()));
        url.set_port(Some(port)).unwrap();
        (Self { state, accepting }, url.into())
    }

    /// Cuts one connection before the frame that acknowledges after this number of them.
    pub(super) fn cut_after(&self, frames: usize) {
        self.state.lock().unwrap().cut_after = Some(frames);
    }

    /// What was heard on the connections that had deliveries, in the order of their opening.
    pub(super) fn heard(&self) -> Vec<Heard> {
        let connections = self.state.lock().unwrap().connections.clone();
        connections.into_iter().filter(|heard| !heard.delivered.is_empty()).collect()
    }

    /// How many messages were published ahead of their confirms, each time, on all connections.
    pub(super) fn batches(&self) -> Vec<usize> {
        let connections = self.state.lock().unwrap().connections.clone();
        connections.into_iter().flat_map(|heard| heard.batches).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: (String, u16), state: Arc<Mutex<State>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(server.clone()).await.unwrap();
        let mut connections = state.lock().unwrap();
        connections.connections.push(Heard::default());
        tokio::spawn(carry(client, server, connections.connections.len() - 1, state.clone()));
    }
}

/// Carries one connection until either side ends it, or it is cut.
async fn carry(client: TcpStream, server: TcpStream, at: usize, state: Arc<Mutex<State>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_broker = async {
        let mut header = [0; PROTOCOL_HEADER];
        from_client.read_exact(&mut header).await?;
        to_server.write_all(&header).await?;
        loop {
            let frame = frame(&mut from_client).await?;
            if state.lock().unwrap().hears_the_client(at, &frame) {
                return Ok(());
            }
            to_server.write_all(&frame).await?;
        }
    };
    let to_consumer = async {
        loop {
            let frame = frame(&mut from_server).await?;
            if basic(&frame, 80).is_some() {
                tokio::time::sleep(CONFIRMS_TAKE).await;
            }
            state.lock().unwrap().hears_the_broker(at, &frame);
            to_client.write_all(&frame).await?;
        }
    };
    let ended: io::Result<()> = tokio::select! { ended = to_broker => ended, ended = to_consumer => ended };
    // Either side may hang up.
    drop((ended, from_client, to_client));
    // Closed with something unread, the broker's system could throw away what it was sent.
    drop(to_server.shutdown().await);
    drop(copy(&mut from_server, &mut sink()).await);
}

/// A whole frame, as it stands.
async fn frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 7];
    from.read_exact(&mut frame).await?;
    let size = u32::from_be_bytes(*frame.last_chunk().unwrap()) as usize;
    frame.resize(7 + size + 1, 0);
    from.read_exact(&mut frame[7..]).await?;
    Ok(frame)
}

/// The arguments of a method of the class `basic`.
fn basic(frame: &[u8], method: u16) -> Option<&[u8]> {
    let is_it = frame[0] == METHOD && frame[7..].starts_with(&[&[0, 60], &method.to_be_bytes()[..]].concat());
    is_it.then(|| &frame[11..])
}

fn tag(arguments: &[u8]) -> u64 {
    u64::from_be_bytes(*arguments.first_chunk().unwrap())
}

impl State {
    /// Answers whether the connection ends here.
    fn hears_the_client(&mut self, at: usize, frame: &[u8]) -> bool {
        let heard = &mut self.connections[at];
        if let Some(arguments) = basic(frame, 80) {
            if self.cut_after.take_if(|frames| *frames == heard.frames).is_some() {
                return true;
            }
            let (tag, is_multiple) = (tag(arguments), arguments[8] & 1 == 1);
            heard.frames += 1;
            let first = if is_multiple { 1 } else { tag };
            heard.acknowledged.extend((first..=tag).filter(|tag| !heard.given_back.contains(tag)));
        } else if let Some(arguments) = basic(frame, 120) {
            assert_eq!(arguments[8] & 1, 0, "many were given back at once");
            heard.given_back.insert(tag(arguments));
        } else if basic(frame, 40).is_some() {
            match heard.batches.last_mut() {
                Some(batch) if !heard.is_confirmed => *batch += 1,
                _ => heard.batches.push(1),
            }
            heard.is_confirmed = false;
        }
        false
    }

    fn hears_the_broker(&mut self, at: usize, frame: &[u8]) {
        if let Some(arguments) = basic(frame, 60) {
            let consumer_tag = usize::from(arguments[0]);
            self.connections[at].delivered.insert(tag(&arguments[1 + consumer_tag..]));
        } else if basic(frame, 80).is_some() {
            self.connections[at].is_confirmed = true;
        }
    }
}
