//! Forgetting a customer: what is left of their data in the ledger is wiped.
//!
//! The row stays, under its signup id, so that the same event published again is known and makes nothing anew. Decision
//! 0017 tells what stays beside it, and why.

use foxden_vault::{Fingerprint, KeyId};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
    sea_query::Expr,
};

use crate::{
    audit::{self, By, Deed},
    connect::Ledger,
    connections::Transaction,
    entity::{
        attempt, credential, grant, outbox,
        provisioning::{Column, Entity},
        superseded, trip,
    },
    error::LedgerError,
    grants::ending::withdraw_of,
    ids::SignupId,
    provisioning::Provisioning,
    state::{Act, ParkedReason, Scope, State, Step},
    transactions::Ending::{Commit, RollBack},
};

/// The key that a wiped fingerprint names: none. No ring has it, so a repeat counts as a duplicate whatever its
/// content.
pub(crate) const NO_KEY: KeyId = KeyId::from_bytes([0; KeyId::LEN]);

/// How much is to be forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forgetting {
    /// Also the store's token. Foxy gives it out once, so nobody can act on the store any more.
    pub tokens: bool,
    /// Also the addresses at Foxy, the store's domain, and whose user the store was made under: for when Foxy has
    /// removed them.
    pub links: bool,
}

/// What asking to forget came to.
#[derive(Debug)]
pub enum Forget {
    /// It is done.
    Done(Box<Forgotten>),
    /// It is not closed: it may still go on. One that shall not is cancelled first.
    NotClosed(State),
    /// Another signup, not yet finished, makes its store under this one's Foxy user.
    UserInUse(SignupId),
    /// No such signup.
    NotFound,
}

/// What was forgotten, and what was not.
#[derive(Debug)]
pub struct Forgotten {
    /// The row as it stood before: with what Foxy still has.
    pub before: Provisioning,
    /// How many tokens were wiped.
    pub tokens_wiped: u64,
    /// How many are still here.
    pub tokens_kept: u64,
    /// Whether the addresses at Foxy and the store's domain are still here.
    pub links_kept: bool,
    /// Whether what was wiped is gone from SQLite's write-ahead log, too; `false` while somebody else reads it.
    /// `None` on a server, whose own housekeeping decides.
    pub gone_from_file: Option<bool>,
}

impl Ledger {
    /// Forgets the customer of a signup that is closed. To forget again, for more of it, is fine.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have, or a row is damaged. Try again.
    pub async fn forget(&self, signup_id: &SignupId, what: Forgetting, by: &By) -> Result<Forget, LedgerError> {
        let (signup_id, by) = (signup_id.clone(), by.clone());
        let work = self.transaction(async move |txn, now| {
            let found = Entity::find().filter(Column::SignupId.eq(signup_id.as_str())).lock_exclusive();
            let Some(row) = found.one(txn).await? else { return Ok(RollBack(Forget::NotFound)) };
            let before = Provisioning::from_row(row)?;
            if let Some(refused) = refusal(txn, &before).await? {
                return Ok(RollBack(refused));
            }
            Ok(Commit(Forget::Done(Box::new(wipe(txn, before, what, &by, now).await?))))
        });
        let forget = self.detached("forget", work).await?;
        let Forget::Done(mut forgotten) = forget else { return Ok(forget) };
        if self.is_embedded() {
            // It is forgotten whatever comes of this; the next checkpoint does the same.
            forgotten.gone_from_file = Some(self.empty_log().await.unwrap_or(false));
        }
        Ok(Forget::Done(forgotten))
    }

    /// Moves SQLite's write-ahead log into the file and cuts it to nothing. `false` if another process is in the way.
    async fn empty_log(&self) -> Result<bool, LedgerError> {
        let ledger = self.clone();
        self.detached("empty_log", async move {
            let row = ledger.db.query_one_raw(ledger.statement("PRAGMA wal_checkpoint(TRUNCATE)", [])).await?;
            Ok(row.map(|row| row.try_get_by_index::<i32>(0)).transpose()? == Some(0))
        })
        .await
    }
}

/// Why it must not be forgotten now.
async fn refusal(txn: &Transaction, row: &Provisioning) -> Result<Option<Forget>, LedgerError> {
    if row.state != State::Closed {
        return Ok(Some(Forget::NotClosed(row.state)));
    }
    let sibling = Entity::find()
        .filter(Column::UserFrom.eq(row.id.as_str()))
        .filter(Column::State.ne(State::Closed.as_str()))
        .one(txn)
        .await?;
    Ok(sibling.map(|sibling| Forget::UserInUse(SignupId::from_row(sibling.signup_id))))
}

async fn wipe(
    txn: &Transaction,
    before: Provisioning,
    what: Forgetting,
    by: &By,
    now: i64,
) -> Result<Forgotten, LedgerError> {
    let domain = kept_domain(&before, what);
    let mut update = Entity::update_many()
        .col_expr(Column::Payload, Expr::val(None::<Vec<u8>>))
        .col_expr(Column::Fingerprint, Expr::val(vec![0_u8; Fingerprint::LEN]))
        .col_expr(Column::AccountId, Expr::val(None::<String>))
        .col_expr(Column::ParkedDetail, Expr::val(None::<String>))
        .col_expr(Column::StoreDomain, Expr::val(domain.clone()))
        .col_expr(Column::ForgottenAt, Expr::val(now))
        .col_expr(Column::UpdatedAt, Expr::val(now));
    // For tokens that come after this.
    if what.tokens {
        update = update.col_expr(Column::TokensForgottenAt, Expr::val(now));
    }
    if what.links {
        update = update
            .col_expr(Column::LinksForgottenAt, Expr::val(now))
            .col_expr(Column::UserFrom, Expr::val(None::<String>))
            .col_expr(Column::UserUri, Expr::val(None::<String>))
            .col_expr(Column::StoreUri, Expr::val(None::<String>));
    }
    update.filter(Column::Id.eq(before.id.as_str())).exec(txn).await?;
    superseded::Entity::delete_many()
        .filter(superseded::Column::ProvisioningId.eq(before.id.as_str()))
        .exec(txn)
        .await?;
    wipe_evidence(txn, &before, domain.as_deref()).await?;
    wipe_outcomes(txn, &before).await?;
    wipe_grants(txn, &before, what, now).await?;
    let (tokens_wiped, tokens_kept) = wipe_tokens(txn, &before, what, now).await?;
    let detail = [
        Some(format!("tokens wiped: {tokens_wiped}, kept: {tokens_kept}")),
        what.links.then(|| "links wiped".to_owned()),
    ];
    let detail = Some(detail.into_iter().flatten().collect::<Vec<_>>().join("; "));
    audit::write(txn, by, &Deed { detail, ..Deed::to(Act::Forget, &before.signup_id) }, now).await?;
    Ok(Forgotten { before, tokens_wiped, tokens_kept, links_kept: !what.links, gone_from_file: None })
}

/// The store's domain, where it is needed to find what Foxy has. It may be made of the customer's name.
fn kept_domain(row: &Provisioning, what: Forgetting) -> Option<String> {
    let may_exist = row.store_uri.is_some()
        || row.step == Step::Done
        || (row.step == Step::Store
            && (row.in_doubt
                || matches!(row.parked_reason, Some(ParkedReason::StoreTokenLost | ParkedReason::SuspiciousLink))));
    row.store_domain.clone().filter(|_| may_exist && !what.links)
}

/// Notes are free of personal data by what is struck out of them; this does not rest on it.
async fn wipe_evidence(txn: &Transaction, row: &Provisioning, domain: Option<&str>) -> Result<(), LedgerError> {
    use attempt::Column as A;
    attempt::Entity::update_many()
        .col_expr(A::Note, Expr::val(None::<String>))
        .filter(A::ProvisioningId.eq(row.id.as_str()))
        .exec(txn)
        .await?;
    let mut other_domains = attempt::Entity::update_many()
        .col_expr(A::NaturalKey, Expr::val(None::<String>))
        .filter(A::ProvisioningId.eq(row.id.as_str()));
    if let Some(domain) = domain {
        other_domains = other_domains.filter(A::NaturalKey.ne(domain));
    }
    other_domains.exec(txn).await?;
    Ok(())
}

/// What was told is deleted. What still is to be told has to be, but names the customer no longer.
async fn wipe_outcomes(txn: &Transaction, row: &Provisioning) -> Result<(), LedgerError> {
    use outbox::Column as O;
    // By the signup: answers to duplicates belong to no provisioning.
    let own = || O::SignupId.eq(row.signup_id.as_str());
    outbox::Entity::delete_many().filter(own()).filter(O::PublishedAt.is_not_null()).exec(txn).await?;
    for waiting in outbox::Entity::find().filter(own()).all(txn).await? {
        // Read as it is: a later release may have written more than this one knows. Of what can't be read nothing is
        // left.
        let mut told: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&waiting.body).unwrap_or_default();
        told.remove("user_id");
        let body = serde_json::Value::Object(told).to_string();
        outbox::Entity::update_many()
            .col_expr(O::Body, Expr::val(body))
            .filter(O::Seq.eq(waiting.seq))
            .exec(txn)
            .await?;
    }
    Ok(())
}

/// No one is to be asked any more. When a person was at Foxy says something of them; how often they were asked does
/// not.
async fn wipe_grants(txn: &Transaction, row: &Provisioning, what: Forgetting, now: i64) -> Result<(), LedgerError> {
    use grant::Column as G;
    withdraw_of(txn, &row.id, now).await?;
    let own = grant::Entity::find().select_only().column(G::Id).filter(G::ProvisioningId.eq(row.id.as_str()));
    let own: Vec<String> = own.into_tuple().all(txn).await?;
    if own.is_empty() {
        return Ok(());
    }
    trip::Entity::delete_many().filter(trip::Column::GrantId.is_in(own)).exec(txn).await?;
    if what.links {
        grant::Entity::update_many()
            .col_expr(G::ExpectedUri, Expr::val(None::<String>))
            .filter(G::ProvisioningId.eq(row.id.as_str()))
            .exec(txn)
            .await?;
    }
    Ok(())
}

/// The user's tokens go in any case: nothing can be made under a user whose customer is not known. Answers how many
/// were wiped, and how many are left.
async fn wipe_tokens(
    txn: &Transaction,
    row: &Provisioning,
    what: Forgetting,
    now: i64,
) -> Result<(u64, u64), LedgerError> {
    use credential::Column as C;
    let mut wiping = credential::Entity::update_many()
        .col_expr(C::Sealed, Expr::val(None::<Vec<u8>>))
        .col_expr(C::WipedAt, Expr::val(now))
        .filter(C::ProvisioningId.eq(row.id.as_str()))
        .filter(C::Sealed.is_not_null());
    if !what.tokens {
        wiping = wiping.filter(C::Scope.eq(Scope::User.as_str()));
    }
    let wiped = wiping.exec(txn).await?.rows_affected;
    if what.links {
        credential::Entity::update_many()
            .col_expr(C::ResourceUri, Expr::val(None::<String>))
            .filter(C::ProvisioningId.eq(row.id.as_str()))
            .exec(txn)
            .await?;
    }
    let kept = credential::Entity::find()
        .filter(C::ProvisioningId.eq(row.id.as_str()))
        .filter(C::Sealed.is_not_null())
        .count(txn)
        .await?;
    Ok((wiped, kept))
}
