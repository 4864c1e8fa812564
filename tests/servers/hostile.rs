//! Messages that no library would publish, among good ones: what the AMQP library could not take ends nothing, holds up
//! nothing, and is put aside.

use std::{collections::BTreeMap, time::Instant};

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    parent_app::ParentApp,
    raw_amqp::{RawMessage, RawPublisher, long, short},
};
use crate::support::{PATIENCE, Place, Worker, event};

const HEADERS: u16 = 1 << 13;
const MESSAGE_ID: u16 = 1 << 7;
/// The properties that are short strings, with their bits.
const TEXTS: [(&str, u16); 8] = [
    ("content_type", 1 << 15),
    ("content_encoding", 1 << 14),
    ("correlation_id", 1 << 10),
    ("reply_to", 1 << 9),
    ("message_id", MESSAGE_ID),
    ("type", 1 << 5),
    ("app_id", 1 << 3),
    ("cluster_id", 1 << 2),
];

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("hostile: {line}");
}

/// A value that nests this many arrays, or tables.
fn nested(kind: u8, levels: usize) -> Vec<u8> {
    let name = if kind == b'F' { short(b"n") } else { Vec::new() };
    let mut value = vec![b'V'];
    for _ in 0..levels {
        value = [&[kind][..], &long(&[&name[..], &value].concat())].concat();
    }
    value
}

fn headers(entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    long(&entries.iter().flat_map(|(name, value)| [short(name), value.clone()].concat()).collect::<Vec<u8>>())
}

/// Publishes what the corpus holds, each under a name.
struct Corpus {
    broker: String,
    publisher: RawPublisher,
    exchange: String,
    sent: usize,
    refused: Vec<String>,
}

impl Corpus {
    async fn new(place: &Place) -> Self {
        let broker = place.settings["FOXDEN_AMQP_URL"].clone();
        let publisher = RawPublisher::connect(&broker).await;
        let exchange = place.settings["FOXDEN_AMQP_EXCHANGE"].clone();
        Self { broker, publisher, exchange, sent: 0, refused: Vec::new() }
    }

    /// The body is a good signup event of its own.
    async fn send(&mut self, what: &str, flags: u16, properties: Vec<u8>) {
        self.send_under(what, b"signup", flags, properties).await;
    }

    async fn send_under(&mut self, what: &str, routing_key: &[u8], flags: u16, properties: Vec<u8>) {
        let body = event(&format!("hostile-{}", self.sent)).to_string().into_bytes();
        let (exchange, routing_key) = (self.exchange.clone(), routing_key.to_vec());
        let message = RawMessage { exchange, routing_key, flags, properties, body };
        if self.publisher.publish(&message).await {
            self.sent += 1;
        } else {
            // The broker's own reader keeps it out.
            self.refused.push(what.to_owned());
            self.publisher = RawPublisher::connect(&self.broker).await;
        }
    }
}

async fn place(settings: &[(&str, &str)]) -> (Place, ParentApp, Worker) {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    settings.iter().for_each(|(name, value)| place.set(name, value));
    place.feed(&["migrate", "up"], "");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    worker.until("outbox.taken_over").await;
    (place, parent, worker)
}

/// How long the good signups waited at most, from before they were published until the log says that they are accepted.
async fn accepted(worker: &Worker, published: &BTreeMap<String, OffsetDateTime>) -> Duration {
    let started = Instant::now();
    loop {
        let waits: Vec<_> = worker
            .events("signup.accepted")
            .iter()
            .filter_map(|line| {
                let since = published.get(line["signup_id"].as_str()?)?;
                Some(OffsetDateTime::parse(line["ts"].as_str()?, &Rfc3339).unwrap() - *since)
            })
            .collect();
        if waits.len() == published.len() {
            return waits.into_iter().max().unwrap();
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{} of {} were accepted:\n{}",
            waits.len(),
            published.len(),
            worker.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_ends_a_worker_or_holds_up_others_and_each_bad_one_is_put_aside() {
    let (place, parent, worker) = place(&[]).await;
    let mut corpus = Corpus::new(&place).await;
    let mut published = BTreeMap::new();
    let mut bad = Vec::new();
    for levels in [31, 32, 100, 2_000, 20_000] {
        bad.extend([b'A', b'F'].map(|kind| {
            // A table takes more bytes a level, and a frame has 128 KiB.
            let levels = if kind == b'F' { levels.min(12_000) } else { levels };
            (format!("{levels} levels of {}", char::from(kind)), HEADERS, headers(&[(b"deep", nested(kind, levels))]))
        }));
    }
    // A byte that is no UTF-8 by itself, one that needs another, and both ends of what is neither.
    for byte in [0x80, 0xc3, 0xe9, 0xff] {
        let text = [&b"caf"[..], &[byte]].concat();
        bad.extend(TEXTS.map(|(name, flag)| (format!("{name} with {byte:#x}"), flag, short(&text))));
        bad.push((format!("header name with {byte:#x}"), HEADERS, headers(&[(&text, vec![b'V'])])));
        let inner = [&b"F"[..], &long(&[short(&text), vec![b'V']].concat())].concat();
        bad.push((format!("inner header name with {byte:#x}"), HEADERS, headers(&[(b"n", inner)])));
    }
    let names = [0xff_u8; 200];
    bad.push(("many names".to_owned(), HEADERS, headers(&vec![(&names[..], vec![b'V']); 500])));
    let total = bad.len();
    for (at, (what, flags, properties)) in bad.into_iter().enumerate() {
        corpus.send(&what, flags, properties).await;
        if at % 4 == 0 {
            let id = format!("good-{at}");
            published.insert(id.clone(), OffsetDateTime::now_utc());
            parent.publish(event(&id).to_string().as_bytes()).await;
        }
    }
    let longest = accepted(&worker, &published).await;
    say(&format!("{total} bad messages, {} refused by the broker itself: {:?}", corpus.refused.len(), corpus.refused));
    say(&format!("{} good ones among them waited {} ms at most", published.len(), longest.whole_milliseconds()));
    // 31 arrays or tables within the table of all headers are within the limit.
    let good = corpus.refused.iter().fold(2, |good, what| good - usize::from(what.starts_with("31 ")));
    parent.until_waiting(&place, "DEAD_QUEUE", u32::try_from(corpus.sent - good).unwrap()).await;
    assert_eq!(worker.events("broker.lost").len(), 0, "no connection ended");
    assert_eq!(worker.events("signup.malformed").len(), corpus.sent - good);
    assert!(worker.events("signup.malformed").iter().all(|line| line["level"] == "error"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_amqp_allows_is_taken_however_odd() {
    let (place, _parent, worker) = place(&[]).await;
    let mut corpus = Corpus::new(&place).await;
    let values: [&[u8]; 16] = [
        b"t\x01",
        b"b\x80",
        b"B\xff",
        b"s\x80\x00",
        b"u\xff\xff",
        b"I\x80\0\0\0",
        b"i\xff\xff\xff\xff",
        b"l\x80\0\0\0\0\0\0\0",
        b"f\x7f\xc0\0\0",
        b"d\x7f\xf8\0\0\0\0\0\0",
        b"D\xff\xff\xff\xff\xff",
        b"S\0\0\0\x04\xff\xfe\0\x1b",
        b"x\0\0\0\x02\xff\x00",
        b"T\xff\xff\xff\xff\xff\xff\xff\xff",
        b"V",
        b"F\0\0\0\0",
    ];
    for value in values {
        corpus.send(&format!("{:?}", char::from(value[0])), HEADERS, headers(&[(b"value", value.to_vec())])).await;
    }
    for (name, flag) in TEXTS.into_iter().filter(|(name, _)| !["content_type", "content_encoding"].contains(name)) {
        for text in [&b""[..], &[b'x'; 255], "é".as_bytes(), b"\0\x1b[31m\x7f"] {
            corpus.send(name, flag, short(text)).await;
        }
    }
    let many: Vec<_> =
        (0..2_000_u32).map(|number| (number.to_be_bytes().map(|byte| byte & 0x7f), vec![b'V'])).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (&name[..], value.clone())).collect();
    corpus.send("many headers", HEADERS, headers(&many)).await;
    corpus.send("a large header", HEADERS, headers(&[(b"l", [&b"S"[..], &long(&[b'x'; 120_000])].concat())])).await;
    say(&format!("of odd messages the broker refused {:?}", corpus.refused));
    let rows = place.settled(corpus.sent).await;
    assert_eq!(rows.len(), corpus.sent);
    assert_eq!(worker.events("signup.dead_lettered").len(), 0, "{}", worker.log());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_that_the_library_could_not_take_are_shown_requeued_and_dropped() {
    let (place, parent, worker) = place(&[]).await;
    worker.stop().await;
    let mut corpus = Corpus::new(&place).await;
    corpus.exchange = String::new();
    let queue = place.settings["FOXDEN_AMQP_DEAD_QUEUE"].clone();
    corpus.send_under("text", queue.as_bytes(), MESSAGE_ID, short(b"caf\xe9")).await;
    corpus.send_under("depth", queue.as_bytes(), HEADERS, headers(&[(b"deep", nested(b'A', 20_000))])).await;
    parent.publish_to_queue(&place, "DEAD_QUEUE", &[], event("good").to_string().as_bytes()).await;
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;

    let listed = place.feed(&["dead", "list", "--json"], "");
    let letters: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mistakes: Vec<_> = letters.iter().map(|letter| letter["mistakes"].clone()).collect();
    assert_eq!(
        mistakes,
        [
            json!(["properties.message_id is not UTF-8"]),
            json!(["properties.headers nest deeper than 32 levels"]),
            json!([])
        ]
    );
    let handle = letters[0]["handle"].as_str().unwrap();
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;
    assert!(place.feed(&["dead", "show", handle], "").contains(r"caf\xe9"));
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;
    place.feed(&["dead", "drop", handle, "--yes"], "");
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;
    assert_eq!(place.json(&["dead", "requeue", "--all", "--json"]), json!({ "requeued": 2 }));
    let worker = place.worker("worker");
    let rows = place.settled(2).await;
    assert_eq!(rows.len(), 2, "requeued, it is without what could not be read");
    worker.stop().await;
}
