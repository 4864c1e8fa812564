//! Signup events, at a door for fuzzing: one that is taken means the same however its JSON is written, and stays the
//! same in the ledger; of one that is not, the mistakes are named, and nothing but a usable signup id is handed on.

use std::sync::Arc;

use foxden_custody::Custody;
use foxden_ledger::{ProvisioningId, SignupId};
use foxden_vault::KeyRing;
use serde_json::Value;

use crate::event::{BODY_MAX, SignupEvent};

const KEYS: &str = "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Takes the input for the body of a message.
pub fn events(input: &[u8]) {
    let event = match SignupEvent::parse(input) {
        Ok(event) => event,
        Err(error) => {
            assert!(!error.mistakes.is_empty(), "what is refused has a mistake");
            assert!(error.signup_id.is_none_or(|id| SignupId::parse(&id).is_ok()), "a signup id that can't be one");
            return;
        }
    };
    let plain = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(input);
    let json: Value = serde_json::from_slice(plain).expect("an event is JSON");
    let rewritten = json.to_string();
    // A number may take more room than it took.
    if rewritten.len() <= BODY_MAX {
        let again = SignupEvent::parse(rewritten.as_bytes());
        assert!(again.is_ok_and(|again| again == event), "written in another way it is another event");
    }

    let custody = Custody::new(Arc::new(KeyRing::parse(KEYS).expect("these are keys")), "test");
    let SignupEvent { signup_id, account_id, payload } = &event;
    let account_id = account_id.as_deref();
    let id = ProvisioningId::new();
    let sealed = custody.seal_payload(&id, signup_id, payload).expect("the system gives random bytes");
    let kept = custody.open_payload(&id, signup_id, &sealed).expect("what was sealed opens");
    assert!(kept == *payload, "what is kept is not what was taken");
    let known = custody.fingerprint(signup_id, account_id, payload);
    let is_same = custody.is_same_event(signup_id, account_id, &kept, &known);
    assert!(is_same == Some(true), "a repeat would not be known");
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};
    use serde_json::json;

    use super::events;

    fn whole() -> Vec<u8> {
        let event = json!({
            "version": 1,
            "signup_id": "acct_1",
            "user": {
                "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "id": "7",
                "affiliate_id": 7,
            },
            "store": {
                "name": "Engines", "url": "https://engines.example", "email": "shop@engines.example",
                "country": "DE", "region": "Berlin", "postal_code": "10115",
                "properties": {"hide_currency_symbol": true, "weight": 1.5, "note": ""},
            },
            "captcha": {"user_code": "code"},
        });
        serde_json::to_vec_pretty(&event).unwrap()
    }

    const PIECES: [&[u8]; 18] = [
        b"\xff",
        b"\0",
        b"\\u0000",
        b"\\ud83e\\udd8a",
        b"\xed\xa0\x80",
        b" ",
        b"\"",
        b"{",
        b"}",
        b",",
        b"null",
        b"-0",
        b"1e400",
        b"18446744073709551616",
        b"0.10000000000000000001",
        b"\"version\":1,",
        "\u{202e}".as_bytes(),
        "\u{e9}e\u{301}".as_bytes(),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn an_event_that_is_taken_is_the_same_however_it_is_written_and_kept(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..6, select(&PIECES[..])), 0..4)
        ) {
            let mut body = whole();
            for (at, length, piece) in changes {
                let at = at.index(body.len());
                let end = body.len().min(at + length);
                drop(body.splice(at..end, piece.iter().copied()));
            }
            events(&body);
        }
    }

    #[test]
    fn the_whole_event_is_taken() {
        assert!(crate::SignupEvent::parse(&whole()).is_ok(), "else nothing much is tried");
        events(&whole());
        events(&[super::BYTE_ORDER_MARK, &whole()].concat());
    }

    #[test]
    fn a_number_means_the_same_however_it_is_written() {
        let text = String::from_utf8(whole()).unwrap();
        for number in ["-0", "1e20", "1E-7", "18446744073709551616", "0.10000000000000000001", "1e400", "1.50"] {
            events(text.replace("1.5", number).as_bytes());
        }
    }
}
