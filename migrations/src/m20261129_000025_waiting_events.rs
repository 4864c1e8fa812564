//! A count of the outcome events that wait, kept as rows change: a backlog may be long, and is asked for all the
//! time.
//!
//! As with the counts of provisionings, triggers keep it: on PostgreSQL a statement adds a row with what it changed,
//! since writers would queue for one row, and sweeps fold those rows into the count. SQLite has one writer at a time.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "CREATE TABLE waiting_events (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), n BIGINT NOT NULL)";

const FIRST: &str = "INSERT INTO waiting_events (id, n) SELECT 1, COUNT(*) FROM outbox WHERE published_at IS NULL";

/// Each trigger: its name, and what it comes after.
const TRIGGERS: [(&str, &str); 3] = [
    ("waiting_events_of_new", "INSERT"),
    ("waiting_events_of_deleted", "DELETE"),
    ("waiting_events_of_published", "UPDATE"),
];

fn on_sqlite() -> [String; 3] {
    let [new, deleted, published] = TRIGGERS.map(|(name, _)| name);
    let trigger = |name: &str, event: &str, when: &str, change: &str| {
        format!(
            "CREATE TRIGGER {name} AFTER {event} ON outbox WHEN {when} BEGIN UPDATE waiting_events SET n = n {change}; END"
        )
    };
    [
        trigger(new, "INSERT", "NEW.published_at IS NULL", "+ 1"),
        trigger(deleted, "DELETE", "OLD.published_at IS NULL", "- 1"),
        trigger(
            published,
            "UPDATE OF published_at",
            "(OLD.published_at IS NULL) <> (NEW.published_at IS NULL)",
            "+ (NEW.published_at IS NULL) - (OLD.published_at IS NULL)",
        ),
    ]
}

fn on_postgres() -> Vec<String> {
    let waiting = |table: &str, n: &str| format!("SELECT {n} AS n FROM {table} WHERE published_at IS NULL");
    let (more, less) = (waiting("after_it", "1"), waiting("before_it", "-1"));
    let both = format!("{more} UNION ALL {less}");
    let tables = ["NEW TABLE AS after_it", "OLD TABLE AS before_it", "OLD TABLE AS before_it NEW TABLE AS after_it"];
    let mut statements = vec![
        "CREATE TABLE waiting_event_changes (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n BIGINT NOT NULL)"
            .to_owned(),
    ];
    for (((name, event), rows), tables) in TRIGGERS.into_iter().zip([more, less, both]).zip(tables) {
        statements.push(format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO waiting_event_changes (n) \
             SELECT SUM(n) FROM ({rows}) AS c HAVING SUM(n) <> 0; RETURN NULL; END $$"
        ));
        statements.push(format!(
            "CREATE TRIGGER {name} AFTER {event} ON outbox REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        ));
    }
    statements
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = db.get_database_backend() == DbBackend::Postgres;
        if is_postgres {
            // What is written between the first count and the triggers would be missing.
            db.execute_unprepared("LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE").await?;
        }
        for statement in [TABLE, FIRST] {
            db.execute_unprepared(statement).await?;
        }
        for statement in if is_postgres { on_postgres() } else { on_sqlite().to_vec() } {
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = db.get_database_backend() == DbBackend::Postgres;
        for (name, _) in TRIGGERS {
            if is_postgres {
                db.execute_unprepared(&format!("DROP TRIGGER {name} ON outbox")).await?;
                db.execute_unprepared(&format!("DROP FUNCTION {name}()")).await?;
            } else {
                db.execute_unprepared(&format!("DROP TRIGGER {name}")).await?;
            }
        }
        if is_postgres {
            db.execute_unprepared("DROP TABLE waiting_event_changes").await?;
        }
        db.execute_unprepared("DROP TABLE waiting_events").await.map(drop)
    }
}
