//! A client secret on its way to Foxy; no database has a part in it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use foxden_custody::{Escrow, PendingSecret, RotationError, SecretRotation};
use foxden_vault::ClientSecret;

use crate::support::custody;

#[test]
fn a_new_client_secret_is_kept_sealed_and_bound_to_its_client_until_it_is_released() {
    let custody = custody();
    let dir = tempfile::tempdir().unwrap();
    let escrow = dir.path().join("escrow");
    let place = SecretRotation::begin(&escrow).unwrap();
    assert!(place.pending().unwrap().is_none());
    assert_eq!(SecretRotation::key_in(&escrow).unwrap(), None);
    let secret = ClientSecret::generate().unwrap();
    assert_eq!(secret.expose().len(), 43);
    let replaced = ClientSecret::new("replaced");
    place.keep(&custody.begin_rotation("acme_1", (&replaced, &secret), 1_800_000_000_000).unwrap()).unwrap();
    let text = fs::read_to_string(place.path()).unwrap();
    assert!(text.contains("acme_1") && !text.contains(secret.expose()));
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Escrow::count_by_key(&escrow).unwrap(), Default::default(), "the ledger's escrow leaves it alone");
    assert_eq!(SecretRotation::key_in(&escrow).unwrap(), Some(custody.ring().primary()), "its key is needed");

    assert!(matches!(SecretRotation::begin(&escrow), Err(RotationError::UnderWay(_))));
    drop(place);
    let place = SecretRotation::begin(&escrow).unwrap();
    let found = place.pending().unwrap().unwrap();
    assert_eq!(found.client_id, "acme_1");
    assert_eq!(custody.open_pending(&found).unwrap().expose(), secret.expose());
    assert!(custody.open_pending(&PendingSecret { client_id: "acme_2".into(), ..found.clone() }).is_err());
    assert!(crate::support::custody().open_pending(&found).is_err(), "another key");
    assert_eq!(custody.is_replaced_by(&replaced, &found), Some(true));
    assert_eq!(custody.is_replaced_by(&secret, &found), Some(false));
    // What it says of its rotation can't be changed without its key.
    fs::write(place.path(), text.replace("1800000000000", "1800000000001")).unwrap();
    assert!(custody.open_pending(&place.pending().unwrap().unwrap()).is_err());
    assert!(custody.open_pending(&PendingSecret { of: None, ..found }).is_err());

    fs::write(place.path(), text.replace("\"version\":2", "\"version\":3")).unwrap();
    assert!(matches!(place.pending(), Err(RotationError::Unreadable(_))), "a later release's");
    assert!(matches!(SecretRotation::key_in(&escrow), Err(RotationError::Unreadable(_))));
    place.release().unwrap();
    place.release().unwrap();
    assert!(place.pending().unwrap().is_none());
}
