//! Who publishes outcome events, and indexes by which the outbox costs the same at a million rows as at a thousand.

use sea_orm_migration::{prelude::*, sea_query::Table};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// One row at most: the worker that publishes.
#[derive(DeriveIden)]
enum PublishingLease {
    Table,
    Id,
    Owner,
    LeaseUntil,
    Epoch,
}

/// Each index: its name, and what it is on. As text, since the schema builder has no partial indexes.
///
/// Only rows that wait are in the first two, so they are small however much was published. `outbox_by_signup` answers
/// whether anything was ever told of a signup. Events that tell of a parked signup are never deleted: they are looked up by
/// provisioning, and left out of what may be deleted.
const INDEXES: [(&str, &str); 5] = [
    ("outbox_waiting", "(seq) WHERE published_at IS NULL"),
    ("outbox_waiting_by_signup", "(signup_id, seq) WHERE published_at IS NULL"),
    ("outbox_by_signup", "(signup_id)"),
    ("outbox_parked", "(provisioning_id, seq) WHERE kind = 'parked'"),
    ("outbox_to_forget", "(published_at) WHERE published_at IS NOT NULL AND kind <> 'parked'"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use PublishingLease as P;
        let table = Table::create()
            .table(P::Table)
            .col(ColumnDef::new(P::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(P::Owner).string_len(36))
            .col(ColumnDef::new(P::LeaseUntil).big_integer())
            .col(ColumnDef::new(P::Epoch).big_integer().not_null())
            .to_owned();
        manager.create_table(table).await?;
        let connection = manager.get_connection();
        // Superseded by the partial ones, which also serve the previous release's look for what waits.
        connection.execute_unprepared("DROP INDEX outbox_by_published").await?;
        for (index, on) in INDEXES {
            connection.execute_unprepared(&format!("CREATE INDEX {index} ON outbox {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for (index, _) in INDEXES {
            connection.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        connection.execute_unprepared("CREATE INDEX outbox_by_published ON outbox (published_at, seq)").await?;
        manager.drop_table(Table::drop().table(PublishingLease::Table).to_owned()).await
    }
}
