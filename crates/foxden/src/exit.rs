//! Exit statuses, each with one meaning.

use std::process::ExitCode;

use foxden_intake::{Interrupted, PublishError};

use crate::{belonging::OtherFoxy, settings::Mistakes};

/// How a command ended. `foxden --help` lists the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done = 0,
    /// It could not be done.
    Failed = 1,
    /// The command line or the settings are wrong. Nothing was started.
    Usage = 2,
    /// Some of it was done; the output says what was not.
    InPart = 3,
    /// There is no such signup, or no such dead letter.
    NotFound = 4,
    /// The broker could not be reached, or went away. Another try may do.
    BrokerAway = 5,
    /// The broker is there and refuses; a worker put up with it for `FOXDEN_AMQP_GIVE_UP_AFTER`. Somebody must act.
    BrokerRefuses = 6,
    /// The ledger's database answered nothing at all for `FOXDEN_DATABASE_GIVE_UP_AFTER`. Another start may find a way.
    LedgerSilent = 7,
}

impl Exit {
    /// The status that an error stands for.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let interrupted = error.downcast_ref::<Interrupted>().map(|interrupted| &interrupted.error);
        let of_broker = error.downcast_ref::<PublishError>().or(interrupted);
        if error.is::<Mistakes>() || error.is::<OtherFoxy>() {
            Self::Usage
        } else if of_broker.is_some_and(PublishError::is_broker_away) {
            Self::BrokerAway
        } else if of_broker.is_some_and(PublishError::is_refusal) {
            Self::BrokerRefuses
        } else {
            Self::Failed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
