//! One measurement: a fresh database, fresh queues, a simulator and the workers.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, now_ms, signup_id},
    database::{Rows, Server},
    figures::{Figures, count, from},
    note,
    process::{self, Memory},
    relay::Relay,
    rows::{LedgerPlace, Load, Row},
    simulator::{Asked, Foxy},
    worker::{Kind, Surroundings, Worker},
};

/// How often it is asked whether a worker consumes yet: the error of `start_ms`, and of the beginning.
const LOOKS: Duration = Duration::from_millis(2);
/// How long starting may take.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// A worker slower than this has stopped.
const SLOWEST: u32 = 20;
/// How long an idle worker is left alone first, and how long it is watched then.
const IDLE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(10)];
/// Until a server counts what a connection has done that was closed.
const COUNTED_WITHIN: Duration = Duration::from_millis(300);

/// What all measurements share.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) broker_url: String,
    /// The broker's process, where it is known.
    pub(crate) broker_pid: Option<u32>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) shows_statements: bool,
    pub(crate) measured: usize,
}

/// What is read before and after.
struct Meters {
    workers: Duration,
    postgres: Duration,
    broker: Option<Duration>,
    foxy: Duration,
}

impl Bench {
    /// Measures one row of one worker once.
    pub(crate) async fn measure(&mut self, row: &Row, kind: &Kind) -> Figures {
        self.measured += 1;
        let mark = format!("bench_{}_{}", std::process::id(), self.measured);
        let dir = tempfile::tempdir().expect("a place for logs");
        let database = match row.ledger {
            LedgerPlace::Postgres => self.server.create(&mark).await,
            LedgerPlace::Sqlite => Rows::sqlite_url(dir.path()),
        };
        let broker = Broker::join(&self.broker_url, &mark).await;
        let authority = row.has_tls.then(|| dir.path().join("authority.pem"));
        let foxy = Foxy::start(row.foxy_takes, authority.as_deref());
        let figures = self.in_place(row, kind, dir.path(), &database, &broker, foxy).await;
        broker.leave().await;
        if row.ledger == LedgerPlace::Postgres {
            if self.shows_statements {
                let top = self.server.top_statements(&mark, row.load.signups().max(1)).await;
                top.iter().for_each(|line| note(line));
            }
            self.server.remove(&mark).await;
        }
        figures
    }

    async fn in_place(
        &self,
        row: &Row,
        kind: &Kind,
        dir: &Path,
        database: &str,
        broker: &Broker,
        mut foxy: Foxy,
    ) -> Figures {
        let authority = row.has_tls.then(|| dir.join("authority.pem"));
        let (foxy_access, authority, settings) = (foxy.access.clone(), authority.as_deref(), &self.settings);
        let mut around = Surroundings { row, dir, broker, foxy: &foxy_access, database, authority, settings };
        kind.prepare(&around).await;
        let relay = if row.database_away.is_zero() { None } else { Some(Relay::to(database).await) };
        let through_relay = relay.as_ref().map(|relay| relay.through(database));
        if let (Some(relay), Some(url)) = (&relay, &through_relay) {
            relay.move_away(row.database_away);
            around.database = url;
        }
        let (route, signups, mut figures) = (kind.route(broker), row.load.signups(), Figures::default());
        if let Load::Backlog(signups) = row.load {
            broker.publish(&route, signups).await;
        }
        let rows = Rows::open(database, kind.table()).await;
        let on_postgres = row.ledger == LedgerPlace::Postgres;
        let done_before = if on_postgres { Some(self.server.done(&broker.mark).await) } else { None };

        let spawned = Instant::now();
        let mut crew: Vec<Worker> = (0..row.workers).map(|number| kind.start(&around, number)).collect();
        while broker.consumers().await < row.workers {
            assert_alive(&mut crew, spawned.elapsed() < STARTS_WITHIN);
            tokio::time::sleep(LOOKS).await;
        }
        let began = now_ms();
        figures.put("start_ms", spawned.elapsed().as_secs_f64() * 1_000.0);

        if let Load::Nothing = row.load {
            tokio::time::sleep(IDLE[0]).await;
        }
        let before = self.read(&crew, &foxy);
        let asked_before = foxy.asked();
        let published = match row.load {
            Load::Paced { a_second, .. } => broker.publish_evenly(&route, signups, a_second).await,
            Load::Backlog(_) => Vec::new(),
            Load::Nothing => {
                tokio::time::sleep(IDLE[1]).await;
                Vec::new()
            }
        };
        until_done(&rows, &mut crew, signups).await;
        let after = self.read(&crew, &foxy);
        figures.put_memory(crew.iter().map(|worker| worker.running.memory()).collect::<Vec<Memory>>().into_iter());
        let asked = foxy.asked();

        // Side by side, as a supervisor stops them.
        let stopping: Vec<_> =
            crew.into_iter().map(|worker| std::thread::spawn(move || worker.running.stop())).collect();
        stopping.into_iter().for_each(|stopping| stopping.join().expect("workers stop in good order"));
        let times = rows.times().await;
        let own_commits = rows.asked();
        rows.close().await;

        if row.load.signups() == 0 {
            let cpu = after.workers.saturating_sub(before.workers);
            let a_second = |cpu: Duration| cpu.as_secs_f64() * 1_000.0 / IDLE[1].as_secs_f64();
            figures.put("idle_cpu_ms", a_second(cpu));
            figures.put("idle_postgres_ms", a_second(after.postgres.saturating_sub(before.postgres)));
            return figures;
        }
        assert_eq!(times.len(), signups, "each signup is done once");
        let last = times.iter().map(|(_, at)| *at).max().expect("there are signups");
        if published.is_empty() {
            let took = u64::try_from(last - began).expect("it took time");
            figures.put_rate(row, signups, Duration::from_millis(took));
        } else {
            let done: std::collections::HashMap<_, _> = times.into_iter().collect();
            let delay = |(number, at): (usize, &i64)| done[&signup_id(number)] - at;
            let delays: Vec<_> = published.iter().enumerate().map(delay).collect();
            note_slow(&delays);
            figures.put_delays(delays);
        }
        figures.put_meters(&before, &after, signups, on_postgres);
        figures.put_asked(asked_before, asked, signups);
        if let Some(relay) = relay {
            figures.put("round_trips", count(relay.round_trips()) / count(signups));
        }
        if let Some(before) = done_before {
            tokio::time::sleep(COUNTED_WITHIN).await;
            let done = self.server.done(&broker.mark).await;
            let own = i64::try_from(own_commits).expect("a count");
            figures.put("commits", from(done.commits - before.commits - own) / count(signups));
            figures.put("wal_kb", from(done.wal_bytes - before.wal_bytes) / 1_000.0 / count(signups));
            if let (Some(statements), Some(before)) = (done.statements, before.statements) {
                figures.put("statements", from(statements - before - own) / count(signups));
            }
        }
        figures
    }

    fn read(&self, crew: &[Worker], foxy: &Foxy) -> Meters {
        Meters {
            workers: crew.iter().map(|worker| worker.running.cpu()).sum(),
            postgres: self.server.cpu(),
            broker: self.broker_pid.map(process::tree_cpu),
            foxy: foxy.cpu(),
        }
    }
}

/// Which signups took twice as long as the fastest and more: a slow start looks unlike a slow disk.
fn note_slow(delays: &[i64]) {
    let limit = delays.iter().min().map_or(0, |fastest| fastest * 2);
    let slow = delays.iter().enumerate().filter(|(_, delay)| **delay >= limit);
    let slow: Vec<_> = slow.map(|(number, delay)| format!("{number}: {delay} ms")).collect();
    if !slow.is_empty() {
        note(&format!("slow signups: {}", slow.join(", ")));
    }
}

impl Figures {
    fn put_meters(&mut self, before: &Meters, after: &Meters, signups: usize, on_postgres: bool) {
        let mut put =
            |name, before: Duration, after: Duration| self.put_cpu(name, after.saturating_sub(before), signups);
        put("worker_cpu_s", before.workers, after.workers);
        put("foxy_cpu_s", before.foxy, after.foxy);
        if on_postgres {
            put("postgres_cpu_s", before.postgres, after.postgres);
        }
        if let (Some(before), Some(after)) = (before.broker, after.broker) {
            put("broker_cpu_s", before, after);
        }
    }

    fn put_asked(&mut self, before: Asked, after: Asked, signups: usize) {
        let number = |of: u64| from(i64::try_from(of).expect("a count"));
        // What a worker asks at its start is no cost of a signup; a connection that was opened then is used.
        self.put("requests", number(after.requests - before.requests) / count(signups));
        self.put("connections", number(after.connections));
    }
}

/// Waits until all signups are done, and their outcomes published. What is asked for that costs the database
/// a few milliseconds a second at most.
async fn until_done(rows: &Rows, crew: &mut [Worker], signups: usize) {
    let pause = Duration::from_millis(200) + Duration::from_micros(20) * u32::try_from(signups).expect("not that many");
    let patience = STARTS_WITHIN + Duration::from_secs(1) * u32::try_from(signups).expect("not that many") / SLOWEST;
    let started = Instant::now();
    while rows.count().await < signups {
        assert_alive(crew, started.elapsed() < patience);
        tokio::time::sleep(pause).await;
    }
    // With settings that let no one hear of outcomes, their number stops sinking.
    let mut waiting = usize::MAX;
    loop {
        let now = rows.waiting_events().await;
        if now == 0 || now >= waiting {
            break;
        }
        waiting = now;
        assert_alive(crew, started.elapsed() < patience);
        tokio::time::sleep(pause).await;
    }
}

/// # Panics
/// With the end of their logs, if one has ended or all took too long.
fn assert_alive(crew: &mut [Worker], is_in_time: bool) {
    if !is_in_time {
        let words: Vec<String> = crew.iter().map(Worker::last_words).collect();
        panic!("no end in sight:\n{}", words.join("\n"));
    }
    for worker in crew {
        if let Some(status) = worker.running.ended() {
            panic!("a worker has ended: {status}\n{}", worker.last_words());
        }
    }
}
