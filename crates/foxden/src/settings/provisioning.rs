//! What is kept of a provisioning, and when its calls are tried again.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_KEEP_USER_TOKENS` | `false` | whether users' refresh tokens are kept once their store exists, so that the same user can get another |
//! | `FOXDEN_KEEP_PAYLOADS` | `false` | whether events' sealed contents are kept once provisioned |
//! | `FOXDEN_MARK_STORES` | `false` | whether each new store gets a note `foxden_signup_id` at Foxy that only this client sees |
//! | `FOXDEN_USER_EMAIL` | | a template for Foxy users' emails if the mailboxes are yours: `shop+{signup_id}.{generation}@platform.example` |
//! | `FOXDEN_RETRY_INITIAL` | `2s` | how long to wait before a first retry, 10ms to 1h |
//! | `FOXDEN_RETRY_MAX` | `5m` | how long to wait between retries at most, up to 1d; not below `FOXDEN_RETRY_INITIAL` |
//! | `FOXDEN_LOOKUP_DELAY` | `5s` | how long to wait before a call of unknown outcome is looked up, up to 1h |
//! | `FOXDEN_LISTING_LAG` | `10m` | how long after the end of a call Foxy's listings may lack what it made, up to 1d |
//! | `FOXDEN_GIVE_UP_AFTER` | `7d` | how long one step is tried before its signup is parked, 1s to 365d |

use std::time::Duration;

use foxden_provisioning::EmailTemplate;

use super::{reader::Reader, text};

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct ProvisioningSettings {
    /// Whether users' refresh tokens are kept once their store exists.
    pub(crate) keep_user_tokens: bool,
    /// Whether events' sealed contents are kept once provisioned.
    pub(crate) keep_payloads: bool,
    /// Whether each new store is marked with its signup's id at Foxy.
    pub(crate) mark_stores: bool,
    /// The template of users' emails, if the mailboxes are the platform's.
    pub(crate) user_email: Option<EmailTemplate>,
    /// How long to wait before a first retry.
    pub(crate) retry_initial: Duration,
    /// How long to wait between retries at most; not below `retry_initial`.
    pub(crate) retry_max: Duration,
    /// How long to wait before a call of unknown outcome is looked up.
    pub(crate) lookup_delay: Duration,
    /// How long after the end of a call Foxy's listings may lack what it made.
    pub(crate) listing_lag: Duration,
    /// How long one step is tried before its signup is parked.
    pub(crate) give_up_after: Duration,
}

impl ProvisioningSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        const DAY: Duration = Duration::from_hours(24);
        const HOUR: Duration = Duration::from_hours(1);
        const MOMENT: Duration = Duration::from_millis(10);
        let keep_user_tokens = reader.value("FOXDEN_KEEP_USER_TOKENS", text::flag);
        let keep_payloads = reader.value("FOXDEN_KEEP_PAYLOADS", text::flag);
        let mark_stores = reader.value("FOXDEN_MARK_STORES", text::flag);
        let user_email =
            reader.value("FOXDEN_USER_EMAIL", |text| EmailTemplate::parse(text).map_err(|error| error.to_string()));
        let retry_initial = reader.duration("FOXDEN_RETRY_INITIAL", &(MOMENT..=HOUR));
        let retry_max = reader.duration("FOXDEN_RETRY_MAX", &(MOMENT..=DAY));
        let lookup_delay = reader.duration("FOXDEN_LOOKUP_DELAY", &(Duration::ZERO..=HOUR));
        let listing_lag = reader.duration("FOXDEN_LISTING_LAG", &(Duration::ZERO..=DAY));
        let give_up_after = reader.duration("FOXDEN_GIVE_UP_AFTER", &(Duration::from_secs(1)..=365 * DAY));
        if let (Some(initial), Some(max)) = (retry_initial, retry_max)
            && max < initial
        {
            let (initial, max) = (text::spelled(initial), text::spelled(max));
            reader.refuse("FOXDEN_RETRY_MAX", format!("{max} is below FOXDEN_RETRY_INITIAL ({initial})"));
        }
        Some(Self {
            keep_user_tokens: keep_user_tokens?,
            keep_payloads: keep_payloads?,
            mark_stores: mark_stores?,
            user_email,
            retry_initial: retry_initial?,
            retry_max: retry_max?,
            lookup_delay: lookup_delay?,
            listing_lag: listing_lag?,
            give_up_after: give_up_after?,
        })
    }
}
