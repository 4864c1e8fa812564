//! How soon the simulator's program answers, and how many requests it keeps up with: `make bench`. The client that asks
//! runs on the same cores.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

const STARTS: usize = 20;
const REQUESTS: usize = 50_000;
const AT_ONCE: usize = 64;

/// A running program, killed when it is dropped.
struct Sim {
    process: Child,
    base: String,
}

impl Sim {
    /// Starts the program, and waits until it says where it is.
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_foxy-sim"))
            .args(["--bind", "127.0.0.1:0", "--client-id", "bench", "--client-secret", "bench"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let told = process.stdout.take().expect("its output is ours");
        BufReader::new(told).read_line(&mut line).expect("it says where it is");
        let base = line.trim().rsplit(' ').next().expect("a line has a last word").to_owned();
        Self { process, base }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It has ended by itself, or it can be killed.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn answer(request: RequestBuilder) -> Value {
    let response = request.header("foxy-api-version", "1").send().await.expect("it answers");
    response.json().await.expect("its answers are JSON")
}

/// Sends the requests, so many at once, and tells how long they took.
#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn measure(what: &str, request: impl Fn(usize) -> RequestBuilder + Send + Sync + 'static) {
    let (request, next) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let askers = (0..AT_ONCE).map(|_| {
        let (request, next) = (Arc::clone(&request), Arc::clone(&next));
        tokio::spawn(async move {
            let mut waits = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= REQUESTS {
                    return waits;
                }
                let asked = Instant::now();
                let response = request(number).header("foxy-api-version", "1").send().await.expect("it answers");
                assert!(response.status().is_success(), "{response:?}");
                response.bytes().await.expect("it answers in full");
                waits.push(asked.elapsed());
            }
        })
    });
    let mut waits = Vec::with_capacity(REQUESTS);
    for asker in askers.collect::<Vec<_>>() {
        waits.extend(asker.await.expect("an asker does not panic"));
    }
    let rate = REQUESTS as f64 / started.elapsed().as_secs_f64();
    waits.sort_unstable();
    let ms = |wait: Duration| wait.as_secs_f64() * 1000.0;
    println!(
        "{what:<24} {rate:>7.0} requests/s, median {:.1} ms, p99 {:.1} ms",
        ms(waits[waits.len() / 2]),
        ms(waits[waits.len() * 99 / 100])
    );
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("it is the first");
    let http = Client::builder().no_proxy().build().expect("a client can be made");

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let sim = Sim::start();
        answer(http.get(&sim.base)).await;
        starts.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    starts.sort_by(f64::total_cmp);
    println!("first answer after start: median {:.1} ms, longest {:.1} ms", starts[STARTS / 2], starts[STARTS - 1]);

    let sim = Sim::start();
    let form = [("grant_type", "client_credentials"), ("client_id", "bench"), ("client_secret", "bench")];
    let token = answer(http.post(format!("{}/token", sim.base)).form(&form)).await;
    let client = token["access_token"].as_str().expect("a token comes").to_owned();
    let user = |number: usize| json!({"first_name": "Ada", "last_name": "Lovelace", "email": format!("u{number}@customers.example")});
    let (asks, base, token) = (http.clone(), sim.base.clone(), client.clone());
    measure("home document", move |_| asks.get(&base).bearer_auth(&token)).await;
    let (asks, base, token) = (http.clone(), sim.base.clone(), client.clone());
    measure("new users", move |number| asks.post(format!("{base}/users")).bearer_auth(&token).json(&user(number)))
        .await;
    let (asks, base, token) = (http.clone(), sim.base.clone(), client.clone());
    measure("is this email there?", move |number| {
        asks.get(format!("{base}/reporting/email_exists?email=u{number}@customers.example")).bearer_auth(&token)
    })
    .await;
    let owner = answer(http.post(format!("{}/users", sim.base)).bearer_auth(&client).json(&user(REQUESTS))).await;
    let (asks, base) = (http.clone(), sim.base.clone());
    let owner = owner["token"]["access_token"].as_str().expect("a token comes").to_owned();
    measure("new stores of one user", move |number| {
        let store = json!({
            "store_name": "Engines", "store_domain": format!("engines-{number}"), "store_url": "https://engines.example",
            "store_email": "shop@engines.example", "postal_code": "55401", "country": "US", "region": "MN",
        });
        asks.post(format!("{base}/stores")).bearer_auth(&owner).json(&store)
    })
    .await;
}
