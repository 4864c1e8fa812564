//! A ledger that an earlier release has written is migrated, reads as what it was, and is worked to its end.
//! `upgrade` has such ledgers, and says how they were made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{Ledger, ParkedReason, Provisioning, Scope, SignupId, State, Word};
use foxden_vault::KeyRing;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use serde_json::Value;

use crate::support::{Place, Worker};

/// Where the simulator was that made them.
const SIMULATOR: &str = "http://127.0.0.1:41327";
/// 32 bytes of 2 and of 1.
const KEYS: &str =
    "second:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,first:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// What becomes of the signups that are open, in order of their ids.
pub(crate) const ENDS: [(&str, &str); 14] = [
    ("elsewhere", "domain_taken"),
    ("in-escrow", "provisioned"),
    ("queued", "provisioned"),
    ("queued-customer", "provisioned"),
    ("store-in-flight-made", "store_token_lost"),
    ("store-in-flight-not-made", "provisioned"),
    ("store-unknown-made", "store_token_lost"),
    ("store-unknown-not-made", "provisioned"),
    ("store-waiting", "provisioned"),
    ("user-in-flight-made", "user_token_lost"),
    ("user-in-flight-not-made", "provisioned"),
    ("user-unknown-made", "user_token_lost"),
    ("user-unknown-not-made", "provisioned"),
    ("user-waiting", "provisioned"),
];

/// Those whose user's token is wiped meanwhile: their stores were made under users that the earlier release had made.
const WIPED: [&str; 4] = ["in-escrow", "store-in-flight-not-made", "store-unknown-not-made", "store-waiting"];

/// One of the two ledgers, with the simulator that it was used with.
pub(crate) struct Earlier {
    pub(crate) place: Place,
    /// What the earlier release showed of each signup.
    shown: Vec<Value>,
    escrow: String,
    sql: String,
}

impl Earlier {
    /// The simulator with its books, and settings to go with them. The ledger is yet to be loaded.
    pub(crate) async fn of(database: &str) -> Self {
        let read = |what: &str| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/upgrade/{database}.{what}"));
            std::fs::read_to_string(file).unwrap()
        };
        let dir = tempfile::tempdir().unwrap();
        let books = dir.path().join("books.jsonl");
        std::fs::write(&books, read("books.jsonl")).unwrap();
        let config = foxy_sim::Config { books: Some(books), ..foxy_sim::Config::default() };
        let mut place = Place::at(dir, config).await;
        place.set("FOXDEN_KEYS", KEYS);
        place.set("FOXDEN_ENVIRONMENT", "fixture");
        place.set("FOXDEN_LISTING_LAG", "1s");
        let here = |text: String| text.replace(SIMULATOR, place.sim.base_url());
        let shown =
            read("shown.jsonl").lines().map(|line| serde_json::from_str(&here(line.to_owned())).unwrap()).collect();
        let (escrow, sql) = (here(read("escrow")), here(read("sql")));
        Self { place, shown, escrow, sql }
    }

    /// The database, past the library that the program uses.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        let url = &self.place.settings["FOXDEN_DATABASE_URL"];
        let url = if url.starts_with("sqlite:") { format!("{url}?mode=rwc") } else { url.clone() };
        Database::connect(url).await.unwrap()
    }

    /// Writes the ledger. Its leases and its waits are over, whatever the clock of this machine says.
    pub(crate) async fn load(&self) {
        let database = self.database().await;
        database.execute_unprepared(&self.sql).await.unwrap();
        for over in [
            "UPDATE provisionings SET due_at = 1 WHERE due_at IS NOT NULL",
            "UPDATE provisionings SET not_before = NULL",
            "UPDATE provisionings SET lease_until = 1 WHERE lease_until IS NOT NULL",
            "UPDATE publishing_lease SET lease_until = 1",
        ] {
            database.execute_unprepared(over).await.unwrap();
        }
        database.close().await.unwrap();
    }

    /// Puts the dead worker's escrow where a worker of this place finds it.
    pub(crate) fn put_escrow_back(&self) {
        let held: Value = serde_json::from_str(&self.escrow).unwrap();
        let (id, scope, intent) =
            (held["provisioning_id"].as_str().unwrap(), held["scope"].as_str().unwrap(), &held["intent"]);
        let dir = self.place.path("foxden-escrow");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{id}.{scope}.{intent}.escrow")), &self.escrow).unwrap();
    }

    /// Each signup as the program shows it has everything that the earlier release has shown of it.
    fn reads_as_it_was(&self) {
        for was in &self.shown {
            let signup_id = was["signup_id"].as_str().unwrap();
            let is = self.place.json(&["show", signup_id, "--json"]);
            for (member, value) in was.as_object().unwrap() {
                assert_eq!(has_all_of(&is[member], value), Ok(()), "{signup_id}: {member}");
            }
        }
    }

    /// The counts that are kept, against those of what was shown.
    fn counts_are_full(&self) {
        let status = self.place.json(&["status", "--json"]);
        let count = |member: &str, word: &str| self.shown.iter().filter(|row| row[member] == word).count();
        for state in State::ALL {
            assert_eq!(status[state.as_str()], count("state", state.as_str()), "{state}: {status}");
        }
        for reason in ParkedReason::ALL.iter().filter(|reason| count("parked_reason", reason.as_str()) > 0) {
            let counted = &status["parked_reasons"][reason.as_str()];
            assert_eq!(*counted, count("parked_reason", reason.as_str()), "{reason}: {status}");
        }
        assert_eq!(status["signups"], self.shown.len());
    }

    async fn rows(&self, ledger: &Ledger) -> Vec<Provisioning> {
        let mut rows = Vec::new();
        for row in &self.shown {
            let signup_id = SignupId::parse(row["signup_id"].as_str().unwrap()).unwrap();
            rows.push(ledger.find(&signup_id).await.unwrap().unwrap());
        }
        rows
    }

    /// Opens everything that is sealed: each token opens what its row says, and each event is its signup's. Answers the
    /// tokens, and of which signup and scope each is.
    async fn everything_opens(&self) -> BTreeMap<String, (String, Scope)> {
        let custody = Custody::new(Arc::new(KeyRing::parse(KEYS).unwrap()), "fixture");
        let ledger = self.place.ledger().await;
        let (mut tokens, mut events) = (BTreeMap::new(), 0);
        for row in self.rows(&ledger).await {
            if let Some(payload) = &row.payload {
                let payload = custody.open_payload(&row.id, &row.signup_id, payload).unwrap();
                assert_eq!(
                    payload.store.name,
                    format!("Engines {}", row.signup_id).replace("Engines same-name-1", "Same Name")
                );
                events += 1;
            }
            for held in ledger.credentials(&row.id).await.unwrap() {
                let Some(sealed) = &held.sealed else { continue };
                let token = custody.open_token(&TokenRow::of(&row, &held), sealed).unwrap();
                let opens = self.place.sim.refresh_token_opens(token.expose()).unwrap();
                if let Some(uri) = &held.resource_uri {
                    assert_eq!(&opens.uri, uri, "{}", row.signup_id);
                }
                tokens.insert(token.expose().to_owned(), (row.signup_id.to_string(), held.scope));
            }
        }
        ledger.close().await.unwrap();
        assert!(events > 20 && tokens.len() > 30, "{events} events, {} tokens", tokens.len());
        tokens
    }

    /// Every word of the evidence is one that this release has.
    async fn evidence_has_types(&self) {
        let ledger = self.place.ledger().await;
        let mut outcomes = BTreeSet::new();
        for row in self.rows(&ledger).await {
            for attempt in ledger.attempts(&row.id).await.unwrap() {
                let (Word::Known(_), Word::Known(_), Word::Known(outcome)) =
                    (attempt.kind, attempt.step, attempt.outcome)
                else {
                    panic!("{}: a word of no type", row.signup_id);
                };
                outcomes.insert(outcome);
            }
        }
        ledger.close().await.unwrap();
        // That release had one more, `present_unclear`.
        assert_eq!(outcomes.len(), 17, "{outcomes:?}");
    }

    /// Waits until nothing is open, and stops the worker.
    async fn worked_to_the_end(&self, worker: Worker) {
        let rows = self.place.settled(self.shown.len()).await;
        worker.stop().await;
        let end = |row: &Provisioning| match row.parked_reason.filter(|_| row.state == State::Parked) {
            Some(reason) => reason.to_string(),
            None => row.standing().to_owned(),
        };
        let ends: BTreeMap<_, _> = rows.iter().map(|row| (row.signup_id.to_string(), end(row))).collect();
        for was in &self.shown {
            let signup_id = was["signup_id"].as_str().unwrap();
            let then = match (was["state"].as_str(), was["parked_reason"].as_str()) {
                (Some("parked"), Some(reason)) => reason,
                (Some("closed"), _) if was["cancelled"] == true => "cancelled",
                (Some("closed"), _) => "provisioned",
                _ => ENDS.iter().find(|(name, _)| *name == signup_id).map_or("no end", |(_, end)| end),
            };
            assert_eq!(ends[signup_id], then, "{signup_id}");
        }
    }

    /// What was made at Foxy meanwhile is what was missing, once.
    fn nothing_is_doubled(&self, before: &foxy_sim::Books) {
        let after = self.place.sim.books();
        let users: BTreeSet<_> = after.users[before.users.len()..].iter().map(|user| user.email.as_str()).collect();
        let names = ["queued", "queued-customer", "user-in-flight-not-made", "user-unknown-not-made", "user-waiting"];
        let emails = names.map(|name| format!("{name}@customers.example"));
        assert_eq!(users, emails.iter().map(String::as_str).collect());
        let stores: Vec<_> = after.stores[before.stores.len()..].iter().map(|store| store.name.as_str()).collect();
        let stores_once: BTreeSet<_> = stores.iter().copied().collect();
        let others = ["store-in-flight-not-made", "store-unknown-not-made", "store-waiting"];
        let names: Vec<_> = names.iter().chain(&others).map(|name| format!("Engines {name}")).collect();
        assert_eq!((stores.len(), stores_once), (names.len(), names.iter().map(String::as_str).collect()));
        assert_eq!(after.users.len(), before.users.len() + emails.len());
    }

    /// How many envelopes of a format the ledger holds.
    async fn count(&self, magic: &str) -> i64 {
        let database = self.database().await;
        let magic: String = magic.bytes().map(|byte| format!("{byte:02X}")).collect();
        let mut count = 0;
        for (table, column) in [("provisionings", "payload"), ("credentials", "sealed")] {
            let bytes = match database.get_database_backend() {
                sea_orm::DbBackend::Sqlite => format!("hex(substr({column}, 1, 4))"),
                _ => format!("upper(encode(substr({column}, 1, 4), 'hex'))"),
            };
            let query = format!("SELECT COUNT(*) AS n FROM {table} WHERE {bytes} = '{magic}'");
            let row = database.query_one_raw(sea_orm::Statement::from_string(database.get_database_backend(), query));
            count += row.await.unwrap().unwrap().try_get::<i64>("", "n").unwrap();
        }
        database.close().await.unwrap();
        count
    }

    /// Migrates the ledger and works on it to the end.
    pub(crate) async fn is_worked_on(&self) {
        self.load().await;
        self.place.feed(&["migrate", "up"], "");
        self.reads_as_it_was();
        self.counts_are_full();
        self.evidence_has_types().await;
        let tokens = self.everything_opens().await;
        let before = self.place.sim.books();
        self.put_escrow_back();
        self.worked_to_the_end(self.place.worker("worker")).await;
        self.nothing_is_doubled(&before);
        let kept = self.everything_opens().await;
        let mut wiped: Vec<_> =
            tokens.iter().filter(|(token, _)| !kept.contains_key(*token)).map(|(_, of)| of).collect();
        wiped.sort();
        assert_eq!(wiped, WIPED.map(|signup_id| (signup_id.to_owned(), Scope::User)).iter().collect::<Vec<_>>());

        assert!(self.count("FXD1").await > 0);
        let resealed = self.place.json(&["keys", "reseal", "--json"]);
        assert_eq!((&resealed["refused"], &resealed["left"]), (&0.into(), &0.into()), "{resealed}");
        assert_eq!(self.count("FXD1").await, 0);
        assert_eq!(self.everything_opens().await, kept);
        assert_eq!(resealed["fxd1_has_ended"], true, "{resealed}");
    }
}

/// Whether a value has every member of another one; it may have more.
fn has_all_of(is: &Value, was: &Value) -> Result<(), String> {
    match (is, was) {
        (Value::Object(is), Value::Object(was)) => {
            was.iter().try_for_each(|(member, was)| has_all_of(is.get(member).unwrap_or(&Value::Null), was))
        }
        (Value::Array(is), Value::Array(was)) if is.len() == was.len() => {
            is.iter().zip(was).try_for_each(|(is, was)| has_all_of(is, was))
        }
        _ if is == was => Ok(()),
        _ => Err(format!("{is} was {was}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_an_earlier_release_is_worked_to_its_end() {
    Earlier::of("sqlite").await.is_worked_on().await;
}
