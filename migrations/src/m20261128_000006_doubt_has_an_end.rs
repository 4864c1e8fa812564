//! What settles a doubt: when its call had ended, how the one after it was refused, and who else may have made what is there.

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

/// What is asked for signups under one user, and for those of one customer. Rows without such a name are in none of them.
const INDEXES: [(&str, &str); 3] = [
    ("provisionings_by_user", "(user_from) WHERE user_from IS NOT NULL"),
    ("provisionings_by_store", "(store_uri) WHERE store_uri IS NOT NULL"),
    ("provisionings_by_customer", "(account_id, state, step, accepted_at) WHERE account_id IS NOT NULL"),
];

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
        let db = manager.get_connection();
        db.execute_unprepared(BACKFILL).await?;
        for (index, columns) in INDEXES {
            db.execute_unprepared(&format!("CREATE INDEX {index} ON provisionings {columns}")).await?;
        }
        // The last one begins with the same column.
        db.execute_unprepared("DROP INDEX provisionings_by_account").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX provisionings_by_account ON provisionings (account_id)").await?;
        for (index, _) in INDEXES {
            db.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        for column in [Provisionings::Refused, Provisionings::DoubtEndedAt] {
            let drop = Table::alter().table(Provisionings::Table).drop_column(column).to_owned();
            manager.alter_table(drop).await?;
        }
        Ok(())
    }
}
