//! Until when Foxy, or the rate of calls, allows no try: apart from our own pause, which a person may cut short.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Provisionings {
    Table,
    NotBefore,
}

/// Earlier releases did not write down whose pause it was, so all of it stays.
const BACKFILL: &str = "UPDATE provisionings SET not_before = due_at WHERE state = 'due' AND intents <> 0 AND \
                        due_at IS NOT NULL AND due_at > updated_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut column = ColumnDef::new(Provisionings::NotBefore).big_integer().to_owned();
        manager.alter_table(Table::alter().table(Provisionings::Table).add_column(&mut column).to_owned()).await?;
        manager.get_connection().execute_unprepared(BACKFILL).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter().table(Provisionings::Table).drop_column(Provisionings::NotBefore).to_owned();
        manager.alter_table(drop).await
    }
}
