//! Grants: asks for a person's consent, and the trips of people to Foxy and back; and counts of grants, kept as rows
//! change, since a campaign may ask for as many as there are stores.
//!
//! The counts are kept as those of provisionings are: on PostgreSQL a statement adds what it changed as rows of its
//! own, which sweeps fold into the counts.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

const GRANTS: &str = "CREATE TABLE grants (id VARCHAR(36) NOT NULL PRIMARY KEY, provisioning_id VARCHAR(36) NOT NULL, \
                      reason VARCHAR(16) NOT NULL, wanted VARCHAR(16) NOT NULL, client_id VARCHAR(200) NOT NULL, \
                      expected_uri TEXT, state VARCHAR(16) NOT NULL, asked_at BIGINT NOT NULL, \
                      expires_at BIGINT NOT NULL, ended_at BIGINT)";

/// Hashes only: reading the table helps no one to finish a trip.
fn trips(bytes: &str) -> String {
    format!(
        "CREATE TABLE trips (id VARCHAR(36) NOT NULL PRIMARY KEY, grant_id VARCHAR(36) NOT NULL, \
         state_hash {bytes} NOT NULL, cookie_hash {bytes}, client_id VARCHAR(200) NOT NULL, \
         scope VARCHAR(200) NOT NULL, redirect_uri TEXT NOT NULL, started_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, spent_at BIGINT, \
         ending VARCHAR(16))"
    )
}

/// The ledger's queries repeat the conditions word for word.
const INDEXES: [&str; 6] = [
    // Of those that have not ended a provisioning has one.
    "CREATE UNIQUE INDEX grants_live ON grants (provisioning_id) WHERE ended_at IS NULL",
    "CREATE INDEX grants_by_provisioning ON grants (provisioning_id)",
    "CREATE INDEX grants_expiring ON grants (expires_at) WHERE ended_at IS NULL",
    "CREATE UNIQUE INDEX trips_by_state ON trips (state_hash)",
    "CREATE INDEX trips_by_grant ON trips (grant_id)",
    "CREATE INDEX trips_by_expiry ON trips (expires_at)",
];

const COLUMNS: &str = "reason VARCHAR(16) NOT NULL, state VARCHAR(16) NOT NULL, n BIGINT NOT NULL";

/// Each trigger: its name, and what it comes after.
const TRIGGERS: [(&str, &str); 3] =
    [("grant_counts_of_new", "INSERT"), ("grant_counts_of_deleted", "DELETE"), ("grant_counts_of_moved", "UPDATE")];

fn on_sqlite() -> Vec<String> {
    let count = |of: &str, n: &str| {
        format!(
            "INSERT INTO grant_counts (reason, state, n) VALUES ({of}.reason, {of}.state, {n}) \
             ON CONFLICT (reason, state) DO UPDATE SET n = n + excluded.n"
        )
    };
    let (more, less) = (count("NEW", "1"), count("OLD", "-1"));
    let bodies = [more.clone(), less.clone(), format!("{less}; {more}")];
    let of = TRIGGERS.into_iter().zip(bodies);
    of.map(|((name, event), body)| format!("CREATE TRIGGER {name} AFTER {event} ON grants BEGIN {body}; END")).collect()
}

fn on_postgres() -> Vec<String> {
    let rows = |table: &str, n: &str| format!("SELECT reason, state, {n} AS n FROM {table}");
    let (more, less) = (rows("after_it", "1"), rows("before_it", "-1"));
    let both = format!("{less} UNION ALL {more}");
    let tables = ["NEW TABLE AS after_it", "OLD TABLE AS before_it", "OLD TABLE AS before_it NEW TABLE AS after_it"];
    let mut statements =
        vec![format!("CREATE TABLE grant_changes (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {COLUMNS})")];
    for (((name, event), rows), tables) in TRIGGERS.into_iter().zip([more, less, both]).zip(tables) {
        statements.push(format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO grant_changes \
             (reason, state, n) SELECT reason, state, SUM(n) FROM ({rows}) AS c GROUP BY reason, state \
             HAVING SUM(n) <> 0; RETURN NULL; END $$"
        ));
        statements.push(format!(
            "CREATE TRIGGER {name} AFTER {event} ON grants REFERENCING {tables} FOR EACH STATEMENT \
             EXECUTE FUNCTION {name}()"
        ));
    }
    statements
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = db.get_database_backend() == DbBackend::Postgres;
        let trips = trips(if is_postgres { "BYTEA" } else { "BLOB" });
        let counts = format!("CREATE TABLE grant_counts ({COLUMNS}, PRIMARY KEY (reason, state))");
        for statement in [GRANTS, &trips, &counts].into_iter().chain(INDEXES) {
            db.execute_unprepared(statement).await?;
        }
        for statement in if is_postgres { on_postgres() } else { on_sqlite() } {
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // Its triggers and its indexes go with a table.
        for table in ["trips", "grants", "grant_counts"] {
            db.execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared("DROP TABLE grant_changes").await?;
            for (name, _) in TRIGGERS {
                db.execute_unprepared(&format!("DROP FUNCTION {name}()")).await?;
            }
        }
        Ok(())
    }
}
