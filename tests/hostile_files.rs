//! Files that foxden is given and that are not what they should be: too large, endless, or no files at all. Each is
//! refused with its reason, in bounded memory, and nothing waits for it.

use std::{
    fs::{self, File},
    io::Write as _,
    process::{Command, Output},
};

use crate::{
    client::with_secret_file,
    submit::pipe,
    support::{PATIENCE, Place, Worker, lines, program},
};

const GIB: u64 = 1 << 30;
/// Below that, in KiB, and far more than the program takes.
const MEMORY: u64 = 700_000;

/// Runs a command in so little memory that it could not hold what it is given, and no longer than it should take.
fn run(place: &Place, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let script = format!("ulimit -v {MEMORY}; exec timeout {} \"$0\" \"$@\"", PATIENCE.as_secs());
    Command::new("sh")
        .args(["-c", &script])
        .arg(program(&[], place.dir.path()).get_program())
        .args(arguments)
        .current_dir(place.dir.path())
        .env_clear()
        // Each of the C library's arenas reserves addresses that it may never use.
        .env("MALLOC_ARENA_MAX", "2")
        .envs(&place.settings)
        .envs(settings.iter().copied())
        .output()
        .unwrap()
}

/// A file of this size that takes no room on the disk.
fn sparse(place: &Place, name: &str, size: u64) -> File {
    let file = File::create(place.path(name)).unwrap();
    file.set_len(size).unwrap();
    file
}

/// The most memory that it has had, in KiB.
fn peak(worker: &Worker) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_a_gibibyte_is_refused_and_the_event_behind_it_submitted() {
    let place = Place::new().await;
    // Its nulls are a line of their own, and what comes behind them is the next one.
    let mut file = sparse(&place, "events.jsonl", GIB);
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    file.write_all(format!("\n{}", lines(["behind"])).as_bytes()).unwrap();
    let ended = run(&place, &["submit", "--json", "events.jsonl"], &[]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(
        said.contains("line 1: this event is refused:\n  event has more than 65536 bytes; no more are read"),
        "{said}"
    );
    let counts: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&counts["submitted"], &counts["refused"]), (&1.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_tokens_file_in_the_escrow_is_moved_aside_unread() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["one"]));
    fs::create_dir(place.path("foxden-escrow")).unwrap();
    sparse(&place, "foxden-escrow/huge.escrow", GIB);
    fs::create_dir(place.path("foxden-escrow/folder.escrow")).unwrap();
    pipe(&place, "foxden-escrow/pipe.escrow");
    let status = run(&place, &["keys", "status", "--json"], &[]);
    assert!(status.status.success(), "{status:?}");
    let counted: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(counted["escrow_unreadable"], 3, "{counted}");

    let worker = place.worker("worker");
    worker.until_after("escrow.rejected", 2).await;
    place.settled(1).await;
    assert!(peak(&worker) < MEMORY, "{} KiB", peak(&worker));
    worker.stop().await;
    assert_eq!(fs::read_dir(place.path("foxden-escrow/rejected")).unwrap().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_a_device_or_a_directory_in_a_files_place_is_named_as_such_and_not_waited_for() {
    let mut place = Place::new().await;
    let pipe = pipe(&place, "pipe");
    sparse(&place, "huge", GIB);
    fs::set_permissions(place.path("huge"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let special = "it is a pipe, a socket or a device, and not a regular file";
    let files = [
        (pipe.to_str().unwrap(), special, special),
        ("/dev/zero", special, special),
        (".", "it is a directory", "it is a directory"),
        ("huge", "is longer than 65536 bytes", "it is larger than "),
    ];
    for (file, secret, other) in files {
        for variable in ["FOXDEN_FOXY_CLIENT_SECRET", "FOXDEN_KEYS", "FOXDEN_DATABASE_URL"] {
            let kept = place.settings.remove(variable).unwrap();
            refused(&place, &["worker"], &[(&format!("{variable}_FILE"), file)], secret);
            place.set(variable, &kept);
        }
        refused(&place, &["--config", file, "status"], &[], other);
        refused(&place, &["status"], &[("FOXDEN_CONFIG", file)], other);
        refused(
            &place,
            &["dead", "list"],
            &[("FOXDEN_AMQP_URL", "amqps://127.0.0.1:1"), ("FOXDEN_AMQP_CA_FILE", file)],
            other,
        );
        let url = format!("postgres://127.0.0.1:1/x?sslmode=verify-full&sslrootcert={file}");
        refused(&place, &["status"], &[("FOXDEN_DATABASE_URL", &url)], other);
        let state = run(&place, &["submit", "--state", file, "-"], &[]);
        assert_eq!(state.status.code(), Some(1), "{state:?}");
        assert!(String::from_utf8_lossy(&state.stderr).contains(other), "{state:?}");
    }
}

fn refused(place: &Place, arguments: &[&str], settings: &[(&str, &str)], why: &str) {
    let ended = run(place, arguments, settings);
    assert_eq!(ended.status.code(), Some(2), "{settings:?}: {ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains(why), "{settings:?}: {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_secrets_file_becomes_a_pipe_goes_on() {
    let (place, path) = with_secret_file().await;
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    fs::remove_file(&path).unwrap();
    pipe(&place, "client-secret");
    worker.signal("HUP");
    let line = worker.until("settings.not_reread").await;
    assert!(line["problem"].as_str().unwrap().ends_with("it is a pipe, a socket or a device, and not a regular file"));
    place.feed(&["submit", "-"], &lines(["one"]));
    place.settled(1).await;
    worker.stop().await;
}
