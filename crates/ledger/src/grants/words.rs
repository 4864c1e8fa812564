//! The words of grants.

use crate::word::words;

words! {
    /// Why a person is asked.
    GrantReason {
        /// A signup's token is lost or refused.
        Recover = "recover",
        /// A customer brings a user or a store of their own.
        Connect = "connect",
        /// The signup's email has a user at Foxy already.
        TakeOver = "take_over",
        /// The client that the store's token was given to was replaced.
        Reconnect = "reconnect",
    }
}

words! {
    /// What access is asked for.
    Wanted {
        /// A Foxy user, to make stores under.
        User = "user",
        /// One Foxy store.
        Store = "store",
    }
}

words! {
    /// How a grant stands.
    GrantState {
        /// It waits for a person.
        Open = "open",
        /// A store was granted that no one had expected: whether it is the right one is yet to be said.
        Unconfirmed = "unconfirmed",
        /// What was granted is kept.
        Kept = "kept",
        /// No one granted access in time.
        Expired = "expired",
        /// It is no longer needed.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// What a trip came to.
    TripEnding {
        /// Access was granted, and what came of it is kept.
        Granted = "granted",
        /// The person said no.
        Denied = "denied",
        /// Foxy answered with an error, or not as it must.
        Failed = "failed",
        /// Access was granted to something else than was asked for.
        Wrong = "wrong",
        /// The person came back too late.
        Expired = "expired",
    }
}
