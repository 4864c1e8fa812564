//! An index of stores by the paths of their addresses: Foxy has several names, and an answer may carry any of them.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // The ledger's queries repeat it word for word.
        let find = if db.get_database_backend() == DbBackend::Sqlite { "instr" } else { "strpos" };
        let create = format!(
            "CREATE INDEX provisionings_by_store_path ON provisionings \
             (substr(store_uri, {find}(substr(store_uri, 9), '/') + 8)) WHERE store_uri IS NOT NULL"
        );
        db.execute_unprepared(&create).await?;
        db.execute_unprepared("DROP INDEX provisionings_by_store").await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "CREATE INDEX provisionings_by_store ON provisionings (store_uri) WHERE store_uri IS NOT NULL",
        )
        .await?;
        db.execute_unprepared("DROP INDEX provisionings_by_store_path").await.map(drop)
    }
}
