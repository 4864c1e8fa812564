//! A publisher that writes AMQP 0-9-1 byte by byte, as no library would.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use url::Url;

const ANSWER: Duration = Duration::from_secs(30);

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A connection with one channel in confirm mode.
pub(super) struct RawPublisher {
    stream: TcpStream,
}

/// A message as it goes over the wire.
#[derive(Clone)]
pub(super) struct RawMessage {
    pub(super) exchange: String,
    pub(super) routing_key: Vec<u8>,
    /// Which properties there are, and they themselves.
    pub(super) flags: u16,
    pub(super) properties: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// Bytes behind their length of one byte.
pub(super) fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// Bytes behind their length of four bytes.
pub(super) fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

impl RawPublisher {
    pub(super) async fn connect(broker: &str) -> Self {
        let url = Url::parse(broker).unwrap();
        let stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
        let mut this = Self { stream };
        this.stream.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        this.expect(10, 10).await;
        let plain = format!("\0{}\0{}", url.username(), url.password().unwrap());
        this.method(0, 10, 11, &[long(b""), short(b"PLAIN"), long(plain.as_bytes()), short(b"en_US")].concat()).await;
        let tune = this.expect(10, 30).await;
        // As it offers, but without heartbeats.
        this.method(0, 10, 31, &[&tune[..6], &[0, 0]].concat()).await;
        this.method(0, 10, 40, &[short(b"/"), short(b""), vec![0]].concat()).await;
        this.expect(10, 41).await;
        this.method(1, 20, 10, &short(b"")).await;
        this.expect(20, 11).await;
        this.method(1, 85, 10, &[0]).await;
        this.expect(85, 11).await;
        this
    }

    /// Publishes a message. Answers whether the broker took it; if not, this connection is of no further use.
    pub(super) async fn publish(&mut self, message: &RawMessage) -> bool {
        let RawMessage { exchange, routing_key, flags, properties, body } = message;
        self.method(1, 60, 40, &[&[0, 0][..], &short(exchange.as_bytes()), &short(routing_key), &[0]].concat()).await;
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        self.frame(HEADER, 1, &[&[0, 60, 0, 0][..], &size, &flags.to_be_bytes(), properties].concat()).await;
        self.frame(BODY, 1, body).await;
        matches!(self.next().await, Some((60, 80, _)))
    }

    async fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        self.frame(METHOD, channel, &[&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat()).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let frame = [&[kind][..], &channel.to_be_bytes(), &long(payload), &[0xce]].concat();
        // One that the broker has closed is noticed by what it answers.
        drop(self.stream.write_all(&frame).await);
    }

    async fn expect(&mut self, class: u16, method: u16) -> Vec<u8> {
        let (is_class, is_method, arguments) = self.next().await.expect("an answer");
        assert_eq!((is_class, is_method), (class, method));
        arguments
    }

    /// The next method; nothing, if the connection has ended.
    async fn next(&mut self) -> Option<(u16, u16, Vec<u8>)> {
        let payload = timeout(ANSWER, async {
            loop {
                let mut start = [0; 7];
                self.stream.read_exact(&mut start).await.ok()?;
                let size = u32::from_be_bytes(*start.last_chunk().unwrap());
                let mut payload = vec![0; size as usize + 1];
                self.stream.read_exact(&mut payload).await.ok()?;
                payload.pop();
                if start[0] == METHOD {
                    return Some(payload);
                }
            }
        });
        let payload = payload.await.expect("the broker answers")?;
        let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        Some((number(0), number(2), payload[4..].to_vec()))
    }
}
