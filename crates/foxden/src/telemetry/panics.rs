//! Panics as log lines.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    panic, thread,
};

/// What is said instead of a message that may hold anything.
const WITHHELD: &str = "panicked; the message is withheld, since it was made at run time and may hold data";

/// From now on, a panic is a line with `event="panic"`: where, in which thread, in which span.
///
/// The default hook prints the message, and that of `expect` holds an error's `Debug` form: row values, for example.
pub(super) fn install_hook() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        log(info.payload(), &location);
    }));
}

fn log(payload: &(dyn Any + Send), location: &str) {
    // Captured where `RUST_BACKTRACE` asks for it. It holds names of functions, no values.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let thread = thread::current();
    tracing::error!(
        event = "panic",
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace,
        "{}",
        message(payload)
    );
}

/// The message if it stands like that in the source code, and therefore holds no data.
fn message(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<&'static str>() {
        Some(literal) => format!("panicked: {literal}"),
        None => WITHHELD.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::json_lines;

    #[test]
    fn a_panics_message_is_logged_if_it_stands_in_the_source() {
        let lines = json_lines("info", || {
            let _span = tracing::info_span!("provisioning", signup_id = "s-1").entered();
            log(&"the ring is never empty", "src/here.rs:1:2");
        });
        assert_eq!(lines[0]["event"], "panic");
        assert_eq!(lines[0]["level"], "error");
        assert_eq!(lines[0]["message"], "panicked: the ring is never empty");
        assert_eq!(lines[0]["location"], "src/here.rs:1:2");
        assert_eq!(lines[0]["signup_id"], "s-1");
    }

    #[test]
    fn a_panics_message_made_at_run_time_is_withheld() {
        let lines = json_lines("info", || log(&String::from("no row for s3cret"), "src/here.rs:1:2"));
        assert_eq!(lines[0]["message"], WITHHELD);
        assert!(!lines[0].to_string().contains("s3cret"));
    }
}
