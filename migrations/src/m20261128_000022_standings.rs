//! Counts of provisionings by place, kept as rows change: to count a large ledger takes a second.
//!
//! Triggers keep them, so that no writer can leave them out, a worker of the previous release or a person included. On
//! PostgreSQL a statement adds what it changed as rows of its own, since workers would queue for a row that they all
//! count in; sweeps fold those rows into the counts. SQLite has one writer at a time, who changes the counts at once.
//!
//! What is in flight is not counted: it is as little as workers can have under way, and changes the most often.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

const PLACE: &str = "step, state, parked_reason";

/// For the oldest of each place. The ledger's queries repeat the condition word for word.
const INDEX: &str = "CREATE INDEX provisionings_by_place ON provisionings \
                     (state, step, COALESCE(parked_reason, ''), accepted_at) WHERE state <> 'in_flight'";

fn columns(n: &str) -> String {
    format!(
        "step VARCHAR(16) NOT NULL, state VARCHAR(16) NOT NULL, parked_reason VARCHAR(64) NOT NULL, n BIGINT NOT NULL{n}"
    )
}

/// Rows of a table, or a trigger's row, as changes of the counts.
fn changes(of: &str, n: &str) -> String {
    format!("SELECT {of}.step, {of}.state, COALESCE({of}.parked_reason, '') AS parked_reason, {n} AS n")
}

fn on_sqlite() -> Vec<String> {
    let count = |of: &str, n: &str| {
        format!(
            "INSERT INTO standings ({PLACE}, n) {} WHERE {of}.state <> 'in_flight' \
             ON CONFLICT ({PLACE}) DO UPDATE SET n = n + excluded.n",
            changes(of, n)
        )
    };
    let (more, less) = (count("NEW", "1"), count("OLD", "-1"));
    let moved = "OLD.step <> NEW.step OR OLD.state <> NEW.state OR OLD.parked_reason IS NOT NEW.parked_reason";
    vec![
        format!("CREATE TRIGGER standings_of_new AFTER INSERT ON provisionings BEGIN {more}; END"),
        format!("CREATE TRIGGER standings_of_deleted AFTER DELETE ON provisionings BEGIN {less}; END"),
        format!(
            "CREATE TRIGGER standings_of_moved AFTER UPDATE OF {PLACE} ON provisionings WHEN {moved} \
             BEGIN {less}; {more}; END"
        ),
    ]
}

fn on_postgres() -> Vec<String> {
    let rows = |table: &str, n: &str| format!("{} FROM {table} WHERE state <> 'in_flight'", changes(table, n));
    let (more, less) = (rows("after_it", "1"), rows("before_it", "-1"));
    let add = |rows: &str| {
        format!(
            "INSERT INTO standing_changes ({PLACE}, n) SELECT {PLACE}, SUM(n) FROM ({rows}) AS c \
             GROUP BY {PLACE} HAVING SUM(n) <> 0"
        )
    };
    let trigger = |name: &str, event: &str, tables: &str, rows: &str| {
        [
            format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN {}; RETURN NULL; END $$",
                add(rows)
            ),
            format!(
                "CREATE TRIGGER {name} AFTER {event} ON provisionings REFERENCING {tables} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            ),
        ]
    };
    [
        trigger("standings_of_new", "INSERT", "NEW TABLE AS after_it", &more),
        trigger("standings_of_deleted", "DELETE", "OLD TABLE AS before_it", &less),
        trigger(
            "standings_of_moved",
            "UPDATE",
            "OLD TABLE AS before_it NEW TABLE AS after_it",
            &format!("{less} UNION ALL {more}"),
        ),
    ]
    .concat()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = db.get_database_backend() == DbBackend::Postgres;
        if is_postgres {
            // What is written between the first count and the triggers would be missing.
            db.execute_unprepared("LOCK TABLE provisionings IN SHARE ROW EXCLUSIVE MODE").await?;
        }
        let id = if is_postgres { "BIGINT GENERATED ALWAYS AS IDENTITY" } else { "INTEGER" };
        db.execute_unprepared(&format!("CREATE TABLE standings ({})", columns(&format!(", PRIMARY KEY ({PLACE})"))))
            .await?;
        db.execute_unprepared(&format!("CREATE TABLE standing_changes (id {id} PRIMARY KEY, {})", columns(""))).await?;
        let first = format!(
            "INSERT INTO standings ({PLACE}, n) SELECT step, state, COALESCE(parked_reason, ''), COUNT(*) \
             FROM provisionings WHERE state <> 'in_flight' GROUP BY step, state, COALESCE(parked_reason, '')"
        );
        db.execute_unprepared(&first).await?;
        db.execute_unprepared(INDEX).await?;
        for statement in if is_postgres { on_postgres() } else { on_sqlite() } {
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for name in ["standings_of_new", "standings_of_deleted", "standings_of_moved"] {
            if db.get_database_backend() == DbBackend::Postgres {
                db.execute_unprepared(&format!("DROP TRIGGER {name} ON provisionings")).await?;
                db.execute_unprepared(&format!("DROP FUNCTION {name}()")).await?;
            } else {
                db.execute_unprepared(&format!("DROP TRIGGER {name}")).await?;
            }
        }
        for statement in ["DROP INDEX provisionings_by_place", "DROP TABLE standing_changes", "DROP TABLE standings"] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
