//! The door to the ledger: a checked event goes in sealed, once.

mod telling;

use std::time::Duration;

use foxden_custody::{CaptchaCodes, Custody};
use foxden_ledger::{
    Accepted, Claimed, Correction, Known, Ledger, LedgerError, NewSignup, ParkedReason, Provisioning, ProvisioningId,
    Source, State, Step, WorkerId,
};
use foxden_vault::{Fingerprint, SealError};

use crate::{
    correction::{self, Contradiction},
    event::SignupEvent,
};

/// Admits checked events to the ledger, whichever way they came.
#[derive(Clone)]
pub struct Door {
    ledger: Ledger,
    custody: Custody,
    source: Source,
}

/// What admitting an event came to. Whichever it is, it is committed, and the message may be acknowledged.
#[derive(Debug)]
pub enum Admitted {
    /// It is new, and any worker may take it.
    Queued,
    /// It is new, and it is the caller's: leased, with the intent of the user step committed.
    Leased(Box<Claimed>),
    /// The same event was admitted before, perhaps with other captcha codes. Nothing is to be done.
    Duplicate(Box<Provisioning>),
    /// Its signup id was admitted before, with other content or captcha codes, and is parked. This has taken the place of
    /// that, and any worker may go on with it.
    Corrected(Box<Provisioning>),
    /// Its signup id was admitted before, with other content that this may not replace. It was not admitted.
    Conflict(Box<Provisioning>, Contradiction),
    /// Its signup id was admitted before, and what became of that can't be read. It was not admitted.
    Damaged(LedgerError),
}

/// Why it is not known that an event was admitted. Don't acknowledge its message: a repeat is recognized.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The ledger did not take it.
    #[error("the signup could not be written to the ledger")]
    Ledger(#[from] LedgerError),
    /// It could not be sealed, and nothing goes into the ledger unsealed.
    #[error("the signup could not be sealed")]
    Seal(#[from] SealError),
}

impl Door {
    /// A door for events that come from `source`.
    pub fn new(ledger: Ledger, custody: Custody, source: Source) -> Self {
        Self { ledger, custody, source }
    }

    /// Admits one event for this worker: when it is new, the caller holds the lease and may begin at once. `sealed` is
    /// what [`Door::seal`] made of it: the same each time that it is tried, so that an event whose first admission was
    /// committed without an answer is known for the caller's own.
    ///
    /// # Errors
    /// When it is not known to be committed.
    pub async fn admit_leased(
        &self,
        event: &SignupEvent,
        sealed: &NewSignup,
        worker: &WorkerId,
        lease: Duration,
    ) -> Result<Admitted, AdmitError> {
        let accepted = self.ledger.accept_leased(sealed.clone(), worker, lease).await?;
        self.admitted(event, accepted).await
    }

    /// Admits many events in one transaction, for any worker to take. The answers are in the order of the input.
    ///
    /// # Errors
    /// When they are not known to be committed. Those that are new are: all, or none.
    pub async fn admit_queued(&self, events: &[SignupEvent]) -> Result<Vec<Admitted>, AdmitError> {
        let signups = events.iter().map(|event| self.seal(event)).collect::<Result<Vec<_>, _>>()?;
        let accepted = self.ledger.accept_queued(signups).await?;
        let mut admitted = Vec::with_capacity(events.len());
        for (event, accepted) in events.iter().zip(accepted) {
            admitted.push(self.admitted(event, accepted).await?);
        }
        Ok(admitted)
    }

    /// Whether outcome events can be committed, as far as reading the outbox shows.
    pub(crate) async fn takes_outcomes(&self) -> Result<(), LedgerError> {
        self.ledger.waiting_events(1).await.map(drop)
    }

    /// Whether the ledger works: one read, for those who wait for it to come back.
    pub(crate) async fn ledger_answers(&self) -> Result<(), LedgerError> {
        self.ledger.now_ms().await.map(drop)
    }

    /// Seals one event under an id of its own.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, event: &SignupEvent) -> Result<NewSignup, SealError> {
        let id = ProvisioningId::new();
        Ok(NewSignup {
            payload: self.custody.seal_payload(&id, &event.signup_id, &event.payload)?,
            fingerprint: self.fingerprint(event),
            id,
            signup_id: event.signup_id.clone(),
            account_id: event.account_id.clone(),
            source: self.source,
        })
    }

    async fn admitted(&self, event: &SignupEvent, accepted: Accepted) -> Result<Admitted, AdmitError> {
        match accepted {
            Accepted::Queued => Ok(Admitted::Queued),
            Accepted::Leased(claimed) => Ok(Admitted::Leased(claimed)),
            Accepted::Known(known) => self.known(event, *known).await,
            Accepted::Damaged(error) => Ok(Admitted::Damaged(error)),
        }
    }

    /// An event whose signup id is known: a repeat, a correction, or neither.
    async fn known(&self, event: &SignupEvent, mut known: Known) -> Result<Admitted, AdmitError> {
        loop {
            let Known { provisioning: row, fingerprint } = known;
            // Where the fingerprint's key is gone, nothing tells them apart. To call it a conflict would dead-letter every
            // repeat of an old signup after a key was retired.
            let is_same = self.is_same(event, &fingerprint);
            if is_same != Some(false) && row.state != State::Parked {
                return Ok(Admitted::Duplicate(Box::new(row)));
            }
            self.custody.heed_end(&self.ledger, row.payload.as_ref()).await?;
            let old =
                row.payload.as_ref().and_then(|sealed| self.custody.open_payload(&row.id, &row.signup_id, sealed).ok());
            // The same, with captcha codes that have not been tried.
            let refreshed = old
                .as_ref()
                .filter(|old| is_same == Some(true) && are_fresh(&event.payload.captcha, &old.captcha, &row));
            if is_same != Some(false) && refreshed.is_none() {
                return Ok(Admitted::Duplicate(Box::new(row)));
            }
            // Brokers and publishers repeat: what was replaced must not come back because it came late.
            let former = self.ledger.superseded_contents(&row).await?;
            let is_former = |former| match refreshed {
                // Where the key is gone: a code that comes back costs one refused call, a fresh one kept out costs the signup.
                Some(_) => self.has_same_codes(event, former) == Some(true),
                None => self.is_same(event, former) != Some(false),
            };
            if former.iter().any(is_former) {
                return Ok(Admitted::Duplicate(Box::new(row)));
            }
            let key = match (correction::judge(&row, old.as_ref(), event), refreshed) {
                (Ok(key), _) => key,
                // It asks for nothing else than what was accepted, so there is nothing to alarm anybody about.
                (Err(_), Some(_)) => return Ok(Admitted::Duplicate(Box::new(row))),
                (Err(contradiction), None) => return Ok(Admitted::Conflict(Box::new(row), contradiction)),
            };
            let replaced = match refreshed {
                Some(old) => self.custody.fingerprint_with_codes(&event.signup_id, event.account_id.as_deref(), old),
                None => fingerprint,
            };
            let correction = Correction {
                account_id: event.account_id.clone(),
                source: self.source,
                payload: self.custody.seal_payload(&row.id, &row.signup_id, &event.payload)?,
                fingerprint: self.fingerprint(event),
                key,
            };
            if let Some(corrected) = self.ledger.correct(&row, &replaced, correction).await? {
                return Ok(Admitted::Corrected(Box::new(corrected)));
            }
            // It has changed since it was read.
            known = self.ledger.known(&event.signup_id).await?;
        }
    }

    fn fingerprint(&self, event: &SignupEvent) -> Fingerprint {
        self.custody.fingerprint(&event.signup_id, event.account_id.as_deref(), &event.payload)
    }

    fn is_same(&self, event: &SignupEvent, earlier: &Fingerprint) -> Option<bool> {
        self.custody.is_same_event(&event.signup_id, event.account_id.as_deref(), &event.payload, earlier)
    }

    fn has_same_codes(&self, event: &SignupEvent, earlier: &Fingerprint) -> Option<bool> {
        self.custody.has_same_codes(&event.signup_id, event.account_id.as_deref(), &event.payload, earlier)
    }
}

/// Whether codes let the step at which a provisioning stands be tried again. Not those that lack the code which the old
/// ones have for it: that call would be sent without, and Foxy's demand for one pauses all calls.
fn are_fresh(new: &CaptchaCodes, old: &CaptchaCodes, row: &Provisioning) -> bool {
    let (new_code, old_code) = match row.step {
        Step::User => (&new.user, &old.user),
        Step::Store | Step::Done => (&new.store, &old.store),
    };
    match row.parked_reason {
        _ if new_code.is_none() && old_code.is_some() => false,
        // What was refused is not tried again.
        Some(ParkedReason::CaptchaRefused) => new_code != old_code,
        _ => new != old,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foxden_custody::CaptchaCodes;
    use foxden_ledger::{ParkedReason, Provisioning, State, Step, WorkerId};

    use super::{Admitted, Door, are_fresh};
    use crate::{
        event::SignupEvent,
        testing::{self, event},
    };

    const LEASE: Duration = Duration::from_secs(60);

    async fn lease(door: &Door, event: &SignupEvent, worker: &WorkerId) -> Admitted {
        door.admit_leased(event, &door.seal(event).unwrap(), worker, LEASE).await.unwrap()
    }

    #[tokio::test]
    async fn an_admission_whose_answer_was_lost_is_the_callers_own_when_it_is_tried_again() {
        let (door, worker, event) = (testing::door().await, WorkerId::new(), event("s-1", "Ada"));
        let sealed = door.seal(&event).unwrap();
        for _ in 0..2 {
            let admitted = door.admit_leased(&event, &sealed, &worker, LEASE).await.unwrap();
            let Admitted::Leased(claimed) = admitted else { panic!("{admitted:?}") };
            assert_eq!((claimed.provisioning.intents, claimed.lease.epoch), (1, 1));
        }
        let other = door.admit_leased(&event, &sealed, &WorkerId::new(), LEASE).await.unwrap();
        assert!(matches!(other, Admitted::Duplicate(_)), "{other:?}");
    }

    #[tokio::test]
    async fn a_new_event_is_leased_and_a_repeat_is_a_duplicate() {
        let door = testing::door().await;
        let worker = WorkerId::new();
        let Admitted::Leased(claimed) = lease(&door, &event("s-1", "Ada"), &worker).await else { panic!("not leased") };
        assert_eq!(claimed.provisioning.state, State::InFlight);
        let repeat = lease(&door, &event("s-1", "Ada"), &worker).await;
        assert!(matches!(repeat, Admitted::Duplicate(row) if row.id == claimed.provisioning.id), "not a duplicate");
    }

    #[tokio::test]
    async fn the_same_signup_id_with_other_content_is_a_conflict() {
        let door = testing::door().await;
        door.admit_queued(&[event("s-1", "Ada")]).await.unwrap();
        let other = lease(&door, &event("s-1", "Eve"), &WorkerId::new()).await;
        assert!(matches!(other, Admitted::Conflict(..)), "{other:?}");
    }

    #[tokio::test]
    async fn another_captcha_code_for_a_signup_that_is_not_parked_is_a_duplicate() {
        let (door, mut event) = (testing::door().await, event("s-1", "Ada"));
        for code in ["first", "second"] {
            event.payload.captcha.user = Some(code.into());
            let admitted = lease(&door, &event, &WorkerId::new()).await;
            assert_eq!(matches!(admitted, Admitted::Leased(_)), code == "first", "{admitted:?}");
            assert_eq!(matches!(admitted, Admitted::Duplicate(_)), code == "second", "{admitted:?}");
        }
    }

    #[tokio::test]
    async fn codes_are_fresh_only_with_another_code_for_the_step_that_was_refused() {
        let row = testing::leased(&event("s-1", "Ada")).await;
        let codes = |user: Option<&str>, store: Option<&str>| CaptchaCodes {
            user: user.map(str::to_owned),
            store: store.map(str::to_owned),
        };
        let old = codes(Some("u"), Some("s"));
        for (step, reason, new, expected) in [
            (Step::User, ParkedReason::CaptchaRefused, codes(Some("u2"), Some("s")), true),
            (Step::User, ParkedReason::CaptchaRefused, codes(Some("u"), Some("s2")), false),
            (Step::User, ParkedReason::CaptchaRefused, codes(None, None), false),
            (Step::User, ParkedReason::RejectedByFoxy, codes(None, Some("s2")), false),
            (Step::User, ParkedReason::RejectedByFoxy, codes(Some("u"), Some("s2")), true),
            (Step::Store, ParkedReason::CaptchaRefused, codes(None, Some("s2")), true),
            (Step::Store, ParkedReason::CaptchaRefused, codes(Some("u2"), Some("s")), false),
            (Step::Store, ParkedReason::AttemptsExhausted, codes(Some("u2"), None), false),
        ] {
            let row = Provisioning { step, state: State::Parked, parked_reason: Some(reason), ..row.clone() };
            assert_eq!(are_fresh(&new, &old, &row), expected, "{step} {reason} {:?} {:?}", new.user, new.store);
        }
    }

    #[tokio::test]
    async fn many_are_admitted_at_once_and_told_apart() {
        let door = testing::door().await;
        let events = [event("s-1", "Ada"), event("s-2", "Ada"), event("s-1", "Ada"), event("s-2", "Eve")];
        let admitted = door.admit_queued(&events).await.unwrap();
        assert!(
            matches!(
                &admitted[..],
                [Admitted::Queued, Admitted::Queued, Admitted::Duplicate(_), Admitted::Conflict(..)]
            ),
            "{admitted:?}"
        );
    }

    #[tokio::test]
    async fn a_repeat_is_a_duplicate_where_the_key_of_its_fingerprint_is_gone() {
        let ledger = testing::ledger().await;
        testing::door_to(&ledger).admit_queued(&[event("s-1", "Ada")]).await.unwrap();
        let other_ring = testing::door_to(&ledger);
        let repeat = other_ring.admit_queued(&[event("s-1", "Ada")]).await.unwrap();
        assert!(matches!(&repeat[..], [Admitted::Duplicate(_)]), "{repeat:?}");
    }
}
