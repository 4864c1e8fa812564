//! SQLite's audit keeps its rows from being replaced by an insert, too.
//!
//! `INSERT OR REPLACE` deletes the row that is in its way, and no trigger hears of it unless the connection that does
//! it has switched `recursive_triggers` on. So the insert itself is refused where a row with its key is there.
//! PostgreSQL knows no such statement: its `ON CONFLICT DO UPDATE` is an update, which the first triggers refuse.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        // By either of its keys. Where an insert names no rowid, SQLite calls it -1 until it has chosen one.
        let guard = "CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit \
                     WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id OR (rowid = NEW.rowid AND NEW.rowid <> -1)) \
                     BEGIN SELECT RAISE(ABORT, 'the audit is appended to, never changed'); END";
        manager.get_connection().execute_unprepared(guard).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Sqlite {
            manager.get_connection().execute_unprepared("DROP TRIGGER audit_is_not_replaced").await?;
        }
        Ok(())
    }
}
