//! A parked signup is published again under its signup id, with other content.

use foxden_ledger::{ParkedReason, Provisioning, State};
use serde_json::Value;

use crate::support::{Place, event};

/// What `submit` counts.
fn submit(place: &Place, event: &Value) -> Value {
    let output = place.feed_any(&["submit", "--json", "-"], &event.to_string());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `submit` says of an event that it refuses.
fn refusal(place: &Place, event: &Value) -> String {
    let output = place.feed_any(&["submit", "-"], &event.to_string());
    assert_eq!(output.status.code(), Some(3));
    String::from_utf8(output.stderr).unwrap()
}

/// The row of this signup, once it rests, among so many.
async fn rested(place: &Place, signups: usize, id: &str) -> Provisioning {
    let rows = place.settled(signups).await;
    rows.into_iter().find(|row| row.signup_id.as_str() == id).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signup_whose_domain_is_refused_goes_on_with_another_or_with_none() {
    let place = Place::new().await;
    let worker = place.worker("worker");
    for (signups, id, domain, expected) in
        [(1, "s1", Some("engines-of-ada"), "engines-of-ada"), (2, "s2", None, "engines-s2")]
    {
        let mut refused = event(id);
        refused["store"]["domain"] = "www".into();
        submit(&place, &refused);
        let parked = rested(&place, signups, id).await;
        assert_eq!(parked.parked_reason, Some(ParkedReason::DomainReserved));
        let mut corrected = event(id);
        if let Some(domain) = domain {
            corrected["store"]["domain"] = domain.into();
        }
        assert_eq!(submit(&place, &corrected)["corrected"], 1);
        // A copy of the first one comes late, and one of the second.
        for repeat in [&refused, &corrected] {
            assert_eq!(submit(&place, repeat)["known"], 1);
        }
        let row = rested(&place, signups, id).await;
        assert_eq!((row.state, row.store_domain.as_deref()), (State::Closed, Some(expected)));
        assert_eq!(row.user_uri, parked.user_uri, "the user that was made at first");
    }
    worker.stop().await;
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_may_be_corrected_until_it_has_made_a_user() {
    let place = Place::new().await;
    let worker = place.worker("worker");
    submit(&place, &event("s0"));
    assert_eq!(rested(&place, 1, "s0").await.state, State::Closed);
    let mut signup = event("s1");
    signup["user"]["email"] = event("s0")["user"]["email"].clone();
    signup["store"]["domain"] = "www".into();
    submit(&place, &signup);
    assert_eq!(rested(&place, 2, "s1").await.parked_reason, Some(ParkedReason::EmailTaken));

    signup["user"]["email"] = "ada@example.com".into();
    assert_eq!(submit(&place, &signup)["corrected"], 1);
    assert_eq!(rested(&place, 2, "s1").await.parked_reason, Some(ParkedReason::DomainReserved));

    let mut other_email = signup.clone();
    other_email["user"]["email"] = "grace@example.com".into();
    let told = refusal(&place, &other_email);
    assert!(told.contains("user.email can't change: a Foxy user exists for this signup"), "{told}");

    signup["store"].as_object_mut().unwrap().remove("domain");
    assert_eq!(submit(&place, &signup)["corrected"], 1);
    assert_eq!(rested(&place, 2, "s1").await.state, State::Closed);
    signup["store"]["name"] = "Another".into();
    let told = refusal(&place, &signup);
    assert!(told.contains("the signup is closed; only a parked signup can be corrected"), "{told}");
    worker.stop().await;
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (2, 2));
}
