//! Which Foxy the ledger belongs to.

use sea_orm_migration::{prelude::*, sea_query::Table};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// One row at most. None is written here: the schema does not know which Foxy the settings name.
#[derive(DeriveIden)]
enum WhichFoxy {
    Table,
    Id,
    /// `production`, `sandbox`, `simulator:ID` or an origin.
    Foxy,
    Since,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(WhichFoxy::Table)
            .col(ColumnDef::new(WhichFoxy::Id).integer().not_null().primary_key().check(Expr::col(WhichFoxy::Id).eq(1)))
            .col(ColumnDef::new(WhichFoxy::Foxy).string_len(300).not_null())
            .col(ColumnDef::new(WhichFoxy::Since).big_integer().not_null())
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(WhichFoxy::Table).to_owned()).await
    }
}
