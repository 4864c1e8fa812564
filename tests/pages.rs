//! A person grants access on foxden's pages, which a worker serves: from the link to Foxy and back.

use std::time::{Duration, Instant};

use foxden_ledger::{ParkedReason, Scope, State, Step};
use reqwest::{
    Method,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use url::Url;

use crate::support::{PATIENCE, Place, Worker, event, row};

/// Where browsers believe to be. The pages are behind no proxy here, so what they fetch is rewritten.
const PUBLIC_URL: &str = "https://shops.example/foxden";
const CALLBACK: &str = "https://shops.example/foxden/callback";
const LISTENS: [(&str, &str); 2] = [("FOXDEN_HTTP_LISTEN", "127.0.0.1:0"), ("FOXDEN_HTTP_PLATFORM_NAME", "Acme Shops")];
const EXCHANGES: &str = "POST /token?grant_type=authorization_code";

/// A person's browser. It follows nothing by itself.
struct Browser {
    client: reqwest::Client,
    /// Where the pages are.
    address: String,
    cookie: Option<String>,
}

/// What a browser got.
struct Page {
    status: u16,
    location: String,
    text: String,
}

impl Page {
    /// It says this.
    fn says(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(text), "{text:?} is not in {}", self.text);
    }
}

impl Browser {
    async fn of(worker: &Worker) -> Self {
        let address = worker.until("web.started").await["address"].as_str().unwrap().to_owned();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, address, cookie: None }
    }

    /// Another person's.
    fn other(&self) -> Self {
        Self { client: self.client.clone(), address: self.address.clone(), cookie: None }
    }

    /// Asks for one of the pages, by its whole address or its path.
    async fn ask(&mut self, method: Method, address: &str) -> Page {
        let url = Url::parse("https://shops.example").unwrap().join(address).unwrap();
        assert_eq!(url.host_str(), Some("shops.example"), "{address}");
        let here = format!("http://{}{}?{}", self.address, url.path(), url.query().unwrap_or_default());
        let mut request = self.client.request(method, here).header("sec-fetch-site", "same-origin");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        if let Some(set) = header(SET_COOKIE) {
            self.cookie = Some(set.split(';').next().unwrap().to_owned());
        }
        let (status, location) = (answer.status().as_u16(), header(LOCATION).unwrap_or_default());
        Page { status, location, text: answer.text().await.unwrap() }
    }

    async fn get(&mut self, address: &str) -> Page {
        self.ask(Method::GET, address).await
    }

    /// Presses the button of the link's page. Answers Foxy's address.
    async fn depart(&mut self, link: &str) -> Url {
        let away = self.ask(Method::POST, link).await;
        assert_eq!(away.status, 303, "{}", away.text);
        Url::parse(&away.location).expect("the browser is sent to Foxy")
    }

    /// What someone chooses at Foxy. Answers where they are sent back to.
    async fn at_foxy(&self, mut foxy: Url, choice: (&str, &str)) -> String {
        foxy.query_pairs_mut().append_pair(choice.0, choice.1);
        let answer = self.client.get(foxy).send().await.unwrap();
        let back = answer.headers().get(LOCATION).expect("Foxy sends the browser back").to_str().unwrap().to_owned();
        assert!(back.starts_with(CALLBACK), "{back}");
        back
    }

    /// The whole way, as this user or to this store. Answers the page of the trip.
    async fn travel(&mut self, link: &str, choice: (&str, &str)) -> Page {
        let foxy = self.depart(link).await;
        let back = self.at_foxy(foxy, choice).await;
        let trip = self.get(&back).await;
        assert_eq!(trip.status, 303, "{}", trip.text);
        self.get(&trip.location).await
    }

    /// Reloads the page until it says this.
    async fn until(&mut self, address: &str, text: &str) {
        let started = Instant::now();
        loop {
            let page = self.get(address).await;
            if page.text.contains(text) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{text:?} does not come: {}", page.text);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A place whose client is registered with the pages.
async fn place() -> Place {
    let config = foxy_sim::Config { redirect_uri: CALLBACK.to_owned(), ..foxy_sim::Config::default() };
    let mut place = Place::with(config).await;
    place.set("FOXDEN_HTTP_PUBLIC_URL", PUBLIC_URL);
    place.set("FOXDEN_FOXY_AUTHORIZE_URL", &format!("{}/authorize", place.sim.base_url()));
    place
}

/// One with a signup whose store's token was in an answer that was lost.
async fn with_a_lost_store_token() -> (Place, Worker, Browser) {
    let place = place().await;
    place.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    place.feed(&["submit", "-"], &event("s1").to_string());
    let worker = place.worker_with("worker", &LISTENS);
    assert_eq!(place.settled(1).await[0].parked_reason, Some(ParkedReason::StoreTokenLost));
    let browser = Browser::of(&worker).await;
    (place, worker, browser)
}

fn link(place: &Place) -> String {
    place.feed(&["authorize", "s1"], "").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_the_link_grants_access_and_the_signup_is_provisioned() {
    let (place, worker, mut browser) = with_a_lost_store_token().await;
    let link = link(&place);
    for _ in 0..2 {
        let page = browser.get(&link).await;
        page.says(200, "Give Acme Shops access to your store again");
        page.says(200, "engines-s1");
        assert!(!page.text.contains("customers.example"), "nothing of the customer's own: {}", page.text);
        assert_eq!(browser.cookie, None, "to look changes nothing");
    }
    let foxy = browser.depart(&link).await;
    let asked: Vec<_> = foxy.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let asked = |name: &str| asked.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
    let (scope, redirect_uri, states): (Vec<&str>, Vec<&str>, Vec<&str>) =
        (asked("scope"), asked("redirect_uri"), asked("state"));
    assert_eq!((scope, redirect_uri), (vec!["store_full_access store_id_1"], vec![CALLBACK]));
    let [state] = states[..] else { panic!("one state, not {states:?}") };

    let back = browser.at_foxy(foxy.clone(), ("sim_as", "engines-s1")).await;
    let trip = browser.get(&back).await.location;
    browser.get(&trip).await.says(200, "Thank you, that worked");
    // Reloads, and the button "back", show the same and use nothing again.
    assert_eq!(browser.get(&back).await.location, trip);
    browser.get(&trip).await.says(200, "Thank you, that worked");
    assert_eq!(place.sim.requests(EXCHANGES), 1);
    let granted = row(&place, "s1").await;
    assert_eq!((granted.state, granted.step), (State::Closed, Step::Done));
    place.tokens_open_their_stores(&[granted]).await;

    browser.other().get(&link).await.says(410, "This is already done");
    let closed = browser.ask(Method::POST, &link).await;
    assert_eq!((closed.status, closed.location), (303, link.replace("https://shops.example", "")));
    let log = worker.log();
    let code = Url::parse(&back).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    for secret in [state, &code, link.rsplit('/').next().unwrap(), browser.cookie.as_deref().unwrap()] {
        assert!(!log.contains(secret), "{secret} was logged");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_foxy_user_lets_the_store_be_made_under_it() {
    let place = place().await;
    let mut taken = event("s1");
    taken["user"]["email"] = event("earlier")["user"]["email"].clone();
    let email = taken["user"]["email"].as_str().unwrap();
    place.feed(&["submit", "-"], &event("earlier").to_string());
    let worker = place.worker_with("worker", &LISTENS);
    place.settled(1).await;
    place.feed(&["submit", "-"], &taken.to_string());
    place.settled(2).await;
    let (link, mut browser) = (link(&place), Browser::of(&worker).await);
    let offer = browser.get(&link).await;
    offer.says(200, "Let Acme Shops set up your store in your Foxy account");
    assert!(!offer.text.contains(email), "who has the link need not know whose it is");
    browser.travel(&link, ("sim_as", email)).await.says(200, "Thank you, that worked");
    place.settled(2).await;
    worker.stop().await;
    let made = row(&place, "s1").await;
    assert_eq!((made.state, made.step), (State::Closed, Step::Done));
    assert_eq!(made.user_uri, row(&place, "earlier").await.user_uri, "under the same user");
    place.tokens_open_their_stores(&[made]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_no_may_try_again_and_two_tabs_do_no_harm() {
    let (place, worker, mut browser) = with_a_lost_store_token().await;
    let link = link(&place);
    let other_tab = browser.depart(&link).await;
    let denied = browser.travel(&link, ("sim_deny", "1")).await;
    denied.says(200, "Access was not given");
    denied.says(200, link.rsplit('/').next().unwrap());
    assert_eq!(row(&place, "s1").await.state, State::Parked);

    browser.travel(&link, ("sim_as", "engines-s1")).await.says(200, "Thank you, that worked");
    assert_eq!(row(&place, "s1").await.state, State::Closed);
    // The first tab is still at Foxy, and comes back for what is there already.
    let back = browser.at_foxy(other_tab, ("sim_as", "engines-s1")).await;
    let trip = browser.get(&back).await.location;
    browser.get(&trip).await.says(200, "This was already done");
    assert_eq!(place.sim.requests(EXCHANGES), 1, "a grant that has ended uses no code");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_browser_neither_ends_a_trip_nor_sees_it() {
    let (place, worker, mut browser) = with_a_lost_store_token().await;
    let link = link(&place);
    let foxy = browser.depart(&link).await;
    let back = browser.at_foxy(foxy, ("sim_as", "engines-s1")).await;
    let mut without_cookie = browser.other();
    let mut with_another = browser.other();
    with_another.depart(&link).await;
    for stranger in [&mut without_cookie, &mut with_another] {
        let away = stranger.get(&back).await;
        assert_eq!((away.status, away.location.as_str()), (303, "/foxden/trouble/other-browser"));
        let trouble = stranger.get(&away.location).await;
        assert!(trouble.text.contains("Please use one browser from start to end"), "{}", trouble.text);
    }
    assert_eq!(place.sim.requests(EXCHANGES), 0, "no code was used");

    let trip = browser.get(&back).await.location;
    browser.get(&trip).await.says(200, "Thank you, that worked");
    for stranger in [&mut without_cookie, &mut with_another] {
        let page = stranger.get(&trip).await;
        assert!(page.text.contains("Please use one browser from start to end"), "{}", page.text);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_foxden_did_not_make_leads_nowhere() {
    let (place, worker, mut browser) = with_a_lost_store_token().await;
    let link = link(&place);
    let (start, proof) = link.rsplit_once('.').unwrap();
    let forged = format!("{start}.{}", proof.chars().rev().collect::<String>());
    let other_grant = link.replacen("/FXT1.0", "/FXT1.1", 1);
    for forged in [forged.as_str(), &other_grant, "https://shops.example/foxden/grant/FXT1"] {
        assert_ne!(forged, link);
        browser.get(forged).await.says(404, "We don’t know this link");
        // Its page says the same.
        let away = browser.ask(Method::POST, forged).await;
        assert_eq!((away.status, away.location), (303, forged.replace("https://shops.example", "")));
    }
    assert_eq!(browser.cookie, None, "no trip began");

    let foxy = browser.depart(&link).await;
    let back = browser.at_foxy(foxy.clone(), ("sim_as", "engines-s1")).await;
    let state = foxy.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    for other in ["s".repeat(state.len()), "s".to_owned()] {
        let away = browser.get(&back.replace(&state, &other)).await;
        assert_eq!((away.status, away.location.as_str()), (303, "/foxden/trouble/unknown"));
    }
    let unknown = "/foxden/trip/018f6f2e-0000-7000-8000-000000000001";
    browser.get(unknown).await.says(404, "We don’t know this link");
    assert_eq!(place.sim.requests(EXCHANGES), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_store_is_not_kept_and_its_person_is_told() {
    let (place, worker, mut browser) = with_a_lost_store_token().await;
    place.feed(&["submit", "-"], &event("s2").to_string());
    place.settled(2).await;
    place.sim.set_faults(format!("{EXCHANGES}: other_grant(engines-s2)").parse().unwrap());
    let page = browser.travel(&link(&place), ("sim_as", "engines-s1")).await;
    assert!(page.text.contains("You gave access to another store at Foxy"), "{}", page.text);
    let parked = row(&place, "s1").await;
    assert_eq!(parked.state, State::Parked);
    let held = place.ledger().await.credentials(&parked.id).await.unwrap();
    assert!(held.iter().all(|held| held.scope != Scope::Store), "nothing of it is kept");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_long_ends_whatever_becomes_of_the_browser_and_the_worker() {
    let (place, mut worker, mut browser) = with_a_lost_store_token().await;
    let foxy = browser.depart(&link(&place)).await;
    let back = browser.at_foxy(foxy, ("sim_as", "engines-s1")).await;
    // What the token opens is asked for again after 0.5, 1, 2 and 4 s: longer than a browser waits.
    place.sim.set_faults("GET /: status(503) first 4".parse().unwrap());
    let trip = browser.get(&back).await.location;
    browser.get(&trip).await.says(200, "Almost done");
    worker.terminate();
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    assert_eq!(row(&place, "s1").await.state, State::Closed);

    let worker = place.worker_with("next", &LISTENS);
    browser.address = Browser::of(&worker).await.address;
    browser.get(&trip).await.says(200, "Thank you, that worked");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trip_whose_worker_was_killed_stays_open_and_the_link_is_good_for_another() {
    let (place, worker, mut browser) = with_a_lost_store_token().await;
    let link = link(&place);
    let foxy = browser.depart(&link).await;
    let back = browser.at_foxy(foxy, ("sim_as", "engines-s1")).await;
    place.sim.set_faults("GET /: status(503) first 4".parse().unwrap());
    let trip = browser.get(&back).await.location;
    worker.crash();
    let worker = place.worker_with("next", &LISTENS);
    browser.address = Browser::of(&worker).await.address;
    browser.get(&trip).await.says(200, "Almost done");
    browser.travel(&link, ("sim_as", "engines-s1")).await;
    browser.until(&trip, "Thank you, that worked").await;
    place.tokens_open_their_stores(&[row(&place, "s1").await]).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_serve_its_pages_does_not_start() {
    let place = place().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut worker = place.worker_with("worker", &[("FOXDEN_HTTP_LISTEN", &address), LISTENS[1]]);
    assert_eq!(worker.ended().await, Some(1), "{}", worker.log());
    let log = worker.log();
    assert!(log.contains(&format!("could not listen at {address} (FOXDEN_HTTP_LISTEN)")), "{log}");
    assert!(!log.contains("worker.started"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workers_own_simulator_sends_people_back_to_the_pages() {
    let mut place = place().await;
    for client in ["FOXDEN_FOXY_CLIENT_ID", "FOXDEN_FOXY_CLIENT_SECRET", "FOXDEN_FOXY_AUTHORIZE_URL"] {
        place.settings.remove(client);
    }
    place.set("FOXDEN_FOXY_API", "simulator");
    let mut taken = event("s1");
    taken["user"]["email"] = event("earlier")["user"]["email"].clone();
    place.feed(&["submit", "-"], &event("earlier").to_string());
    let worker = place.worker("before");
    place.settled(1).await;
    place.feed(&["submit", "-"], &taken.to_string());
    place.settled(2).await;
    worker.stop().await;
    let link = link(&place);
    let worker = place.worker_with("worker", &LISTENS);
    let mut browser = Browser::of(&worker).await;
    let email = taken["user"]["email"].as_str().unwrap();
    browser.travel(&link, ("sim_as", email)).await.says(200, "Thank you, that worked");
    place.settled(2).await;
    assert_eq!(row(&place, "s1").await.state, State::Closed);
    worker.stop().await;
}
