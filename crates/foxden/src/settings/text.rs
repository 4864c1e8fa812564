//! Values from text: durations, numbers, flags. Each error says what is expected, and never repeats the text.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

/// Units of durations, in milliseconds, shortest first.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A whole number and its unit: `500ms`, `30s`, `5m`, `2h`, `7d`. `None` for anything else.
///
/// No crate for this: those at hand also take months, years and sums (`1M`, `1h 30min`), where a slip of the shift
/// key makes a minute a month.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*milliseconds).map(Duration::from_millis)
}

/// A duration as one would write it in the settings.
pub(super) fn spelled(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |(_, unit): &&(&str, u64)| milliseconds != 0 && milliseconds % unit == 0;
    let (name, unit) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
    format!("{}{name}", milliseconds / unit)
}

/// A duration within limits.
pub(super) fn duration_within(text: &str, limits: &RangeInclusive<Duration>) -> Result<Duration, String> {
    duration(text).filter(|duration| limits.contains(duration)).ok_or_else(|| {
        let (least, most) = (spelled(*limits.start()), spelled(*limits.end()));
        format!("expected a duration from {least} to {most}: a whole number and ms, s, m, h or d")
    })
}

/// A whole number within limits.
pub(super) fn number_within<N>(text: &str, limits: &RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    text.parse()
        .ok()
        .filter(|number| limits.contains(number))
        .ok_or_else(|| format!("expected a whole number from {} to {}", limits.start(), limits.end()))
}

/// `true` or `false`.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("0s", 0), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1h30m",
            "30 s",
            "5M",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_spelled_in_its_largest_whole_unit() {
        for text in ["0ms", "1500ms", "90s", "5m", "7d"] {
            assert_eq!(spelled(duration(text).unwrap()), text);
        }
        assert_eq!(spelled(Duration::from_secs(3600)), "1h");
    }

    #[test]
    fn limits_belong_to_what_is_expected() {
        let limits = Duration::from_millis(100)..=Duration::from_secs(600);
        assert_eq!(
            duration_within("11m", &limits),
            Err("expected a duration from 100ms to 10m: a whole number and ms, s, m, h or d".to_owned())
        );
        assert_eq!(number_within("0", &(1..=64_u32)), Err("expected a whole number from 1 to 64".to_owned()));
        assert_eq!(number_within("64", &(1..=64_u32)), Ok(64));
    }
}
