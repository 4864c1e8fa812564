//! The saga under every order of events: the real runner on the real ledger, with Foxy played by the test, time standing
//! still, and every operation held up until the test lets it go on. So a schedule is its seed, and repeats.
//!
//! `FOXDEN_TEST_SCHEDULES` says how many schedules are run, `FOXDEN_TEST_SEED` which one is the first. Without them it is
//! always the same ones, so that a run fails for what was changed, and not for where it looked; `make schedules` looks
//! elsewhere each time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod books;
mod contended;
mod crash_points;
mod director;
mod leases;
mod promises;
mod restored;
mod schedule;
mod session;
mod shape;
mod shared_user;
mod shop;
mod world;

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::schedule::Trace;

/// In every run, so that all forms take about four minutes on two cores; more by the environment.
const SCHEDULES: u64 = 5_000;

/// Of those with contended names.
const CONTENDED_SCHEDULES: u64 = 1_500;

/// Of those in which an older copy takes the ledger's place.
const RESTORED_SCHEDULES: u64 = 150;

#[expect(clippy::disallowed_methods, reason = "the one door by which a test is told of its size")]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

thread_local! {
    /// The schedule that this thread is at.
    static AT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A panic inside an operation would leave the director waiting for its end; so it ends the whole test, and says where.
#[expect(clippy::print_stderr, reason = "the test ends here, and this is how to repeat it")]
fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        if let Some(seed) = AT.get() {
            eprintln!("FOXDEN_TEST_SEED={seed} FOXDEN_TEST_SCHEDULES=1 repeats it");
            std::process::exit(101);
        }
    }));
}

/// What schedules are drawn from.
#[derive(Clone, Copy)]
enum Form {
    /// Everything, evenly.
    Any,
    /// Signups that want the same names.
    Contended,
    /// The same, and an older copy takes the ledger's place.
    Restored,
}

/// Runs one schedule from nothing to its end, on a clock of its own that only the test moves.
fn one(form: Form, seed: u64) -> Result<(), String> {
    let trace = Trace::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    AT.set(Some(seed));
    let ended = match form {
        Form::Any => runtime.block_on(Box::pin(schedule::run(seed, &trace))),
        Form::Contended => runtime.block_on(Box::pin(contended::run(seed, &trace))),
        Form::Restored => runtime.block_on(Box::pin(restored::run(seed, &trace))),
    };
    AT.set(None);
    ended.map_err(|broken| format!("{}\n{broken}", trace.tell()))
}

fn all(form: Form) {
    let first = number("FOXDEN_TEST_SEED").unwrap_or(1);
    let usual = match form {
        Form::Any => SCHEDULES,
        Form::Contended => CONTENDED_SCHEDULES,
        Form::Restored => RESTORED_SCHEDULES,
    };
    let schedules = number("FOXDEN_TEST_SCHEDULES").unwrap_or(usual);
    let next = AtomicU64::new(first);
    end_on_panic();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + schedules {
                return;
            }
            if let Err(broken) = one(form, seed) {
                next.store(u64::MAX / 2, Ordering::Relaxed);
                panic!("FOXDEN_TEST_SEED={seed} FOXDEN_TEST_SCHEDULES=1 repeats it\n{broken}");
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

#[test]
fn no_order_of_events_breaks_a_promise() {
    all(Form::Any);
}

#[test]
fn no_order_of_events_breaks_a_promise_among_signups_that_want_one_name() {
    all(Form::Contended);
}

#[test]
fn no_order_of_events_breaks_a_promise_when_an_older_copy_takes_the_ledgers_place() {
    all(Form::Restored);
}
