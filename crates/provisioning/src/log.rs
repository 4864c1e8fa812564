//! The log's lines about what was found and decided, in words that an operator can act on.

use foxden_ledger::{Next, Provisioning, State};

use crate::{
    finding::Finding,
    plan::{Decision, Seen},
};

/// Logs what happened, once it is recorded.
pub(crate) fn log(row: &Provisioning, written: &Provisioning, finding: &Finding, decision: Decision, next: &Next) {
    let (step, call_outcome, status) = (row.step.as_str(), finding.outcome.as_str(), finding.http_status);
    let (logref, note) = (finding.logref.as_deref(), finding.note.as_deref());
    let ms = u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX);
    match (decision, next) {
        (Decision::AnnounceStore | Decision::LeaveStore, _) if finding.seen == Seen::DomainUnset => {}
        (Decision::AnnounceStore | Decision::LeaveStore | Decision::LookForStore, _) => {
            tracing::info!(event = "user.created", call_outcome, duration_ms = ms, note, "the Foxy user is there");
        }
        (Decision::Finish, _) => {
            tracing::info!(
                event = "store.created",
                call_outcome,
                duration_ms = ms,
                store.domain = row.store_domain.as_deref(),
                since_accepted_ms = written.closed_at_ms.map(|closed| closed - written.accepted_at_ms),
                note,
                "the Foxy store is there and its token is sealed",
            );
        }
        (Decision::Retry(_), Next::Due { delay, .. }) => {
            let retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                event = "provisioning.retry",
                step,
                call_outcome,
                status,
                logref,
                retry_in_ms,
                duration_ms = ms,
                note,
                "nothing was created; it is tried again",
            );
        }
        (Decision::LookUp(..), Next::Unknown { delay, .. }) => {
            let lookup_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                event = "provisioning.unknown",
                step,
                call_outcome,
                status,
                logref,
                lookup_in_ms,
                duration_ms = ms,
                note,
                "it is not known whether the call had an effect; it is looked up before anything is sent again",
            );
        }
        (Decision::NextDomain, _) => {
            tracing::info!(
                event = "store.domain_taken",
                store.domain = row.store_domain.as_deref(),
                note,
                "the derived domain is taken; the next one is tried",
            );
        }
        (Decision::NextGeneration(_), _) => {
            tracing::warn!(
                event = "user.superseded",
                generation = row.generation,
                note,
                "the user's token is lost; the user is left behind and the next one is made",
            );
        }
        (Decision::Park(_), _) if written.state != State::Parked => {
            tracing::info!(
                event = "provisioning.token_came",
                step,
                "it was about to be parked when its token came after all; it continues",
            );
        }
        (Decision::Park(reason), _) => {
            tracing::warn!(
                event = "provisioning.parked",
                step,
                reason = reason.as_str(),
                call_outcome,
                status,
                logref,
                note,
                advice = reason.advice(),
                "stopped until someone acts",
            );
        }
        (Decision::Retry(_) | Decision::LookUp(..), _) => {}
    }
}
