//! The audit: which person did what, when and why. It is appended to, never changed; the database refuses both changes
//! and deletions.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use crate::{
    connect::Ledger,
    entity::audit::{ActiveModel, Column, Entity},
    error::LedgerError,
    ids::SignupId,
    state::{Act, Scope},
    transactions::Ending::Commit,
    word::Word,
};

/// How much of a name and of a reason is kept, in characters.
const WHO_MAX: usize = 200;
const TEXT_MAX: usize = 300;

/// Who does something, and why. Neither may hold a customer's personal data: both are kept for good, and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The person or the program, by a name that can be traced: an operating system's user, a service's name.
    pub who: String,
    /// Why, in their own words.
    pub reason: Option<String>,
}

impl By {
    /// Somebody who gives no reason.
    pub fn new(who: impl Into<String>) -> Self {
        Self { who: who.into(), reason: None }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The act.
    pub act: Act,
    /// The signup it is done to; `None` for the ledger as a whole.
    pub signup_id: Option<SignupId>,
    /// The scope of the token it is done to.
    pub scope: Option<Scope>,
    /// What else there is to say, free of personal data.
    pub detail: Option<String>,
}

impl Deed {
    /// An act on one signup.
    pub fn to(act: Act, signup_id: &SignupId) -> Self {
        Self { signup_id: Some(signup_id.clone()), ..Self::to_all(act) }
    }

    /// An act on the whole ledger.
    pub const fn to_all(act: Act) -> Self {
        Self { act, signup_id: None, scope: None, detail: None }
    }
}

/// One entry of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// When; epoch milliseconds.
    pub at_ms: i64,
    /// Who.
    pub who: String,
    /// What.
    pub act: Word<Act>,
    /// The scope of the token it was done to.
    pub scope: Option<Word<Scope>>,
    /// Why.
    pub reason: Option<String>,
    /// What else there was to say.
    pub detail: Option<String>,
}

impl Ledger {
    /// Writes an entry. Ask for this before you do what it tells: what can't be recorded must not happen.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have.
    pub async fn audit(&self, by: &By, deed: Deed) -> Result<(), LedgerError> {
        let by = by.clone();
        let work = self.transaction(async move |txn, now| {
            write(txn, &by, &deed, now).await?;
            Ok(Commit(()))
        });
        self.detached("audit", work).await
    }

    /// The last entries of one signup, at most so many, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of(&self, signup_id: &SignupId, limit: u64) -> Result<Vec<Audited>, LedgerError> {
        let ledger = self.clone();
        let query = Entity::find()
            .filter(Column::SignupId.eq(signup_id.as_str()))
            .order_by_desc(Column::At)
            .order_by_desc(Column::Id)
            .limit(limit);
        let rows = self.detached("audit_of", async move { Ok(query.all(&ledger.db).await?) }).await?;
        let read = |row: crate::entity::audit::Model| Audited {
            at_ms: row.at,
            who: row.who,
            act: row.act.into(),
            scope: row.scope.map(Word::from),
            reason: row.reason,
            detail: row.detail,
        };
        Ok(rows.into_iter().map(read).collect())
    }
}

/// Commits an entry with what it tells of.
pub(crate) async fn write(db: &impl ConnectionTrait, by: &By, deed: &Deed, now: i64) -> Result<(), LedgerError> {
    let row = ActiveModel {
        id: Set(Uuid::now_v7().to_string()),
        at: Set(now),
        who: Set(cut(&by.who, WHO_MAX)),
        act: Set(deed.act.as_str().to_owned()),
        signup_id: Set(deed.signup_id.as_ref().map(SignupId::to_string)),
        scope: Set(deed.scope.map(|scope| scope.as_str().to_owned())),
        reason: Set(by.reason.as_deref().map(|text| cut(text, TEXT_MAX))),
        detail: Set(deed.detail.as_deref().map(|text| cut(text, TEXT_MAX))),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}
