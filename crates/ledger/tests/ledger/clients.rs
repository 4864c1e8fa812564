//! To which client each token was given.

use foxden_ledger::{ClientId, FoxyClient, Ledger, Next, Scope, Step, WhichFoxy, WorkerId};

use crate::support::{LEASE, accept, custody, entry, row, token, written};

fn client(id: &str) -> FoxyClient {
    FoxyClient { foxy: WhichFoxy::Sandbox, id: ClientId::parse(id).unwrap() }
}

/// A signup whose user was made by this client.
async fn made_by(ledger: &Ledger, signup_id: &str, client: Option<FoxyClient>) {
    let custody = custody();
    let claimed = accept(ledger, &custody, &WorkerId::new(), signup_id).await;
    let mut record = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    record.credential = token(&claimed, &custody, Scope::User, "token");
    record.credential.as_mut().unwrap().client = client;
    written(ledger, record).await;
}

async fn client_of(ledger: &Ledger, signup_id: &str) -> Option<FoxyClient> {
    let row = row(ledger, signup_id).await;
    ledger.credentials(&row.id).await.unwrap().remove(0).client
}

pub(crate) async fn a_token_keeps_the_client_that_it_was_given_to(ledger: Ledger) {
    for (signup_id, id) in [("s1", Some("one")), ("s2", Some("two")), ("s3", Some("one")), ("s4", None)] {
        made_by(&ledger, signup_id, id.map(client)).await;
        assert_eq!(client_of(&ledger, signup_id).await, id.map(client), "{signup_id}");
    }
    let in_use = async || {
        let clients = ledger.clients_in_use().await.unwrap();
        clients.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(in_use().await, ["one", "two"]);
}

pub(crate) async fn the_client_of_an_earlier_token_is_written_down_once(ledger: Ledger) {
    made_by(&ledger, "s1", None).await;
    let (id, call) = (row(&ledger, "s1").await.id, (Scope::User, 1));
    for _ in 0..2 {
        ledger.given_to(&id, call, &client("one")).await.unwrap();
    }
    ledger.given_to(&id, call, &client("two")).await.unwrap();
    ledger.given_to(&id, (Scope::Store, 1), &client("two")).await.unwrap();
    assert_eq!(client_of(&ledger, "s1").await, Some(client("one")));
}
