//! A person grants access, for a signup that is parked for want of a token: by pasting the address at which the browser
//! ended.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdout, Stdio},
};

use foxden_ledger::{ParkedReason, Scope, State, Step};
use serde_json::{Value, json};
use url::Url;

use crate::support::{Place, event, row};

/// A `foxden authorize` that waits for an address.
pub(crate) struct Asking {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where the person goes.
    address: Url,
}

impl Asking {
    pub(crate) fn begin(place: &Place, signup_id: &str) -> Self {
        let mut command = place.command(&["authorize", signup_id, "--paste"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = Url::parse(line.trim()).unwrap_or_else(|_| {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("no address, but {line:?}: {said}")
        });
        Self { child, output, address }
    }

    /// Where the browser of someone ends, who grants access as this user or to this store; or denies it.
    pub(crate) async fn browse(&self, choice: (&str, &str)) -> String {
        let mut address = self.address.clone();
        address.query_pairs_mut().append_pair(choice.0, choice.1);
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = browser.get(address).send().await.unwrap();
        answer.headers().get("location").expect("the browser is sent back").to_str().unwrap().to_owned()
    }

    /// Pastes an address. Answers the exit status, and what was said.
    pub(crate) fn paste(mut self, address: &str) -> (Option<i32>, String) {
        let mut input = self.child.stdin.take().unwrap();
        // It may have ended already.
        drop(writeln!(input, "{address}"));
        drop(input);
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let mut more = String::new();
        self.output.read_to_string(&mut more).unwrap();
        assert_eq!(more, "", "the address alone is the output");
        (self.child.wait().unwrap().code(), said)
    }
}

/// A place with a signup whose store was made, and whose token was in an answer that was lost.
async fn with_a_lost_store_token(id: &str) -> Place {
    let place = Place::new().await;
    place.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    place.feed(&["submit", "-"], &event(id).to_string());
    let worker = place.worker("worker");
    let rows = place.settled(1).await;
    worker.stop().await;
    assert_eq!(rows[0].parked_reason, Some(ParkedReason::StoreTokenLost));
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_token_is_granted_again_and_the_signup_is_provisioned() {
    let place = with_a_lost_store_token("s1").await;
    let asking = Asking::begin(&place, "s1");
    let scope = asking.address.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    assert_eq!(scope, "store_full_access store_id_1", "no more than the store is asked for");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("s1 is provisioned: the store's token is sealed and kept"), "{said}");
    assert!(!said.contains("code=") && !said.contains("state=o"), "{said}");
    let granted = row(&place, "s1").await;
    assert_eq!((granted.state, granted.step), (State::Closed, Step::Done));
    place.tokens_open_their_stores(&[granted]).await;
    let token = place.run(&["token", "s1"]);
    assert!(token.status.success(), "{token:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_no_is_asked_again_and_an_address_serves_once() {
    let place = with_a_lost_store_token("s1").await;
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_deny", "1")).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(1));
    assert!(said.contains("the person did not allow it. The grant stays open"), "{said}");

    let asking = Asking::begin(&place, "s1");
    let first = asking.browse(("sim_as", "engines-s1")).await;
    assert_eq!(asking.paste(&first).0, Some(0));
    // Another trip's address, which was used.
    let refused = place.run(&["authorize", "s1", "--paste"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no grant can help s1: nothing is lost: it is provisioned"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_and_how_each_trip_ended_is_shown_and_what_waits_is_counted() {
    let place = with_a_lost_store_token("s1").await;
    let json = |arguments: &[&str]| -> Value { serde_json::from_slice(&place.run(arguments).stdout).unwrap() };
    let text = |arguments: &[&str]| String::from_utf8(place.run(arguments).stdout).unwrap();
    assert_eq!(json(&["show", "s1", "--json"])["grants"], json!([]));
    assert!(text(&["show", "s1"]).contains("What to do: `foxden authorize s1`: the store's owner"));
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_deny", "1")).await;
    assert_eq!(asking.paste(&back).0, Some(1));

    let counts = json(&["status", "--json"]);
    assert_eq!((&counts["grants_open"], &counts["grants_unconfirmed"]), (&json!(1), &json!(0)));
    assert!(text(&["status"]).contains("1 grant waits for a person to answer"));
    let worker = place.worker_with("counting", &[("FOXDEN_HEARTBEAT", "100ms")]);
    let heartbeat = worker.until("worker.heartbeat").await;
    worker.stop().await;
    assert_eq!((&heartbeat["grants_open"], &heartbeat["grants_unconfirmed"]), (&json!(1), &json!(0)));

    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    assert_eq!(asking.paste(&back).0, Some(0));
    let shown = json(&["show", "s1", "--json"]);
    let [grant] = shown["grants"].as_array().unwrap().as_slice() else { panic!("one grant: {shown}") };
    assert_eq!(
        (&grant["reason"], &grant["wanted"], &grant["state"], &grant["expected_uri"]),
        (&json!("recover"), &json!("store"), &json!("kept"), &shown["store_uri"])
    );
    assert!(grant["asked_at"].is_string() && grant["expires_at"].is_string() && grant["ended_at"].is_string());
    let acts = shown["audit"].as_array().unwrap();
    assert_eq!((acts.len(), &acts[0]["act"], &acts[0]["note"]), (1, &json!("ask_for_grant"), &json!("recover: store")));
    let trips = grant["trips"].as_array().unwrap();
    let endings: Vec<_> = trips.iter().map(|trip| trip["ending"].as_str().unwrap()).collect();
    assert_eq!(endings, ["denied", "granted"]);
    assert!(trips.iter().all(|trip| trip["started_at"].is_string() && trip["back_at"].is_string()));
    let shown = text(&["show", "s1"]);
    let line = shown.lines().find(|line| line.contains("recover: store")).unwrap();
    assert!(line.contains("kept") && line.contains("denied 20") && line.contains("; granted 20"), "{shown}");
    assert_eq!(json(&["status", "--json"])["grants_open"], 0);
    assert!(!text(&["status"]).contains("waits for a person"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_another_request_is_not_taken() {
    let place = with_a_lost_store_token("s1").await;
    let (one, other) = (Asking::begin(&place, "s1"), Asking::begin(&place, "s1"));
    let back = one.browse(("sim_as", "engines-s1")).await;
    let (status, said) = other.paste(&back);
    assert_eq!(status, Some(1));
    assert!(said.contains("that address does not belong to this request"), "{said}");
    assert_eq!(row(&place, "s1").await.state, State::Parked);
    assert_eq!(place.sim.requests("POST /token?grant_type=authorization_code"), 0, "no code was used");
    assert_eq!(one.paste(&back).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_store_than_the_signups_own_is_not_kept() {
    let place = with_a_lost_store_token("s1").await;
    place.feed(&["submit", "-"], &event("s2").to_string());
    let worker = place.worker("again");
    place.settled(2).await;
    worker.stop().await;
    // Foxy may let the person choose, whatever store was asked for.
    place.sim.set_faults("POST /token?grant_type=authorization_code: other_grant(engines-s2)".parse().unwrap());
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(1));
    assert!(said.contains("access was granted to another shop than the one that it is needed for"), "{said}");
    let parked = row(&place, "s1").await;
    assert_eq!(parked.state, State::Parked);
    let ledger = place.ledger().await;
    let held = ledger.credentials(&parked.id).await.unwrap();
    assert!(held.iter().all(|held| held.scope != Scope::Store), "nothing of it is kept");
    place.tokens_open_their_stores(&[row(&place, "s2").await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_with_a_foxy_user_lets_a_store_be_made_under_it() {
    let mut place = Place::new().await;
    place.set("FOXDEN_KEEP_USER_TOKENS", "true");
    // The customer's own user, which someone else made.
    place.feed(&["submit", "-"], &event("earlier").to_string());
    let mut taken = event("s1");
    taken["user"]["email"] = event("earlier")["user"]["email"].clone();
    let worker = place.worker("worker");
    place.settled(1).await;
    place.feed(&["submit", "-"], &taken.to_string());
    place.settled(2).await;
    assert_eq!(row(&place, "s1").await.parked_reason, Some(ParkedReason::EmailTaken));

    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", taken["user"]["email"].as_str().unwrap())).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("the user's token is sealed and kept; a worker continues with s1"), "{said}");
    place.settled(2).await;
    worker.stop().await;
    let made = row(&place, "s1").await;
    assert_eq!((made.state, made.step), (State::Closed, Step::Done));
    assert_eq!(made.user_uri, row(&place, "earlier").await.user_uri, "under the same user");
    place.tokens_open_their_stores(std::slice::from_ref(&made)).await;
    let ledger = place.ledger().await;
    let held = ledger.credentials(&made.id).await.unwrap();
    let user = held.iter().find(|held| held.scope == Scope::User).expect("it was kept for the store");
    assert!(user.sealed.is_none(), "it is the customer's own account, whatever else is kept");
}

/// A place that keeps user tokens, with a signup of `s1` that has the email of a user that is there already, and waits
/// for that user's owner.
async fn with_a_taken_email(change: impl FnOnce(&mut Value)) -> Place {
    let mut place = Place::new().await;
    place.set("FOXDEN_KEEP_USER_TOKENS", "true");
    place.feed(&["submit", "-"], &event("earlier").to_string());
    let worker = place.worker("earlier");
    place.settled(1).await;
    let mut taken = event("s1");
    taken["user"]["email"] = event("earlier")["user"]["email"].clone();
    change(&mut taken);
    place.feed(&["submit", "-"], &taken.to_string());
    place.settled(2).await;
    worker.stop().await;
    assert_eq!(row(&place, "s1").await.parked_reason, Some(ParkedReason::EmailTaken));
    place
}

/// The owner of the user that is there already lets `s1` have it, and a worker does what it can.
async fn take_over(place: &Place, worker: &str) {
    let asking = Asking::begin(place, "s1");
    let back = asking.browse(("sim_as", "earlier@customers.example")).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(0), "{said}");
    let worker = place.worker(worker);
    place.settled(2).await;
    worker.stop().await;
}

/// What the ledger still holds of the user that `s1` has taken over.
async fn user_tokens_held(place: &Place) -> usize {
    let id = row(place, "s1").await.id;
    let held = place.ledger().await.credentials(&id).await.unwrap();
    let of_user: Vec<_> = held.iter().filter(|held| held.scope == Scope::User).collect();
    assert!(!of_user.is_empty(), "it was granted");
    of_user.iter().filter(|held| held.sealed.is_some()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_was_taken_over_is_not_kept_where_the_store_is_granted_too() {
    let place = with_a_taken_email(|_| ()).await;
    place.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    take_over(&place, "took").await;
    assert_eq!(row(&place, "s1").await.parked_reason, Some(ParkedReason::StoreTokenLost));
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(row(&place, "s1").await.state, State::Closed);
    assert_eq!(user_tokens_held(&place).await, 0, "it is the customer's own account");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_was_taken_over_is_not_kept_where_the_signup_is_cancelled() {
    let place = with_a_taken_email(|taken| taken["store"]["domain"] = "www".into()).await;
    take_over(&place, "took").await;
    assert_eq!(row(&place, "s1").await.parked_reason, Some(ParkedReason::DomainReserved));
    assert_eq!(user_tokens_held(&place).await, 1, "it may yet be used");
    let cancelled = place.run(&["cancel", "s1", "--reason", "changed their mind", "--yes"]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    assert_eq!(user_tokens_held(&place).await, 0, "it is the customer's own account");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_the_user_has_already_is_not_taken_for_the_one_that_is_to_be_made() {
    let mut place =
        with_a_taken_email(|taken| taken["store"]["name"] = event("earlier")["store"]["name"].clone()).await;
    place.set("FOXDEN_LISTING_LAG", "1s");
    place.sim.set_faults("POST /stores: reset_before_work first 1".parse().unwrap());
    take_over(&place, "took").await;
    let (earlier, made) = (row(&place, "earlier").await, row(&place, "s1").await);
    assert_eq!((made.state, made.step, made.parked_reason), (State::Closed, Step::Done, None), "{made:?}");
    assert_ne!(made.store_uri, earlier.store_uri);
    place.tokens_open_their_stores(&[earlier, made]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_asked_for_what_the_signup_lacks_by_now() {
    let place = with_a_taken_email(|_| ()).await;
    drop(Asking::begin(&place, "s1").paste(""));
    // Another email, and then another need.
    place.feed(&["submit", "-"], &event("s1").to_string());
    place.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    let worker = place.worker("corrected");
    worker.until("provisioning.parked").await;
    worker.stop().await;
    assert_eq!(row(&place, "s1").await.parked_reason, Some(ParkedReason::StoreTokenLost));
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(row(&place, "s1").await.state, State::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn someone_elses_user_is_not_taken_over() {
    let place = Place::new().await;
    for id in ["earlier", "stranger"] {
        place.feed(&["submit", "-"], &event(id).to_string());
    }
    let mut taken = event("s1");
    taken["user"]["email"] = event("earlier")["user"]["email"].clone();
    let worker = place.worker("worker");
    place.settled(2).await;
    place.feed(&["submit", "-"], &taken.to_string());
    place.settled(3).await;
    worker.stop().await;
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", event("stranger")["user"]["email"].as_str().unwrap())).await;
    let (status, said) = asking.paste(&back);
    assert_eq!(status, Some(1));
    assert!(said.contains("another Foxy account than the one that it is needed for"), "{said}");
    assert_eq!(row(&place, "s1").await.parked_reason, Some(ParkedReason::EmailTaken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_printed_for_the_pages_and_needs_their_address() {
    let mut place = with_a_lost_store_token("s1").await;
    let refused = place.run(&["authorize", "s1"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("FOXDEN_HTTP_PUBLIC_URL is not set"));
    place.set("FOXDEN_HTTP_PUBLIC_URL", "https://shops.example/foxden");
    let mut links = Vec::new();
    for _ in 0..2 {
        let link = place.run(&["authorize", "s1"]);
        assert_eq!(link.status.code(), Some(0), "{link:?}");
        links.push(String::from_utf8(link.stdout).unwrap());
    }
    assert!(links[0].starts_with("https://shops.example/foxden/grant/FXT1."), "{}", links[0]);
    assert_eq!(links[0], links[1], "it is one grant, and nothing of its link is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_kept_for_a_signup_that_is_cancelled_while_its_code_is_exchanged() {
    let place = with_a_lost_store_token("s1").await;
    let asking = Asking::begin(&place, "s1");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    let exchange = "POST /token?grant_type=authorization_code";
    place.sim.set_faults(format!("{exchange}: stall_after_work(1s)").parse().unwrap());
    let pasted = tokio::task::spawn_blocking(move || asking.paste(&back));
    while place.sim.requests(exchange) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(place.run(&["cancel", "s1", "--yes", "--reason", "by mistake"]).status.success());
    let (status, said) = pasted.await.unwrap();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("the token is sealed and kept beside what s1 has by now"), "{said}");
    let cancelled = row(&place, "s1").await;
    assert_eq!((cancelled.state, cancelled.step), (State::Closed, Step::Store));
    let held = place.ledger().await.credentials(&cancelled.id).await.unwrap();
    assert!(held.iter().any(|held| held.scope == Scope::Store && held.sealed.is_some()), "{held:?}");
}
