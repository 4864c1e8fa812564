//! The mark of a row that comes from an older copy of the ledger.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Provisionings {
    Table,
    RestoredTo,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The time of the copy. What became of the signup after it is not in the ledger.
        let mut column = ColumnDef::new(Provisionings::RestoredTo).big_integer().to_owned();
        let add = Table::alter().table(Provisionings::Table).add_column(&mut column).to_owned();
        manager.alter_table(add).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter().table(Provisionings::Table).drop_column(Provisionings::RestoredTo).to_owned();
        manager.alter_table(drop).await
    }
}
