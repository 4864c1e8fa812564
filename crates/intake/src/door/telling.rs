//! What the intake itself has to tell the parent app: of events that are not taken, and of those that came again.

use foxden_ledger::{
    LedgerError, OutcomeData, OutcomeEvent, OutcomeKind, Provisioning, ProvisioningId, State, ToldMistake,
};
use uuid::{Builder, Uuid};

use super::Door;
use crate::{dead_reason::DeadReason, event::Mistake};

/// What the fingerprint is for that the id of a rejection is made of.
const REJECTION: &str = "rejection";

impl Door {
    /// The event, with its id, that tells of an event that is not taken. The same body refused for the same reason and mistakes
    /// has the same id, however often it is delivered, as long as the first key of the ring stays: the digest is keyed, since it
    /// leaves the house and personal data can be guessed at (decision 0003).
    pub(crate) fn rejection(
        &self,
        signup_id: &str,
        reason: DeadReason,
        mistakes: &[Mistake],
        body: &[u8],
    ) -> (String, OutcomeEvent) {
        let mut content = Vec::with_capacity(signup_id.len() + body.len() + 32);
        let found = mistakes.iter().flat_map(|mistake| [mistake.path.as_bytes(), mistake.problem.as_bytes()]);
        for part in [signup_id.as_bytes(), reason.as_str().as_bytes(), body].into_iter().chain(found) {
            content.extend_from_slice(&(part.len() as u64).to_be_bytes());
            content.extend_from_slice(part);
        }
        let digest = self.custody.ring().fingerprint(REJECTION, &content);
        let (_, id) = digest.as_bytes().split_last_chunk().expect("a fingerprint is longer than an id");
        let told = |mistake: &Mistake| ToldMistake { path: mistake.path.clone(), problem: mistake.problem.clone() };
        let data = OutcomeData {
            signup_id: signup_id.to_owned(),
            reason: Some(reason.as_str().to_owned()),
            mistakes: mistakes.iter().map(told).collect(),
            ..OutcomeData::default()
        };
        (Builder::from_custom_bytes(*id).into_uuid().to_string(), OutcomeEvent { kind: OutcomeKind::Rejected, data })
    }

    /// The event, with an id of its own, that answers a duplicate with where its signup stands.
    pub(crate) fn answer(row: &Provisioning) -> (String, OutcomeEvent) {
        let reason = row.parked_reason.filter(|_| row.state == State::Parked);
        let data = OutcomeData {
            state: Some(row.standing().to_owned()),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            advice: reason.map(|reason| reason.advice().to_owned()),
            ..OutcomeData::of(row)
        };
        (Uuid::now_v7().to_string(), OutcomeEvent { kind: OutcomeKind::Duplicate, data })
    }

    /// Commits the answer to a duplicate.
    ///
    /// # Errors
    /// When it is not known to be committed: try again.
    pub(crate) async fn tell_standing(&self, id: &ProvisioningId) -> Result<(), LedgerError> {
        self.ledger.tell_standing(id, Self::answer).await
    }

    /// Commits an outcome event.
    ///
    /// # Errors
    /// When it is not known to be committed: try again, under the same id.
    pub(crate) async fn tell(&self, event_id: String, event: OutcomeEvent) -> Result<(), LedgerError> {
        self.ledger.tell(event_id, event).await
    }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{ParkedReason, Provisioning, State, Step};

    use super::Door;
    use crate::{
        dead_reason::DeadReason,
        event::{Mistake, SignupEvent},
        testing,
    };

    #[tokio::test]
    async fn the_same_body_refused_for_the_same_reason_is_one_event() {
        let ledger = testing::ledger().await;
        let door = testing::door_to(&ledger);
        let mistakes = [Mistake { path: "store.country".into(), problem: "must be in upper case".into() }];
        let id = |signup_id, reason, body: &[u8]| door.rejection(signup_id, reason, &mistakes, body).0;
        let first = id("s-1", DeadReason::Invalid, b"body");
        let others = [
            id("s-2", DeadReason::Invalid, b"body"),
            id("s-1", DeadReason::Conflict, b"body"),
            id("s-1", DeadReason::Invalid, b"bodies"),
        ];
        assert!(!others.contains(&first), "{first} {others:?}");
        for _ in 0..2 {
            let (event_id, event) = door.rejection("s-1", DeadReason::Invalid, &mistakes, b"body");
            assert_eq!(event_id, first);
            door.tell(event_id, event).await.unwrap();
        }
        let waiting = ledger.waiting_events(10).await.unwrap();
        let told: Vec<_> = waiting.iter().map(|told| (&told.event_id, &told.event.data.mistakes[0].path)).collect();
        assert_eq!(told, [(&first, &"store.country".to_owned())]);
    }

    #[tokio::test]
    async fn a_rejection_repeats_no_value_of_the_event() {
        let door = testing::door().await;
        let body = String::from_utf8(testing::body("s-1", "Ada")).unwrap().replace("ada@example.com", "ada at example");
        let error = SignupEvent::parse(body.as_bytes()).unwrap_err();
        let (_, event) = door.rejection("s-1", error.reason(), &error.mistakes, body.as_bytes());
        let text = format!("{:?}", event.data);
        assert!(
            text.contains("user.email") && !text.contains("ada at example") && !text.contains("Lovelace"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_answer_says_where_the_signup_stands() {
        let row = testing::leased(&testing::event("s-1", "Ada")).await;
        let row = |step, state, parked_reason| Provisioning { step, state, parked_reason, ..row.clone() };
        let parked = Some(ParkedReason::DomainTaken);
        for (row, state, reason) in [
            (row(Step::User, State::InFlight, None), "in_flight", None),
            (row(Step::Store, State::Parked, parked), "parked", Some("domain_taken")),
            (row(Step::Store, State::Closed, parked), "cancelled", None),
            (row(Step::Done, State::Closed, None), "provisioned", None),
        ] {
            let data = Door::answer(&row).1.data;
            assert_eq!((data.state.as_deref(), data.reason.as_deref()), (Some(state), reason));
        }
    }
}
