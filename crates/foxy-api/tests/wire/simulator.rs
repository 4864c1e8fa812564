//! The client against the simulator, which was written from Foxy's documentation by itself, so that it can disagree.

use std::time::Duration;

use foxden_vault::RefreshToken;
use foxy_api::{CreatedUser, Foxy, NewStore, Outcome, ReadError, StoreSearch, TokenScope};
use foxy_sim::{Config, Simulator};

use crate::server::{EMAIL, ann, client_of, far, shop};

#[expect(dead_code, reason = "its `main` is for those who run it as a program")]
#[path = "../../examples/user_and_store.rs"]
mod user_and_store;

#[tokio::test]
async fn the_example_makes_a_user_and_a_store() {
    let sim = simulator().await;
    let (id, secret) = sim.client();
    client(&sim).probe().await.unwrap();
    let told = user_and_store::run(sim.base_url(), id, secret).await.unwrap();
    assert_eq!(told, format!("Ann's shop is at {}/stores/1", sim.base_url()));
}

pub(crate) async fn simulator() -> Simulator {
    Simulator::start(Config::default()).await.unwrap()
}

pub(crate) fn client(sim: &Simulator) -> Foxy {
    let (id, secret) = sim.client();
    client_of(sim.base_url(), id, secret, Duration::from_secs(20))
}

pub(crate) async fn user(foxy: &Foxy) -> CreatedUser {
    match foxy.create_user(&ann(), far()).await.outcome {
        Outcome::Done(user) => user,
        other => panic!("a user was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_user_and_a_store_are_in_the_books_as_they_are_in_hand() {
    let sim = simulator().await;
    let foxy = client(&sim);
    foxy.probe().await.unwrap();
    let before = sim.total_requests();
    let user = user(&foxy).await;
    let Outcome::Done(store) = user.session().create_store(&shop(), far()).await.outcome else {
        panic!("a store was expected")
    };

    assert_eq!(sim.total_requests() - before, 2);
    let books = sim.books();
    assert_eq!((books.users[0].email.as_str(), books.users[0].answered), (EMAIL, true));
    assert_eq!(books.users[0].uri, user.uri.unwrap().as_str());
    assert_eq!(books.stores[0].uri, store.uri.unwrap().as_str());
    assert_eq!((books.stores[0].owner.as_str(), books.stores[0].domain.as_str()), (&*books.users[0].uri, "anns-shop"));
    assert_eq!((user.token.scope.as_str(), store.token.scope.as_str()), ("user_full_access", "store_full_access"));
    assert!(sim.refresh_token_opens(user.token.refresh.expose()).is_some());
    assert!(sim.refresh_token_opens(store.token.refresh.expose()).is_some());
}

#[tokio::test]
async fn lookups_find_what_exists_and_nothing_else() {
    let sim = simulator().await;
    let foxy = client(&sim);
    let user = user(&foxy).await;
    let session = user.session();
    for n in 0..25 {
        let store = NewStore { domain: format!("shop-{n}"), ..shop() };
        assert!(matches!(session.create_store(&store, far()).await.outcome, Outcome::Done(_)));
    }
    assert!(foxy.email_exists(EMAIL).await.unwrap());
    assert!(!foxy.email_exists("bob@example.com").await.unwrap());
    assert!(foxy.store_domain_exists("shop-7").await.unwrap());
    assert!(!foxy.store_domain_exists("shop-25").await.unwrap());
    // The second page, and by the refresh token alone.
    let kept = foxy.user(user.token.refresh.clone());
    assert!(matches!(kept.find_store("shop-24").await.unwrap(), StoreSearch::Found { .. }));
    assert_eq!(kept.find_store("shop-25").await.unwrap(), StoreSearch::Absent);
}

#[tokio::test]
async fn expired_access_tokens_are_replaced_without_anyone_noticing() {
    let sim = simulator().await;
    let foxy = client(&sim);
    foxy.probe().await.unwrap();
    sim.expire_access_tokens();
    let user = user(&foxy).await;
    sim.expire_access_tokens();
    let store = user.session().create_store(&shop(), far()).await;
    assert!(matches!(store.outcome, Outcome::Done(_)), "{:?}", store.outcome);
    sim.expire_access_tokens();
    assert!(foxy.email_exists(EMAIL).await.unwrap());
    assert_eq!((sim.books().users.len(), sim.books().stores.len()), (1, 1));
}

#[tokio::test]
async fn a_made_up_refresh_token_is_revoked() {
    let sim = simulator().await;
    let error = client(&sim).access_token(RefreshToken::new("made-up"), TokenScope::User).await.unwrap_err();
    assert!(matches!(error, ReadError::Revoked), "{error:?}");
}
