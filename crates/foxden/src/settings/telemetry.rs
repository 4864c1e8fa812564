//! What is logged, and how it looks.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_LOG` | `info` | see [`LogFilter`] |
//! | `FOXDEN_LOG_FORMAT` | `auto` | `json`: an object a line; `human`: for eyes; `auto`: human on a terminal, else JSON |
//!
//! `NO_COLOR`, where set, takes the colours away (<https://no-color.org>).

use super::reader::Reader;
use crate::telemetry::LogFilter;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct TelemetrySettings {
    /// What is logged.
    pub(crate) filter: LogFilter,
    /// How it looks.
    pub(crate) format: LogFormat,
    /// Whether there are to be no colours, also on a terminal.
    pub(crate) no_color: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For eyes on a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// One readable line each.
    Human,
}

impl TelemetrySettings {
    pub(super) fn read(reader: &mut Reader, no_color: bool) -> Option<Self> {
        let filter = reader.value("FOXDEN_LOG", |text| LogFilter::parse(text).map_err(|error| error.to_string()));
        let format = reader.value("FOXDEN_LOG_FORMAT", |text| match text {
            "auto" => Ok(LogFormat::Auto),
            "json" => Ok(LogFormat::Json),
            "human" => Ok(LogFormat::Human),
            _ => Err("expected auto, json or human".to_owned()),
        });
        Some(Self { filter: filter?, format: format?, no_color })
    }
}
