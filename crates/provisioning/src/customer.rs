//! What the other signups of the same customer have to do with one: they may share its user.

use foxden_ledger::{AttemptOutcome, Facts, LedgerError, Provisioning, Step, Word};

use crate::{
    calls::Calls,
    domain,
    finding::Finding,
    plan::{Seen, Whose},
    runner::Runner,
    stop::Stop,
};

impl<F: Calls> Runner<F> {
    /// The user that an earlier signup of the same customer made, if its token was kept: the store is made under it.
    pub(crate) async fn user_of_same_customer(&self, row: &Provisioning) -> Result<Option<Finding>, Stop> {
        let Some(account) = row.account_id.as_deref().filter(|_| self.policy.keep_user_tokens) else {
            return Ok(None);
        };
        let Some(earlier) = self.ledger.provisioned_for(account).await? else { return Ok(None) };
        let payload = match self.open(row) {
            Ok(payload) => payload,
            Err(why) => return Ok(Some(Finding::of_sealed(why))),
        };
        let note = format!("the store is made under the user of signup {}", earlier.signup_id);
        let facts = Facts {
            user_uri: earlier.user_uri,
            user_from: Some(earlier.id),
            store_domain: Some(domain::first(&payload)),
            ..Facts::default()
        };
        let seen = Seen::TokenHeld { link_is_trusted: true };
        Ok(Some(Finding { outcome: AttemptOutcome::UserReused, facts, ..Finding::of(seen, &note) }))
    }

    /// Whether the row may yet be given the user of another signup of its customer, as far as the settings share users.
    pub(crate) async fn another_may_have_made_the_user(&self, row: &Provisioning) -> Result<bool, LedgerError> {
        match row.account_id.as_deref().filter(|_| self.policy.keep_user_tokens) {
            Some(account) => self.ledger.another_may_bring_the_user_of(row, account).await,
            None => Ok(false),
        }
    }

    /// Whether each call of the row's step that is in doubt was lost with a kept connection.
    pub(crate) async fn may_be_unread(&self, row: &Provisioning) -> Result<bool, LedgerError> {
        // In doubt is also what happened in the time that an older copy lacks.
        if row.step != Step::User || row.restored_to_ms.is_some() {
            return Ok(false);
        }
        let calls = self.ledger.attempts(&row.id).await?;
        let of_this_key = calls.iter().filter(|call| call.step == row.step && call.intent >= row.key_intent);
        let is_on_kept = |outcome: &Word<AttemptOutcome>| *outcome == AttemptOutcome::UnknownOnKeptConnection;
        let mut doubts = of_this_key
            .map(|call| &call.outcome)
            .filter(|outcome| **outcome == AttemptOutcome::Unknown || is_on_kept(outcome))
            .peekable();
        Ok(doubts.peek().is_some() && doubts.all(is_on_kept))
    }

    /// Whose the user is that has the row's email, for a call that was refused for it.
    pub(crate) async fn whose_email(&self, row: &Provisioning) -> Whose {
        let Some(account) = row.account_id.as_deref() else { return Whose::Strangers };
        match self.whose_email_of(row, account).await {
            Ok(whose) => whose,
            Err(_) => Whose::Unclear,
        }
    }

    async fn whose_email_of(&self, row: &Provisioning, account: &str) -> Result<Whose, LedgerError> {
        // In doubt itself, it does not count others whose calls are: they would wait for each other.
        let is_at_work = if row.in_doubt {
            self.another_may_have_made_the_user(row).await?
        } else {
            self.ledger.another_may_have_the_user_of(row, account).await?
        };
        if is_at_work {
            return Ok(Whose::PerhapsSiblings);
        }
        // It may have ended while this call was under way.
        if self.policy.keep_user_tokens && self.ledger.provisioned_for(account).await?.is_some() {
            return Ok(Whose::SiblingsKept);
        }
        Ok(if self.ledger.has_provisioned(account).await? { Whose::SiblingsNotKept } else { Whose::Strangers })
    }
}

/// What there is to say about an email that is taken; `None`: no more than Foxy says.
pub(crate) const fn about(whose: Whose) -> Option<&'static str> {
    match whose {
        Whose::Strangers | Whose::SiblingsNotKept => None,
        Whose::PerhapsSiblings => Some("another signup of this customer is making the user"),
        Whose::SiblingsKept => Some("another signup of this customer has made the user, which is used next"),
        Whose::Unclear => Some("the ledger does not say whether another signup of this customer has made the user"),
    }
}
