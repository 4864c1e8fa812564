//! Indexes by the key that an envelope is sealed with, so that a worker sees at once which keys the ledger needs.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// Each index: its name, table and envelope column. The key's id stands in bytes 5 to 12 of an envelope, which both
/// databases read with the same words. The row's id makes the index serve pages, too; wiped envelopes are not in it.
const INDEXES: [(&str, &str, &str); 2] =
    [("provisionings_by_key", "provisionings", "payload"), ("credentials_by_key", "credentials", "sealed")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (index, table, column) in INDEXES {
            // As text, since the schema builder has no indexes on expressions.
            let create =
                format!("CREATE INDEX {index} ON {table} (substr({column}, 5, 8), id) WHERE {column} IS NOT NULL");
            manager.get_connection().execute_unprepared(&create).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (index, _, _) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        Ok(())
    }
}
