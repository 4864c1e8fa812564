//! An index for each of the two queues of what is due, and for the leases: a claim reads as many rows as it takes,
//! however many wait. And how long a step was tried, which giving up goes by.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// Each index: its name, column and condition. The claim repeats the conditions on `intents` word for word; what rests
/// has no due time. As text, since the schema builder has no conditions.
const INDEXES: [(&str, &str, &str); 3] = [
    ("provisionings_begun", "due_at", "intents <> 0 AND due_at IS NOT NULL"),
    ("provisionings_new", "due_at", "intents = 0 AND due_at IS NOT NULL"),
    ("provisionings_leased", "lease_until", "lease_until IS NOT NULL"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite alters no more than that in a statement.
        for mut column in [
            ColumnDef::new(Provisionings::Tries).integer().not_null().default(0).to_owned(),
            ColumnDef::new(Provisionings::TriedMs).big_integer().not_null().default(0).to_owned(),
        ] {
            let add = Table::alter().table(Provisionings::Table).add_column(&mut column).to_owned();
            manager.alter_table(add).await?;
        }
        for (index, column, condition) in INDEXES {
            let create = format!("CREATE INDEX {index} ON provisionings ({column}) WHERE {condition}");
            manager.get_connection().execute_unprepared(&create).await?;
        }
        // It served no query: leases are renewed by id.
        manager.drop_index(Index::drop().name("provisionings_by_lease").table(Provisionings::Table).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_lease = Index::create()
            .name("provisionings_by_lease")
            .table(Provisionings::Table)
            .col(Provisionings::LeaseOwner)
            .to_owned();
        manager.create_index(by_lease).await?;
        for (index, ..) in INDEXES {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        for column in [Provisionings::TriedMs, Provisionings::Tries] {
            manager.alter_table(Table::alter().table(Provisionings::Table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Provisionings {
    Table,
    LeaseOwner,
    Tries,
    TriedMs,
}
