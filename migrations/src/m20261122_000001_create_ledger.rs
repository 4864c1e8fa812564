//! The first schema: provisionings, their credentials, the evidence of their attempts, and the outbox.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// One row per signup: where it stands, who holds it, and the sealed event until it is no longer needed.
#[derive(DeriveIden)]
enum Provisionings {
    Table,
    Id,
    SignupId,
    AccountId,
    Source,
    Step,
    State,
    ParkedReason,
    ParkedDetail,
    Payload,
    Fingerprint,
    Mailbox,
    Generation,
    UserFrom,
    UserUri,
    StoreUri,
    StoreDomain,
    DomainTry,
    InDoubt,
    Intents,
    KeyIntent,
    Retries,
    Lookups,
    StepSince,
    DueAt,
    LeaseOwner,
    LeaseUntil,
    Epoch,
    IntentAt,
    AcceptedAt,
    UpdatedAt,
    ClosedAt,
}

/// Sealed refresh tokens, one per create call that Foxy answered with one.
#[derive(DeriveIden)]
enum Credentials {
    Table,
    Id,
    ProvisioningId,
    Scope,
    Intent,
    ResourceUri,
    Sealed,
    CreatedAt,
    WipedAt,
}

/// What was tried and how it ended; appended to, never changed; never a secret, never personal data.
#[derive(DeriveIden)]
enum Attempts {
    Table,
    Id,
    ProvisioningId,
    Intent,
    Epoch,
    Owner,
    Kind,
    Step,
    NaturalKey,
    StartedAt,
    EndedAt,
    Outcome,
    HttpStatus,
    Logref,
    Note,
}

/// Outcome events that wait to be published, and for a while those that were.
#[derive(DeriveIden)]
enum Outbox {
    Table,
    Seq,
    EventId,
    ProvisioningId,
    SignupId,
    Kind,
    Body,
    CreatedAt,
    PublishedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(provisionings()).await?;
        for index in provisioning_indexes() {
            manager.create_index(index).await?;
        }
        manager.create_table(credentials()).await?;
        manager
            .create_index(
                Index::create()
                    .name("credentials_by_intent")
                    .table(Credentials::Table)
                    .col(Credentials::ProvisioningId)
                    .col(Credentials::Scope)
                    .col(Credentials::Intent)
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager.create_table(attempts()).await?;
        manager
            .create_index(
                Index::create()
                    .name("attempts_by_provisioning")
                    .table(Attempts::Table)
                    .col(Attempts::ProvisioningId)
                    .to_owned(),
            )
            .await?;
        manager.create_table(outbox()).await?;
        manager
            .create_index(
                Index::create()
                    .name("outbox_by_published")
                    .table(Outbox::Table)
                    .col(Outbox::PublishedAt)
                    .col(Outbox::Seq)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            Outbox::Table.into_iden(),
            Attempts::Table.into_iden(),
            Credentials::Table.into_iden(),
            Provisionings::Table.into_iden(),
        ] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn provisionings() -> TableCreateStatement {
    use Provisionings as P;
    Table::create()
        .table(P::Table)
        .col(ColumnDef::new(P::Id).string_len(36).not_null().primary_key())
        .col(ColumnDef::new(P::SignupId).string_len(200).not_null().unique_key())
        .col(ColumnDef::new(P::AccountId).string_len(200))
        .col(ColumnDef::new(P::Source).string_len(16).not_null())
        .col(ColumnDef::new(P::Step).string_len(16).not_null())
        .col(ColumnDef::new(P::State).string_len(16).not_null())
        .col(ColumnDef::new(P::ParkedReason).string_len(32))
        .col(ColumnDef::new(P::ParkedDetail).text())
        .col(ColumnDef::new(P::Payload).binary())
        .col(ColumnDef::new(P::Fingerprint).binary().not_null())
        // The template that the user's email is made of, if the platform owns the mailbox; no personal data by itself.
        .col(ColumnDef::new(P::Mailbox).text())
        .col(ColumnDef::new(P::Generation).integer().not_null().default(1))
        .col(ColumnDef::new(P::UserFrom).string_len(36))
        .col(ColumnDef::new(P::UserUri).text())
        .col(ColumnDef::new(P::StoreUri).text())
        .col(ColumnDef::new(P::StoreDomain).string_len(100))
        .col(ColumnDef::new(P::DomainTry).integer().not_null().default(0))
        .col(ColumnDef::new(P::InDoubt).boolean().not_null().default(false))
        .col(ColumnDef::new(P::Intents).integer().not_null().default(0))
        // The first create call on the current natural key: tokens of earlier ones belong to other keys.
        .col(ColumnDef::new(P::KeyIntent).integer().not_null().default(1))
        .col(ColumnDef::new(P::Retries).integer().not_null().default(0))
        .col(ColumnDef::new(P::Lookups).integer().not_null().default(0))
        .col(ColumnDef::new(P::StepSince).big_integer().not_null())
        .col(ColumnDef::new(P::DueAt).big_integer())
        .col(ColumnDef::new(P::LeaseOwner).string_len(36))
        .col(ColumnDef::new(P::LeaseUntil).big_integer())
        .col(ColumnDef::new(P::Epoch).big_integer().not_null().default(0))
        .col(ColumnDef::new(P::IntentAt).big_integer())
        .col(ColumnDef::new(P::AcceptedAt).big_integer().not_null())
        .col(ColumnDef::new(P::UpdatedAt).big_integer().not_null())
        .col(ColumnDef::new(P::ClosedAt).big_integer())
        .to_owned()
}

/// Claiming reads by state and due time, renewing by owner, reuse of a user by account; nothing else is hot.
fn provisioning_indexes() -> [IndexCreateStatement; 3] {
    use Provisionings as P;
    [
        Index::create().name("provisionings_by_due").table(P::Table).col(P::State).col(P::DueAt).to_owned(),
        Index::create().name("provisionings_by_lease").table(P::Table).col(P::LeaseOwner).to_owned(),
        Index::create().name("provisionings_by_account").table(P::Table).col(P::AccountId).to_owned(),
    ]
}

fn credentials() -> TableCreateStatement {
    use Credentials as C;
    Table::create()
        .table(C::Table)
        .col(ColumnDef::new(C::Id).string_len(36).not_null().primary_key())
        .col(ColumnDef::new(C::ProvisioningId).string_len(36).not_null())
        .col(ColumnDef::new(C::Scope).string_len(32).not_null())
        .col(ColumnDef::new(C::Intent).integer().not_null())
        .col(ColumnDef::new(C::ResourceUri).text())
        // Null once wiped: the row stays as evidence that there was one.
        .col(ColumnDef::new(C::Sealed).binary())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::WipedAt).big_integer())
        .to_owned()
}

fn attempts() -> TableCreateStatement {
    use Attempts as A;
    Table::create()
        .table(A::Table)
        .col(ColumnDef::new(A::Id).string_len(36).not_null().primary_key())
        .col(ColumnDef::new(A::ProvisioningId).string_len(36).not_null())
        .col(ColumnDef::new(A::Intent).integer().not_null())
        .col(ColumnDef::new(A::Epoch).big_integer().not_null())
        .col(ColumnDef::new(A::Owner).string_len(36).not_null())
        .col(ColumnDef::new(A::Kind).string_len(16).not_null())
        .col(ColumnDef::new(A::Step).string_len(16).not_null())
        .col(ColumnDef::new(A::NaturalKey).string_len(100))
        .col(ColumnDef::new(A::StartedAt).big_integer().not_null())
        .col(ColumnDef::new(A::EndedAt).big_integer().not_null())
        .col(ColumnDef::new(A::Outcome).string_len(32).not_null())
        .col(ColumnDef::new(A::HttpStatus).integer())
        .col(ColumnDef::new(A::Logref).string_len(100))
        .col(ColumnDef::new(A::Note).string_len(300))
        .to_owned()
}

fn outbox() -> TableCreateStatement {
    use Outbox as O;
    Table::create()
        .table(O::Table)
        .col(ColumnDef::new(O::Seq).big_integer().not_null().primary_key().auto_increment())
        .col(ColumnDef::new(O::EventId).string_len(36).not_null().unique_key())
        .col(ColumnDef::new(O::ProvisioningId).string_len(36).not_null())
        .col(ColumnDef::new(O::SignupId).string_len(200).not_null())
        .col(ColumnDef::new(O::Kind).string_len(32).not_null())
        .col(ColumnDef::new(O::Body).text().not_null())
        .col(ColumnDef::new(O::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(O::PublishedAt).big_integer())
        .to_owned()
}
