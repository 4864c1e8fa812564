//! What a corrected signup said before: so that a late repeat of it is known for one.

use sea_orm_migration::{prelude::*, sea_query::Table};

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SupersededContents {
    Table,
    ProvisioningId,
    Fingerprint,
    SupersededAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use SupersededContents as S;
        let table = Table::create()
            .table(S::Table)
            .col(ColumnDef::new(S::ProvisioningId).string_len(36).not_null())
            // A keyed digest, as in `provisionings`; nothing of the content can be learned from it.
            .col(ColumnDef::new(S::Fingerprint).binary().not_null())
            .col(ColumnDef::new(S::SupersededAt).big_integer().not_null())
            .primary_key(Index::create().col(S::ProvisioningId).col(S::Fingerprint))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SupersededContents::Table).to_owned()).await
    }
}
