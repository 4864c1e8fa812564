//! Which keys the ledger's envelopes are sealed with.

use std::collections::{BTreeMap, BTreeSet};

use foxden_vault::KeyId;
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, Value};

use crate::{connect::Ledger, error::LedgerError, forget::NO_KEY};

/// What an envelope of the ledger holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// The contents of a signup event.
    Event,
    /// A refresh token.
    Token,
}

impl Contents {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Event, Self::Token];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Token => "token",
        }
    }

    /// The table and the column where such envelopes are.
    pub(crate) const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Event => ("provisionings", "payload"),
            Self::Token => ("credentials", "sealed"),
        }
    }
}

/// What one key is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key: KeyId,
    /// How many events are sealed with it.
    pub events: u64,
    /// How many tokens are sealed with it.
    pub tokens: u64,
    /// How many fingerprints were made with it. Without the key, a repeat of such an event counts as a duplicate
    /// whatever its content; nothing else is lost.
    pub fingerprints: u64,
}

impl KeyUse {
    /// A key that nothing needs.
    pub const fn none(key: KeyId) -> Self {
        Self { key, events: 0, tokens: 0, fingerprints: 0 }
    }

    /// How many envelopes can't be opened without it.
    pub const fn envelopes(&self) -> u64 {
        self.events + self.tokens
    }
}

impl Ledger {
    /// Every key that an envelope is sealed with. Quick on a ledger of any size: one look into an index for each key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keys_in_use(&self) -> Result<BTreeSet<KeyId>, LedgerError> {
        let ledger = self.clone();
        self.detached("keys_in_use", async move {
            let mut keys = BTreeSet::new();
            for (table, column) in Contents::ALL.map(Contents::place) {
                let next = format!(
                    "SELECT substr({column}, 5, 8) AS key_id FROM {table} WHERE {column} IS NOT NULL \
                     AND substr({column}, 5, 8) > $1 ORDER BY substr({column}, 5, 8) LIMIT 1"
                );
                let mut seen: Vec<u8> = Vec::new();
                while let Some(row) = ledger.db.query_one_raw(ledger.statement(&next, [seen.into()])).await? {
                    seen = row.try_get("", "key_id")?;
                    keys.extend(read_key(&seen));
                }
            }
            Ok(keys)
        })
        .await
    }

    /// Counts what each key is needed for. What is too short to name a key is not counted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_by_key(&self) -> Result<Vec<KeyUse>, LedgerError> {
        let ledger = self.clone();
        self.detached("count_by_key", async move {
            let [events, tokens] = Contents::ALL.map(|contents| {
                let (table, column) = contents.place();
                format!(
                    "SELECT substr({column}, 5, 8) AS key_id, COUNT(*) AS n FROM {table} WHERE {column} IS NOT NULL \
                     GROUP BY substr({column}, 5, 8)"
                )
            });
            // Those of replaced contents tell repeats from corrections just as well.
            let fingerprints = "SELECT substr(fingerprint, 1, 8) AS key_id, COUNT(*) AS n FROM \
                                (SELECT fingerprint FROM provisionings \
                                 UNION ALL SELECT fingerprint FROM superseded_contents) AS prints \
                                GROUP BY substr(fingerprint, 1, 8)";
            let mut uses = BTreeMap::new();
            for (key, count) in ledger.counts(&events, []).await? {
                uses.entry(key).or_insert_with(|| KeyUse::none(key)).events = count;
            }
            for (key, count) in ledger.counts(&tokens, []).await? {
                uses.entry(key).or_insert_with(|| KeyUse::none(key)).tokens = count;
            }
            for (key, count) in ledger.counts(fingerprints, []).await?.into_iter().filter(|(key, _)| *key != NO_KEY) {
                uses.entry(key).or_insert_with(|| KeyUse::none(key)).fingerprints = count;
            }
            Ok(uses.into_values().collect())
        })
        .await
    }

    /// Counts the envelopes of one key, at most `limit` of each kind: to count all of a large ledger takes a second.
    /// Its fingerprints are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_envelopes_of(&self, key: KeyId, limit: u32) -> Result<KeyUse, LedgerError> {
        let ledger = self.clone();
        self.detached("count_envelopes_of", async move {
            let mut counts = [0; 2];
            for (count, (table, column)) in counts.iter_mut().zip(Contents::ALL.map(Contents::place)) {
                let query = format!(
                    "SELECT COUNT(*) AS n FROM (SELECT id FROM {table} WHERE {column} IS NOT NULL \
                     AND substr({column}, 5, 8) = $1 LIMIT {limit}) AS found"
                );
                let row = ledger.db.query_one_raw(ledger.statement(&query, [bytes(key)])).await?;
                let n = row.map(|row| row.try_get::<i64>("", "n")).transpose()?;
                *count = n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            }
            let [events, tokens] = counts;
            Ok(KeyUse { events, tokens, ..KeyUse::none(key) })
        })
        .await
    }

    /// Runs a query that answers keys with counts.
    async fn counts<const N: usize>(&self, query: &str, values: [Value; N]) -> Result<Vec<(KeyId, u64)>, LedgerError> {
        let rows = self.db.query_all_raw(self.statement(query, values)).await?;
        let read = |row: &QueryResult| -> Result<Option<(KeyId, u64)>, LedgerError> {
            let (key, count): (Vec<u8>, i64) = (row.try_get("", "key_id")?, row.try_get("", "n")?);
            Ok(read_key(&key).map(|key| (key, u64::try_from(count).unwrap_or(0))))
        };
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// A statement in words that both databases know, with values for `$1`, `$2` …
    pub(crate) fn statement(&self, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        let backend = if self.is_embedded() { DbBackend::Sqlite } else { DbBackend::Postgres };
        Statement::from_sql_and_values(backend, text, values)
    }
}

/// A key's id as a value to compare with.
pub(crate) fn bytes(key: KeyId) -> Value {
    key.as_bytes().to_vec().into()
}

/// `None` for a piece of an envelope that was cut before the id's end.
fn read_key(bytes: &[u8]) -> Option<KeyId> {
    bytes.try_into().ok().map(KeyId::from_bytes)
}
