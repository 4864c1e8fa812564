//! What the plan decides about: how a create call ended, or what a lookup answered.

use std::time::Duration;

use foxden_ledger::{Hold, RefusedFor};

/// What was seen: how a create call ended, or what a lookup answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The create call was answered with a token.
    Done {
        /// Whether the link to what was created leads where it should.
        link_is_trusted: bool,
    },
    /// The create call had no effect.
    NoEffect(Cause),
    /// Foxy refused.
    Rejected(Refusal),
    /// Whether the call had an effect is not known.
    Unknown,
    /// The call had its effect, and its token is lost.
    TokenLost,
    /// The token of this step is in the ledger: a worker that lost its lease recorded it.
    TokenHeld {
        /// Whether the link to what it opens leads where it should.
        link_is_trusted: bool,
    },
    /// Lookup: what the call was to make does not exist.
    Absent,
    /// Lookup: the same, and Foxy had refused the call for this.
    AbsentAfterRefusal(RefusedFor),
    /// Lookup: it exists and is ours.
    Present,
    /// Lookup: the store domain exists, but not among the user's own stores.
    PresentElsewhere,
    /// Lookup: it exists, and another signup of the customer may have made it: the store is among those of a user
    /// that both share, or the user has the email of both.
    PresentUnclear,
    /// Lookup: no answer that could be used.
    Unclear,
    /// No store domain is chosen yet: a correction has left it to us.
    DomainUnset,
    /// The store domain that was chosen is held by another signup under the same user.
    DomainHeld(Hold),
    /// The user of another signup was to be used, and that one was forgotten meanwhile.
    UserForgotten,
    /// What is sealed for this provisioning does not open, so nothing could be sent or looked up.
    Sealed(Unopenable),
}

/// Why what is sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopenable {
    /// Its key is not in the ring.
    KeyMissing,
    /// It is damaged, moved, or not of a form that this release reads.
    Unreadable,
    /// It opens, and says that it is another signup's, or of another address or call.
    Mismatch,
}

/// Why a call had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Foxy, or the way to it, is not available for now; wait at least this long, if it said so.
    Passing {
        /// What `Retry-After` asked for.
        at_least: Option<Duration>,
    },
    /// A fault of the set-up, not of the signup: credentials, scope, captcha exemption.
    SetUp,
    /// We did not send it: Foxy is down, or the rate of calls does not allow it yet.
    HeldBack {
        /// When the rate allows it.
        at_least: Option<Duration>,
    },
    /// The worker is stopping and did not send it.
    Stopping,
    /// Foxy no longer accepts the user's token, so its store can't be made.
    UserTokenRefused,
}

/// Whose a user is that has the email of a signup, as far as the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// No other signup of the customer has made it.
    Strangers,
    /// Another signup of the customer is at work, and may have made it.
    PerhapsSiblings,
    /// Another signup of the customer has made it, and its token is kept.
    SiblingsKept,
    /// Another signup of the customer has made it, and its token was not kept.
    SiblingsNotKept,
    /// The ledger does not answer.
    Unclear,
}

/// Why Foxy refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A user with this email exists.
    EmailTaken(Whose),
    /// A store with this domain exists.
    DomainTaken,
    /// Foxy reserves this domain.
    DomainReserved,
    /// Foxy does not take the captcha code of the event.
    CaptchaRefused,
    /// Without a reason that could be read.
    Unread,
    /// Anything else.
    Other,
}
