//! Makes a user and a store at a simulated Foxy, and reads the store with its own token:
//!
//! ```sh
//! cargo run -p foxy-api --example user_and_store
//! ```

use std::time::Duration;

use foxden_vault::ClientSecret;
use foxy_api::{ApiOrigins, Foxy, NewStore, NewUser, Outcome, Report, Settings};
use foxy_sim::{Config, Simulator};
use tokio::time::Instant;

/// How long one call may take, whatever it comes to.
const CALL: Duration = Duration::from_secs(30);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Once in a program, before its first client.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a TLS provider is there already")?;
    let simulator = Simulator::start(Config::default()).await?;
    let (id, secret) = simulator.client();
    println!("{}", run(simulator.base_url(), id, secret).await?);
    Ok(())
}

/// Answers what the new store says of itself.
pub(crate) async fn run(
    home: &str,
    client_id: &str,
    client_secret: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    // At Foxy itself: ApiOrigins::sandbox(), or ApiOrigins::production().
    let settings = Settings::new(ApiOrigins::explicit(home)?, client_id, ClientSecret::new(client_secret));
    let foxy = Foxy::try_new(settings)?;

    let user = NewUser {
        first_name: "Ann".into(),
        last_name: "Lee".into(),
        email: "ann@example.com".into(),
        ..NewUser::default()
    };
    let user = made(foxy.create_user(&user, Instant::now() + CALL).await)?;
    // Here a program keeps user.token.refresh, sealed, before it does anything else.

    let store = NewStore {
        name: "Ann's shop".into(),
        domain: "anns-shop".into(),
        url: "https://anns.example".into(),
        email: "ann@example.com".into(),
        country: "US".into(),
        region: "MN".into(),
        postal_code: "55401".into(),
        ..NewStore::default()
    };
    let store = made(user.session().create_store(&store, Instant::now() + CALL).await)?;

    let read = foxy.store(store.token.refresh).read().await?;
    Ok(format!("{} is at {}", read.text("store_name").unwrap_or_default(), read.uri))
}

/// What was made; else what may have happened, which decides what to do next.
fn made<T>(report: Report<T>) -> Result<T, String> {
    match report.outcome {
        Outcome::Done(made) => Ok(made),
        Outcome::NoEffect(reason) => Err(format!("nothing was created; send it again later: {reason}")),
        Outcome::Rejected(rejection) => Err(format!("Foxy refuses: {:?}", rejection.kind)),
        Outcome::Unknown(doubt) => Err(format!("it may exist; look it up before anything else: {doubt}")),
        Outcome::TokenLost(loss) => Err(format!("it exists, but its token is lost: {loss}")),
    }
}
