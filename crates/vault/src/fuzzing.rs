//! Envelopes, at a door for fuzzing: whatever comes in, what opens was sealed by this ring, for this place, byte by
//! byte.

use crate::{Binding, Format, KeyRing, OpenError, Sealed};

const KEYS: &str = "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const PLACE: Binding<'static> = Binding { environment: "test", purpose: "token", owner: "42", scope: "store" };

/// Takes the input for an envelope, for what is to be sealed, for a place, and for a change: where, and what is
/// written there.
pub fn envelopes(input: &[u8]) {
    let ring = KeyRing::parse(KEYS).expect("these are keys");
    if let Ok(sealed) = Sealed::from_bytes(input.to_vec()) {
        assert!(sealed.as_bytes() == input, "an envelope is the bytes that it was made of");
        assert!(ring.open(&PLACE, &sealed).is_err(), "what this ring has not sealed opens");
    }
    for format in Format::ALL {
        sealed_as(format, &ring, input);
    }
}

fn sealed_as(format: Format, ring: &KeyRing, input: &[u8]) {
    let sealed = ring.seal_as(format, &PLACE, input).expect("the system gives random bytes");
    let opened = ring.open(&PLACE, &sealed);
    assert!(opened.is_ok_and(|opened| opened.as_slice() == input), "what was sealed opens");

    let text = String::from_utf8_lossy(input);
    for elsewhere in [
        Binding { environment: &text, ..PLACE },
        Binding { purpose: &text, ..PLACE },
        Binding { owner: &text, ..PLACE },
        Binding { scope: &text, ..PLACE },
    ] {
        let opened = ring.open(&elsewhere, &sealed);
        assert!(elsewhere == PLACE || opened == Err(OpenError::Refused), "it opens in another place");
    }

    let [high, low, patch @ ..] = input else { return };
    let mut changed = sealed.as_bytes().to_vec();
    let at = usize::from(u16::from_be_bytes([*high, *low])) % changed.len();
    if patch.is_empty() {
        changed.truncate(at);
    } else {
        changed.iter_mut().skip(at).zip(patch).for_each(|(byte, new)| *byte = *new);
    }
    let is_changed = changed != sealed.as_bytes();
    let opened = Sealed::from_bytes(changed).is_ok_and(|changed| ring.open(&PLACE, &changed).is_ok());
    assert!(opened != is_changed, "it opens although it was changed, or not although it was not");
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::envelopes;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn what_opens_was_sealed_here_for_this_place(input in vec(any::<u8>(), 0..200)) {
            envelopes(&input);
        }

        #[test]
        fn one_changed_byte_is_noticed(at in any::<u16>(), byte in any::<u8>()) {
            envelopes(&[&at.to_be_bytes()[..], &[byte]].concat());
        }
    }
}
