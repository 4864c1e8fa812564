//! The Foxy that a ledger belongs to.

use foxden_ledger::{Ledger, WhichFoxy};

pub(crate) async fn a_ledger_takes_the_first_foxy_and_keeps_it(ledger: Ledger) {
    assert_eq!(ledger.foxy().await.unwrap(), None);
    let (one, another): (WhichFoxy, WhichFoxy) = (WhichFoxy::Sandbox, "simulator:00c0ffee".parse().unwrap());
    assert_eq!(ledger.belong_to(&one).await.unwrap(), one);
    assert_eq!(ledger.belong_to(&one).await.unwrap(), one);
    assert_eq!(ledger.belong_to(&another).await.unwrap(), one, "another is not taken");
    assert_eq!(ledger.foxy().await.unwrap(), Some(one));
}

pub(crate) async fn of_two_foxys_that_come_first_at_once_one_is_taken(ledger: Ledger) {
    let asked: Vec<WhichFoxy> = vec![WhichFoxy::Production, WhichFoxy::Sandbox];
    let taken = tokio::join!(ledger.belong_to(&asked[0]), ledger.belong_to(&asked[1]));
    let (one, other) = (taken.0.unwrap(), taken.1.unwrap());
    assert!(one == other && asked.contains(&one), "{one} and {other}");
    assert_eq!(ledger.foxy().await.unwrap(), Some(one));
}
