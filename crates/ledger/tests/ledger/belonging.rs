//! The Foxy that a ledger belongs to.

use foxden_ledger::{By, InUse, Ledger, Rebind, WhichFoxy, WorkerId};

use crate::support::{accept, custody};

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

pub(crate) async fn a_ledger_is_rebound_from_the_foxy_that_it_belongs_to_while_no_worker_has_a_lease(ledger: Ledger) {
    let (one, other, by) = (WhichFoxy::Sandbox, WhichFoxy::Production, By::new("ada").because("moved"));
    assert_eq!(ledger.rebind(&one, &other, &by).await.unwrap(), Rebind::BelongsTo(None));
    ledger.belong_to(&one).await.unwrap();
    let third: WhichFoxy = "simulator:1".parse().unwrap();
    assert_eq!(ledger.rebind(&third, &other, &by).await.unwrap(), Rebind::BelongsTo(Some(one.clone())));
    assert_eq!(ledger.rebind(&one, &other, &by).await.unwrap(), Rebind::Rebound { tokens: 0 });
    assert_eq!(ledger.rebind(&one, &other, &by).await.unwrap(), Rebind::Already);
    accept(&ledger, &custody(), &WorkerId::new(), "s1").await;
    let in_use = ledger.rebind(&other, &one, &by).await.unwrap();
    assert!(matches!(in_use, Rebind::InUse(InUse { leases: 1, .. })), "{in_use:?}");
    assert_eq!(ledger.foxy().await.unwrap(), Some(other));
}
