//! Escrow files, at a door for fuzzing: whatever lies there, a token is taken only if its envelope was sealed by us
//! for the row and the scope that the file names.

use std::sync::Arc;

use foxden_ledger::{NewCredential, ProvisioningId, Scope};
use foxden_vault::{KeyRing, RefreshToken};

use crate::{
    Custody,
    deposit::{self, Content},
    renewal::Renewal,
};

const KEYS: &str = "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ROW: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Takes the input for a file, and for a change to a good one: where, how many bytes it replaces, and by what.
pub fn escrows(input: &[u8]) {
    let custody = Custody::new(Arc::new(KeyRing::parse(KEYS).expect("these are keys")), "test");
    assert!(taken(&custody, input).is_none(), "a token that we have not sealed is taken");

    let (id, scope) = (ProvisioningId::parse(ROW).expect("this is an id"), Scope::Store);
    let seal = |token| {
        let sealed = custody.seal_token(&id, scope, &RefreshToken::new(token));
        sealed.expect("the system gives random bytes")
    };
    let resource_uri = Some("https://api.foxycart.com/stores/1".to_owned());
    let ours = NewCredential { scope, intent: 2, resource_uri, client: None, sealed: seal("one") };
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
            assert!((taken_id.as_str(), new.scope) == (ROW, scope) && is_ours, "taken for another place");
        }
    }
}

/// What draining would take from a file of this content under the name that it asks for.
fn taken(custody: &Custody, text: &[u8]) -> Option<(ProvisioningId, NewCredential)> {
    let (id, new) = match deposit::read(text) {
        Content::Token(id, new) | Content::Renewal(id, Renewal { new, .. }) => (id, new),
        Content::OfLaterRelease | Content::NotOurs => return None,
    };
    custody.open_token(&id, new.scope, &new.sealed).is_ok().then_some((id, new))
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
