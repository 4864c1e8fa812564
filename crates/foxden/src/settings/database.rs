//! Where the ledger is.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_DATABASE_URL` (`_FILE`) | `sqlite:foxden.db` | `sqlite:PATH`, or `postgres://…` to share the work among workers |
//! | `FOXDEN_DATABASE_POOL` | `8` | how many connections to PostgreSQL, 1 to 64; at least one for every 64 of `FOXDEN_CONCURRENCY` |
//! | `FOXDEN_DATABASE_GIVE_UP_AFTER` | `2m` | how long a worker lives with a PostgreSQL that answers nothing at all, 5s to 24h; `never`, or `0`: without end |

use std::time::Duration;

use foxden_ledger::DatabaseUrl;

use super::{Need, reader::Reader, text};

/// A connection or statement is given up after some seconds, so a shorter time would say nothing.
const GIVE_UP_AFTER: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(24);

/// How many signups in work one connection can serve.
///
/// When all of them commit a result at once, the last waits for that many transactions: 64 of about 2 ms are done
/// well before the 250 ms after which a result goes to the escrow instead of the ledger.
const SIGNUPS_PER_CONNECTION: usize = 64;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct DatabaseSettings {
    /// Where the ledger is.
    pub(crate) url: DatabaseUrl,
    /// How many connections to PostgreSQL; SQLite has one writer anyway.
    pub(crate) pool: u32,
    /// How long a worker lives with a database that answers nothing at all; `None`: without end.
    pub(crate) give_up_after: Option<Duration>,
}

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        const URL: &str = "FOXDEN_DATABASE_URL";
        reader.prepare_secret(URL, Need::IfSet);
        let url = reader.value(URL, |text| {
            let url = DatabaseUrl::parse(text).map_err(|error| error.to_string())?;
            // What is accepted must be there tomorrow.
            if url.is_in_memory() {
                return Err("expected a file: what is in memory ends with the process".to_owned());
            }
            url.check_files().map_err(|error| error.to_string())?;
            Ok(url)
        });
        let pool = reader.value("FOXDEN_DATABASE_POOL", |text| text::number_within(text, &(1..=64)));
        let give_up_after = reader.value("FOXDEN_DATABASE_GIVE_UP_AFTER", |text| match text {
            "never" | "0" => Ok(None),
            text => text::duration_within(text, &GIVE_UP_AFTER).map(Some).map_err(|error| format!("{error}; or never")),
        });
        Some(Self { url: url?, pool: pool?, give_up_after: give_up_after? })
    }

    /// Notes a mistake if commits would queue up.
    pub(super) fn check_pool(&self, reader: &mut Reader, concurrency: usize) {
        let needed = concurrency.div_ceil(SIGNUPS_PER_CONNECTION);
        if !self.url.is_embedded() && (self.pool as usize) < needed {
            let problem = format!("a FOXDEN_CONCURRENCY of {concurrency} needs at least {needed} connections");
            reader.refuse("FOXDEN_DATABASE_POOL", problem);
        }
    }
}
