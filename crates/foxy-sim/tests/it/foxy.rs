//! A small client that hides nothing: statuses, headers and bodies as they come.

use std::sync::Once;
use std::time::Duration;

use foxy_sim::{Config, FaultScript, Simulator};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// A simulator and a client for it.
pub(crate) struct Foxy {
    pub(crate) sim: Simulator,
    pub(crate) http: Client,
}

/// One answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The messages of an `fx:errors` body.
    pub(crate) fn messages(&self) -> Vec<String> {
        assert_eq!(self.header("content-type"), "application/vnd.error+json", "{}", self.text);
        let body = self.json();
        let errors = body["_embedded"]["fx:errors"].as_array().unwrap();
        assert_eq!(body["total"], errors.len());
        let seconds = |error: &Value| error["logref"].as_str()?.strip_prefix("id-")?.parse::<u64>().ok();
        assert!(errors.iter().all(|error| seconds(error).is_some()), "{}", self.text);
        errors.iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn text_at(&self, pointer: &str) -> String {
        let body = self.json();
        let value = body.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no text at {pointer} in {body}")).to_owned()
    }

    pub(crate) fn access_token(&self) -> String {
        self.text_at("/token/access_token")
    }
}

impl Foxy {
    pub(crate) async fn start() -> Self {
        Self::with(Config { seed: 1, ..Config::default() }).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().unwrap();
        });
        let http = Client::builder().redirect(Policy::none()).no_proxy().timeout(Duration::from_secs(20));
        Self { sim: Simulator::start(config).await.unwrap(), http: http.build().unwrap() }
    }

    pub(crate) async fn failing(rules: &str) -> Self {
        let faults: FaultScript = rules.parse().unwrap();
        Self::with(Config { seed: 1, faults, ..Config::default() }).await
    }

    /// A request to a path or a whole URI, with the version header and nothing else.
    pub(crate) fn request(&self, method: &str, to: &str) -> RequestBuilder {
        let uri = if to.starts_with('/') { format!("{}{to}", self.sim.base_url()) } else { to.to_owned() };
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), uri).header("foxy-api-version", "1")
    }

    pub(crate) async fn get(&self, to: &str, token: &str) -> Answer {
        send(self.request("GET", to).bearer_auth(token)).await.unwrap()
    }

    pub(crate) async fn post(&self, to: &str, token: &str, body: &Value) -> Answer {
        self.try_post(to, token, body).await.unwrap()
    }

    pub(crate) async fn try_post(&self, to: &str, token: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        send(self.request("POST", to).bearer_auth(token).json(body)).await
    }

    pub(crate) async fn patch(&self, to: &str, token: &str, body: &Value) -> Answer {
        send(self.request("PATCH", to).bearer_auth(token).json(body)).await.unwrap()
    }

    /// A token request with HTTP Basic.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let (id, secret) = self.sim.client();
        send(self.request("POST", "/token").basic_auth(id, Some(secret)).form(form)).await.unwrap()
    }

    pub(crate) async fn client_token(&self) -> String {
        let answer = self.token(&[("grant_type", "client_credentials"), ("scope", "client_full_access")]).await;
        answer.text_at("/access_token")
    }

    /// Makes a user and returns the 201.
    pub(crate) async fn user(&self, email: &str) -> Answer {
        let answer = self.post("/users", &self.client_token().await, &new_user(email)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer
    }

    /// Makes a store for the user of that 201 and returns the store's 201.
    pub(crate) async fn store(&self, user: &Answer, domain: &str) -> Answer {
        let stores = user.text_at("/_links/fx:stores/href");
        let answer = self.post(&stores, &user.access_token(), &new_store(domain)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

pub(crate) fn new_user(email: &str) -> Value {
    json!({ "first_name": "Ada", "last_name": "Example", "email": email })
}

pub(crate) fn new_store(domain: &str) -> Value {
    json!({
        "store_name": "Ada's Shop", "store_domain": domain, "store_url": "https://shop.example",
        "store_email": "ada@shop.example", "postal_code": "55401", "country": "US", "region": "MN",
    })
}
