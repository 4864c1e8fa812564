//! What is logged, as `FOXDEN_LOG` says it.

use std::cmp::min;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// What is logged. The text is a list with commas between:
///
/// | entry | says how much is heard from | unless given |
/// | --- | --- | --- |
/// | `LEVEL` | foxden itself | `info` |
/// | `dependencies=LEVEL` | all libraries | `warn`, or less if `LEVEL` is less |
/// | `TARGET=LEVEL` | one crate or module: `foxden_ledger=debug`, `sqlx::query=debug` | |
///
/// A level is one of `off`, `error`, `warn`, `info`, `debug`, `trace`. Of a library, [`super::ceiling`] keeps back what
/// would let out secrets.
///
/// The usual grammar of such filters takes a bare word for a crate: `FOXDEN_LOG=inof` would silence everything, and
/// `debug` would drown our lines in those of 300 libraries. Hence this one.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter(Targets);

/// A filter that can't be read. It names the entry by position, since a text put here by mistake may be a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a level (off, error, warn, info, debug, trace), target=level or dependencies=level as entry {position}"
)]
pub(crate) struct LogFilterError {
    position: usize,
}

impl LogFilter {
    /// Reads the text.
    ///
    /// # Errors
    /// If an entry is neither of the three.
    pub(crate) fn parse(text: &str) -> Result<Self, LogFilterError> {
        let mut ours = LevelFilter::INFO;
        let mut dependencies = None;
        let mut named = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let error = || LogFilterError { position: index + 1 };
            let (target, level) = match entry.split_once('=') {
                Some((target, level)) => (Some(target.trim()), level),
                None => (None, entry),
            };
            let level = level_named(level.trim()).ok_or_else(error)?;
            match target {
                None => ours = level,
                Some("dependencies") => dependencies = Some(level),
                Some(target) if is_target(target) => named.push((target.to_owned(), level)),
                Some(_) => return Err(error()),
            }
        }
        let dependencies = dependencies.unwrap_or(min(ours, LevelFilter::WARN));
        let targets = Targets::new()
            .with_default(dependencies)
            // A target covers all that begin with it, `foxden_ledger` and so on included.
            .with_targets([("foxden", ours), ("foxy_api", ours), ("foxy_sim", ours)])
            // PostgreSQL notes at every start that the table of migrations is there already.
            .with_target("sqlx::postgres::notice", min(dependencies, LevelFilter::WARN))
            // It reports in its own words, on several lines, what the `broker.*` lines say in ours.
            .with_target("lapin", if dependencies > LevelFilter::WARN { dependencies } else { LevelFilter::OFF })
            // The last word: later entries replace earlier ones of the same target.
            .with_targets(named);
        Ok(Self(targets))
    }

    /// As the subscriber takes it.
    pub(super) fn targets(&self) -> &Targets {
        &self.0
    }
}

fn level_named(name: &str) -> Option<LevelFilter> {
    // `LevelFilter`'s own parser takes numbers and the empty text as well.
    ["off", "error", "warn", "info", "debug", "trace"].contains(&name).then(|| name.parse().ok()).flatten()
}

fn is_target(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn hears(text: &str, target: &str, level: Level) -> bool {
        LogFilter::parse(text).unwrap().targets().would_enable(target, &level)
    }

    #[test]
    fn a_bare_level_is_for_our_own_crates() {
        for target in ["foxden::worker", "foxden_ledger", "foxy_api::http", "foxy_sim"] {
            assert!(hears("debug", target, Level::DEBUG), "{target}");
            assert!(!hears("debug", target, Level::TRACE), "{target}");
        }
        assert!(hears("debug", "hyper", Level::WARN));
        assert!(!hears("debug", "lapin", Level::INFO));
    }

    #[test]
    fn libraries_are_never_louder_than_we_are_unless_named() {
        assert!(!hears("error", "lapin", Level::WARN));
        assert!(hears("error,dependencies=info", "lapin", Level::INFO));
        assert!(hears("info,sqlx::query=debug", "sqlx::query", Level::DEBUG));
        assert!(!hears("info,sqlx::query=debug", "sqlx", Level::DEBUG));
        assert!(!hears("off", "foxden", Level::ERROR));
    }

    #[test]
    fn postgresql_notices_stay_quiet_unless_named() {
        assert!(!hears("info,dependencies=trace", "sqlx::postgres::notice", Level::INFO));
        assert!(hears("info,sqlx::postgres::notice=info", "sqlx::postgres::notice", Level::INFO));
    }

    #[test]
    fn the_amqp_library_is_heard_only_by_those_who_listen_to_libraries() {
        assert!(!hears("info", "lapin::io_loop", Level::ERROR));
        assert!(hears("info,dependencies=debug", "lapin::io_loop", Level::ERROR));
        assert!(hears("info,lapin=error", "lapin::io_loop", Level::ERROR));
    }

    #[test]
    fn a_filter_that_says_nothing_clear_is_refused_by_position() {
        for (text, position) in [
            ("", 1),
            ("inof", 1),
            ("5", 1),
            ("Info", 1),
            ("info,", 2),
            ("info,lapin", 2),
            ("a=b=info", 1),
            ("info,=debug", 2),
        ] {
            assert_eq!(LogFilter::parse(text).unwrap_err(), LogFilterError { position }, "{text}");
        }
    }
}
