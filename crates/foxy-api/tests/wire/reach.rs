//! What an identity can do beyond a signup's calls, against the simulator.

use foxy_api::{Doubt, Method, Outcome};
use foxy_sim::{Allows, Config, Simulator};

use crate::server::{far, shop};
use crate::simulator::{client, simulator, user};

#[tokio::test]
async fn a_deletion_without_an_answer_is_unknown_since_it_works_without_its_body() {
    let sim = Simulator::start(Config { allows: Allows::all(), ..Config::default() }).await.unwrap();
    sim.add_fault("DELETE /stores/{id}: reset_after_work first 1".parse().unwrap());
    let foxy = client(&sim);
    let user = user(&foxy).await;
    let Outcome::Done(store) = user.session().create_store(&shop(), far()).await.outcome else { panic!("no store") };
    let (reach, uri) = (foxy.store(store.token.refresh).reach(), store.uri.unwrap());
    let methods = reach.methods(&uri).await.unwrap().unwrap();
    assert!(methods.has(Method::Delete) && !methods.has(Method::Post));
    assert_eq!(reach.delete(&uri, far()).await.outcome, Outcome::Unknown(Doubt::KeptConnectionLost));
    assert_eq!(sim.books().stores.len(), 0);
}

#[tokio::test]
async fn a_revoked_access_token_is_not_renewed_in_silence() {
    let sim = simulator().await;
    let foxy = client(&sim);
    let made = user(&foxy).await;
    let (reach, uri) = (made.session().reach(), made.uri.clone().unwrap());
    assert!(reach.opens(&made.token.access, &uri).await.unwrap());
    sim.expire_access_tokens();
    assert!(!reach.opens(&made.token.access, &uri).await.unwrap());
}
