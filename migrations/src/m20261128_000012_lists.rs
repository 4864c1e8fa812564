//! Indexes in the order of every list, so that its first page costs the same on a ledger of any size.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// Each index with what it is on. The ledger's queries repeat the conditions word for word.
const INDEXES: [(&str, &str); 5] = [
    // Every row has a signup id. The condition keeps PostgreSQL from passing through this index, past most of the
    // ledger, for the few rows that are in some state.
    ("provisionings_by_accepted", "provisionings (accepted_at, id) WHERE signup_id <> ''"),
    ("provisionings_by_state", "provisionings (state, accepted_at, id)"),
    ("provisionings_cancelled", "provisionings (accepted_at, id) WHERE state = 'closed' AND step <> 'done'"),
    (
        "provisionings_orphaned",
        "provisionings (accepted_at, id) \
         WHERE generation > 1 OR (parked_reason = 'user_token_lost' AND mailbox IS NOT NULL)",
    ),
    ("credentials_apart", "credentials (id) WHERE apart"),
];

/// Store tokens that are not, for sure, those of the stores that their signups use.
const BACKFILL: &str = "UPDATE credentials SET apart = TRUE WHERE scope = 'store_full_access' AND NOT EXISTS \
                        (SELECT 1 FROM provisionings p WHERE p.id = provisioning_id AND p.step = 'done' \
                        AND (p.store_uri = resource_uri OR p.store_uri IS NULL))";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // Whether a token came otherwise than with the end of its signup: only then can its store be one left behind.
        db.execute_unprepared("ALTER TABLE credentials ADD COLUMN apart BOOLEAN NOT NULL DEFAULT FALSE").await?;
        db.execute_unprepared(BACKFILL).await?;
        if db.get_database_backend() == DbBackend::Postgres {
            // A worker of the previous release does not say. SQLite can't change a default; its workers are of one
            // machine.
            db.execute_unprepared("ALTER TABLE credentials ALTER COLUMN apart SET DEFAULT TRUE").await?;
        }
        for (index, on) in INDEXES {
            db.execute_unprepared(&format!("CREATE INDEX {index} ON {on}")).await?;
        }
        // Claims have indexes of their own, so nothing asks for due times by state.
        db.execute_unprepared("DROP INDEX provisionings_by_due").await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX provisionings_by_due ON provisionings (state, due_at)").await?;
        for (index, _) in INDEXES {
            db.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        db.execute_unprepared("ALTER TABLE credentials DROP COLUMN apart").await.map(drop)
    }
}
