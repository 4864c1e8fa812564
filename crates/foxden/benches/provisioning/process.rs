//! Processes: what each costs, as the kernel counts it, and their ends.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// `USER_HZ`, in which `/proc/PID/stat` counts: 100 a second on every common Linux (proc_pid_stat(5)).
const TICK: Duration = Duration::from_millis(10);
/// Longer than foxden's `FOXDEN_SHUTDOWN_GRACE`.
const STOPS_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Fields of `/proc/PID/stat`, counted from the state, which follows the name in parentheses.
const PARENT: usize = 1;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const CHILDREN_USER_TIME: usize = 13;
const CHILDREN_SYSTEM_TIME: usize = 14;

/// A process of ours; it ends with this value, if it has not before.
pub(crate) struct Running {
    name: String,
    child: Child,
}

/// Resident memory, in MB of 1,000,000 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Running {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours to wait for")
    }

    /// Its own CPU time so far.
    pub(crate) fn cpu(&self) -> Duration {
        stat(self.child.id()).expect("it is not waited for yet").ticks(&[USER_TIME, SYSTEM_TIME])
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs, on Linux");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
            let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
            kib * 1024.0 / 1e6
        };
        Memory { now: of("VmRSS:"), peak: of("VmHWM:") }
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it is ours, and not waited for yet");
        let started = Instant::now();
        while self.ended().is_none() {
            assert!(started.elapsed() < STOPS_WITHIN, "{} does not stop", self.name);
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The CPU time of a process and of all it has started, also of those that have ended.
pub(crate) fn tree_cpu(root: u32) -> Duration {
    let all = [USER_TIME, SYSTEM_TIME, CHILDREN_USER_TIME, CHILDREN_SYSTEM_TIME];
    let own = stat(root).map_or(Duration::ZERO, |stat| stat.ticks(&all));
    let entries = fs::read_dir("/proc").expect("this is Linux");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(stat).filter(|stat| stat.field(PARENT) == u64::from(root));
    own + children.map(|child| child.ticks(&all)).sum::<Duration>()
}

pub(crate) fn parent(pid: u32) -> u32 {
    let parent = stat(pid).expect("the process runs on this machine").field(PARENT);
    parent.try_into().expect("a process id")
}

/// The process id in a file.
pub(crate) fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

struct Stat(String);

/// `None` if there is no such process any more.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold parentheses and blanks itself.
    text.rsplit_once(") ").map(|(_, fields)| Stat(fields.to_owned()))
}

impl Stat {
    fn field(&self, index: usize) -> u64 {
        let field = self.0.split_ascii_whitespace().nth(index).expect("the kernel writes them all");
        field.parse().expect("a number")
    }

    fn ticks(&self, fields: &[usize]) -> Duration {
        let ticks: u64 = fields.iter().map(|index| self.field(*index)).sum();
        TICK * u32::try_from(ticks).expect("a machine that is not a year old")
    }
}
