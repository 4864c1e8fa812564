//! The mark: a note on a new store that says which signup it is of, seen by no client of Foxy's API but ours.
//!
//! It is for people only. No store is found by it, or proved to be ours: a store may lack it, and Foxy doesn't vouch
//! for what it says.

use foxden_custody::TokenRow;
use foxden_ledger::Provisioning;
use foxy_api::{Attribute, HeldToken, Outcome};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{calls::Calls, runner::Runner};

/// What the note is called at Foxy.
const NAME: &str = "foxden_signup_id";

impl<F: Calls> Runner<F> {
    /// Marks a store once it is recorded, in the background and for no longer than a call may take. Best effort: not
    /// awaited, not made while stopping, never retried.
    pub(crate) fn mark(&self, row: &Provisioning) {
        if !self.policy.marks_stores {
            return;
        }
        let (runner, row) = (self.clone(), row.clone());
        let marking = async move {
            let marked = runner.stop.run_until_cancelled(runner.try_mark(&row)).await;
            match marked.unwrap_or_else(|| Err("the worker is stopping".to_owned())) {
                Ok(()) => tracing::debug!(event = "store.marked", "the store has the signup's id on it"),
                Err(reason) => {
                    tracing::warn!(
                        event = "store.not_marked",
                        reason,
                        "the store goes without its mark; all else is done"
                    );
                }
            }
        };
        tokio::spawn(marking.in_current_span());
    }

    async fn try_mark(&self, row: &Provisioning) -> Result<(), String> {
        let deadline = Instant::now() + self.policy.call_timeout;
        let held = self.ledger.credentials(&row.id).await.map_err(|error| error.to_string())?;
        let of_store = row.store_token(held);
        let Some((held, sealed)) = of_store.as_ref().and_then(|held| Some((held, held.sealed.as_ref()?))) else {
            return Err("the ledger holds no token of the store".to_owned());
        };
        self.custody.heed_end(&self.ledger, [sealed]).await.map_err(|error| error.to_string())?;
        let around = TokenRow::of(row, held);
        let token = self.custody.open_token(&around, sealed).map_err(|error| error.to_string())?;
        let token = HeldToken::new(token).kept_by(self.keeper(around));
        let mark = Attribute::restricted(NAME, row.signup_id.as_str());
        match self.foxy.mark_store(token, &mark, deadline).await.outcome {
            Outcome::Done(()) => Ok(()),
            Outcome::NoEffect(reason) => Err(reason.to_string()),
            Outcome::Rejected(rejection) => Err(format!("Foxy refused with status {}", rejection.status)),
            Outcome::Unknown(doubt) => Err(doubt.to_string()),
            Outcome::TokenLost(loss) => Err(loss.to_string()),
        }
    }
}
