//! One call or lookup: from a claimed row to what was found.

use foxden_custody::Payload;
use foxden_ledger::{Provisioning, State, Step};
use foxy_api::Line;
use tokio::time::Instant;

use crate::{
    calls::Calls,
    create::{line_of, not_prepared},
    finding::{Finding, concerns_all},
    gate::{Pass, Right, Sign},
    leases::Held,
    plan::{Cause, Seen},
    policy::LEASE_MARGIN,
    runner::Runner,
    stop::Stop,
};

/// What one call or lookup has brought.
pub(crate) struct Observed<S> {
    pub(crate) finding: Finding,
    /// What the signup asks for, if that opens.
    pub(crate) payload: Option<Payload>,
    /// Acts as the user that was made just now.
    pub(crate) session: Option<S>,
}

impl<F: Calls> Runner<F> {
    /// Sends the call that is announced, or looks up the one that is in doubt, and lets the gate know. `None`: the
    /// lease has passed to another worker.
    pub(crate) async fn observe(
        &self,
        row: &Provisioning,
        session: Option<F::Session>,
        held: &Held,
    ) -> Result<Option<Observed<F::Session>>, Stop> {
        let payload = match self.open(row) {
            Ok(payload) => payload,
            Err(why) => {
                let finding = Finding::of_sealed(why);
                self.report_to_gate(None, &finding, row);
                return Ok(Some(Observed { finding, payload: None, session: None }));
            }
        };
        let mut pass = None;
        let (finding, session) = match row.state {
            State::InFlight => match self.may_send(held).await {
                MaySend::Until(end, allowed) => {
                    let created = self.create(row, &payload, session, end, &allowed).await?;
                    pass = Some(allowed);
                    created
                }
                MaySend::No(finding) => (*finding, None),
                MaySend::LeaseLost => return Ok(None),
            },
            _ if self.stop.is_cancelled() => (stopping(), None),
            _ => match self.gate.may_look() {
                Ok(()) => (self.look_up(row, &payload).await?, None),
                Err(why) => (Finding::of_closed(why), None),
            },
        };
        self.report_to_gate(pass, &finding, row);
        Ok(Some(Observed { finding, payload: Some(payload), session }))
    }

    /// Lets the gate know what a call has shown.
    fn report_to_gate(&self, pass: Option<Pass>, finding: &Finding, row: &Provisioning) {
        let right = if row.step == Step::User { Right::Client } else { Right::User };
        match &finding.fault {
            // Signups may share a user, and then its right.
            Some(fault) if !concerns_all(fault, row.step) => {
                let whose = row.user_from.as_ref().unwrap_or(&row.id);
                self.gate.suspect(right, fault, whose.as_str());
            }
            None if pass.is_some() && finding.sign == Sign::Answered => self.gate.right_is_good(right),
            _ => {}
        }
        let fault = finding.fault.as_ref().filter(|fault| concerns_all(fault, row.step));
        if fault.is_none() && finding.credential.is_some() {
            self.gate.succeeded();
        }
        match (finding.hold, finding.seen) {
            // Its line is too long, which says nothing of the other.
            (Some(wait), Seen::NoEffect(Cause::HeldBack { .. })) if line_of(row) == Line::New => {
                self.gate.hold_new(wait);
            }
            (Some(wait), _) => self.gate.hold(wait),
            (None, _) => {}
        }
        self.gate.saw(pass, finding.sign, fault, finding.note.as_deref());
    }

    /// Whether a create call may be sent now: not while stopping, not while the gate is closed, and not with less of
    /// the lease left than the call may take.
    async fn may_send(&self, held: &Held) -> MaySend {
        if self.stop.is_cancelled() {
            return MaySend::No(Box::new(stopping()));
        }
        let pass = match self.stop.run_until_cancelled(self.gate.pass()).await {
            None => return MaySend::No(Box::new(stopping())),
            Some(Err(why)) => return MaySend::No(Box::new(Finding::of_closed(why))),
            Some(Ok(pass)) => pass,
        };
        let needed = self.policy.call_timeout + LEASE_MARGIN;
        if held.until().is_some_and(|until| until.saturating_duration_since(Instant::now()) < needed)
            && let Err(error) = self.leases.renew().await
        {
            return MaySend::No(Box::new(not_prepared(&error.into())));
        }
        match held.until() {
            None => MaySend::LeaseLost,
            Some(until) if until.saturating_duration_since(Instant::now()) < needed => {
                let short = Cause::HeldBack { at_least: None };
                let note = "not sent: less of the lease is left than the call may take";
                MaySend::No(Box::new(Finding::of(Seen::NoEffect(short), note)))
            }
            // More than the call may take, where it has to wait for its turn under the rate of calls.
            Some(until) => MaySend::Until(until - LEASE_MARGIN, pass),
        }
    }
}

/// Whether a create call may be sent.
enum MaySend {
    /// It must have ended by then: after that another worker may own the row.
    Until(Instant, Pass),
    No(Box<Finding>),
    LeaseLost,
}

fn stopping() -> Finding {
    Finding::of(Seen::NoEffect(Cause::Stopping), "not sent: the worker is stopping")
}
