//! What comes next: pure decisions, no I/O.
//!
//! [`decide`] is the one function that holds every legal transition. It is given where a provisioning stands and what
//! was seen, and answers what to do, or refuses. Recovery after a crash goes through it like everything else.

mod cancelling;
mod seen;
mod situation;

use std::time::Duration;

use foxden_ledger::{Doubt, Hold, ParkedReason, RefusedFor, State, Step};

pub use cancelling::{LeftBehind, NotCancellable, Presence, left_behind, may_cancel};
pub use seen::{Cause, Refusal, Seen, Unopenable, Whose};
pub(crate) use situation::Worker;
pub use situation::{Situation, TokenSearch};

/// How often a lookup must find nothing of ours before a refusal, or a domain that exists elsewhere, is believed:
/// listings may lag behind what was created. How far is not known (Foxy's pages don't say), so the looks must also reach
/// past the lag that the operator allows for.
pub const LOOKS_BEFORE_BELIEVING: u32 = 3;

/// How often a step is tried at least before it is given up, however long the pauses between its tries are.
pub const TRIES_BEFORE_GIVING_UP: u32 = 3;

/// How many derived store domains are tried. The last ones end in a random tail, so more would not help.
pub const DOMAIN_TRIES: u32 = 20;

/// How many users are made for one signup whose mailbox the platform owns. Where that many tokens are lost in a row,
/// something on the way takes them, and would take the next one too.
pub const GENERATIONS: u32 = 5;

/// The plan's answer to what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A token is about to be given up for lost: look for it in the ledger and in our own escrow, then ask again.
    SeekToken,
    /// It is decided.
    Decided(Verdict),
}

/// What comes of what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What to do next.
    pub decision: Decision,
    /// Whether it counts as a try, and the pause that follows as time in which the step was tried.
    pub is_a_try: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The user is there, or a store domain is chosen for it: announce the store's create call.
    AnnounceStore,
    /// The same, but this worker is stopping: the store's call is left to the next one.
    LeaveStore,
    /// The user is there, and so may be a store that the older copy of the ledger does not know: look, before one is
    /// announced.
    LookForStore,
    /// The store is there: record the end.
    Finish,
    /// Send the same call again later.
    Retry(Wait),
    /// Look up, later, what became of the call.
    LookUp(Wait, Doubt),
    /// Announce the store's create call with the next derived domain.
    NextDomain,
    /// After a pause, make another user, with the next generation's email. The pause gives whatever takes the tokens
    /// time to end.
    NextGeneration(Wait),
    /// Stop until someone acts.
    Park(ParkedReason),
}

/// How long to wait. The schedule gives the pause after that many failures before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    None,
    /// As the schedule says.
    Backoff {
        /// How many.
        failures: u32,
    },
    /// As the schedule says, but at least this long.
    AtLeast {
        /// How long.
        least: Duration,
        /// How many.
        failures: u32,
    },
}

/// A transition that must not happen: a fault of ours, or a row that was tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{seen:?} can't be seen at step {step} in state {state}")]
pub struct Illegal {
    /// The step it stood at.
    pub step: Step,
    /// The state it stood in.
    pub state: State,
    /// What was seen.
    pub seen: Seen,
}

/// Every legal transition.
///
/// # Errors
/// [`Illegal`] where what was seen can't be seen from where the provisioning stands.
pub fn decide(at: &Situation, seen: Seen) -> Result<Answer, Illegal> {
    let mut decision = next(at, seen)?;
    if at.in_doubt && gives_up_a_token(decision, seen) {
        match at.token_search {
            TokenSearch::NotYet => return Ok(Answer::SeekToken),
            TokenSearch::Over => {}
            // It may be there, so nothing is settled.
            TokenSearch::Failed => {
                decision = next(at, if at.state == State::Unknown { Seen::Unclear } else { Seen::Unknown })?;
            }
        }
    }
    Ok(Answer::Decided(Verdict { decision, is_a_try: at.is_foxy_up && says_something(seen) }))
}

fn next(at: &Situation, seen: Seen) -> Result<Decision, Illegal> {
    let decision = match (at.state, at.step) {
        (State::Due | State::Parked | State::Closed, _) | (_, Step::Done) => None,
        (State::InFlight, _) => after_create(at, seen),
        (State::Unknown, _) => after_lookup(at, seen),
    };
    match decision {
        Some(Decision::AnnounceStore) if at.is_stopping => Ok(Decision::LeaveStore),
        Some(decision) => Ok(decision),
        None => Err(Illegal { step: at.step, state: at.state, seen }),
    }
}

/// Whether what comes next rests on there being no token of the current natural key: it may have come meanwhile, or
/// lie in our own escrow.
const fn gives_up_a_token(decision: Decision, seen: Seen) -> bool {
    // For a domain that another signup holds no call was made.
    !matches!(seen, Seen::DomainHeld(_))
        && matches!(
            decision,
            Decision::NextGeneration(_)
                | Decision::NextDomain
                | Decision::Park(
                    ParkedReason::UserTokenLost
                        | ParkedReason::EmailInDoubt
                        | ParkedReason::StoreTokenLost
                        | ParkedReason::StoreUnclear
                        | ParkedReason::DomainTaken
                        | ParkedReason::DomainReserved
                )
        )
}

/// A create call has ended, or was never sent.
fn after_create(at: &Situation, seen: Seen) -> Option<Decision> {
    match seen {
        Seen::Done { link_is_trusted } => Some(made(at.step, link_is_trusted)),
        Seen::TokenHeld { link_is_trusted } => Some(held(at, link_is_trusted)),
        // Not the signup's fault, so its age does not count.
        Seen::NoEffect(Cause::SetUp) => Some(retry(at, None)),
        // The next worker need not wait for a turn that was this one's.
        Seen::NoEffect(Cause::HeldBack { .. }) if at.is_stopping => Some(Decision::Retry(Wait::None)),
        Seen::NoEffect(Cause::HeldBack { at_least }) => Some(retry(at, at_least)),
        Seen::NoEffect(Cause::Stopping) => Some(Decision::Retry(Wait::None)),
        Seen::NoEffect(Cause::Passing { at_least }) => Some(retry_or_give_up(at, at_least)),
        Seen::NoEffect(Cause::UserTokenRefused) if at.step == Step::Store => {
            Some(Decision::Park(ParkedReason::UserTokenRefused))
        }
        Seen::NoEffect(Cause::UserTokenRefused) => None,
        Seen::Rejected(refusal) => Some(rejected(at, refusal)),
        Seen::Unknown => Some(look_first(Doubt::Call)),
        Seen::TokenLost => Some(lost(at)),
        Seen::DomainUnset if at.step == Step::Store => Some(Decision::AnnounceStore),
        Seen::DomainHeld(hold) => Some(domain_held(at, hold, retry(at, None))),
        Seen::UserForgotten if at.step == Step::User => Some(retry(at, None)),
        Seen::Sealed(why) => Some(Decision::Park(unopenable(why))),
        Seen::DomainUnset
        | Seen::UserForgotten
        | Seen::Absent
        | Seen::AbsentAfterRefusal(_)
        | Seen::Present
        | Seen::PresentElsewhere
        | Seen::PresentUnclear
        | Seen::Unclear => None,
    }
}

/// A lookup has been made of a call whose outcome is unknown.
fn after_lookup(at: &Situation, seen: Seen) -> Option<Decision> {
    let unsettled = Doubt::Look { counts: false };
    match seen {
        Seen::TokenHeld { link_is_trusted } => Some(held(at, link_is_trusted)),
        // What is there is found, however old: nothing is sent for it.
        Seen::Present => Some(found(at)),
        Seen::Absent | Seen::Unclear if is_given_up(at) => Some(Decision::Park(ParkedReason::AttemptsExhausted)),
        // Calls that end again and again without an answer, and without an effect, are sent more and more rarely.
        Seen::Absent => Some(Decision::Retry(match at.sent_before.checked_sub(1) {
            None => Wait::None,
            Some(failures) => Wait::Backoff { failures },
        })),
        Seen::AbsentAfterRefusal(refused) => believed_refusal(at, refused),
        Seen::PresentElsewhere if at.step != Step::Store => None,
        Seen::PresentElsewhere if !may_believe(at) => Some(look_again(at, None, Doubt::Look { counts: true })),
        Seen::PresentElsewhere => Some(domain_gone(at, ParkedReason::DomainTaken)),
        // One of the two may yet bring proof.
        Seen::PresentUnclear if is_given_up(at) => Some(match at.step {
            Step::User if at.mailbox_is_owned => Decision::Park(ParkedReason::UserTokenLost),
            Step::User => found(at),
            Step::Store | Step::Done => Decision::Park(ParkedReason::StoreUnclear),
        }),
        Seen::PresentUnclear | Seen::Unclear => Some(look_again(at, None, unsettled)),
        Seen::UserForgotten if at.step == Step::User => Some(look_again(at, None, unsettled)),
        // Not sent again before it is looked up, where a call is in doubt.
        Seen::DomainHeld(hold) => Some(domain_held(at, hold, look_again(at, None, unsettled))),
        Seen::NoEffect(Cause::Stopping) => Some(Decision::LookUp(Wait::None, unsettled)),
        // Not the signup's fault, so its age does not count.
        Seen::NoEffect(Cause::SetUp) => Some(look_again(at, None, unsettled)),
        Seen::NoEffect(Cause::HeldBack { .. }) if at.is_stopping => Some(Decision::LookUp(Wait::None, unsettled)),
        Seen::NoEffect(Cause::HeldBack { at_least }) => Some(look_again(at, at_least, unsettled)),
        Seen::NoEffect(Cause::UserTokenRefused) if at.step == Step::Store => {
            Some(Decision::Park(ParkedReason::UserTokenRefused))
        }
        Seen::Sealed(why) => Some(Decision::Park(unopenable(why))),
        Seen::Done { .. }
        | Seen::NoEffect(_)
        | Seen::Rejected(_)
        | Seen::Unknown
        | Seen::TokenLost
        | Seen::UserForgotten
        | Seen::DomainUnset => None,
    }
}

/// Sends the same call again, more rarely the more often it was in vain.
const fn retry(at: &Situation, at_least: Option<Duration>) -> Decision {
    Decision::Retry(wait(at.retries, at_least))
}

const fn retry_or_give_up(at: &Situation, at_least: Option<Duration>) -> Decision {
    if is_given_up(at) { Decision::Park(ParkedReason::AttemptsExhausted) } else { retry(at, at_least) }
}

/// Begins to look up a call.
const fn look_first(doubt: Doubt) -> Decision {
    Decision::LookUp(Wait::Backoff { failures: 0 }, doubt)
}

/// Looks again, after a lookup that has settled nothing.
const fn look_again(at: &Situation, at_least: Option<Duration>, doubt: Doubt) -> Decision {
    Decision::LookUp(wait(at.retries.saturating_add(1), at_least), doubt)
}

const fn wait(failures: u32, at_least: Option<Duration>) -> Wait {
    match at_least {
        Some(least) => Wait::AtLeast { least, failures },
        None => Wait::Backoff { failures },
    }
}

/// Whether a lookup that has found nothing of ours is believed.
const fn may_believe(at: &Situation) -> bool {
    at.lookups + 1 >= LOOKS_BEFORE_BELIEVING && at.is_past_lag
}

/// A call was refused in doubt, and nothing of ours is found: it was refused for what it asks for, unless a listing lags
/// behind an earlier call.
fn believed_refusal(at: &Situation, refused: RefusedFor) -> Option<Decision> {
    let believed = match (at.step, refused) {
        (Step::Store, RefusedFor::DomainTaken) => domain_gone(at, ParkedReason::DomainTaken),
        (Step::Store, RefusedFor::DomainReserved) => domain_gone(at, ParkedReason::DomainReserved),
        (Step::User | Step::Done, RefusedFor::DomainTaken | RefusedFor::DomainReserved) => return None,
        (_, RefusedFor::Unread) => Decision::Park(ParkedReason::RejectedByFoxy),
    };
    Some(if may_believe(at) { believed } else { look_again(at, None, Doubt::Look { counts: true }) })
}

const fn is_given_up(at: &Situation) -> bool {
    at.is_too_old && at.tries + 1 >= TRIES_BEFORE_GIVING_UP
}

/// Whether what was seen says something of the signup. A fault of the set-up, a call that was held back, a worker that stops
/// and a domain that another signup holds don't, so giving up doesn't count them.
const fn says_something(seen: Seen) -> bool {
    !matches!(
        seen,
        Seen::NoEffect(Cause::SetUp | Cause::HeldBack { .. } | Cause::Stopping)
            | Seen::DomainHeld(_)
            | Seen::UserForgotten
    )
}

const fn made(step: Step, link_is_trusted: bool) -> Decision {
    match step {
        _ if !link_is_trusted => Decision::Park(ParkedReason::SuspiciousLink),
        Step::User => Decision::AnnounceStore,
        Step::Store | Step::Done => Decision::Finish,
    }
}

/// A user that was not made just now, be it the signup's own or another's, may have had a store made under it in the
/// time that an older copy of the ledger lacks.
const fn held(at: &Situation, link_is_trusted: bool) -> Decision {
    match made(at.step, link_is_trusted) {
        Decision::AnnounceStore if at.is_restored => Decision::LookForStore,
        otherwise => otherwise,
    }
}

const fn unopenable(why: Unopenable) -> ParkedReason {
    match why {
        Unopenable::KeyMissing => ParkedReason::KeyMissing,
        Unopenable::Unreadable => ParkedReason::InvalidEvent,
        Unopenable::Mismatch => ParkedReason::CustodyMismatch,
    }
}

fn rejected(at: &Situation, refusal: Refusal) -> Decision {
    match (at.step, refusal) {
        (Step::User, Refusal::EmailTaken(whose)) if at.in_doubt => email_taken_in_doubt(at, whose),
        // The reason may be that an earlier call took effect; the user's own stores show it.
        (Step::Store, Refusal::DomainTaken | Refusal::DomainReserved) | (_, Refusal::Unread) if at.in_doubt => {
            look_first(Doubt::Refusal(match refusal {
                Refusal::DomainTaken => RefusedFor::DomainTaken,
                Refusal::DomainReserved => RefusedFor::DomainReserved,
                _ => RefusedFor::Unread,
            }))
        }
        (Step::User, Refusal::EmailTaken(whose)) => match whose {
            Whose::Strangers => Decision::Park(ParkedReason::EmailTaken),
            Whose::SiblingsNotKept => Decision::Park(ParkedReason::UserTokenNotKept),
            // The other's user is used once it is there. Nothing was created, so the ledger and Foxy can be asked
            // again.
            Whose::PerhapsSiblings | Whose::SiblingsKept | Whose::Unclear => retry_or_give_up(at, None),
        },
        (Step::Store, Refusal::DomainTaken) => domain_gone(at, ParkedReason::DomainTaken),
        (Step::Store, Refusal::DomainReserved) => domain_gone(at, ParkedReason::DomainReserved),
        // The same code would be refused again. Whatever is in doubt stays so, and is looked up first.
        (_, Refusal::CaptchaRefused) => Decision::Park(ParkedReason::CaptchaRefused),
        _ => Decision::Park(ParkedReason::RejectedByFoxy),
    }
}

/// An email is taken whose earlier call ended unknown. That counts as our own late success: a lookup could say no
/// more than the refusal does, since there is no list of our users to look into. Where another signup may have made
/// the user, it is looked up: the other may yet bring the token.
const fn email_taken_in_doubt(at: &Situation, whose: Whose) -> Decision {
    // The user of a restored one may have a store by now: under another's user it would be given a second one. And no
    // other signup has an email of the platform's own mailbox.
    let can_only_be_its_own = at.is_restored || at.mailbox_is_owned;
    match whose {
        Whose::PerhapsSiblings | Whose::SiblingsKept | Whose::Unclear if !can_only_be_its_own => {
            look_first(Doubt::Call)
        }
        _ => found(at),
    }
}

/// What a call in doubt was to make is there. If each such call was lost with a kept connection, the user of this email
/// may have been there before; in a mailbox of the platform's it can't.
const fn found(at: &Situation) -> Decision {
    match at.step {
        Step::User if at.may_be_unread && !at.mailbox_is_owned => Decision::Park(ParkedReason::EmailInDoubt),
        _ => lost(at),
    }
}

fn domain_gone(at: &Situation, reason: ParkedReason) -> Decision {
    if at.domain_is_exact || at.domain_try + 1 >= DOMAIN_TRIES { Decision::Park(reason) } else { Decision::NextDomain }
}

/// Another signup under the same user holds the domain: a derived one gives way, an exact one waits for as long as the
/// other is at work.
fn domain_held(at: &Situation, hold: Hold, wait: Decision) -> Decision {
    match hold {
        Hold::Open | Hold::Doubtful | Hold::Taken if !at.domain_is_exact => domain_gone(at, ParkedReason::DomainTaken),
        Hold::Open => wait,
        Hold::Doubtful => Decision::Park(ParkedReason::StoreUnclear),
        Hold::Taken => Decision::Park(ParkedReason::DomainTaken),
    }
}

const fn lost(at: &Situation) -> Decision {
    match at.step {
        // The user of a restored signup may have its store by now; another user would be given a second one.
        Step::User if at.mailbox_is_owned && at.generation < GENERATIONS && !at.is_restored => {
            Decision::NextGeneration(Wait::Backoff { failures: at.generation })
        }
        Step::User => Decision::Park(ParkedReason::UserTokenLost),
        Step::Store | Step::Done => Decision::Park(ParkedReason::StoreTokenLost),
    }
}

#[cfg(test)]
mod tests;
