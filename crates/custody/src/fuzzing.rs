//! Escrow files, at a door for fuzzing: whatever lies there, a token is taken only if its envelope was sealed by us
//! for the row and the scope that the file names.

use std::sync::Arc;

use foxden_ledger::{NewCredential, ProvisioningId, Scope, SignupId, is_same_resource};
use foxden_vault::{KeyRing, RefreshToken};

use crate::{
    Custody,
    content::TokenRow,
    deposit::{self, Content},
    renewal::Renewal,
};

const KEYS: &str = "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ROW: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Takes the input for a file, and for a change to a good one: where, how many bytes it replaces, and by what.
pub fn escrows(input: &[u8]) {
    let custody = Custody::new(Arc::new(KeyRing::parse(KEYS).expect("these are keys")), "test");
    assert!(taken(&custody, input).is_none(), "a token that we have not sealed is taken");

    let (id, scope, intent) = (ProvisioningId::parse(ROW).expect("this is an id"), Scope::Store, 2);
    let resource_uri = Some("https://api.foxycart.com/stores/1".to_owned());
    let row = around(id.clone(), scope, intent, resource_uri.clone());
    let seal = |token| custody.seal_token(&row, &RefreshToken::new(token)).expect("the system gives random bytes");
    let ours = NewCredential { scope, intent, resource_uri, client: None, sealed: seal("one") };
    for replaces in [None, Some(seal("another"))] {
        let mut text = deposit::write(&id, &ours, replaces.as_ref());
        assert!(taken(&custody, &text).is_some(), "our own file is taken");
        let [high, low, length, patch @ ..] = input else { continue };
        let at = usize::from(u16::from_be_bytes([*high, *low])) % text.len();
        let end = text.len().min(at + usize::from(*length));
        drop(text.splice(at..end, patch.iter().copied()));
        if let Some((taken_id, new)) = taken(&custody, &text) {
            let is_ours = new.sealed.as_bytes() == ours.sealed.as_bytes()
                || replaces.is_some_and(|replaces| new.sealed.as_bytes() == replaces.as_bytes());
            let is_own_place = (taken_id.as_str(), new.scope, new.intent) == (ROW, scope, intent);
            assert!(is_own_place && is_ours, "taken for another place");
            let uri = new.resource_uri.as_deref();
            let is_own_uri = uri.is_none() || is_same_resource(uri, ours.resource_uri.as_deref());
            assert!(is_own_uri, "taken for another address");
        }
    }
}

/// What draining would take from a file of this content under the name that it asks for.
fn taken(custody: &Custody, text: &[u8]) -> Option<(ProvisioningId, NewCredential)> {
    let (id, new) = match deposit::read(text) {
        Content::Token(id, new) | Content::Renewal(id, Renewal { new, .. }) => (id, new),
        Content::OfLaterRelease | Content::NotOurs => return None,
    };
    let row =
        TokenRow { client: new.client.clone(), ..around(id.clone(), new.scope, new.intent, new.resource_uri.clone()) };
    custody.open_token(&row, &new.sealed).is_ok().then_some((id, new))
}

/// What a file says of its token, with the signup of its row.
fn around(provisioning: ProvisioningId, scope: Scope, serial: u32, resource_uri: Option<String>) -> TokenRow {
    let signup_id = SignupId::parse("acct_000001").expect("this is an id");
    let addresses = resource_uri.into_iter().collect();
    TokenRow { provisioning, signup_id, scope, serial, addresses, client: None }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::escrows;

    /// What may stand in a file, in or out of its place.
    const PIECES: &[&str] = &[
        "",
        "\"",
        "{",
        "}",
        ",",
        "null",
        "\"version\":4,",
        "\"version\":3,",
        "\"version\":2,",
        "\"version\":1,",
        "\"version\":9,",
        "\"scope\":\"user_full_access\",",
        "\"intent\":4294967296,",
        "\"sealed\":\"RlhEMQ==\",",
        "\"replaces\":null,",
        "\u{202e}",
        "1890a5d-ac96-774b-bcce-b302099a8058",
    ];

    #[test]
    fn a_token_is_taken_only_from_a_file_that_we_have_sealed() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut input = rng.u16(0..1_000).to_be_bytes().to_vec();
            input.push(if rng.bool() { 0 } else { rng.u8(..) });
            for _ in 0..rng.usize(0..3) {
                input.extend(rng.choice(PIECES).unwrap().as_bytes());
            }
            if rng.bool() {
                input.push(rng.u8(..));
            }
            escrows(&input);
        }
    }
}
