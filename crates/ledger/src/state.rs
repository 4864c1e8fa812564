//! The words a provisioning's place is told in: step, state, parked reason.

mod parked_reason;

pub use parked_reason::ParkedReason;

use crate::word::words;

words! {
    /// What is to be made next for a signup.
    Step {
        /// The Foxy user.
        User = "user",
        /// The Foxy store.
        Store = "store",
        /// Nothing: all is made.
        Done = "done",
    }
}

words! {
    /// What may happen to a provisioning next.
    State {
        /// Waits for its due time; any worker may take it.
        Due = "due",
        /// The intent of a create call is committed and its outcome is not: the call may be under way.
        InFlight = "in_flight",
        /// A create call ended without an outcome; it is looked up when due.
        Unknown = "unknown",
        /// Stopped until a person or the parent app acts.
        Parked = "parked",
        /// The end: provisioned, with all steps done; or cancelled, at the step where it stood.
        Closed = "closed",
    }
}

words! {
    /// How Foxy refused a call that an earlier one in doubt may be the cause of.
    RefusedFor {
        /// A store with this domain exists.
        DomainTaken = "domain_taken",
        /// Foxy reserves this domain.
        DomainReserved = "domain_reserved",
        /// Without a reason that could be read.
        Unread = "unread",
    }
}

words! {
    /// Where an accepted signup came from.
    Source {
        /// A RabbitMQ queue.
        Amqp = "amqp",
        /// `foxden submit`.
        Submit = "submit",
        /// `foxden demo`.
        Demo = "demo",
    }
}

words! {
    /// What a sealed token opens at Foxy.
    Scope {
        /// One Foxy user: read it, create stores linked to it.
        User = "user_full_access",
        /// One Foxy store and everything in it.
        Store = "store_full_access",
    }
}

words! {
    /// What kind of evidence an attempt is.
    AttemptKind {
        /// A create call.
        Create = "create",
        /// A lookup of what became of a create call.
        Lookup = "lookup",
        /// A worker vanished with a call announced; noticed when its lease expired.
        Expired = "expired",
        /// A person asked for it.
        Person = "person",
        /// The parent app published the signup again, with other content.
        Correction = "correction",
        /// A person closed it for good.
        Cancel = "cancel",
        /// A person granted access at Foxy.
        Grant = "grant",
    }
}

words! {
    /// How an attempt ended.
    AttemptOutcome {
        /// Create call: answered with a token.
        Done = "done",
        /// Create call: without effect, or not sent.
        NoEffect = "no_effect",
        /// Create call: refused.
        Rejected = "rejected",
        /// Create call: whether it had an effect is not known.
        Unknown = "unknown",
        /// Create call: the same, and its connection had been kept from an earlier call, so that it may not have been
        /// read.
        UnknownOnKeptConnection = "unknown_on_kept_connection",
        /// Create call: it had its effect, and its token is lost.
        TokenLost = "token_lost",
        /// No call: the token was there, recorded by a worker that had lost its lease.
        TokenHeld = "token_held",
        /// No call: the user of an earlier signup of the customer is used.
        UserReused = "user_reused",
        /// No call: a domain was chosen first.
        DomainChosen = "domain_chosen",
        /// No call: the sealed content does not open.
        NotOpened = "not_opened",
        /// Lookup: it does not exist.
        Absent = "absent",
        /// Lookup: it exists, and is the signup's own.
        Present = "present",
        /// Lookup: the domain exists, not among the user's stores.
        PresentElsewhere = "present_elsewhere",
        /// Lookup: it exists, and another signup of the customer may have made it.
        PresentUnclear = "present_unclear",
        /// Lookup: no usable answer.
        Unclear = "unclear",
        /// A person asked for another try.
        Retry = "retry",
        /// Other content has taken the place of the former.
        Corrected = "corrected",
        /// A person closed it.
        Cancelled = "cancelled",
        /// The ledger was restored from an older copy.
        Restored = "restored",
        /// A person granted access, and the token is kept.
        Granted = "granted",
    }
}

impl AttemptOutcome {
    /// Whether a closed signup's evidence with this outcome says nothing that its row and its tokens don't say: what
    /// was made has its address and its token there, and the rest made nothing. All other evidence is of what Foxy
    /// may have beside that, or of people, and stays.
    pub(crate) const fn is_prunable(self) -> bool {
        match self {
            Self::Done
            | Self::NoEffect
            | Self::Rejected
            | Self::TokenHeld
            | Self::UserReused
            | Self::DomainChosen
            | Self::NotOpened
            | Self::Absent
            | Self::PresentElsewhere
            | Self::Unclear => true,
            Self::Unknown
            | Self::UnknownOnKeptConnection
            | Self::TokenLost
            | Self::Present
            | Self::PresentUnclear
            | Self::Retry
            | Self::Corrected
            | Self::Cancelled
            | Self::Restored
            | Self::Granted => false,
        }
    }
}

words! {
    /// What an outcome event tells of.
    OutcomeKind {
        /// The user and the store are there, and the store's token is sealed.
        Provisioned = "provisioned",
        /// It is stopped until someone acts.
        Parked = "parked",
        /// It was parked and goes on.
        Resumed = "resumed",
        /// A person closed it for good before it was provisioned.
        Cancelled = "cancelled",
        /// A signup event was not taken, and is among the dead letters.
        Rejected = "rejected",
        /// A signup event came again: the answer tells where its signup stands.
        Duplicate = "duplicate",
        /// A person is asked to grant access.
        GrantRequested = "grant_requested",
        /// No one granted access in time.
        GrantExpired = "grant_expired",
    }
}

words! {
    /// What a person did, as the audit tells it.
    Act {
        /// A token was opened and handed out.
        OpenToken = "open_token",
        /// A parked signup was made due again.
        Retry = "retry",
        /// A person was to be asked to grant access.
        AskForGrant = "ask_for_grant",
        /// A signup was closed for good.
        Cancel = "cancel",
        /// A customer was forgotten.
        Forget = "forget",
        /// Every envelope was to be moved to the first key.
        Reseal = "reseal",
        /// The OAuth client was given another secret.
        RotateSecret = "rotate_secret",
        /// The ledger was marked as restored from an older copy.
        MarkRestored = "mark_restored",
        /// The ledger was made to belong to another Foxy.
        Rebind = "rebind",
    }
}

#[cfg(test)]
mod tests {
    use super::{ParkedReason, State};

    #[test]
    fn every_word_is_read_back_as_itself() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(*state));
        }
        for reason in ParkedReason::ALL {
            assert_eq!(ParkedReason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(State::parse("resting"), None);
    }
}
