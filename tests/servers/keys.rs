//! The life of a key on PostgreSQL, where workers and the walk lock rows.

use foxden_ledger::{Ledger, ProvisioningId};

use crate::{
    keys::{busy, rotate},
    support::{Place, server},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_on_a_shared_ledger_while_signups_flow() {
    let mut place = Place::with(busy()).await;
    let mut url = url::Url::parse(&server("DATABASE_URL")).unwrap();
    let name = format!("keys_{}", ProvisioningId::new().as_str().replace('-', ""));
    Ledger::create_database(url.as_str(), &name).await.unwrap().close().await.unwrap();
    url.set_path(&name);
    place.set("FOXDEN_DATABASE_URL", url.as_str());
    place.feed(&["migrate", "up"], "");
    rotate(place).await;
}
