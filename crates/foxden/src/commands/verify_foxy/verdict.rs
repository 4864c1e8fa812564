//! What came of one experiment.

use foxy_api::{Method, Methods, NoEffect, Outcome, ReadError, Report, SetupFault};

use super::walk::{chain, ending_of};

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What it was meant to do.
    Had(String),
    /// Nothing, since Foxy refused it.
    Refused(String),
    /// Not known, for a reason that says nothing of what Foxy allows.
    Unclear(String),
}

/// What came of one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Foxy allows it.
    Allowed(String),
    /// It does not.
    Refused(String),
    /// `OPTIONS` offers it, and the call was refused.
    Contradicted(String),
    /// It was tried, and is still not known.
    Unclear(String),
    /// It could not be tried.
    NotTried(String),
}

impl Effect {
    /// As hoped for, with nothing to say of it.
    pub(crate) fn had() -> Self {
        Self::Had(String::new())
    }

    /// Of a call that changes something.
    pub(crate) fn of<T: std::fmt::Debug>(report: &Report<T>) -> Self {
        let seen = ending_of(report);
        match &report.outcome {
            Outcome::Done(_) => Self::Had(String::new()),
            Outcome::Rejected(_) | Outcome::NoEffect(NoEffect::LinksChanged) => Self::Refused(seen),
            Outcome::NoEffect(NoEffect::SetupFault(fault)) if is_refusal(fault) => Self::Refused(seen),
            Outcome::NoEffect(_) | Outcome::Unknown(_) | Outcome::TokenLost(_) => Self::Unclear(seen),
        }
    }

    /// Of something read: whether it is as it must be.
    pub(crate) fn of_read(read: Result<bool, ReadError>, otherwise: &str) -> Self {
        match read {
            Ok(true) => Self::Had(String::new()),
            Ok(false) => Self::Refused(otherwise.to_owned()),
            Err(ReadError::SetupFault(fault)) if is_refusal(&fault) => Self::Refused(chain(&fault.into())),
            Err(error) => Self::Unclear(chain(&error)),
        }
    }

    /// This, and then the next, if this had its effect.
    pub(crate) async fn and(self, next: impl AsyncFnOnce() -> Self) -> Self {
        match self {
            Self::Had(_) => next().await,
            other => other,
        }
    }
}

impl Verdict {
    /// The same, with notes to what was seen.
    pub(crate) fn noting(self, notes: &[&str]) -> Self {
        let with = |seen: String| {
            let first = Some(seen).filter(|seen| !seen.is_empty());
            first.iter().map(String::as_str).chain(notes.iter().copied()).collect::<Vec<_>>().join("; ")
        };
        match self {
            Self::Allowed(seen) => Self::Allowed(with(seen)),
            Self::Refused(seen) => Self::Refused(with(seen)),
            Self::Contradicted(seen) => Self::Contradicted(with(seen)),
            Self::Unclear(seen) => Self::Unclear(with(seen)),
            Self::NotTried(seen) => Self::NotTried(with(seen)),
        }
    }

    /// From what `OPTIONS` said of a call, what the call did, and whether everything is then as it must be.
    pub(crate) fn of(offered: Option<bool>, call: Effect, then: Effect) -> Self {
        match (offered, call, then) {
            (Some(true), Effect::Refused(seen), _) => {
                Self::Contradicted(format!("OPTIONS offers it, but the call was refused: {seen}"))
            }
            (_, Effect::Refused(seen), _) | (_, Effect::Had(_), Effect::Refused(seen)) => Self::Refused(seen),
            (_, Effect::Unclear(seen), _) | (_, Effect::Had(_), Effect::Unclear(seen)) => Self::Unclear(seen),
            (Some(false), Effect::Had(_), Effect::Had(_)) => Self::Allowed("OPTIONS does not offer it, though".into()),
            (_, Effect::Had(_), Effect::Had(seen)) => Self::Allowed(seen),
        }
    }
}

/// Whether `OPTIONS` offers a method; `None` if it does not say.
pub(crate) fn offers(methods: &Result<Option<Methods>, ReadError>, method: Method) -> Option<bool> {
    methods.as_ref().ok()?.as_ref().map(|methods| methods.has(method))
}

fn is_refusal(fault: &SetupFault) -> bool {
    matches!(fault, SetupFault::Forbidden | SetupFault::InsufficientScope | SetupFault::MissingLink(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_does_counts_for_more_than_what_options_says() {
        let (had, refused) = (|| Effect::Had(String::new()), || Effect::Refused("no".into()));
        assert!(matches!(Verdict::of(Some(false), had(), had()), Verdict::Allowed(seen) if seen.contains("OPTIONS")));
        assert_eq!(Verdict::of(None, had(), had()), Verdict::Allowed(String::new()));
        assert!(matches!(Verdict::of(Some(true), refused(), had()), Verdict::Contradicted(_)));
        assert_eq!(Verdict::of(Some(false), refused(), had()), Verdict::Refused("no".into()));
        assert_eq!(Verdict::of(Some(true), had(), refused()), Verdict::Refused("no".into()));
        let unclear = Effect::Unclear("away".into());
        assert_eq!(Verdict::of(Some(true), unclear, refused()), Verdict::Unclear("away".into()));
    }
}
