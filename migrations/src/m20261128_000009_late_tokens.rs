//! Where a second token of one call stands, and how much of a customer was forgotten, for tokens that come late.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Credentials {
    Table,
    /// The call, of a token that stands beside another of the same call; its `intent` is a negative number then. So the
    /// unique key stays what it was, which the previous release names in its inserts.
    BesideIntent,
}

#[derive(DeriveIden)]
enum Provisionings {
    Table,
    TokensForgottenAt,
    LinksForgottenAt,
}

/// Earlier releases did not write down how much was forgotten; what is left shows it.
const BACKFILL: [&str; 2] = [
    "UPDATE provisionings SET tokens_forgotten_at = forgotten_at WHERE forgotten_at IS NOT NULL AND NOT EXISTS \
     (SELECT 1 FROM credentials WHERE provisioning_id = provisionings.id AND sealed IS NOT NULL)",
    "UPDATE provisionings SET links_forgotten_at = forgotten_at WHERE forgotten_at IS NOT NULL AND user_uri IS NULL \
     AND store_uri IS NULL AND store_domain IS NULL",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite alters no more than that in a statement.
        let mut beside = ColumnDef::new(Credentials::BesideIntent).integer().to_owned();
        manager.alter_table(Table::alter().table(Credentials::Table).add_column(&mut beside).to_owned()).await?;
        for column in [Provisionings::TokensForgottenAt, Provisionings::LinksForgottenAt] {
            let mut column = ColumnDef::new(column).big_integer().to_owned();
            manager.alter_table(Table::alter().table(Provisionings::Table).add_column(&mut column).to_owned()).await?;
        }
        for statement in BACKFILL {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The previous release could not read the rows that have them, and had none of these tokens.
        manager.get_connection().execute_unprepared("DELETE FROM credentials WHERE beside_intent IS NOT NULL").await?;
        for column in [Provisionings::LinksForgottenAt, Provisionings::TokensForgottenAt] {
            let drop = Table::alter().table(Provisionings::Table).drop_column(column).to_owned();
            manager.alter_table(drop).await?;
        }
        let drop = Table::alter().table(Credentials::Table).drop_column(Credentials::BesideIntent).to_owned();
        manager.alter_table(drop).await
    }
}
