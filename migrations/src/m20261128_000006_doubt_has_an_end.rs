//! When a call in doubt had ended, and how the one after it was refused: what "long enough" counts from.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Provisionings {
    Table,
    DoubtEndedAt,
    Refused,
}

/// Rows in doubt by an earlier release. Whatever call that is about had ended when its lease did, or else when the row was
/// last written.
const BACKFILL: &str = "UPDATE provisionings SET doubt_ended_at = COALESCE(lease_until, updated_at) WHERE in_doubt";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite alters no more than that in a statement.
        for mut column in [
            ColumnDef::new(Provisionings::DoubtEndedAt).big_integer().to_owned(),
            ColumnDef::new(Provisionings::Refused).string_len(32).to_owned(),
        ] {
            let add = Table::alter().table(Provisionings::Table).add_column(&mut column).to_owned();
            manager.alter_table(add).await?;
        }
        manager.get_connection().execute_unprepared(BACKFILL).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [Provisionings::Refused, Provisionings::DoubtEndedAt] {
            let drop = Table::alter().table(Provisionings::Table).drop_column(column).to_owned();
            manager.alter_table(drop).await?;
        }
        Ok(())
    }
}
