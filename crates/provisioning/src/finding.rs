//! What a call or a lookup has brought: what the plan decides by, and what the ledger keeps of it.

use std::time::Duration;

use foxden_custody::Payload;
use foxden_ledger::{Attempt, AttemptId, AttemptKind, AttemptOutcome, Facts, NewCredential, Provisioning, Step};
use foxden_vault::Sealed;
use foxy_api::{
    Doubt, Evidence, NoEffect, NotSent, Outcome, ReadError, Rejection, RejectionKind, SetupFault, TokenLoss,
};

use crate::{
    gate::{Closed, Sign},
    plan::{Cause, Refusal, Seen, Unopenable, Whose},
    scrub::scrub,
};

/// One finding.
pub(crate) struct Finding {
    pub(crate) seen: Seen,
    /// How it ended, for the evidence. It follows from what was seen, unless the plan is to see it as something else.
    pub(crate) outcome: AttemptOutcome,
    pub(crate) http_status: Option<u16>,
    pub(crate) logref: Option<String>,
    /// What else helps a person, free of personal data.
    pub(crate) note: Option<String>,
    pub(crate) took: Duration,
    pub(crate) credential: Option<NewCredential>,
    pub(crate) facts: Facts,
    /// The user's token that was used, as it was kept.
    pub(crate) used_token: Option<Sealed>,
    /// The row's user is the customer's own, who let us make a store under it and no more.
    pub(crate) user_is_customers_own: bool,
    /// A fault of the set-up that was met.
    pub(crate) fault: Option<SetupFault>,
    /// What it says of Foxy.
    pub(crate) sign: Sign,
    /// For how long the rate of calls holds back others too.
    pub(crate) hold: Option<Duration>,
}

impl Finding {
    /// A finding that no call was needed for.
    pub(crate) fn of(seen: Seen, note: &str) -> Self {
        Self {
            seen,
            outcome: outcome(seen),
            http_status: None,
            logref: None,
            note: (!note.is_empty()).then(|| note.to_owned()),
            took: Duration::ZERO,
            credential: None,
            facts: Facts::default(),
            used_token: None,
            user_is_customers_own: false,
            fault: None,
            sign: Sign::None,
            hold: None,
        }
    }

    /// The finding that nothing was sent, since the gate is closed.
    pub(crate) fn of_closed(why: Closed) -> Self {
        let (cause, note) = match why {
            Closed::Paused => (Cause::SetUp, "not sent: calls to Foxy are paused"),
            Closed::Down => (Cause::HeldBack { at_least: None }, "not sent: Foxy is down"),
        };
        Self::of(Seen::NoEffect(cause), note)
    }

    /// The finding that what is sealed for the signup does not open.
    pub(crate) fn of_sealed(why: Unopenable) -> Self {
        let note = match why {
            Unopenable::KeyMissing => "the key that seals it is not in the key ring",
            Unopenable::Unreadable => "what is sealed for it does not open, or is not what this release reads",
            Unopenable::Mismatch => "what is sealed for it was sealed for another signup, address or call",
        };
        Self::of(Seen::Sealed(why), note)
    }

    /// The finding of a lookup that was answered.
    pub(crate) fn of_answer(seen: Seen, note: &str) -> Self {
        Self { sign: Sign::Answered, ..Self::of(seen, note) }
    }

    /// The finding of a create call that did not succeed.
    pub(crate) fn of_failure<T>(outcome: &Outcome<T>, evidence: Evidence, step: Step, payload: &Payload) -> Self {
        // Of a platform that sends codes: only this signup lacks one, and can be given it once it is parked.
        let lacks_code = !payload.captcha.is_empty()
            && matches!(outcome, Outcome::NoEffect(NoEffect::SetupFault(SetupFault::CaptchaDemanded)));
        let (seen, note) = match outcome {
            Outcome::Done(_) => (Seen::Done { link_is_trusted: true }, None),
            Outcome::NoEffect(_) if lacks_code => {
                let note = "Foxy demands a captcha, and the event's codes have none for this step";
                (Seen::Rejected(Refusal::CaptchaRefused), Some(note.to_owned()))
            }
            Outcome::NoEffect(reason) => (Seen::NoEffect(cause(reason, step)), Some(reason.to_string())),
            Outcome::Rejected(rejection) => {
                (Seen::Rejected(refusal(rejection.kind)), Some(reasons(rejection, payload)))
            }
            Outcome::Unknown(doubt) => (Seen::Unknown, Some(doubt.to_string())),
            Outcome::TokenLost(loss) => (Seen::TokenLost, Some(loss.to_string())),
        };
        // The error underneath distinguishes a refused connection from a name that does not resolve.
        let note = match (note, &evidence.cause) {
            (Some(note), Some(cause)) => Some(format!("{note}: {}", scrub(&innermost(cause.as_ref()), payload))),
            (note, _) => note,
        };
        let fault = match outcome {
            Outcome::NoEffect(NoEffect::SetupFault(fault)) if !lacks_code => Some(fault.clone()),
            _ => None,
        };
        let hold = match outcome {
            Outcome::NoEffect(NoEffect::RateLimited { retry_after }) => *retry_after,
            Outcome::NoEffect(NoEffect::HeldBack { wait }) => Some(*wait),
            _ => None,
        };
        let found = Self { note, fault, hold, sign: sign(outcome, &evidence), ..Self::of(seen, "") };
        let found = match outcome {
            Outcome::Unknown(Doubt::KeptConnectionLost) => {
                Self { outcome: AttemptOutcome::UnknownOnKeptConnection, ..found }
            }
            _ => found,
        };
        found.with_evidence(evidence)
    }

    /// The finding of a lookup that brought no answer.
    pub(crate) fn of_unclear(error: &ReadError, step: Step) -> Self {
        let seen = match error {
            ReadError::Revoked => Seen::NoEffect(Cause::UserTokenRefused),
            ReadError::SetupFault(fault) if concerns_all(fault, step) => Seen::NoEffect(Cause::SetUp),
            ReadError::SetupFault(_) => Seen::Unclear,
            ReadError::HeldBack { wait } => Seen::NoEffect(Cause::HeldBack { at_least: Some(*wait) }),
            ReadError::RateLimited { .. }
            | ReadError::Unavailable { .. }
            | ReadError::NotKept { .. }
            | ReadError::Unreadable { .. } => Seen::Unclear,
        };
        let fault = match error {
            ReadError::SetupFault(fault) => Some(fault.clone()),
            _ => None,
        };
        let (sign, hold) = match error {
            ReadError::SetupFault(_) | ReadError::Revoked => (Sign::Answered, None),
            ReadError::RateLimited { retry_after } => (Sign::None, *retry_after),
            ReadError::HeldBack { wait } => (Sign::None, Some(*wait)),
            ReadError::Unavailable { .. } => (Sign::Outage, None),
            // Of the latter it is our own ledger that does not answer.
            ReadError::Unreadable { .. } | ReadError::NotKept { .. } => (Sign::None, None),
        };
        let note = match error {
            ReadError::Unavailable { source, .. } => format!("{error}: {}", innermost(source.as_ref())),
            _ => error.to_string(),
        };
        Self { fault, sign, hold, outcome: AttemptOutcome::Unclear, ..Self::of(seen, &note) }
    }

    pub(crate) fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.http_status = evidence.http_status;
        self.logref = evidence.logref;
        self.took = evidence.elapsed;
        self
    }

    /// The evidence row.
    pub(crate) fn attempt(&self, row: &Provisioning, kind: AttemptKind) -> Attempt {
        Attempt {
            id: AttemptId::new(),
            kind,
            step: row.step,
            intent: row.intents,
            // The user step's key is an email, which does not belong into evidence.
            natural_key: row.store_domain.clone().filter(|_| row.step == Step::Store),
            took: self.took,
            outcome: self.outcome,
            http_status: self.http_status,
            logref: self.logref.clone(),
            note: self.note.clone(),
        }
    }
}

/// How a call or lookup ended, by what was seen.
const fn outcome(seen: Seen) -> AttemptOutcome {
    match seen {
        Seen::Done { .. } => AttemptOutcome::Done,
        Seen::NoEffect(_) | Seen::DomainHeld(_) | Seen::UserForgotten => AttemptOutcome::NoEffect,
        Seen::Rejected(_) => AttemptOutcome::Rejected,
        Seen::Unknown => AttemptOutcome::Unknown,
        Seen::TokenLost => AttemptOutcome::TokenLost,
        Seen::TokenHeld { .. } => AttemptOutcome::TokenHeld,
        Seen::Absent | Seen::AbsentAfterRefusal(_) => AttemptOutcome::Absent,
        Seen::Present => AttemptOutcome::Present,
        Seen::PresentElsewhere => AttemptOutcome::PresentElsewhere,
        Seen::PresentUnclear => AttemptOutcome::PresentUnclear,
        Seen::Unclear => AttemptOutcome::Unclear,
        Seen::DomainUnset => AttemptOutcome::DomainChosen,
        Seen::Sealed(_) => AttemptOutcome::NotOpened,
    }
}

/// Whether it is certain that every other call would meet the fault too: a harmless call has met it (the token endpoint, the
/// client's home document), or none could show it (a captcha). Of the others one signup may be alone with it (a firewall that
/// dislikes its name) or one user; the gate finds out.
pub(crate) const fn concerns_all(fault: &SetupFault, step: Step) -> bool {
    match fault {
        SetupFault::InvalidClient
        | SetupFault::GrantRefused
        | SetupFault::CaptchaDemanded
        | SetupFault::CaptchaRefused => true,
        SetupFault::ForeignLink { .. }
        | SetupFault::MissingLink(_)
        | SetupFault::OtherScope(_)
        | SetupFault::OtherTokenType => matches!(step, Step::User),
        SetupFault::Forbidden
        | SetupFault::InsufficientScope
        | SetupFault::TokenRefused
        | SetupFault::OtherClientUnknown(_)
        | SetupFault::OtherClientRefused(_) => false,
    }
}

/// What the end of a create call says of Foxy. An answer of any sense proves that it works, a refusal included; a 429
/// is the rate's concern.
fn sign<T>(outcome: &Outcome<T>, evidence: &Evidence) -> Sign {
    match outcome {
        Outcome::Done(_) | Outcome::Rejected(_) => Sign::Answered,
        Outcome::NoEffect(reason) => match reason {
            NoEffect::NotSent(NotSent::RequestInvalid | NotSent::Withdrawn)
            | NoEffect::RateLimited { .. }
            | NoEffect::HeldBack { .. } => Sign::None,
            // That its time was over means that links or a token did not come in time.
            NoEffect::NotSent(
                NotSent::DeadlinePassed
                | NotSent::NameNotResolved
                | NotSent::ConnectionRefused
                | NotSent::ConnectTimedOut
                | NotSent::Tls
                | NotSent::ConnectFailed,
            )
            | NoEffect::Unavailable { .. } => Sign::Outage,
            // It was not sent: a read or the token endpoint has answered, which is no word on creates.
            NoEffect::SetupFault(_) | NoEffect::TokenRefused if evidence.http_status.is_none() => Sign::None,
            NoEffect::SetupFault(_)
            | NoEffect::LinksChanged
            | NoEffect::TokenRefused
            | NoEffect::ReasonsLost { .. } => Sign::Answered,
        },
        Outcome::Unknown(
            Doubt::TimedOut | Doubt::ConnectionLost | Doubt::KeptConnectionLost | Doubt::Status(500..),
        ) => Sign::Outage,
        Outcome::Unknown(Doubt::Status(_)) => Sign::Answered,
        Outcome::Unknown(Doubt::Redirected) => Sign::None,
        // Something on the way takes the tokens, and each one costs a person's time.
        Outcome::TokenLost(TokenLoss::BodyCut | TokenLoss::BodyUnreadable) => Sign::Outage,
        Outcome::TokenLost(TokenLoss::BodyTooLarge | TokenLoss::NoToken) => Sign::Answered,
    }
}

fn cause(reason: &NoEffect, step: Step) -> Cause {
    match reason {
        NoEffect::HeldBack { wait } => Cause::HeldBack { at_least: Some(*wait) },
        // The gate has closed while it waited; what is due then is looked at again once it is open.
        NoEffect::NotSent(NotSent::Withdrawn) => Cause::HeldBack { at_least: None },
        NoEffect::NotSent(_) | NoEffect::ReasonsLost { .. } => Cause::Passing { at_least: None },
        NoEffect::RateLimited { retry_after } | NoEffect::Unavailable { retry_after } => {
            Cause::Passing { at_least: *retry_after }
        }
        NoEffect::SetupFault(fault) if concerns_all(fault, step) => Cause::SetUp,
        // Retried, and parked when it has gone on for too long.
        NoEffect::SetupFault(_) => Cause::Passing { at_least: None },
        // Foxy may be moving its links; discovering them again later is harmless.
        NoEffect::LinksChanged => Cause::Passing { at_least: None },
        NoEffect::TokenRefused => Cause::UserTokenRefused,
    }
}

const fn refusal(kind: RejectionKind) -> Refusal {
    match kind {
        // The ledger is asked next.
        RejectionKind::EmailTaken => Refusal::EmailTaken(Whose::Strangers),
        RejectionKind::DomainTaken => Refusal::DomainTaken,
        RejectionKind::DomainReserved => Refusal::DomainReserved,
        RejectionKind::InvalidFields => Refusal::Other,
        RejectionKind::CaptchaRefused => Refusal::CaptchaRefused,
        RejectionKind::Unread => Refusal::Unread,
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Foxy's words, without anything of the person they are about.
fn reasons(rejection: &Rejection, payload: &Payload) -> String {
    let said = rejection.errors.iter().map(|error| scrub(error.message(), payload));
    let said: Vec<String> = said.filter(|said| !said.trim().is_empty()).collect();
    if said.is_empty() { format!("status {} without a reason", rejection.status) } else { said.join("; ") }
}
