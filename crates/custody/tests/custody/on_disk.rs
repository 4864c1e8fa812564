//! The escrow's directory, and what somebody else may have put there.

use foxden_custody::{Escrow, PendingSecret, SecretRotation};
use foxden_ledger::{Scope, WorkerId};

use crate::{
    databases::file,
    support::{accept, custody, token},
};

#[test]
fn an_escrow_that_others_can_write_in_is_refused_and_not_changed() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mode = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    let open = || Escrow::open(dir.path());
    for refused in [0o777, 0o1777, 0o770, 0o720, 0o702] {
        mode(refused);
        assert!(open().is_err() && SecretRotation::begin(dir.path()).is_err(), "{refused:o}");
    }
    mode(0o755);
    open().unwrap();
    assert_eq!(std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the trial leaves nothing behind");
}

/// Somebody else could once write in the directory.
#[tokio::test]
async fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (escrow, keys) = (dir.path().join("escrow"), dir.path().join("keys"));
    std::fs::write(&keys, "the keys").unwrap();
    let (ledger, _keep) = file().await;
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let id = &claimed.provisioning.id;
    let token = token(&claimed, &custody, Scope::User, "user").unwrap();
    let kept = Escrow::open(&escrow).unwrap();
    let name = format!("{id}.user_full_access.1.escrow");
    for link in [name.as_str(), "client-secret.rotation"] {
        symlink(&keys, escrow.join(link)).unwrap();
        symlink(&keys, escrow.join(format!("{link}.unfinished"))).unwrap();
    }
    kept.keep(id, &token).await.unwrap();
    let rotation = SecretRotation::begin(&escrow).unwrap();
    let sealed = token.sealed.clone();
    rotation.keep(&PendingSecret { client_id: "c".into(), sealed, of: None }).unwrap();
    assert!(rotation.pending().unwrap().is_some());
    assert_eq!(std::fs::read_to_string(&keys).unwrap(), "the keys");
    drop(rotation);
    std::fs::remove_file(escrow.join("client-secret.lock")).unwrap();
    symlink(dir.path().join("made"), escrow.join("client-secret.lock")).unwrap();
    assert!(SecretRotation::begin(&escrow).is_err() && !dir.path().join("made").exists());
    assert_eq!(kept.drain(&ledger, &custody).await.unwrap(), 1);
}
