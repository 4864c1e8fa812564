//! Refresh tokens that Foxy replaces when they are used.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use foxden_vault::RefreshToken;
use foxy_api::{HeldToken, Keeping, NoEffect, Outcome, ReadError, SetupFault, TokenKeeper, TokenScope};
use foxy_sim::Simulator;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::server::shop;
use crate::simulator::{client, simulator, user};

/// A place for a token that a test looks into.
#[derive(Debug)]
struct Shelf {
    kept: Mutex<Vec<String>>,
    /// What comes with the third look, as from another process.
    comes: Mutex<Option<String>>,
    looks: Mutex<usize>,
    /// One permit for each replacement that may end.
    may_replace: Semaphore,
    is_away: bool,
    sim: Arc<Simulator>,
    /// How many requests there were when a replacement began.
    replaced_at: Mutex<Vec<u64>>,
}

impl Shelf {
    fn with(sim: &Arc<Simulator>, token: &RefreshToken) -> Self {
        Self {
            kept: Mutex::new(vec![token.expose().to_owned()]),
            comes: Mutex::default(),
            looks: Mutex::default(),
            may_replace: Semaphore::new(100),
            is_away: false,
            sim: Arc::clone(sim),
            replaced_at: Mutex::default(),
        }
    }

    fn first(&self) -> String {
        self.kept.lock().unwrap()[0].clone()
    }
}

/// The trait's futures hold what they need.
#[derive(Debug, Clone)]
struct Keeper(Arc<Shelf>);

impl TokenKeeper for Keeper {
    fn replace(&self, used: RefreshToken, new: RefreshToken) -> Keeping<()> {
        let shelf = Arc::clone(&self.0);
        Box::pin(async move {
            shelf.replaced_at.lock().unwrap().push(shelf.sim.total_requests());
            if shelf.is_away {
                return Err(Arc::new(std::io::Error::other("away")) as foxy_api::Cause);
            }
            shelf.may_replace.acquire().await.unwrap().forget();
            let mut kept = shelf.kept.lock().unwrap();
            kept.retain(|kept| kept != new.expose());
            let place = kept.iter_mut().find(|kept| *kept == used.expose()).unwrap();
            new.expose().clone_into(place);
            Ok(())
        })
    }

    fn kept(&self) -> Keeping<Vec<RefreshToken>> {
        let shelf = Arc::clone(&self.0);
        Box::pin(async move {
            if shelf.is_away {
                return Err(Arc::new(std::io::Error::other("away")) as foxy_api::Cause);
            }
            let mut looks = shelf.looks.lock().unwrap();
            *looks += 1;
            let mut kept = shelf.kept.lock().unwrap();
            if *looks == 3
                && let Some(comes) = shelf.comes.lock().unwrap().take()
            {
                kept[0] = comes;
            }
            Ok(kept.iter().map(|kept| RefreshToken::new(kept.as_str())).collect())
        })
    }
}

/// A user's token on a shelf, at a Foxy with these faults.
async fn shelved(faults: &str) -> (Arc<Simulator>, Arc<Shelf>) {
    let sim = Arc::new(simulator().await);
    let token = user(&client(&sim)).await.token.refresh;
    sim.set_faults(faults.parse().unwrap());
    let shelf = Arc::new(Shelf::with(&sim, &token));
    (sim, shelf)
}

/// The token as one process holds it.
fn held(shelf: &Arc<Shelf>) -> HeldToken {
    HeldToken::new(RefreshToken::new(shelf.first())).kept_by(Arc::new(Keeper(Arc::clone(shelf))))
}

#[tokio::test]
async fn another_refresh_token_is_kept_before_its_access_token_is_used() {
    for faults in ["POST /token: rotate", "POST /token: rotate(later)"] {
        let (sim, shelf) = shelved(faults).await;
        let session = client(&sim).user(held(&shelf));
        for times in 1..=3_usize {
            let before = shelf.first();
            session.read().await.unwrap();
            assert_ne!(shelf.first(), before, "{faults}");
            assert!(sim.refresh_token_opens(&shelf.first()).is_some(), "{faults}");
            let replaced_at = shelf.replaced_at.lock().unwrap().clone();
            assert_eq!(replaced_at.len(), times, "{faults}");
            assert!(replaced_at[times - 1] < sim.total_requests(), "{faults}: the answer was used later");
            sim.expire_access_tokens();
        }
    }
}

#[tokio::test]
async fn a_refresh_token_that_does_not_change_is_not_kept_again() {
    let (sim, shelf) = shelved("").await;
    client(&sim).user(held(&shelf)).read().await.unwrap();
    assert!(shelf.replaced_at.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_refresh_token_is_tried_as_it_is_kept_by_then() {
    let (sim, shelf) = shelved("POST /token: rotate").await;
    let (one, other) = (held(&shelf), held(&shelf));
    client(&sim).access_token(one, TokenScope::User).await.unwrap();
    client(&sim).access_token(other, TokenScope::User).await.unwrap();
    assert!(sim.refresh_token_opens(&shelf.first()).is_some());
}

#[tokio::test]
async fn whoever_was_answered_the_successor_is_given_time_to_keep_it() {
    let (sim, shelf) = shelved("POST /token: rotate first 1").await;
    let granted = client(&sim).access_token(RefreshToken::new(shelf.first()), TokenScope::User).await.unwrap();
    *shelf.comes.lock().unwrap() = Some(granted.refresh.expose().to_owned());
    client(&sim).access_token(held(&shelf), TokenScope::User).await.unwrap();
    assert_eq!(shelf.first(), granted.refresh.expose());
}

#[tokio::test]
async fn a_token_that_is_kept_beside_takes_the_place_of_one_that_is_refused() {
    let (sim, shelf) = shelved("").await;
    let good = shelf.first();
    *shelf.kept.lock().unwrap() = vec!["dead".into(), "dead too".into(), good.clone()];
    client(&sim).user(held(&shelf)).read().await.unwrap();
    assert_eq!(*shelf.kept.lock().unwrap(), [good, "dead too".into()]);
}

#[tokio::test]
async fn a_refusal_is_believed_once_nothing_else_is_kept_and_not_before() {
    let (sim, shelf) = shelved("").await;
    *shelf.kept.lock().unwrap() = vec!["dead".into()];
    let error = client(&sim).user(held(&shelf)).read().await.unwrap_err();
    assert!(matches!(error, ReadError::Revoked), "{error:?}");
    assert!(*shelf.looks.lock().unwrap() >= 2, "another process may need a moment");

    let away = Arc::new(Shelf { is_away: true, ..Shelf::with(&sim, &RefreshToken::new("dead")) });
    let error = client(&sim).user(held(&away)).read().await.unwrap_err();
    assert!(matches!(error, ReadError::NotKept { .. }), "{error:?}");
}

#[tokio::test]
async fn what_comes_with_a_token_that_could_not_be_kept_is_not_used() {
    let (sim, shelf) = shelved("POST /token: rotate").await;
    let away = Arc::new(Shelf { is_away: true, ..Shelf::with(&sim, &RefreshToken::new(shelf.first())) });
    let error = client(&sim).user(held(&away)).read().await.unwrap_err();
    assert!(matches!(error, ReadError::NotKept { .. }), "{error:?}");
    assert_eq!(*away.replaced_at.lock().unwrap(), [sim.total_requests()]);
}

#[tokio::test]
async fn an_answer_with_another_refresh_token_is_kept_though_its_caller_has_gone() {
    let (sim, shelf) = shelved("POST /token: rotate").await;
    shelf.may_replace.forget_permits(100);
    let before = shelf.first();
    let session = client(&sim).user(held(&shelf));
    let soon = Instant::now() + Duration::from_millis(300);
    let outcome = session.create_store(&shop(), soon).await.outcome;
    assert!(matches!(outcome, Outcome::NoEffect(NoEffect::NotSent(_))), "{outcome:?}");
    drop(session);
    shelf.may_replace.add_permits(1);
    let kept = async {
        while shelf.first() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.unwrap();
    assert!(sim.refresh_token_opens(&shelf.first()).is_some());
}

#[tokio::test]
async fn a_token_of_another_scope_or_type_is_refused_and_keeps_nothing() {
    for (faults, expected) in [
        ("POST /token: scope(store_full_access)", SetupFault::OtherScope(TokenScope::User)),
        ("POST /token: token_type(mac)", SetupFault::OtherTokenType),
    ] {
        let (sim, shelf) = shelved(faults).await;
        let before = (shelf.first(), sim.total_requests());
        let error = client(&sim).user(held(&shelf)).read().await.unwrap_err();
        assert!(matches!(&error, ReadError::SetupFault(fault) if *fault == expected), "{error:?}");
        let sent_with_it = sim.total_requests() - before.1 - 2;
        assert_eq!((shelf.first(), sent_with_it), (before.0, 0), "the public home, then the token endpoint");
    }
}
