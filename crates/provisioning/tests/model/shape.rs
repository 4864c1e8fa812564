//! What differs between worlds: their settings, their signups, and what people have done in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use foxden_custody::{Payload, StoreDetails, UserDetails};
use foxden_ledger::SignupId;

/// Where nothing else is said.
const LISTING_LAG: Duration = Duration::from_secs(600);
/// What differs between worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// How long a lease is.
    pub(crate) lease: Duration,
    /// The platform owns the mailboxes.
    pub(crate) mailbox: bool,
    /// Users' tokens are kept, and signups of one customer share a user.
    pub(crate) keep_user_tokens: bool,
    /// By how much the ledger's clock may run ahead of the workers'.
    pub(crate) clock_jumps: Duration,
    /// For how long a step is tried.
    pub(crate) give_up_after: Duration,
    /// For how long after a call's end a listing may lack what it made.
    pub(crate) listing_lag: Duration,
    /// A user's list of stores lags by that each time, and not only when a look is drawn to.
    pub(crate) lists_late: bool,
    /// One worker has other settings than the others: it keeps users' tokens where they don't, and the reverse; it
    /// has the mailboxes, or not; it allows for twice the lag, and gives up after half the time.
    pub(crate) settings_differ: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            mailbox: false,
            keep_user_tokens: false,
            clock_jumps: Duration::ZERO,
            give_up_after: Duration::from_secs(3600 * 24 * 7),
            listing_lag: LISTING_LAG,
            lists_late: false,
            settings_differ: false,
        }
    }
}

impl Shape {
    /// The settings of the worker at this post.
    pub(crate) fn at(self, number: usize) -> Self {
        if !self.settings_differ || number != 1 {
            return self;
        }
        Self {
            mailbox: !self.mailbox,
            keep_user_tokens: !self.keep_user_tokens,
            give_up_after: self.give_up_after / 2,
            listing_lag: self.listing_lag * 2,
            ..self
        }
    }

    /// Whether there is a worker that keeps users' tokens.
    pub(crate) const fn may_keep_user_tokens(self) -> bool {
        self.keep_user_tokens || self.settings_differ
    }

    /// Whether there is a worker that wipes users' tokens once their stores are there.
    pub(crate) const fn may_wipe_user_tokens(self) -> bool {
        !self.keep_user_tokens || self.settings_differ
    }
}

/// What people have done.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    /// Signups that were closed before they were provisioned.
    pub(crate) cancelled: BTreeSet<String>,
    /// Signups that were forgotten with their stores' tokens.
    pub(crate) given_up_stores: BTreeSet<String>,
    pub(crate) corrections: usize,
    /// A worker of an earlier release has chosen a domain that another signup under the same user is out for.
    pub(crate) chosen_without_asking: bool,
}

/// One signup of the parent app's.
#[derive(Debug, Clone)]
pub(crate) struct Signup {
    pub(crate) id: SignupId,
    pub(crate) account: Option<String>,
    pub(crate) payload: Payload,
}

impl Signup {
    /// The same, of a user who gave another email than the customer's others.
    pub(crate) fn with_own_email(mut self) -> Self {
        self.payload.user.email = format!("{}@customers.example", self.id);
        self
    }
}

/// Long lines of people with like names.
pub(crate) fn signup(number: usize, domain: Option<&str>, account: Option<&str>) -> Signup {
    let id = format!("s{number}");
    Signup {
        account: account.map(str::to_owned),
        payload: Payload {
            user: UserDetails {
                first_name: id.clone(),
                last_name: "Lovelace".into(),
                email: account.map_or_else(|| format!("{id}@customers.example"), |a| format!("{a}@customers.example")),
                phone: None,
                extra: BTreeMap::new(),
            },
            store: StoreDetails {
                name: "Engines".into(),
                domain: domain.map(str::to_owned),
                url: "https://engines.example".into(),
                email: format!("{id}@shops.example"),
                country: "GB".into(),
                region: "London".into(),
                postal_code: "W1".into(),
                extra: BTreeMap::new(),
            },
            captcha: Default::default(),
        },
        id: SignupId::parse(&id).unwrap(),
    }
}
