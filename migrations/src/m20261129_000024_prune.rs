//! What pruning goes by: when a signup was closed, when an event was published, and how far it has come.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// Only what is closed or published is in an index, so work under way pays for neither.
const UP: [&str; 5] = [
    "CREATE INDEX provisionings_by_closed ON provisionings (closed_at) WHERE closed_at IS NOT NULL",
    // Also for events that tell of a parked signup: they are pruned once it is closed.
    "CREATE INDEX outbox_published ON outbox (published_at, seq) WHERE published_at IS NOT NULL",
    "DROP INDEX outbox_to_forget",
    // One row: the evidence of all that was closed until then is pruned. A worker that prunes locks it.
    "CREATE TABLE pruned_evidence (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), closed_to BIGINT NOT NULL)",
    "INSERT INTO pruned_evidence (id, closed_to) VALUES (1, 0)",
];

const DOWN: [&str; 4] = [
    "DROP TABLE pruned_evidence",
    "CREATE INDEX outbox_to_forget ON outbox (published_at) WHERE published_at IS NOT NULL AND kind <> 'parked'",
    "DROP INDEX outbox_published",
    "DROP INDEX provisionings_by_closed",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in UP {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in DOWN {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
