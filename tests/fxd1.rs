//! The end of `FXD1`, in a ledger that an earlier release has written.

use std::process::Output;

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::Value;

use crate::upgrade::Earlier;

const STORE_TOKEN_OF_PLAIN_1: &str = "SELECT hex(sealed) AS value FROM credentials WHERE scope = 'store_full_access' \
    AND provisioning_id = (SELECT id FROM provisionings WHERE signup_id = 'plain-1')";

/// What a command has printed, and what it has noted.
fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

impl Earlier {
    async fn migrated() -> Self {
        let earlier = Self::of("sqlite").await;
        earlier.load().await;
        earlier.place.feed(&["migrate", "up"], "");
        earlier
    }

    /// The one value of a query.
    async fn asked(&self, query: &str) -> String {
        let database = self.database().await;
        let query = Statement::from_string(database.get_database_backend(), query);
        let row = database.query_one_raw(query).await.unwrap().unwrap();
        database.close().await.unwrap();
        row.try_get("", "value").unwrap()
    }

    async fn meddled(&self, statement: &str) {
        let database = self.database().await;
        assert_eq!(database.execute_unprepared(statement).await.unwrap().rows_affected(), 1, "{statement}");
        database.close().await.unwrap();
    }

    /// Reseals; what it says as JSON, and what it notes.
    fn reseals(&self) -> (Value, String) {
        let (said, noted) = texts(&self.place.run(&["keys", "reseal", "--json"]));
        (serde_json::from_str(&said).unwrap(), noted)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fxd1_ends_once_the_escrow_has_none_either_and_a_person_can_admit_it_again() {
    let earlier = Earlier::migrated().await;
    let old = earlier.asked(STORE_TOKEN_OF_PLAIN_1).await;
    let escrow = earlier.place.path("foxden-escrow");
    earlier.put_escrow_back();
    let (said, noted) = texts(&earlier.place.run(&["keys", "reseal"]));
    assert!(said.contains(" envelopes moved to the key second "), "{said}");
    assert!(!said.contains("FXD1"), "{said}");
    let waits = "in foxden-escrow (FOXDEN_ESCROW_DIR) 1 file is sealed as FXD1, or unreadable; once a worker has moved";
    assert!(noted.contains(waits), "{noted}");

    std::fs::remove_dir_all(&escrow).unwrap();
    let (said, noted) = texts(&earlier.place.run(&["keys", "reseal"]));
    assert!(said.contains("no FXD1 is left; after this, any FXD1 is refused"), "{said}");
    assert!(noted.contains("foxden-escrow (FOXDEN_ESCROW_DIR) does not exist here"), "{noted}");
    let (_, noted) = texts(&earlier.place.run(&["keys", "status"]));
    assert!(noted.contains("foxden-escrow (FOXDEN_ESCROW_DIR) does not exist here"), "{noted}");
    earlier.place.feed(&["token", "plain-1"], "");

    earlier
        .meddled(&format!(
            "UPDATE credentials SET sealed = x'{old}' WHERE scope = 'store_full_access' \
             AND provisioning_id = (SELECT id FROM provisionings WHERE signup_id = 'plain-1')"
        ))
        .await;
    let refused = earlier.place.run(&["token", "plain-1"]);
    let (said, noted) = texts(&refused);
    assert!(refused.status.code() == Some(1) && said.is_empty(), "{said}");
    assert!(noted.contains("it is of FXD1, of which this ledger has none any more"), "{noted}");
    // What is overlooked stays, and the way out is said.
    earlier.put_escrow_back();
    let (said, noted) = earlier.reseals();
    assert_eq!((&said["fxd1_has_ended"], &said["refused"], &said["moved"]), (&true.into(), &1.into(), &0.into()));
    assert!(noted.contains("If you know them to be your worker's: foxden keys reseal --admit-fxd1"), "{noted}");

    let admit = ["keys", "reseal", "--admit-fxd1"];
    let said = earlier.place.feed(&admit, "");
    assert_eq!(said.trim(), "envelopes of FXD1 are opened again, until foxden keys reseal finds none left");
    earlier.place.feed(&["token", "plain-1"], "");
    let acts = "SELECT group_concat(detail, ', ') AS value FROM (SELECT detail FROM audit WHERE detail LIKE '%FXD1%' \
                ORDER BY at)";
    assert_eq!(earlier.asked(acts).await, "FXD1 has ended, FXD1 is admitted again");
    let again = earlier.place.run(&[&admit[..], &["--json"]].concat());
    assert_eq!((again.status.code(), texts(&again).0.trim()), (Some(0), r#"{"fxd1_has_ended":false}"#));
    assert!(texts(&earlier.place.run(&admit)).1.contains("FXD1 had not ended in this ledger"));
    let (said, _) = earlier.reseals();
    assert_eq!((&said["fxd1_has_ended"], &said["moved"]), (&false.into(), &1.into()), "the escrow still has one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escrow_that_can_not_be_read_costs_a_reseal_no_report() {
    let earlier = Earlier::migrated().await;
    std::fs::write(earlier.place.path("foxden-escrow"), "no directory").unwrap();
    let resealed = earlier.place.run(&["keys", "reseal"]);
    let (said, noted) = texts(&resealed);
    assert_eq!(resealed.status.code(), Some(0), "{noted}");
    assert!(said.contains(" envelopes moved to the key second ") && !said.contains("FXD1"), "{said}");
    assert!(noted.contains("could not look for FXD1 in foxden-escrow (FOXDEN_ESCROW_DIR): "), "{noted}");
    assert_eq!(earlier.reseals().0["fxd1_has_ended"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_fxd1_that_is_refused_tells_nothing_of_the_environment() {
    let earlier = Earlier::migrated().await;
    let token = earlier.asked(STORE_TOKEN_OF_PLAIN_1).await;
    let event = "SELECT hex(payload) AS value FROM provisionings WHERE payload IS NOT NULL ORDER BY id DESC LIMIT 1";
    let event = earlier.asked(event).await;
    assert_eq!(earlier.reseals().0["fxd1_has_ended"], true);
    for (table, column, old) in [("credentials", "sealed", token), ("provisionings", "payload", event)] {
        let newest = format!("SELECT id FROM {table} WHERE {column} IS NOT NULL ORDER BY id DESC LIMIT 1");
        earlier.meddled(&format!("UPDATE {table} SET {column} = x'{old}' WHERE id = ({newest})")).await;
    }
    let mut worker = earlier.place.worker_with("elsewhere", &[("FOXDEN_ENVIRONMENT", "elsewhere")]);
    assert_eq!(worker.ended().await, Some(1), "{}", worker.log());
    let log = worker.log();
    assert!(log.contains("the newest event in the ledger, that of signup ") && log.contains("does not open"), "{log}");
    // In its own, it starts beside them.
    let worker = earlier.place.worker("here");
    worker.until("worker.started").await;
    worker.stop().await;
}
