//! The simulator as a program, for demos and for clients in other languages.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use foxy_sim::{Allows, CaptchaPolicy, Config, FaultRule, Latency, Simulator};
use tokio::signal;

/// A faithful simulator of the Foxy Hypermedia API, with a fault script and its own books.
#[derive(Parser)]
#[command(version, after_help = HELP)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8787")]
    bind: SocketAddr,
    /// The origin that clients use, where a proxy stands before it; the address where it listens, when not given.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The id of the OAuth client; the books' first client, or a random id, when not given.
    #[arg(long, default_value = "")]
    client_id: String,
    /// The client's secret; the one in the books, or a random one, when not given.
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "client_secret_file")]
    client_secret: String,
    /// A file that holds the client's secret.
    #[arg(long)]
    client_secret_file: Option<PathBuf>,
    /// Where the authorization endpoint sends the browser back to.
    #[arg(long)]
    redirect_uri: Option<String>,
    /// How long answers take, in milliseconds: 50, or 20..80.
    #[arg(long, default_value = "0")]
    latency: Latency,
    /// The file in which users, stores and their tokens outlive the program.
    #[arg(long)]
    books: Option<PathBuf>,
    /// Something that goes wrong: "route: fault selector". May be given several times.
    #[arg(long = "fault", value_name = "RULE")]
    faults: Vec<FaultRule>,
    /// Which creations demand an hCaptcha code: off, users or users-and-stores.
    #[arg(long, default_value = "off")]
    captcha: CaptchaPolicy,
    /// The one hCaptcha code that they take; any, when not given.
    #[arg(long, value_name = "CODE")]
    captcha_code: Option<String>,
    /// What it allows of the things that Foxy's documentation leaves open: the ids below, or none.
    #[arg(long, value_name = "IDS", default_value = "X5,X6")]
    allow: Allows,
    /// How many seconds an access token lives.
    #[arg(long, default_value_t = 7200)]
    access_token_lifetime: u64,
    /// How many seconds an authorization code can be exchanged.
    #[arg(long, default_value_t = 600)]
    code_lifetime: u64,
    /// Repeats tokens, latencies and fault percentages from run to run; 0 is a new run every time.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const HELP: &str = "\
Example:
  foxy-sim --books books.jsonl --latency 20..80 \\
    --fault \"POST /users: reset_after_work 5%\" --fault \"POST /stores: status 502 every 7\"

Faults:
  No work done:  refuse, reset_before_work, status(503), gateway_html(502), rate_limited(2), redirect(307),
                 invalid_token, captcha, forbidden, request_timeout, conflict, echo(400)
  Work done:     reset_after_work, late_work(2s), stall_before_work(2s), stall_after_work(2s), status_after_work(500),
                 gateway_html_after_work(504), cut_body, garbage, no_token, foreign_link, no_self_link,
                 success(202), bom, gzip, echo_links, close_idle(20ms)
  At /token:     rotate, rotate(later), scope(user_full_access), token_type(mac), oauth_error(invalid_grant),
                 other_grant(DOMAIN OR EMAIL); as POST /token?grant_type=authorization_code they strike codes alone
  At /authorize: oauth_error(server_error TEXT)
  Reading:       listing_lag(2s)
Selectors: always, every 7, nth 3, first 2, 5%

Allowed or not (--allow X1,X5):
  X1       a user's token makes other tokens for its stores      X2  a store's token creates further stores
  X3       users and stores are deleted, and their names freed   X3-kept  the same, but their names stay taken
  X4       creations' tokens are listed, and tokens are revoked  X5  a client reads and changes its secret
  X6       a restricted attribute is hidden from other clients
Variants of X4, and what concerns grants:
  X4-created-hidden  creations' tokens are not listed
  X4-granted-hidden  tokens that people granted are not listed
  X4-one-entry       tokens of one client, user and scope are one entry, and end together
  X4-ends-same       deleting one ends the others of the same client, user and scope
  X4-late            access tokens outlive the deletion of their entry
  X4-same-token      a grant answers the refresh token that the same client, user and scope have
  code-replay        a code that is used again ends the tokens that it was exchanged for
  any-store          store_id_N in a scope is ignored: a person may choose another store

Granting access:
  A person logs in at the authorization address with the email of any user. sim_as=EMAIL, a store's domain or a link
  in its query grants at once, sim_deny=1 denies.";

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program's output is for its terminal")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(summary) => {
            say(&[summary]);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("foxy-sim: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until it is told to stop, and says what was made.
async fn run(args: Args) -> Result<String, String> {
    let captcha = args.captcha;
    let secret_is_known = !args.client_secret.is_empty() || args.client_secret_file.is_some();
    let sim = Simulator::start(config(args)?).await.map_err(|error| chain(&error))?;
    let (client_id, client_secret) = sim.client();
    let mut lines = vec![
        format!("Foxy is simulated at {}", sim.base_url()),
        format!("  client id      {client_id}"),
        format!("  client secret  {}", if secret_is_known { "as given" } else { client_secret }),
        format!("  token endpoint {}/token", sim.base_url()),
        format!("  authorization  {}", sim.authorize_url()),
    ];
    if captcha != CaptchaPolicy::Off {
        lines.push("  creations demand a h-captcha-code header".to_owned());
    }
    lines.push(format!("  {}", if sim.books_are_saved() { "books are saved" } else { "books are in memory only" }));
    lines.push("Ctrl-C ends it.".to_owned());
    // Listened for before anybody knows where we are: who reads that may stop us at once.
    let stopped = stop_signal().map_err(|error| format!("listening for signals: {error}"))?;
    say(&lines);
    stopped.await;
    let books = sim.books();
    sim.shutdown().await;
    let unanswered = books.users.iter().filter(|user| !user.answered).count()
        + books.stores.iter().filter(|store| !store.answered).count();
    let requests: u64 = books.requests.values().sum();
    Ok(format!(
        "{requests} requests; {} users and {} stores in the books, {unanswered} of them never answered",
        books.users.len(),
        books.stores.len(),
    ))
}

/// Prints lines. Whoever started it may have read enough and gone; that is no reason to stop.
fn say(lines: &[String]) {
    let mut text = lines.join("\n");
    text.push('\n');
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn config(args: Args) -> Result<Config, String> {
    let client_secret = match &args.client_secret_file {
        None => args.client_secret,
        Some(path) => {
            let secret = fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
            secret.trim_end().to_owned()
        }
    };
    let defaults = Config::default();
    Ok(Config {
        bind: args.bind,
        public_url: args.public_url,
        client_id: args.client_id,
        client_secret,
        redirect_uri: args.redirect_uri.unwrap_or(defaults.redirect_uri),
        latency: args.latency,
        access_token_lifetime: Duration::from_secs(args.access_token_lifetime),
        code_lifetime: Duration::from_secs(args.code_lifetime),
        captcha: args.captcha,
        captcha_code: args.captcha_code,
        allows: args.allow,
        books: args.books,
        faults: args.faults.into_iter().collect(),
        seed: args.seed,
    })
}

/// An error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(signal::ctrl_c().await) })
}
