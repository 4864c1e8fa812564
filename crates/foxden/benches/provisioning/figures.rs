//! What a measurement finds, by name; and medians of several.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use crate::{process::Memory, rows::Row};

/// A column: the name in JSON, the heading for people, and how many decimals they are shown.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) decimals: usize,
}

const fn column(name: &'static str, heading: &'static str, decimals: usize) -> Column {
    Column { name, heading, decimals }
}

/// What people are shown; JSON has all there is.
pub(crate) const COLUMNS: &[Column] = &[
    column("rate", "signups/s", 0),
    column("efficiency", "of what Foxy allows", 2),
    column("worker_cpu_s", "CPU s / 1,000 worker", 3),
    column("postgres_cpu_s", "CPU s / 1,000 PostgreSQL", 3),
    column("broker_cpu_s", "CPU s / 1,000 broker", 3),
    column("idle_cpu_ms", "idle CPU ms/s worker", 1),
    column("idle_postgres_ms", "idle CPU ms/s PostgreSQL", 1),
    column("peak_mb", "peak MB", 1),
    column("rss_mb", "at the end MB", 1),
    column("p50_ms", "p50 ms", 0),
    column("p99_ms", "p99 ms", 0),
    column("requests", "calls a signup", 3),
    column("connections", "connections", 0),
    column("commits", "commits a signup", 2),
    column("statements", "statements a signup", 1),
    column("round_trips", "round trips a signup", 1),
    column("wal_kb", "WAL kB a signup", 1),
    column("start_ms", "start ms", 0),
];

/// The figures of one measurement, or the medians of several.
#[derive(Default, Clone)]
pub(crate) struct Figures(BTreeMap<&'static str, f64>);

impl Figures {
    pub(crate) fn put(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// CPU seconds for 1,000 signups.
    pub(crate) fn put_cpu(&mut self, name: &'static str, cpu: Duration, signups: usize) {
        self.put(name, cpu.as_secs_f64() * 1_000.0 / count(signups));
    }

    /// The sum of several workers' memory.
    pub(crate) fn put_memory(&mut self, memory: impl Iterator<Item = Memory>) {
        let (now, peak) = memory.fold((0.0, 0.0), |(now, peak), memory| (now + memory.now, peak + memory.peak));
        self.put("rss_mb", now);
        self.put("peak_mb", peak);
    }

    /// The rate, and which part it is of the most that Foxy's latency allows: each signup waits for two answers.
    pub(crate) fn put_rate(&mut self, row: &Row, signups: usize, took: Duration) {
        let rate = count(signups) / took.as_secs_f64();
        self.put("rate", rate);
        if !row.foxy_takes.is_zero() {
            let most = count(row.concurrency * row.workers) / (2.0 * row.foxy_takes.as_secs_f64());
            self.put("efficiency", rate / most);
        }
    }

    /// How long it took from publishing to done.
    pub(crate) fn put_delays(&mut self, mut delays: Vec<i64>) {
        delays.sort_unstable();
        let at = |percent: usize| delays[(delays.len() * percent / 100).min(delays.len() - 1)];
        for (name, percent) in [("p50_ms", 50), ("p99_ms", 99), ("max_ms", 100)] {
            self.put(name, from(at(percent)));
        }
    }

    /// The median of each figure.
    pub(crate) fn medians(of: &[Self]) -> Self {
        let names = of.iter().flat_map(|figures| figures.0.keys());
        let median = |name: &'static str| {
            let mut values: Vec<f64> = of.iter().filter_map(|figures| figures.get(name)).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self(names.map(|name| (*name, median(name))).collect())
    }

    /// As a line of JSON, with what it is of.
    pub(crate) fn json(&self, row: &Row, worker: &str, run: usize) -> Value {
        let rounded = |value: f64| json!((value * 1e4).round() / 1e4);
        let mut line: Map<String, Value> =
            self.0.iter().map(|(name, value)| ((*name).into(), rounded(*value))).collect();
        line.insert("row".into(), row.name.into());
        line.insert("worker".into(), worker.into());
        line.insert("run".into(), run.into());
        line.insert("signups".into(), row.load.signups().into());
        line.into()
    }
}

/// As a number to reckon with.
pub(crate) fn count(of: usize) -> f64 {
    u32::try_from(of).expect("not that many").into()
}

/// The same for counters and times, which are far below 2^53 here.
pub(crate) fn from(of: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let number = of as f64;
    number
}
