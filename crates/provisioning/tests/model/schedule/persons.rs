//! What people do to signups while workers are at it: another try, a correction, closing for good, forgetting.

use foxden_ledger::{
    By, Cancellation, CorrectedKey, Correction, Filter, Forgetting, ParkedReason, Provisioning, Source, State, Step,
};
use foxden_provisioning::{cancelled_event, plan::may_cancel};

use super::Act;

/// What is corrected. The rule of what may be is the intake's; these two are within it.
enum Mended {
    Email(String),
    Domain(String),
}

impl Act<'_> {
    /// A person does something to one of the signups, if it can be done.
    pub(super) async fn person(&mut self) {
        let rows = self.world.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
        let Some(row) = self.dice.choice(rows) else { return };
        match (self.dice.u32(..100), row.state) {
            (0..40, State::Parked) => self.retry(&row).await,
            (40..75, State::Parked) => self.correct(&row).await,
            (75.., State::Parked) | (85.., State::Due | State::InFlight | State::Unknown) => self.cancel(&row).await,
            (60.., State::Closed) => self.forget(&row).await,
            _ => {}
        }
    }

    async fn retry(&mut self, row: &Provisioning) {
        let retried = self.world.ledger.retry(&row.signup_id, "a person").await.unwrap();
        self.say(&format!("a person retries {}: {retried:?}", row.signup_id));
    }

    async fn cancel(&mut self, row: &Provisioning) {
        let is_held = row.lease_until_ms.is_some_and(|until| until >= self.world.clock.now_ms());
        if may_cancel(row.step, row.state, is_held).is_err() {
            return;
        }
        let cancellation = Cancellation {
            by: By::new("a person"),
            keep_user_token: self.world.shape.keep_user_tokens,
            event: cancelled_event(row, "a person's reason"),
            tell_anyway: true,
        };
        if self.world.ledger.cancel(row, cancellation).await.unwrap().is_some() {
            self.say(&format!("a person cancels {}", row.signup_id));
            self.world.acts.cancelled.insert(row.signup_id.to_string());
        }
    }

    async fn forget(&mut self, row: &Provisioning) {
        let what = Forgetting { tokens: self.dice.bool(), links: self.dice.bool() };
        let forget = self.world.ledger.forget(&row.signup_id, what, &By::new("a person")).await.unwrap();
        self.say(&format!("a person forgets {}, {what:?}: {}", row.signup_id, name_of(&forget)));
        let is_done = matches!(forget, foxden_ledger::Forget::Done(_));
        // Links are for forgetting when Foxy has removed what they lead to.
        if what.links && is_done {
            self.world.books().remove_store_of(row.signup_id.as_str());
        }
        if what.tokens && is_done {
            self.world.acts.given_up_stores.insert(row.signup_id.to_string());
        }
    }

    async fn correct(&mut self, row: &Provisioning) {
        let Some(number) = self.world.signups.iter().position(|signup| signup.id == row.signup_id) else { return };
        self.world.acts.corrections += 1;
        let fresh = format!("corrected-{}", self.world.acts.corrections);
        let mended = match (row.step, row.parked_reason) {
            (Step::User, Some(ParkedReason::EmailTaken | ParkedReason::UserTokenNotKept))
                if !row.in_doubt && row.mailbox.is_none() =>
            {
                Mended::Email(format!("{fresh}@customers.example"))
            }
            (Step::Store, Some(ParkedReason::DomainTaken | ParkedReason::DomainReserved)) => Mended::Domain(fresh),
            _ => return,
        };
        let signup = self.world.signups[number].clone();
        let mut payload = signup.payload.clone();
        let key = match mended {
            Mended::Email(email) => {
                payload.user.email = email;
                CorrectedKey::User
            }
            Mended::Domain(domain) => {
                payload.store.domain = Some(domain.clone());
                CorrectedKey::Store(Some(domain))
            }
        };
        let custody = &self.world.custody;
        let account = signup.account.as_deref();
        let replaced = custody.fingerprint(&signup.id, account, &signup.payload);
        let correction = Correction {
            account_id: signup.account.clone(),
            source: Source::Amqp,
            payload: custody.seal_payload(&row.id, &row.signup_id, &payload).unwrap(),
            fingerprint: custody.fingerprint(&signup.id, account, &payload),
            key,
        };
        if self.world.ledger.correct(row, &replaced, correction).await.unwrap().is_some() {
            self.say(&format!("the parent app corrects {}: {:?}", signup.id, payload.store.domain));
            self.world.signups[number].payload = payload;
        }
    }
}

fn name_of(forget: &foxden_ledger::Forget) -> String {
    use foxden_ledger::Forget;
    match forget {
        Forget::Done(_) => "done".to_owned(),
        Forget::NotClosed(state) => format!("it is {state}"),
        Forget::UserInUse(by) => format!("{by} uses its user"),
        Forget::NotFound => "not found".to_owned(),
    }
}
