//! Points in time, as the books and as HTTP write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// `2026-11-22T10:48:46-0700` in the `rels/*` examples; the simulator's clock is always UTC.
const FOXY_DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");

/// RFC 9110 section 5.6.7, IMF-fixdate.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Milliseconds since the Unix epoch, now.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A resource's `date_created` or `date_modified`.
pub(crate) fn foxy_date(ms: u64) -> String {
    at(ms).format(FOXY_DATE).unwrap_or_default()
}

/// The HTTP date `ahead` of now, for `Retry-After`.
pub(crate) fn http_date(ahead: Duration) -> String {
    let ahead = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
    at(now_ms().saturating_add(ahead)).format(HTTP_DATE).unwrap_or_default()
}

fn at(ms: u64) -> OffsetDateTime {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_foxy_writes_them() {
        assert_eq!(foxy_date(1_700_000_000_999), "2023-11-14T22:13:20+0000");
    }
}
