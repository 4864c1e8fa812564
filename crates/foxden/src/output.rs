//! What commands print: the one place that writes to standard output and standard error.

use std::{
    fmt::Display,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    exit::Exit,
    terminal::{printable_json, safe_lines},
};

/// Prints a line of a command's answer.
///
/// Its reader may have seen enough, as `head` does: then there is nothing left to do, and nothing to complain about.
/// Any other failure ends the command with the reason: an answer that is lost on a full disk must not pass for one.
pub(crate) fn say(line: impl Display) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{}", safe_lines(&line.to_string())).and_then(|()| stdout.flush()) {
        drop(stdout);
        end_unheard(&error);
    }
}

/// Ends a command whose answer can't be written.
fn end_unheard(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(Exit::Done as i32);
    }
    note(format!("error: standard output can't be written\n  because: {error}"));
    std::process::exit(Exit::Failed as i32);
}

/// Whether standard output was closed when the program started, as by `>&-`.
///
/// Rust's runtime opens `/dev/null` in the place of a closed descriptor, for reading and writing; a shell, systemd and
/// most others open it for writing only. So some programs that mean `/dev/null` look the same. What is printed there is
/// lost either way.
fn is_closed(stdout: &io::Stdout) -> bool {
    let is_null = fstat(stdout).is_ok_and(|found| {
        let null = std::fs::metadata("/dev/null").map(|null| null.rdev());
        null.is_ok_and(|null| FileType::from_raw_mode(found.st_mode).is_char_device() && found.st_rdev == null)
    });
    is_null && fcntl_getfl(stdout).is_ok_and(|flags| flags.contains(OFlags::RDWR))
}

/// Prints what is given once. Unlike with [`say`], it matters whether anybody took it.
///
/// # Errors
/// When nobody did.
pub(crate) fn give(line: impl Display) -> io::Result<()> {
    if is_closed(&io::stdout()) {
        return Err(io::Error::from(rustix::io::Errno::BADF));
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", safe_lines(&line.to_string()))?;
    stdout.flush()
}

/// As [`give`], a value as one line of JSON.
///
/// # Errors
/// When nobody took it.
pub(crate) fn give_json(value: &serde_json::Value) -> io::Result<()> {
    give(printable_json(&value.to_string()))
}

/// Prints a line beside the answer, for the person at the terminal. Where nobody can see it, it is lost.
pub(crate) fn note(line: impl Display) {
    drop(writeln!(io::stderr().lock(), "{}", safe_lines(&line.to_string())));
}

/// Prints a value as one line of JSON, for scripts.
pub(crate) fn say_json(value: &serde_json::Value) {
    say(printable_json(&value.to_string()));
}

/// Prints an error with everything that led to it.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        // Errors that only pass their source on would say the same twice.
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
    }
    note(text);
}

/// A line below the header and nothing else, so that rows can be cut out and searched.
const TABLE_STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new(' ', '─', '─', ' '));

/// A table as wide as its content.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = rows();
    table.set_header(header);
    table
}

/// The same without a header.
pub(crate) fn rows() -> Table {
    let mut table = Table::new();
    table.load_style(TABLE_STYLE).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A time of the ledger as a person reads it, in UTC.
pub(crate) fn moment(epoch_ms: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    time(epoch_ms).and_then(|time| time.format(format).ok()).unwrap_or_else(|| format!("{epoch_ms} ms"))
}

/// A time of the ledger as RFC 3339, for scripts.
pub(crate) fn rfc3339(epoch_ms: i64) -> Option<String> {
    time(epoch_ms)?.format(&time::format_description::well_known::Rfc3339).ok()
}

fn time(epoch_ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(epoch_ms) * 1_000_000).ok()
}

/// A length of time in the unit that suits it.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..1 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

/// A count with its thousands set apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and the words that go with it.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{count, counted, moment, rfc3339, span};

    #[test]
    fn numbers_are_shown_as_a_person_reads_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [5, 1_234, 61_000, 3_700_000, 200_000_000].map(span),
            ["5 ms", "1.2 s", "1 min 1 s", "1 h 1 min", "2 days"]
        );
        assert_eq!(
            [0, 1, 1000].map(|n| counted(n, "file is", "files are")).join(", "),
            "0 files are, 1 file is, 1,000 files are"
        );
        assert_eq!(moment(1_795_000_000_123), "2026-11-18 11:06:40Z");
        assert_eq!(rfc3339(1_795_000_000_123).unwrap(), "2026-11-18T11:06:40.123Z");
    }
}
