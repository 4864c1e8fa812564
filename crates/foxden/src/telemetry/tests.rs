//! What logging promises, seen from the program.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::util::SubscriberInitExt;

use super::{LogFilter, Rendering, layer::LineLayer, subscriber};
use crate::terminal::Painter;

/// What is written while `work` runs, under this `FOXDEN_LOG`.
fn written(filter: &str, rendering: Rendering, work: impl FnOnce()) -> String {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let lines = LineLayer::new(rendering, Box::new(move |line| sink.lock().unwrap().extend_from_slice(line)));
    let guard = subscriber(&LogFilter::parse(filter).unwrap(), lines).set_default();
    work();
    drop(guard);
    let bytes = written.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// The lines that are written, each of which must be a JSON object.
pub(super) fn json_lines(filter: &str, work: impl FnOnce()) -> Vec<Value> {
    written(filter, Rendering::Json, work).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines without their time.
fn human_lines(filter: &str, work: impl FnOnce()) -> Vec<String> {
    let painter = Painter::of(&tempfile::tempfile().unwrap(), false);
    let text = written(filter, Rendering::Human(painter), work);
    text.lines().map(|line| line["12:01:02.345  ".len()..].to_owned()).collect()
}

#[test]
fn a_line_is_one_flat_object_in_a_fixed_order() {
    let text = written("info", Rendering::Json, || {
        tracing::info!(event = "worker.started", concurrency = 16, sqlite = true, "ready for signups");
    });
    let (time, rest) = text.split_at("{\"ts\":\"2026-11-22T12:01:02.345Z\",".len());
    assert!(time.starts_with("{\"ts\":\"20") && time.ends_with("Z\","), "{time}");
    let target = module_path!();
    assert_eq!(
        rest,
        format!(
            "\"level\":\"info\",\"event\":\"worker.started\",\"message\":\"ready for signups\",\"concurrency\":16,\
             \"sqlite\":true,\"target\":\"{target}\"}}\n"
        )
    );
}

#[test]
fn fields_of_spans_are_on_every_line_inside() {
    let lines = json_lines("info", || {
        let outer = tracing::info_span!("provisioning", signup_id = "s-1", attempt = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("attempt", 3);
        let _inner = tracing::info_span!("step", step = "user", attempt = 4).entered();
        tracing::info!(event = "user.created", step = "store");
    });
    assert_eq!(lines[0]["signup_id"], "s-1");
    assert_eq!(lines[0]["attempt"], 4, "the inner span's");
    assert_eq!(lines[0]["step"], "store", "the event's own");
}

#[test]
fn every_value_makes_valid_json_of_one_line() {
    let control: String = ('\0'..' ').chain(['\u{7f}', '\u{85}', '\u{2028}', '"', '\\', '狐']).collect();
    let lines = json_lines("info", || {
        tracing::info!(
            event = control,
            text = control,
            debug = ?control,
            huge = u64::MAX,
            low = i64::MIN,
            wide = u128::MAX,
            narrow = 7_u128,
            nan = f64::NAN,
            infinite = f64::INFINITY,
            half = 0.5,
            r#type = "keyword",
            "{control}"
        );
    });
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["event"], *control);
    assert_eq!(line["message"], *control);
    assert_eq!(line["text"], *control);
    assert_eq!(line["huge"], u64::MAX);
    assert_eq!(line["low"], i64::MIN);
    assert_eq!(line["wide"], u128::MAX.to_string());
    assert_eq!(line["narrow"], 7);
    assert_eq!(line["nan"], "NaN");
    assert_eq!(line["infinite"], "inf");
    assert_eq!(line["half"], 0.5);
    assert_eq!(line["type"], "keyword");
}

#[test]
fn no_field_takes_the_place_of_a_part_of_the_line() {
    let text = written("info", Rendering::Json, || {
        let _span = tracing::info_span!("span", event = "of the span", message = "of the span").entered();
        tracing::info!(event = "of.the.line", ts = 1, level = 2, target = 3, "of the line");
    });
    for part in ["ts", "level", "event", "message", "target"] {
        assert_eq!(text.matches(&format!("\"{part}\":")).count(), 1, "{part} in {text}");
        assert_eq!(text.matches(&format!("\"{part}_\":")).count(), 1, "{part}_ in {text}");
    }
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["event"], "of.the.line");
}

#[test]
fn an_error_is_shown_with_its_sources() {
    #[derive(Debug, thiserror::Error)]
    #[error("could not open the ledger")]
    struct Outer(#[source] std::io::Error);

    let error = Outer(std::io::Error::other("disk is full"));
    let lines = json_lines("info", || {
        tracing::error!(event = "ledger.away", error = &error as &(dyn std::error::Error + 'static));
    });
    assert_eq!(lines[0]["error"], "could not open the ledger: disk is full");
}

#[test]
fn a_human_line_shows_name_message_and_fields() {
    let lines = human_lines("info", || {
        tracing::info!(event = "worker.started", concurrency = 16, ledger = "sqlite:a b.db", "ready for signups");
    });
    assert_eq!(lines, ["INFO   worker.started  ready for signups  concurrency=16 ledger=\"sqlite:a b.db\""]);
}

#[test]
fn nothing_from_outside_starts_a_human_line_of_its_own() {
    let forged = "x\n12:01:02.345  INFO   all.well\u{1b}[2J";
    let lines = human_lines("info", || tracing::warn!(event = "odd", said = forged, "{forged}"));
    assert_eq!(
        lines,
        [concat!(
            r"WARN   odd  x\n12:01:02.345  INFO   all.well\u{1b}[2J",
            r#"  said="x\n12:01:02.345  INFO   all.well\u{1b}[2J""#
        )]
    );
}

#[test]
fn what_libraries_let_out_stays_in_at_any_level() {
    let filter = "trace,dependencies=trace,lapin=trace,lapin::returned_messages=trace,sqlx_postgres::options=trace,\
                  sea_orm=trace,reqwest=trace,reqwest::connect=trace";
    let lines = json_lines(filter, || {
        tracing::warn!(target: "lapin::returned_messages", message = "s3cret");
        tracing::warn!(target: "sqlx_postgres::options::parse", value = "s3cret");
        tracing::trace!(target: "lapin::io_loop", frame = "s3cret");
        tracing::trace!(target: "hyper::proto", bytes = "s3cret");
        log::error!(target: "reqwest::connect::verbose", "s3cret");
        log::trace!(target: "rustls::client", "s3cret");
        let _span = tracing::trace_span!(target: "sea_orm::database", "connect", url = "s3cret").entered();
        tracing::trace!(event = "ours");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0].to_string().contains("s3cret"), "{lines:?}");
}

#[test]
fn lines_of_the_log_crate_are_filtered_and_shown_by_their_own_target() {
    let lines = json_lines("info,rustls=debug", || {
        log::debug!(target: "rustls::client", "chose a suite");
        log::debug!(target: "mio::poll", "too much detail");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["target"], "rustls::client");
    assert_eq!(lines[0]["message"], "chose a suite");
    assert_eq!(lines[0].as_object().unwrap().len(), 4, "no fields of the bridge: {lines:?}");
}
