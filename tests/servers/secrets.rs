//! Promise 3 with servers: their passwords, their libraries' logs, what lies in the database and what is published.

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};

use super::parent_app::ParentApp;
use crate::{
    canary::{Canary, marked, search, search_files, secrets, tokens},
    support::Place,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_personal_data_leaves_the_program_through_its_servers() {
    let dir = tempfile::tempdir().unwrap();
    let books = dir.path().join("books.jsonl");
    let config = foxy_sim::Config { books: Some(books.clone()), ..foxy_sim::Config::default() };
    let mut place = Place::with(config).await;
    let parent = ParentApp::join(&mut place).await;
    place.set("FOXDEN_LOG", "trace,dependencies=trace");
    place.sim.set_faults("POST /users: no_token nth 2; POST /stores: status 500 nth 2".parse().unwrap());
    let mut canaries = secrets(&place);
    for (what, setting) in
        [("the database's password", "FOXDEN_DATABASE_URL"), ("the broker's password", "FOXDEN_AMQP_URL")]
    {
        let url = url::Url::parse(&place.settings[setting]).unwrap();
        // One as short as the broker's default is found in any text.
        if let Some(password) = url.password().filter(|password| password.len() >= 8) {
            canaries.push(Canary { what: what.into(), value: password.to_owned() });
        }
    }

    let migrated = place.run(&["migrate", "up"]);
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    for number in 1..=4 {
        parent.publish(marked(number, &mut canaries).to_string().as_bytes()).await;
    }
    let mut wrong = marked(5, &mut canaries);
    wrong["store"]["country"] = "Atlantis".into();
    parent.publish(wrong.to_string().as_bytes()).await;
    place.settled(4).await;
    let outcomes = parent.take(&place, "OUTCOME_QUEUE", 5).await;
    let dead = parent.take(&place, "DEAD_QUEUE", 1).await;
    worker.stop().await;

    canaries.extend(tokens(&place.sim, &books));
    search(&canaries, "what migrate says", &[migrated.stdout, migrated.stderr].concat());
    search_files(&canaries, place.dir.path());
    for outcome in &outcomes {
        search(&canaries, "an outcome event", &outcome.body);
        search(&canaries, "an outcome event's headers", format!("{:?}", outcome.headers).as_bytes());
    }
    // A dead letter keeps its body, which is the parent app's own; what foxden adds to it tells nothing of it.
    search(&canaries, "a dead letter's headers", format!("{:?}", dead[0].headers).as_bytes());
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    for table in ["provisionings", "credentials", "attempts", "outbox"] {
        let query = format!("SELECT coalesce(string_agg(t::text, ' '), '') AS rows FROM {table} t");
        let dump = database.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
        let dump: String = dump.try_get("", "rows").unwrap();
        assert!(!dump.is_empty());
        search(&canaries, table, dump.as_bytes());
    }
}
