//! The level above which a library is never heard, since there it lets out secrets or contents.
//!
//! Each was seen to do so, with planted values at every level:
//!
//! | who | lets out | at |
//! | --- | --- | --- |
//! | lapin `returned_messages` | the whole body of a returned message | warn |
//! | sqlx-postgres `options` | the value of a parameter it does not know | warn |
//! | sea-orm's spans | the database URL, password included | trace |
//! | lapin `io_loop`, `channels` | the broker's password and all bodies, as lists of bytes | trace |
//! | reqwest `connect` | what goes over the wire, if its verbose mode is on | trace |

use tracing::{Metadata, level_filters::LevelFilter};

/// Whether a line or span may be logged, however much was asked for.
pub(super) fn permits(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= of(metadata.target())
}

/// The highest level for a target.
fn of(target: &str) -> LevelFilter {
    const LOWERED: [(&str, LevelFilter); 3] = [
        ("lapin::returned_messages", LevelFilter::ERROR),
        ("sqlx_postgres::options", LevelFilter::ERROR),
        ("reqwest::connect", LevelFilter::OFF),
    ];
    if let Some((_, level)) = LOWERED.iter().find(|(module, _)| is_in(target, module)) {
        return *level;
    }
    // Not a list of the libraries that were caught: what an update adds to the tree is capped as well.
    if is_ours(target) { LevelFilter::TRACE } else { LevelFilter::DEBUG }
}

/// Whether a target is a crate of this project.
fn is_ours(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or_default();
    name == "foxden" || name.starts_with("foxden_") || matches!(name, "foxy_api" | "foxy_sim")
}

fn is_in(target: &str, module: &str) -> bool {
    target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stop_at_debug_and_leaks_before() {
        for (target, level) in [
            ("lapin::io_loop", LevelFilter::DEBUG),
            ("amq_protocol::frame", LevelFilter::DEBUG),
            ("sea_orm::database", LevelFilter::DEBUG),
            ("sqlx::query", LevelFilter::DEBUG),
            ("hyper_util::client", LevelFilter::DEBUG),
            ("h2::codec", LevelFilter::DEBUG),
            ("rustls::conn", LevelFilter::DEBUG),
            ("a_library_of_tomorrow", LevelFilter::DEBUG),
            ("lapin::returned_messages", LevelFilter::ERROR),
            ("sqlx_postgres::options", LevelFilter::ERROR),
            ("sqlx_postgres::options::parse", LevelFilter::ERROR),
            ("reqwest::connect", LevelFilter::OFF),
            ("reqwest::connect::verbose", LevelFilter::OFF),
        ] {
            assert_eq!(of(target), level, "{target}");
        }
    }

    #[test]
    fn our_own_crates_are_heard_at_trace() {
        for target in ["foxden", "foxden::worker", "foxden_ledger::lease", "foxy_api::http", "foxy_sim"] {
            assert_eq!(of(target), LevelFilter::TRACE, "{target}");
        }
        assert_eq!(of("foxdenish::worker"), LevelFilter::DEBUG);
    }
}
