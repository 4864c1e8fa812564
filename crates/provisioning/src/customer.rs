//! What the other signups of the same customer have to do with one: they may share its user.

use foxden_ledger::{AttemptOutcome, Facts, LedgerError, Provisioning};

use crate::{
    calls::Calls,
    domain,
    finding::Finding,
    plan::{Cause, Refusal, Seen},
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

    /// Whether an email that is taken, and was in doubt, may be that of a user which another signup of the customer
    /// has made.
    pub(crate) async fn may_be_anothers(&self, row: &Provisioning) -> bool {
        if row.restored_to_ms.is_some() || row.mailbox.is_some() {
            return false;
        }
        // Where the ledger does not answer, the lookup asks it again.
        let is_at_work = self.another_may_have_made_the_user(row).await.unwrap_or(true);
        let Some(account) = row.account_id.as_deref().filter(|_| self.policy.keep_user_tokens) else { return false };
        is_at_work || !matches!(self.ledger.provisioned_for(account).await, Ok(None))
    }

    /// What an email that is taken means for a customer who has other signups, and what there is to say about it. `None`:
    /// it is somebody else's.
    pub(crate) async fn why_email_is_taken(
        &self,
        row: &Provisioning,
        account: &str,
    ) -> Option<(Seen, Option<&'static str>)> {
        let again = |note| Some((Seen::NoEffect(Cause::Passing { at_least: None }), Some(note)));
        // Nothing was created, so where the ledger does not answer it may be asked, and Foxy be called, once more.
        let unknown = "the ledger does not say whether another signup of this customer has made the user";
        match self.ledger.another_may_have_the_user_of(row, account).await {
            Ok(true) => return again("another signup of this customer is making the user"),
            Ok(false) => {}
            Err(_) => return again(unknown),
        }
        if self.policy.keep_user_tokens {
            // It ended while this call was under way.
            match self.ledger.provisioned_for(account).await {
                Ok(Some(_)) => return again("another signup of this customer has made the user, which is used next"),
                Ok(None) => {}
                Err(_) => return again(unknown),
            }
        }
        match self.ledger.has_provisioned(account).await {
            Ok(true) => Some((Seen::Rejected(Refusal::EmailOfOwnUser), None)),
            Ok(false) => None,
            Err(_) => again(unknown),
        }
    }
}
