//! How long a worker and a person wait for what they ask most: figures for `make size`, which judges none of them.

use std::time::{Duration, Instant};

use foxden_ledger::{Ledger, Look, OutcomeKind, Places, WorkerId};

/// How often each is asked.
const TIMES: usize = 21;

#[expect(clippy::print_stdout, reason = "shown where somebody asks for it")]
async fn median(what: &str, ask: impl AsyncFn()) {
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let started = Instant::now();
        ask().await;
        took.push(started.elapsed());
    }
    took.sort();
    println!("{what:<12} median {:>8.2?}, longest {:>8.2?}", took[TIMES / 2], took[TIMES - 1]);
}

pub(crate) async fn show(ledger: &Ledger) {
    let (owner, lease) = (WorkerId::new(), Duration::from_secs(60));
    median("heartbeat", async || {
        ledger.standings().await.unwrap();
        ledger.now_ms().await.unwrap();
        ledger.count_waiting_events().await.unwrap();
        ledger.count_grants().await.unwrap();
    })
    .await;
    median("claim of 16", async || {
        ledger.claim_places(&owner, Places { all: 16, for_new: Some(4) }, lease).await.unwrap();
    })
    .await;
    median("next events", async || {
        let look = Look { after: 0, kinds: OutcomeKind::ALL.to_vec(), set_aside: vec![] };
        ledger.next_events(look).await.unwrap();
    })
    .await;
    median("status", async || {
        ledger.standings().await.unwrap();
        ledger.count_waiting_events().await.unwrap();
        ledger.count_orphans().await.unwrap();
        ledger.count_grants().await.unwrap();
    })
    .await;
}
