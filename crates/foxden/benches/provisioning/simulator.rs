//! Foxy: the simulator, in a process of its own. It is this benchmark's own program, started again, so that it was
//! built as the workers were.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use foxy_sim::{Config, Latency, Simulator};
use serde::{Deserialize, Serialize};

use crate::{process::Running, tls::Front};

/// The first argument of the program as a simulator. The latency in milliseconds follows, then, if it is to be behind
/// TLS, the file for its authority.
pub(crate) const ARGUMENT: &str = "simulate";

/// What a worker needs to know.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) refresh_token: String,
}

/// What it was asked so far.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) requests: u64,
    pub(crate) connections: u64,
}

/// A simulator that runs.
pub(crate) struct Foxy {
    running: Running,
    says: BufReader<ChildStdout>,
    pub(crate) access: Access,
}

impl Foxy {
    pub(crate) fn start(takes: Duration, authority: Option<&Path>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program knows where it is"));
        command.args([ARGUMENT, &takes.as_millis().to_string()]).args(authority);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start("the simulator", &mut command);
        let mut says = BufReader::new(running.child().stdout.take().expect("it is piped"));
        let access = line(&mut says);
        Self { running, says, access }
    }

    pub(crate) fn asked(&mut self) -> Asked {
        let mut orders = self.running.child().stdin.as_ref().expect("it is piped");
        orders.write_all(b"\n").expect("it listens");
        line(&mut self.says)
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.running.cpu()
    }
}

fn line<T: for<'a> Deserialize<'a>>(says: &mut BufReader<ChildStdout>) -> T {
    let mut line = String::new();
    says.read_line(&mut line).expect("it speaks text");
    serde_json::from_str(&line).expect("the simulator says where it is, and what it was asked")
}

/// Runs the program as a simulator: it says where it is, and what it was asked whenever a line comes in. It ends with
/// its input, and hence with the benchmark, however that ends.
pub(crate) fn simulate(milliseconds: &str, authority: Option<&Path>) {
    let latency: Latency = milliseconds.parse().expect("a number of milliseconds");
    let runtime = tokio::runtime::Runtime::new().expect("threads start");
    let front = authority.map(|file| runtime.block_on(Front::listen(file)));
    let config = Config { public_url: front.as_ref().map(Front::url), ..Config::default() };
    let sim = runtime.block_on(Simulator::start(config)).expect("a loopback port is free");
    let (client_id, client_secret) = sim.client();
    let refresh_token = refresh_token(sim.local_addr(), client_id, client_secret);
    // What was asked to learn the token is not the worker's.
    let own = Asked { requests: sim.total_requests(), connections: sim.connections() };
    sim.set_latency(latency);
    if let Some(front) = front {
        runtime.spawn(front.serve(sim.local_addr()));
    }
    say(&Access {
        url: sim.base_url().to_owned(),
        client_id: client_id.to_owned(),
        client_secret: client_secret.to_owned(),
        refresh_token,
    });
    for _ in std::io::stdin().lines() {
        let requests = sim.total_requests() - own.requests;
        say(&Asked { requests, connections: sim.connections() - own.connections });
    }
}

fn say<T: Serialize>(what: &T) {
    let mut line = serde_json::to_vec(what).expect("it has a form in JSON");
    line.push(b'\n');
    std::io::stdout().write_all(&line).expect("somebody reads it");
}

/// Workers that begin with a refresh token need one of the client, which its own grant gives.
fn refresh_token(at: SocketAddr, client_id: &str, client_secret: &str) -> String {
    #[derive(Deserialize)]
    struct Token {
        refresh_token: String,
    }
    let body = "grant_type=client_credentials&scope=client_full_access";
    let basic = BASE64_STANDARD.encode(format!("{client_id}:{client_secret}"));
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: {at}\r\nFOXY-API-VERSION: 1\r\nAuthorization: Basic {basic}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, document) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str::<Token>(document).expect("the client's own grant gives a refresh token").refresh_token
}
