//! The OAuth client's life: made, shown, and given another secret while workers run.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output, sync::Arc, time::Instant};

use foxden_custody::{Custody, SecretRotation};
use foxden_ledger::State;
use foxden_vault::KeyRing;
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::Value;

use crate::support::{PATIENCE, Place, lines, program};

pub(crate) const ROTATE: [&str; 4] = ["client", "rotate-secret", "--yes", "--json"];

const CREATE: [&str; 16] = [
    "client",
    "create",
    "--id-prefix",
    "acme",
    "--redirect-uri",
    "https://acme.example/foxy",
    "--project-name",
    "Shops",
    "--company-name",
    "Acme",
    "--contact-name",
    "Ada Lovelace",
    "--contact-email",
    "ada@acme.example",
    "--contact-phone",
    "555-0100",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn create(place: &Place, more: &[&str]) -> Output {
    place.run(&[&CREATE[..], more].concat())
}

/// A place whose settings have the client's secret in a file, and the file's path.
pub(crate) async fn with_secret_file() -> (Place, String) {
    let mut place = Place::new().await;
    let secret = place.settings.remove("FOXDEN_FOXY_CLIENT_SECRET").unwrap();
    let path = place.path("client-secret");
    fs::write(&path, format!("{secret}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    place.set("FOXDEN_FOXY_CLIENT_SECRET_FILE", &path);
    (place, path)
}

fn in_file(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap().trim_end().to_owned()
}

/// Whether the secret in the settings opens Foxy.
fn opens(place: &Place) -> bool {
    place.run(&["client", "show"]).status.success()
}

/// The secret that a rotation which is not finished has left.
fn sealed(place: &Place) -> Option<String> {
    let rotation = SecretRotation::begin(&place.path("foxden-escrow")).unwrap();
    let pending = rotation.pending().unwrap()?;
    let ring = KeyRing::parse(&place.settings["FOXDEN_KEYS"]).unwrap();
    let custody = Custody::new(Arc::new(ring), "production");
    let secret = custody.open_pending(&pending).unwrap();
    Some(secret.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_made_without_one_and_its_secret_given_once() {
    let mut place = Place::new().await;
    for name in ["FOXDEN_FOXY_CLIENT_ID", "FOXDEN_FOXY_CLIENT_SECRET", "FOXDEN_KEYS"] {
        place.settings.remove(name);
    }
    let made: Value = serde_json::from_slice(&create(&place, &["--yes", "--json"]).stdout).unwrap();
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let rest = id.strip_prefix("acme_").unwrap();
    assert!(rest.len() == 30 && rest.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{id}");

    // What is printed is what the settings take.
    let printed = create(&place, &["--yes"]);
    let lines = text(&printed.stdout);
    let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    assert_ne!(value("FOXDEN_FOXY_CLIENT_ID="), id);
    place.set("FOXDEN_FOXY_CLIENT_ID", &value("FOXDEN_FOXY_CLIENT_ID="));
    place.set("FOXDEN_FOXY_CLIENT_SECRET", &value("FOXDEN_FOXY_CLIENT_SECRET="));
    assert!(opens(&place));
    place.set("FOXDEN_FOXY_CLIENT_ID", id);
    assert!(!opens(&place));
    place.set("FOXDEN_FOXY_CLIENT_SECRET", secret);
    let shown = place.json(&["client", "show", "--json"]);
    assert_eq!((&shown["client_id"], &shown["project_name"]), (&id.into(), &"Shops".into()));
    let said = place.feed(&["client", "show"], "");
    assert!(said.contains(id) && said.contains("https://acme.example/foxy") && said.contains("Ada"), "{said}");
    assert!(!said.contains(secret) && !shown.to_string().contains(secret));
    assert!(!place.path("ledger.db").exists(), "no ledger is made for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_secret_goes_to_a_new_private_file_or_no_client_is_made() {
    let place = Place::new().await;
    let (env, secret) = (place.path("client.env"), place.path("secret"));
    let said = create(&place, &["--yes", "--env-file", env.to_str().unwrap()]);
    assert!(said.status.success(), "{said:?}");
    let written = in_file(&env);
    let value = written.lines().nth(1).unwrap().strip_prefix("FOXDEN_FOXY_CLIENT_SECRET=").unwrap();
    assert!(written.starts_with("FOXDEN_FOXY_CLIENT_ID=acme_") && !text(&said.stdout).contains(value));
    let said = create(&place, &["--yes", "--secret-file", secret.to_str().unwrap()]);
    assert!(
        text(&said.stdout).contains("FOXDEN_FOXY_CLIENT_SECRET_FILE=")
            && !text(&said.stdout).contains(&in_file(&secret))
    );
    for file in [&env, &secret] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let before = place.sim.requests("POST /clients");
    for more in [
        &["--yes", "--env-file", env.to_str().unwrap()][..],
        &["--yes", "--secret-file", "is/not/there"],
        &["--yes", "--secret-file", "a", "--env-file", "b"],
        &[],
        &["--yes", "--id-prefix", "a:b"],
    ] {
        assert!(!create(&place, more).status.success(), "{more:?}");
    }
    assert_eq!((in_file(&env), place.sim.requests("POST /clients")), (written, before));
    place.sim.add_fault("POST /clients: status(503) nth 1".parse().unwrap());
    let lost = create(&place, &["--yes", "--secret-file", "lost"]);
    let said = text(&lost.stderr);
    assert!(said.contains("of no use without its secret, and does no harm. Make another"), "{said}");
    assert!(lost.status.code() == Some(1) && !place.path("lost").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_go_on_over_a_rotation_while_signups_flow() {
    let (place, path) = with_secret_file().await;
    let old = in_file(&path);
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    let ids: Vec<String> = (0..60).map(|n| format!("s{n}")).collect();
    let batch = |range: std::ops::Range<usize>| lines(ids[range].iter().map(String::as_str));
    place.feed(&["submit", "-"], &batch(0..20));
    // The worker has asked for its token.
    place.settled(1).await;
    let said: Value = serde_json::from_str(&place.feed(&ROTATE, "")).unwrap();
    assert_eq!((&said["handed_over"], &said["audited"]), (&"secret_file".into(), &true.into()));
    place.feed(&["submit", "-"], &batch(20..40));
    assert_ne!(in_file(&path), old);
    place.sim.expire_access_tokens();
    place.feed(&["submit", "-"], &batch(40..60));
    let rows = place.settled(60).await;
    assert!(rows.iter().all(|row| row.state == State::Closed));
    place.books_agree(&rows).await;
    assert_eq!(worker.events("foxy.secret_reloaded").len(), 1);
    assert!(worker.events("foxy.paused").is_empty() && worker.events("provisioning.parked").is_empty());
    assert!(!worker.log().contains(&in_file(&path)) && !worker.log().contains(&old));

    // What is wrong in the file loses nothing.
    for (nth, (content, mode)) in [("wrong", 0o600), ("", 0o600), ("open", 0o644)].into_iter().enumerate() {
        let next = place.path("next");
        fs::write(&next, content).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&next, &path).unwrap();
        place.sim.expire_access_tokens();
        place.feed(&["submit", "-"], &lines([format!("after-{nth}").as_str()]));
        assert!(place.settled(61 + nth).await.iter().all(|row| row.state == State::Closed), "{content:?}");
    }
    assert_eq!(worker.events("foxy.secret_unreadable").len(), 2);
    assert!(worker.events("foxy.paused").is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_anywhere_is_finished_by_the_next() {
    let (place, path) = with_secret_file().await;
    let clean = place.sim.total_requests();
    place.feed(&ROTATE, "");
    let requests = place.sim.total_requests() - clean;
    assert!(requests >= 6, "home, token, home, PATCH, token, home");
    for stall in ["stall_before_work(600s)", "stall_after_work(600s)"] {
        for nth in 1..=requests {
            let before = place.sim.total_requests();
            place.sim.set_faults(format!("*: {stall} nth {nth}").parse().unwrap());
            let rotation = place.start(&format!("rotation-{stall}-{nth}"), &ROTATE, &[]);
            let started = Instant::now();
            while place.sim.total_requests() < before + nth {
                assert!(started.elapsed() < PATIENCE, "{stall} {nth}: {}", rotation.log());
                tokio::task::yield_now().await;
            }
            rotation.crash();
            place.sim.set_faults("".parse().unwrap());
            let old = in_file(&path);
            assert!(sealed(&place).is_some() || opens(&place), "{stall} {nth}: a secret is lost");
            place.feed(&ROTATE, "");
            assert!(opens(&place) && in_file(&path) != old && sealed(&place).is_none(), "{stall} {nth}");
        }
    }
    assert!(!place.path(".client-secret.foxden-new").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_was_killed_once_the_secret_was_handed_over_is_followed_by_a_fresh_one() {
    let (place, path) = with_secret_file().await;
    let file = place.path("foxden-escrow/client-secret.rotation");
    place.sim.set_faults("POST /token: stall_before_work(600s) nth 2".parse().unwrap());
    let rotation = place.start("rotation", &ROTATE, &[]);
    let started = Instant::now();
    while place.sim.requests("POST /token") < 2 {
        assert!(started.elapsed() < PATIENCE, "{}", rotation.log());
        tokio::task::yield_now().await;
    }
    rotation.crash();
    place.sim.set_faults("".parse().unwrap());
    let kept = fs::read(&file).unwrap();
    place.feed(&ROTATE, "");
    let secret = in_file(&path);
    // As if it had been killed just before it removed the sealed file.
    fs::write(&file, &kept).unwrap();
    let changes = || place.sim.requests("PATCH /clients/{id}");
    let before = changes();
    let said: Value = serde_json::from_str(&place.feed(&ROTATE, "")).unwrap();
    assert_eq!((changes(), &said["changed_earlier"]), (before + 1, &false.into()));
    assert!(in_file(&path) != secret && opens(&place) && !file.exists());

    // An old file that was put back brings no old secret back.
    let secret = in_file(&path);
    fs::write(&file, kept).unwrap();
    let said = text(&place.run(&ROTATE).stderr);
    assert!(said.contains("did not begin from the one in the settings"), "{said}");
    assert_eq!((in_file(&path), changes(), opens(&place)), (secret.clone(), before + 1, true));
    fs::remove_file(&file).unwrap();
    place.feed(&ROTATE, "");
    assert!(in_file(&path) != secret && opens(&place));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_settled_by_which_secret_opens() {
    let (place, path) = with_secret_file().await;
    for fault in ["reset_after_work", "gateway_html_after_work(504)", "cut_body", "status_after_work(500)"] {
        let old = in_file(&path);
        place.sim.set_faults(format!("PATCH /clients/{{id}}: {fault} nth 1").parse().unwrap());
        place.feed(&ROTATE, "");
        assert!(opens(&place) && in_file(&path) != old && sealed(&place).is_none(), "{fault}");
    }
    for fault in ["reset_before_work", "gateway_html(502)", "conflict"] {
        let old = in_file(&path);
        place.sim.set_faults(format!("PATCH /clients/{{id}}: {fault} nth 1").parse().unwrap());
        let ended = place.run(&ROTATE);
        let said = text(&ended.stderr);
        assert_eq!((ended.status.code(), in_file(&path)), (Some(1), old), "{fault}");
        assert!(said.contains("was not changed") && said.contains("The old one still opens"), "{fault}: {said}");
        // The call may yet take effect: it is this secret, and no other, that is sent again.
        let kept = sealed(&place).unwrap();
        place.feed(&ROTATE, "");
        assert_eq!((in_file(&path), opens(&place)), (kept, true), "{fault}");
    }
    for fault in ["forbidden", "rate_limited", "status(400)", "refuse"] {
        let old = in_file(&path);
        place.sim.set_faults(format!("PATCH /clients/{{id}}: {fault}").parse().unwrap());
        let ended = place.run(&ROTATE);
        assert_eq!((ended.status.code(), in_file(&path)), (Some(1), old), "{fault}");
        if fault != "refuse" {
            assert!(text(&ended.stderr).contains("the secret was not changed: "), "{fault}: {ended:?}");
            assert!(opens(&place) && sealed(&place).is_none(), "{fault}: nothing came of it, so nothing is kept");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_takes_effect_long_after_its_answer_was_given_up_loses_nothing() {
    let (mut place, path) = with_secret_file().await;
    place.set("FOXDEN_CALL_TIMEOUT", "500ms");
    place.sim.set_faults("PATCH /clients/{id}: stall_before_work(3s)".parse().unwrap());
    let ended = place.run(&ROTATE);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let kept = sealed(&place).unwrap();
    let started = Instant::now();
    while opens(&place) {
        assert!(started.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    place.feed(&ROTATE, "");
    assert_eq!((in_file(&path), opens(&place), sealed(&place)), (kept, true, None));
    assert_eq!(place.sim.requests("PATCH /clients/{id}"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_somebody_else_changed_meanwhile_is_a_matter_for_a_person() {
    let (mut place, path) = with_secret_file().await;
    place.sim.set_faults("PATCH /clients/{id}: reset_before_work nth 1".parse().unwrap());
    assert_eq!(place.run(&ROTATE).status.code(), Some(1));
    let kept = sealed(&place).unwrap();
    place.set("FOXDEN_ESCROW_DIR", "elsewhere");
    let theirs = in_file(&path);
    place.feed(&["client", "rotate-secret", "--yes", "--env-file", "theirs.env"], "");
    place.settings.remove("FOXDEN_ESCROW_DIR");
    assert_eq!(in_file(&path), theirs);
    let ended = place.run(&ROTATE);
    let said = text(&ended.stderr);
    assert!(
        ended.status.code() == Some(1) && said.contains("takes neither the new secret nor the one in the settings")
    );
    assert_eq!(sealed(&place), Some(kept), "{said}");
    let lines = in_file(place.path("theirs.env"));
    fs::write(&path, lines.rsplit('=').next().unwrap()).unwrap();
    let said = text(&place.run(&ROTATE).stderr);
    assert!(said.contains("remove that file and run this again"), "{said}");
    fs::remove_file(place.path("foxden-escrow/client-secret.rotation")).unwrap();
    place.feed(&ROTATE, "");
    assert!(opens(&place) && sealed(&place).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_the_new_secret_is_printed_once_and_who_did_it_is_on_record() {
    let mut place = Place::new().await;
    let unrecorded = place.run(&ROTATE);
    let said: Value = serde_json::from_slice(&unrecorded.stdout).unwrap();
    assert_eq!((&said["handed_over"], &said["audited"]), (&"printed".into(), &false.into()), "there is no ledger");
    assert!(text(&unrecorded.stderr).contains("not in the audit"));
    assert!(!opens(&place));
    place.set("FOXDEN_FOXY_CLIENT_SECRET", said["client_secret"].as_str().unwrap());
    assert!(opens(&place));

    place.feed(&["submit", "-"], &lines(["s1"]));
    let told = place.run(&["client", "rotate-secret", "--yes", "--as", "ada", "--reason", "ticket 7"]);
    let printed = text(&told.stdout);
    let secret = printed.lines().find_map(|line| line.strip_prefix("FOXDEN_FOXY_CLIENT_SECRET=")).unwrap();
    assert!(secret.len() >= 43 && !text(&told.stderr).contains(secret), "{told:?}");
    let logged = text(&told.stderr);
    let line = logged.lines().find(|line| line.contains("client.secret_rotated")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert!(line["who"].as_str().unwrap().starts_with("ada via ") && line["reason"] == "ticket 7", "{line}");
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    let asked = Statement::from_string(database.get_database_backend(), "SELECT who, act, reason, detail FROM audit");
    let entry = database.query_one_raw(asked).await.unwrap().unwrap();
    let column = |name: &str| entry.try_get::<String>("", name).unwrap();
    assert_eq!((column("act").as_str(), column("reason").as_str()), ("rotate_secret", "ticket 7"));
    assert!(column("who").starts_with("ada via ") && column("detail").starts_with("of the client "));
    database.close().await.unwrap();

    // Standard output that takes nothing: the secret is kept until it was handed over.
    place.set("FOXDEN_FOXY_CLIENT_SECRET", secret);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let unheard = program(&ROTATE, place.dir.path()).envs(&place.settings).stdout(full).output().unwrap();
    assert_eq!(unheard.status.code(), Some(1), "{unheard:?}");
    let kept = sealed(&place).unwrap();
    // Nor does one whose reader has gone.
    for arguments in [&ROTATE[..], &ROTATE[..3]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let unheard = program(arguments, place.dir.path()).envs(&place.settings).stdout(writer).output().unwrap();
        assert!(unheard.status.code() == Some(1) && text(&unheard.stderr).contains("still kept"), "{unheard:?}");
        assert_eq!(sealed(&place).as_ref(), Some(&kept));
    }
    let said: Value = serde_json::from_str(&place.feed(&ROTATE, "")).unwrap();
    assert_eq!((said["client_secret"].as_str(), sealed(&place)), (Some(kept.as_str()), None));

    let secret = kept.as_str();
    let old = place.settings["FOXDEN_FOXY_CLIENT_SECRET"].clone();
    place.set("FOXDEN_FOXY_CLIENT_SECRET", secret);
    assert!(opens(&place) && old != secret);
    assert_eq!(place.run(&["client", "rotate-secret"]).status.code(), Some(2), "it asks, or is told --yes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_where_the_new_secret_could_not_be_kept_or_put() {
    let (mut place, _) = with_secret_file().await;
    let changes = || place.sim.requests("PATCH /clients/{id}");
    assert_eq!(place.run(&[&ROTATE[..], &["--env-file", "is/not/there"]].concat()).status.code(), Some(1));
    let held = SecretRotation::begin(&place.path("foxden-escrow")).unwrap();
    let ended = place.run(&ROTATE);
    assert!(text(&ended.stderr).contains("another rotation is under way"), "{ended:?}");
    drop(held);
    fs::write(place.path("a-file"), "").unwrap();
    assert_eq!(changes(), 0);
    place.set("FOXDEN_ESCROW_DIR", "a-file/escrow");
    assert_eq!(place.run(&ROTATE).status.code(), Some(1));
    place.settings.remove("FOXDEN_ESCROW_DIR");
    assert_eq!(place.sim.requests("PATCH /clients/{id}"), 0);
    assert!(opens(&place) && !place.path(".client-secret.foxden-new").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_rotation_that_is_not_finished_can_not_be_dropped() {
    let (mut place, _) = with_secret_file().await;
    place.feed(&["submit", "-"], &lines(["s1"]));
    place.sim.set_faults("PATCH /clients/{id}: reset_before_work nth 1".parse().unwrap());
    assert_eq!(place.run(&ROTATE).status.code(), Some(1));
    let ring = format!("{},{}", foxden_vault::generate_key("newer").unwrap().as_str(), place.settings["FOXDEN_KEYS"]);
    place.set("FOXDEN_KEYS", &ring);
    place.feed(&["keys", "reseal"], "");
    let older = || {
        let status = place.json(&["keys", "status", "--json"]);
        (status["keys"][1]["escrow"].clone(), status["keys"][1]["can_be_dropped"].clone())
    };
    assert_eq!(older(), (1.into(), false.into()));
    place.feed(&ROTATE, "");
    assert_eq!(older(), (0.into(), true.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_for_the_day_a_secret_leaks_do_what_the_page_says() {
    const PAGE: &str = include_str!("../docs/leaked-secret.md");
    let (mut place, path) = with_secret_file().await;
    let keys = place.settings.remove("FOXDEN_KEYS").unwrap();
    fs::write(place.path("keys"), format!("{keys}\n")).unwrap();
    fs::set_permissions(place.path("keys"), fs::Permissions::from_mode(0o600)).unwrap();
    place.set("FOXDEN_KEYS_FILE", "keys");
    place.feed(&["submit", "-"], &lines(["acct_000001"]));
    let worker = place.worker("worker");
    place.settled(1).await;
    worker.stop().await;
    let old = in_file(&path);
    // Nobody can be asked here.
    let agreeing = "set -e; foxden() { case \"$1 $2\" in 'client create'|'client rotate-secret') \"$FOXDEN\" \"$@\" --yes ;; \
                    *) \"$FOXDEN\" \"$@\" ;; esac; }\n";
    let blocks: Vec<&str> = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 9, "a block is not seen");
    for block in blocks {
        let script = format!("{agreeing}{block}");
        let ran = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(place.dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("FOXDEN", env!("CARGO_BIN_EXE_foxden"))
            .envs(&place.settings)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{block}: {ran:?}");
    }
    assert!(in_file(&path) != old && opens(&place));
    let ring = in_file(place.path("keys"));
    assert!(ring.starts_with("after-leak-12:") && ring.lines().count() == 1);
    // The token opens with the new key and the new secret alone.
    place.feed(&["token", "acct_000001"], "");
}
