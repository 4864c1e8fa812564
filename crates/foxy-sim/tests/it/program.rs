use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::foxy::Foxy;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_foxy-sim"))
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_says_where_it_is_and_sums_up_its_books_when_told_to_stop() {
    let args = ["--bind", "127.0.0.1:0", "--client-id", "demo", "--client-secret", "s3", "--latency", "0..1"];
    let mut child = program().args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let base = line.trim().strip_prefix("Foxy is simulated at ").unwrap().to_owned();
    while !line.starts_with("Ctrl-C") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0);
    }

    let http = Foxy::start().await.http;
    let form = [("grant_type", "client_credentials")];
    let request = http.post(format!("{base}/token")).basic_auth("demo", Some("s3")).form(&form);
    let answer = crate::foxy::send(request.header("foxy-api-version", "1")).await.unwrap();
    assert_eq!(answer.status, 200);

    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success() && child.wait().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.trim(), "1 requests; 0 users and 0 stores in the books, 0 of them never answered");
}

#[test]
fn a_wrong_fault_rule_ends_the_program_with_the_part_that_is_wrong() {
    let output = program().args(["--fault", "POST /users: explode"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("no fault is called \"explode\""));
}

#[test]
fn the_help_shows_an_example_faults_and_what_is_played() {
    let output = program().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("foxy-sim --books books.jsonl"));
    assert!(
        ["late_work(2s)", "foreign_link", "listing_lag(2s)", "other_grant", "any-store", "sim_as"]
            .iter()
            .all(|fault| help.contains(fault))
    );
}

#[cfg(unix)]
#[test]
fn the_program_goes_on_when_nobody_reads_what_it_prints() {
    let mut child =
        program().args(["--bind", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(killed.success() && ended.status.success(), "{ended:?}");
}
