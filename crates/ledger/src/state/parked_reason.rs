//! Why a provisioning is parked, in words for a person: what happened, and what to do.

use crate::word::words;

words! {
    /// Why a provisioning is parked. Each has a next step in [`ParkedReason::advice`].
    ParkedReason {
        /// Foxy has a user with this email that we did not make.
        EmailTaken = "email_taken",
        /// The user exists, and the answer with its token was lost.
        UserTokenLost = "user_token_lost",
        /// Foxy has a user with this email, and whether we made it is not known.
        EmailInDoubt = "email_in_doubt",
        /// The store exists, and the answer with its token was lost.
        StoreTokenLost = "store_token_lost",
        /// The store exists, and another signup of the same customer may have made it.
        StoreUnclear = "store_unclear",
        /// Foxy no longer accepts the user's token, or not from this client.
        UserTokenRefused = "user_token_refused",
        /// The customer has a Foxy user of ours, whose token was not kept.
        UserTokenNotKept = "user_token_not_kept",
        /// The store domain that the event asks for is in use.
        DomainTaken = "domain_taken",
        /// Foxy reserves the store domain that the event asks for.
        DomainReserved = "domain_reserved",
        /// Foxy refused the user or the store for another reason.
        RejectedByFoxy = "rejected_by_foxy",
        /// Foxy refused the captcha code of the event.
        CaptchaRefused = "captcha_refused",
        /// The stored event is not what this release can work with.
        InvalidEvent = "invalid_event",
        /// Foxy's answer linked to a place that is not Foxy's; its token is sealed and kept.
        SuspiciousLink = "suspicious_link",
        /// It was retried for as long as the settings allow.
        AttemptsExhausted = "attempts_exhausted",
        /// The key that seals this provisioning's data is not in the key ring.
        KeyMissing = "key_missing",
        /// What is sealed for this provisioning says inside that it is another's, or of another address or call.
        CustodyMismatch = "custody_mismatch",
    }
}

impl ParkedReason {
    /// What happened, in a sentence or two, for a person who reads it for the first time.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::EmailTaken => {
                "Foxy already has a user with the email of this signup, and this signup did not make that user. Foxy \
                 gives out no token for a user that exists."
            }
            Self::UserTokenLost => {
                "A call to create the Foxy user ended without its answer, and Foxy has a user with this email. If \
                 that call made it, its token was in the lost answer. Foxy gives it with the creation only; another \
                 takes a person who grants access in a browser."
            }
            Self::EmailInDoubt => {
                "A call to create the Foxy user was sent on a connection that had been kept from an earlier call, and \
                 the connection ended without an answer. Foxy has a user with this email: that call made it, or never \
                 arrived, and the user was there before."
            }
            Self::StoreTokenLost => {
                "A call to create the Foxy store ended without its answer, and the store is there. Its token was in \
                 the lost answer. Foxy gives it with the creation only; another takes a person who grants access in a \
                 browser."
            }
            Self::StoreUnclear => {
                "Two signups of the same customer (user.id) want one store domain, and a call for it ended without \
                 its answer, for this signup, the other, or both. Which of them made the store that is there, if one \
                 is, can't be told. The detail names both signups."
            }
            Self::UserTokenRefused => {
                "Foxy refuses the token of this signup's user: it was revoked, or belongs to another OAuth client \
                 than the one in the settings."
            }
            Self::UserTokenNotKept => {
                "This customer (user.id in the event) already has a Foxy user that foxden made, and no token of it \
                 can be used: it was wiped after the first store, as is the default, or FOXDEN_KEEP_USER_TOKENS is \
                 off."
            }
            Self::DomainTaken => "The store domain that the event asks for is in use by another Foxy store.",
            Self::DomainReserved => "The store domain that the event asks for has a form that Foxy keeps for itself.",
            Self::RejectedByFoxy => "Foxy refused to create the user or the store; the detail holds what it said.",
            Self::CaptchaRefused => {
                "Foxy refused the hCaptcha code of the event (captcha.user_code or captcha.store_code): it was wrong, \
                 had expired, or had served before. Nothing was created by that call."
            }
            Self::InvalidEvent => "The stored event can't be read by this release of foxden.",
            Self::SuspiciousLink => {
                "Foxy's answer to a create call had no link to what was created, or one that leads to another host. \
                 The token that came with it is sealed and kept, but foxden will not follow that link."
            }
            Self::AttemptsExhausted => "Retries went on for as long as FOXDEN_GIVE_UP_AFTER allows, without success.",
            Self::KeyMissing => "The data of this signup is sealed with a key that this worker's key ring lacks.",
            Self::CustodyMismatch => {
                "What is sealed for this signup was sealed for another signup, address or create call. Rows of the \
                 ledger were edited or mixed up. Nothing was sent."
            }
        }
    }

    /// What a person can do next.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::EmailTaken => {
                "If the customer has a Foxy account, `foxden authorize SIGNUP_ID`: they let the store be made under \
                 their own user. Else publish the signup again, under the same signup id, with another email."
            }
            Self::UserTokenLost => {
                "`foxden authorize SIGNUP_ID`: a person who can log in as this user grants access to it, and the signup \
                 continues. Where no one can, publish the signup under a new signup id with another email (a +tag is \
                 enough). The user may be somebody else's: look for it in Foxy's admin, and compare when it was made \
                 with `foxden show SIGNUP_ID`. If this signup has made it, ask Foxy to remove it."
            }
            Self::EmailInDoubt => {
                "`foxden authorize SIGNUP_ID`: a person who can log in as this user lets the store be made under it. Or \
                 publish the signup again, under the same signup id, with another email (a +tag is enough). Look for \
                 the user in Foxy's admin, and compare when it was made with `foxden show SIGNUP_ID`: if this signup \
                 has made it, ask Foxy to remove it; then `foxden retry SIGNUP_ID` will do, too."
            }
            Self::StoreTokenLost => {
                "`foxden authorize SIGNUP_ID`: the store's owner grants access to it, and the signup is \
                 provisioned. Where no one can, publish the signup under a new signup id with another email and \
                 domain. Look for the store that is left behind in Foxy's admin (`foxden show SIGNUP_ID` names its \
                 domain), and ask Foxy to remove it."
            }
            Self::StoreUnclear => {
                "Publish the signup again, under the same signup id, with another store.domain: then a store of its \
                 own is made. If the other signup has come to its end meanwhile, `foxden retry SIGNUP_ID`. A store \
                 whose token neither of them has is left behind: look for its domain in Foxy's admin."
            }
            Self::UserTokenRefused => {
                "Check that FOXDEN_FOXY_CLIENT_ID is the client that made this user; if not, mend it, then `foxden \
                 retry SIGNUP_ID`. If it is, access was revoked: `foxden authorize SIGNUP_ID`, and a person who can log in \
                 as the user grants it again. Where no one will, publish the signup under a new signup id, with \
                 another email and without user.id."
            }
            Self::UserTokenNotKept => {
                "`foxden authorize SIGNUP_ID`: a person who can log in as the user grants access to it. Or publish the \
                 signup again, under the same signup id, with another email. If the token was kept (`foxden show` of \
                 the earlier signup), set FOXDEN_KEEP_USER_TOKENS=true and `foxden retry SIGNUP_ID`. Set it before \
                 the first store of a customer who will have several."
            }
            Self::DomainTaken | Self::DomainReserved => {
                "Publish the signup again, under the same signup id, with another store.domain, or without one: then \
                 foxden derives one from the store's name and moves on by itself when it is taken. If the domain has \
                 become free, `foxden retry SIGNUP_ID`."
            }
            Self::RejectedByFoxy => {
                "Read the detail. If the cause lay with Foxy, `foxden retry SIGNUP_ID`; if the event is at fault, \
                 publish it again, corrected, under the same signup id. Once a Foxy user is shown here, the email \
                 stays."
            }
            Self::CaptchaRefused => {
                "Publish the signup again, under the same signup id, with a fresh code, before that expires. Once \
                 Foxy has exempted this client, `foxden retry SIGNUP_ID`."
            }
            Self::InvalidEvent => {
                "Compare FOXDEN_ENVIRONMENT with the one under which it was accepted; run the release that accepted \
                 it; or publish the signup again, under the same signup id, if no Foxy user is shown here."
            }
            Self::SuspiciousLink => {
                "Check what answers at FOXDEN_FOXY_API: a proxy that rewrites bodies, or something that is not Foxy. \
                 Nothing was lost; see `foxden show SIGNUP_ID`."
            }
            Self::AttemptsExhausted => {
                "See `foxden show SIGNUP_ID` for how its attempts ended, mend the cause, then `foxden retry SIGNUP_ID`."
            }
            Self::CustodyMismatch => {
                "Find custody.mismatch in the worker's log: it says which member differs. Find out who has written to \
                 the ledger, put the row back as it was (a backup has it), then `foxden retry SIGNUP_ID`."
            }
            Self::KeyMissing => {
                "Add the old key to FOXDEN_KEYS (after the first one), restart the workers, then `foxden retry SIGNUP_ID`."
            }
        }
    }

    /// Whether trying the same event again can do any good: `foxden retry` refuses the others, since what stopped
    /// them would stop them again or, worse, leave a second user or store behind.
    pub const fn can_be_retried(self) -> bool {
        match self {
            Self::DomainTaken
            | Self::DomainReserved
            | Self::StoreUnclear
            | Self::RejectedByFoxy
            | Self::CaptchaRefused
            | Self::InvalidEvent
            | Self::AttemptsExhausted
            | Self::EmailTaken
            | Self::EmailInDoubt
            | Self::UserTokenNotKept
            | Self::UserTokenRefused
            | Self::KeyMissing
            | Self::CustodyMismatch => true,
            Self::UserTokenLost | Self::StoreTokenLost | Self::SuspiciousLink => false,
        }
    }
}
