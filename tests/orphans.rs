//! Users whose tokens are lost, in mailboxes that the platform owns: they are superseded, and listed.

use serde_json::{Value, json};

use crate::support::{Place, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_user_is_listed_with_the_email_that_foxy_knows() {
    let mut place = Place::new().await;
    place.set("FOXDEN_USER_EMAIL", "shop+{signup_id}.{generation}@platform.example");
    let worker = place.worker("worker");
    // One answer without its token, then a way on which every token is lost.
    place.sim.set_faults("POST /users: no_token first 1".parse().unwrap());
    place.feed(&["submit", "-"], &event("mended").to_string());
    place.settled(1).await;
    let counts = place.feed(&["status"], "");
    assert!(counts.contains("users left behind at Foxy, their tokens lost: 1; foxden status --orphans"), "{counts}");
    place.sim.set_faults("POST /users: no_token".parse().unwrap());
    place.feed(&["submit", "-"], &event("hopeless").to_string());
    place.settled(2).await;
    worker.stop().await;

    assert_eq!(place.json(&["status", "--json"])["orphans"], 6);
    let listed = place.feed(&["status", "--orphans", "--json"], "");
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let orphan = |signup_id: &str, generation: u32, is_certain: bool, state: &str, reason: Option<&str>| {
        json!({
            "signup_id": signup_id,
            "generation": generation,
            "email": format!("shop+{signup_id}.{generation}@platform.example"),
            "email_is_certain": is_certain,
            "user_uri": null,
            "state": state,
            "parked_reason": reason,
        })
    };
    let mut expected: Vec<Value> = (1..=5)
        .map(|generation| orphan("hopeless", generation, generation == 5, "parked", Some("user_token_lost")))
        .collect();
    expected.push(orphan("mended", 1, false, "closed", None));
    assert_eq!(listed, expected);
    // With the one that is in use they are all that Foxy has.
    let mut emails: Vec<&str> = listed.iter().map(|orphan| orphan["email"].as_str().unwrap()).collect();
    emails.push("shop+mended.2@platform.example");
    let mut made: Vec<String> = place.sim.books().users.into_iter().map(|user| user.email).collect();
    emails.sort_unstable();
    made.sort_unstable();
    assert_eq!(emails, made);

    let table = place.feed(&["status", "--orphans"], "");
    for cell in ["shop+hopeless.3@platform.example", "parked: user_token_lost", "provisioned", "FOXDEN_USER_EMAIL"] {
        assert!(table.contains(cell), "{cell} is not in:\n{table}");
    }
    assert!(!worker_log(&place).contains("platform.example"), "emails are for the terminal, not for the log");
}

fn worker_log(place: &Place) -> String {
    std::fs::read_to_string(place.path("worker.log")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_orphans_nothing_is_said_of_them() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &event("s1").to_string());
    assert!(!place.feed(&["status"], "").contains("orphans"));
    assert_eq!(place.json(&["status", "--json"])["orphans"], 0);
    assert_eq!(place.feed(&["status", "--orphans"], ""), "none\n");
    assert_eq!(place.feed(&["status", "--orphans", "--json"], ""), "");
    assert_eq!(place.run(&["status", "--orphans", "--list", "5"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_whose_template_was_unset_is_listed_without_an_email() {
    let mut place = Place::new().await;
    place.set("FOXDEN_USER_EMAIL", "shop+{signup_id}.{generation}@platform.example");
    // The second generation's call has no effect for as long as the template is set.
    place.sim.set_faults("POST /users: no_token nth 1; POST /users: rate_limited".parse().unwrap());
    place.feed(&["submit", "-"], &event("s1").to_string());
    let worker = place.worker("first");
    worker.until("user.superseded").await;
    worker.stop().await;
    assert_eq!(place.json(&["status", "--orphans", "--json"])["email"], "shop+s1.1@platform.example");

    place.settings.remove("FOXDEN_USER_EMAIL");
    place.sim.set_faults(foxy_sim::FaultScript::default());
    let worker = place.worker("second");
    place.settled(1).await;
    worker.stop().await;
    let orphan = place.json(&["status", "--orphans", "--json"]);
    assert_eq!((&orphan["generation"], &orphan["email"]), (&1.into(), &Value::Null));
    assert_eq!(orphan["email_is_certain"], false);
    assert!(place.feed(&["status", "--orphans"], "").contains("not known"));
}
