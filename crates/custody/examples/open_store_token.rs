//! A platform's own program opens the token of a customer's store, without the foxden program.
//!
//! ```sh
//! cargo run -p foxden-custody --example open_store_token -- sqlite:foxden.db keys acct_000001
//! ```
//!
//! `keys` is the file that `FOXDEN_KEYS_FILE` names. The opening shows up in `foxden show acct_000001`.

#![expect(clippy::print_stdout, reason = "a program that answers on standard output")]

use std::{error::Error, path::Path, sync::Arc};

use foxden_custody::{Custody, StoreToken, open_store_token};
use foxden_ledger::{By, Ledger, SignupId};
use foxden_vault::KeyRing;

/// What `FOXDEN_ENVIRONMENT` is where the token was sealed.
const ENVIRONMENT: &str = "production";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, keys, signup_id] = &arguments[..] else {
        return Err("usage: open_store_token DATABASE_URL KEYS_FILE SIGNUP_ID".into());
    };
    let store = store_token(database, Path::new(keys), signup_id).await?;
    // Here it would be traded for an access token. It is a secret, so only its length is shown.
    let length = store.token.expose().len();
    println!("{}: a token of {length} characters", store.store_uri.as_deref().unwrap_or("a store without an address"));
    Ok(())
}

/// Foxy's production API has two names.
fn of_foxy(address: &str) -> Option<String> {
    let names = ["https://api.foxycart.com/", "https://api.foxy.io/"];
    names.iter().any(|name| address.starts_with(name)).then(|| address.to_owned())
}

/// The token of a signup's store. That it was opened, by whom and why, is in the ledger before this returns.
pub(crate) async fn store_token(database: &str, keys: &Path, signup_id: &str) -> Result<StoreToken, Box<dyn Error>> {
    let ring = KeyRing::parse(&std::fs::read_to_string(keys)?)?;
    let custody = Custody::new(Arc::new(ring), ENVIRONMENT);
    let ledger = Ledger::connect(database, 1).await?;
    let by = By::new("example").because("to show how it is done");
    let store = open_store_token(&ledger, &custody, &SignupId::parse(signup_id)?, &by, of_foxy).await?;
    ledger.close().await?;
    Ok(store)
}
