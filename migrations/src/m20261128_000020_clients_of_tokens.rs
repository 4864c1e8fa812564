//! To which client of which Foxy each token was given.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Credentials {
    Table,
    /// Null for tokens of earlier releases, until Foxy has accepted them from a client.
    ClientId,
    WhichFoxy,
}

/// A worker asks at its start which clients the ledger's tokens need.
const BY_CLIENT: &str =
    "CREATE INDEX credentials_by_client ON credentials (client_id) WHERE client_id IS NOT NULL AND sealed IS NOT NULL";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite alters no more than that in a statement.
        for (column, length) in [(Credentials::ClientId, 200), (Credentials::WhichFoxy, 300)] {
            let mut column = ColumnDef::new(column).string_len(length).to_owned();
            manager.alter_table(Table::alter().table(Credentials::Table).add_column(&mut column).to_owned()).await?;
        }
        manager.get_connection().execute_unprepared(BY_CLIENT).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX credentials_by_client").await?;
        for column in [Credentials::WhichFoxy, Credentials::ClientId] {
            let drop = Table::alter().table(Credentials::Table).drop_column(column).to_owned();
            manager.alter_table(drop).await?;
        }
        Ok(())
    }
}
