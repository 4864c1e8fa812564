//! The `Retry-After` header (RFC 9110 section 10.2.3).

use std::time::Duration;

use time::OffsetDateTime;

/// The longest wait we accept. A server's mistake, or a date from its wrong clock, must not stop us for a day.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads seconds or a date, in any of the three forms that RFC 9110 section 5.6.7 has recipients accept; `None` if it is
/// neither, so that the caller falls back on its own schedule.
pub(crate) fn parse(value: &str, now: OffsetDateTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // More digits than a u64 holds is a long wait, not a malformed one.
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let date = OffsetDateTime::from(httpdate::parse_http_date(value).ok()?);
        Duration::try_from(date - now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn seconds(value: &str) -> Option<u64> {
        parse(value, datetime!(1994-11-06 08:49:00 UTC)).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds(" 120 "), Some(120));
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(seconds(date), Some(37), "{date}");
        }
    }

    #[test]
    fn a_date_in_the_past_is_no_wait() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    }

    #[test]
    fn no_wait_is_longer_than_an_hour() {
        for value in ["3601", "99999999999999999999999", "Mon, 07 Nov 1994 08:49:37 GMT"] {
            assert_eq!(seconds(value), Some(3600), "{value}");
        }
    }

    #[test]
    fn what_is_neither_is_left_out() {
        for value in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994", "6 Nov 94 08:49:37"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
