//! The formats of envelopes of which none is left, and a quick look at what is left of the first.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// One row for a format that has ended.
const TABLE: &str = "CREATE TABLE ended_formats (format VARCHAR(8) NOT NULL PRIMARY KEY, ended_at BIGINT NOT NULL)";

/// Empty from when all is resealed. The ledger's queries repeat the conditions word for word.
const PLACES: [(&str, &str, &str); 2] =
    [("provisionings_fxd1", "provisionings", "payload"), ("credentials_fxd1", "credentials", "sealed")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let magic = match db.get_database_backend() {
            DbBackend::Postgres => r"'\x46584431'::bytea",
            _ => "x'46584431'",
        };
        db.execute_unprepared(TABLE).await?;
        for (index, table, column) in PLACES {
            let sql = format!(
                "CREATE INDEX {index} ON {table} (id) WHERE {column} IS NOT NULL AND substr({column}, 1, 4) = {magic}"
            );
            db.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for (index, _, _) in PLACES {
            db.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        db.execute_unprepared("DROP TABLE ended_formats").await.map(drop)
    }
}
