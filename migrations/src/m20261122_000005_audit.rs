//! Who did what to whom: the audit of people's acts, and the mark on a signup that was forgotten.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend, sea_query::Table};

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// A person's acts, the opening of tokens first of all; appended to, never changed.
#[derive(DeriveIden)]
enum Audit {
    Table,
    Id,
    At,
    Who,
    Act,
    SignupId,
    Scope,
    Reason,
    Detail,
}

#[derive(DeriveIden)]
enum Provisionings {
    Table,
    ForgottenAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(audit()).await?;
        let by_signup =
            Index::create().name("audit_by_signup").table(Audit::Table).col(Audit::SignupId).col(Audit::At).to_owned();
        manager.create_index(by_signup).await?;
        for statement in guard(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        let forgotten = Table::alter()
            .table(Provisionings::Table)
            .add_column(ColumnDef::new(Provisionings::ForgottenAt).big_integer())
            .to_owned();
        manager.alter_table(forgotten).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let forgotten = Table::alter().table(Provisionings::Table).drop_column(Provisionings::ForgottenAt).to_owned();
        manager.alter_table(forgotten).await?;
        // Its triggers go with it.
        manager.drop_table(Table::drop().table(Audit::Table).to_owned()).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared("DROP FUNCTION audit_is_kept()").await?;
        }
        Ok(())
    }
}

fn audit() -> TableCreateStatement {
    use Audit as A;
    Table::create()
        .table(A::Table)
        .col(ColumnDef::new(A::Id).string_len(36).not_null().primary_key())
        .col(ColumnDef::new(A::At).big_integer().not_null())
        .col(ColumnDef::new(A::Who).string_len(200).not_null())
        .col(ColumnDef::new(A::Act).string_len(32).not_null())
        // Null for what is done to the ledger as a whole.
        .col(ColumnDef::new(A::SignupId).string_len(200))
        .col(ColumnDef::new(A::Scope).string_len(32))
        .col(ColumnDef::new(A::Reason).string_len(300))
        .col(ColumnDef::new(A::Detail).string_len(300))
        .to_owned()
}

/// What keeps rows from being changed or deleted in passing. The database's owner can still take it away.
fn guard(backend: DbBackend) -> &'static [&'static str] {
    match backend {
        DbBackend::Postgres => &[
            "CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE EXCEPTION ''the audit is appended to, never changed''; END'",
            "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit \
             FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()",
        ],
        _ => &[
            "CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit \
             BEGIN SELECT RAISE(ABORT, 'the audit is appended to, never changed'); END",
            "CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit \
             BEGIN SELECT RAISE(ABORT, 'the audit is appended to, never changed'); END",
        ],
    }
}
