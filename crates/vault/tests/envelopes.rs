//! The envelope's promises, tested through the public door only.

use std::sync::LazyLock;

use foxden_vault::{Binding, Format, KeyRing, MalformedEnvelope, OpenError, Sealed};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};
use proptest::sample::{Index, select};

const NEW: &str = "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const PLACE: Binding<'static> =
    Binding { environment: "test", purpose: "store token", owner: "42", scope: "store_full_access" };

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).expect("the test's own keys are valid")
}

fn seal(format: Format, ring: &KeyRing, place: &Binding<'_>, plaintext: &[u8]) -> Sealed {
    let sealed = match format {
        Format::Fxd1 => ring.seal_fxd1(place, plaintext),
        Format::Fxd2 => ring.seal(place, plaintext),
    };
    sealed.expect("the operating system gives random bytes")
}

/// Where the key id of an envelope ends.
fn header_len(format: Format) -> usize {
    match format {
        Format::Fxd1 => 12,
        Format::Fxd2 => 20,
    }
}

fn each_format(test: impl FnMut(Format)) {
    Format::ALL.into_iter().for_each(test);
}

#[test]
fn what_was_sealed_opens_in_its_place() {
    let ring = ring(NEW);
    each_format(|format| {
        for plaintext in [&b""[..], b"x", &[0xff; 4096]] {
            let sealed = seal(format, &ring, &PLACE, plaintext);
            let stored = Sealed::from_bytes(sealed.into_bytes()).unwrap();
            assert_eq!(stored.format(), format);
            assert_eq!(ring.open(&PLACE, &stored).unwrap().as_slice(), plaintext);
        }
    });
}

#[test]
fn sealing_twice_shows_no_likeness() {
    let ring = ring(NEW);
    each_format(|format| {
        let [one, two] = [0, 1].map(|_| seal(format, &ring, &PLACE, b"same").into_bytes());
        assert_eq!(one[..header_len(format)], two[..header_len(format)]);
        assert_ne!(one[header_len(format)..], two[header_len(format)..]);
    });
}

#[test]
fn the_plaintext_is_not_in_the_envelope() {
    each_format(|format| {
        let sealed = seal(format, &ring(NEW), &PLACE, b"refresh-token-1");
        assert!(!sealed.as_bytes().windows(7).any(|part| part == b"refresh"));
    });
}

#[test]
fn an_envelope_with_the_magic_of_another_format_is_refused() {
    let ring = ring(NEW);
    for (format, magic) in [(Format::Fxd1, b"FXD2"), (Format::Fxd2, b"FXD1")] {
        let mut bytes = seal(format, &ring, &PLACE, b"long enough for the other").into_bytes();
        bytes[..4].copy_from_slice(magic);
        assert_eq!(ring.open(&PLACE, &Sealed::from_bytes(bytes).unwrap()), Err(OpenError::Refused));
    }
}

#[test]
fn an_envelope_moved_to_another_place_is_refused() {
    let ring = ring(NEW);
    each_format(|format| {
        let sealed = seal(format, &ring, &PLACE, b"secret");
        for elsewhere in [
            Binding { environment: "production", ..PLACE },
            Binding { purpose: "user token", ..PLACE },
            Binding { owner: "43", ..PLACE },
            Binding { scope: "user_full_access", ..PLACE },
        ] {
            assert_eq!(ring.open(&elsewhere, &sealed), Err(OpenError::Refused), "{format} {elsewhere:?}");
        }
    });
}

#[test]
fn a_character_shifted_to_the_next_field_is_noticed() {
    let ring = ring(NEW);
    each_format(|format| {
        let sealed = seal(format, &ring, &Binding { purpose: "ab", owner: "c", ..PLACE }, b"secret");
        for (purpose, owner) in [("a", "bc"), ("abc", ""), ("", "abc")] {
            let shifted = Binding { purpose, owner, ..PLACE };
            assert_eq!(ring.open(&shifted, &sealed), Err(OpenError::Refused), "{format} {shifted:?}");
        }
    });
}

#[test]
fn an_old_key_still_opens_but_no_longer_seals() {
    let rotated = ring(&format!("{NEW},{OLD}"));
    each_format(|format| {
        let sealed = seal(format, &ring(OLD), &PLACE, b"secret");
        assert_eq!(rotated.open(&PLACE, &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(seal(format, &rotated, &PLACE, b"secret").key_id(), ring(NEW).primary());
    });
}

#[test]
fn a_missing_key_is_told_apart_from_a_broken_envelope() {
    each_format(|format| {
        let sealed = seal(format, &ring(OLD), &PLACE, b"secret");
        assert_eq!(ring(NEW).open(&PLACE, &sealed), Err(OpenError::KeyMissing(ring(OLD).primary())));
    });
}

#[test]
fn another_key_named_in_the_header_is_refused() {
    let both = ring(&format!("{NEW},{OLD}"));
    each_format(|format| {
        let other = seal(format, &ring(OLD), &PLACE, b"").into_bytes();
        for len in [12, header_len(format)] {
            let mut bytes = seal(format, &both, &PLACE, b"secret").into_bytes();
            bytes[4..len].copy_from_slice(&other[4..len]);
            assert_eq!(both.open(&PLACE, &Sealed::from_bytes(bytes).unwrap()), Err(OpenError::Refused));
        }
    });
}

#[test]
fn a_truncated_envelope_is_refused_at_every_length() {
    let ring = ring(NEW);
    each_format(|format| {
        let whole = seal(format, &ring, &PLACE, b"secret").into_bytes();
        for len in 0..whole.len() {
            match Sealed::from_bytes(whole[..len].to_vec()) {
                Ok(cut) => assert_eq!(ring.open(&PLACE, &cut), Err(OpenError::Refused), "{len}"),
                Err(error) => assert!(matches!(error, MalformedEnvelope::TooShort { found, .. } if found == len)),
            }
        }
    });
}

#[test]
fn every_flipped_bit_is_noticed() {
    let ring = ring(NEW);
    each_format(|format| {
        // Long enough to pass for the other format, whose magic is two bits away.
        let whole = seal(format, &ring, &PLACE, b"a long secret").into_bytes();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = Sealed::from_bytes(bytes).map(|flipped| (flipped.key_id(), ring.open(&PLACE, &flipped)));
            match bit / 8 {
                0..4 => assert_eq!(outcome, Err(MalformedEnvelope::UnknownVersion), "{format} {bit}"),
                4..12 => {
                    let (named, opened) = outcome.unwrap();
                    assert_eq!(opened, Err(OpenError::KeyMissing(named)), "{format} {bit}");
                }
                _ => assert_eq!(outcome, Ok((ring.primary(), Err(OpenError::Refused))), "{format} {bit}"),
            }
        }
    });
}

/// What somebody with a hold on the database may do to an envelope.
#[derive(Clone, Debug)]
enum Tampering {
    /// Other bytes in some places.
    Change(Vec<(Index, u8)>),
    /// Cut at the end, or at the front.
    Truncate(Index, bool),
    /// Bytes put in somewhere.
    Insert(Index, Vec<u8>),
    /// Continued with the rest of another envelope from some place on.
    Splice(Index),
    /// Put where another envelope belongs.
    Swap,
    /// With the id of another key of the ring.
    Rekey,
    /// With the parts after the header in another order.
    Turn(Index),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        4 => vec((any::<Index>(), 1..=u8::MAX), 1..4).prop_map(Tampering::Change),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(at, front)| Tampering::Truncate(at, front)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Tampering::Insert(at, bytes)),
        2 => any::<Index>().prop_map(Tampering::Splice),
        1 => Just(Tampering::Swap),
        1 => Just(Tampering::Rekey),
        1 => any::<Index>().prop_map(Tampering::Turn),
    ]
}

/// An envelope that opens at `PLACE`, one of the same key and length that opens elsewhere, and another key of the ring.
#[derive(Clone, Debug)]
struct Target {
    header_len: usize,
    envelope: Vec<u8>,
    other: Vec<u8>,
    /// The header of an envelope of that key.
    other_header: Vec<u8>,
}

static RING: LazyLock<KeyRing> = LazyLock::new(|| ring(&format!("{NEW},{OLD}")));

/// Of each format and key: one that holds nothing, one as long as a token, one as long as an event.
static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let mut targets = Vec::new();
    each_format(|format| {
        for (key, other_key) in [(NEW, OLD), (OLD, NEW)] {
            let header_len = header_len(format);
            let other_header = seal(format, &ring(other_key), &PLACE, b"").as_bytes()[..header_len].to_vec();
            for len in [0, 100, 700] {
                let envelope = seal(format, &ring(key), &PLACE, &vec![7; len]);
                assert!(RING.open(&PLACE, &envelope).is_ok(), "it opens until it is tampered with");
                let other = seal(format, &ring(key), &Binding { owner: "43", ..PLACE }, &vec![8; len]);
                let (envelope, other) = (envelope.into_bytes(), other.into_bytes());
                targets.push(Target { header_len, envelope, other, other_header: other_header.clone() });
            }
        }
    });
    targets
});

/// What becomes of an envelope by it.
fn tampered(target: &Target, tampering: Tampering) -> Vec<u8> {
    let Target { header_len, envelope, other, other_header } = target;
    let mut bytes = envelope.clone();
    match tampering {
        Tampering::Change(changes) => {
            for (at, change) in changes {
                let at = at.index(bytes.len());
                bytes[at] ^= change;
            }
        }
        Tampering::Truncate(at, front) => {
            let at = at.index(bytes.len());
            bytes = if front { bytes.split_off(at + 1) } else { bytes[..at].to_vec() };
        }
        Tampering::Insert(at, new) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, new);
        }
        Tampering::Splice(at) => {
            let at = at.index(bytes.len());
            bytes[at..].copy_from_slice(&other[at..]);
        }
        Tampering::Swap => bytes.clone_from(other),
        Tampering::Rekey => bytes[..*header_len].copy_from_slice(other_header),
        Tampering::Turn(by) => {
            let parts = &mut bytes[*header_len..];
            parts.rotate_left(1 + by.index(parts.len() - 1));
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn of_a_hundred_thousand_envelopes_that_were_tampered_with_none_opens(
        tampering in tampering(),
        target in select(TARGETS.as_slice()),
    ) {
        let bytes = tampered(&target, tampering);
        // Changes may have undone each other.
        prop_assume!(bytes != target.envelope);
        let opened = Sealed::from_bytes(bytes).is_ok_and(|sealed| RING.open(&PLACE, &sealed).is_ok());
        prop_assert!(!opened);
    }
}

proptest! {
    #[test]
    fn anything_sealed_anywhere_opens_there(
        fields in any::<[String; 4]>(),
        plaintext in vec(any::<u8>(), 0..300),
    ) {
        let [environment, purpose, owner, scope] = fields.each_ref().map(String::as_str);
        let place = Binding { environment, purpose, owner, scope };
        for format in Format::ALL {
            let sealed = seal(format, &ring(NEW), &place, &plaintext);
            let opened = ring(NEW).open(&place, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), &plaintext);
        }
    }

    #[test]
    fn nothing_opens_in_two_places(one in any::<[String; 4]>(), two in any::<[String; 4]>()) {
        prop_assume!(one != two);
        let [one, two] = [&one, &two].map(|[environment, purpose, owner, scope]| {
            Binding { environment, purpose, owner, scope }
        });
        for format in Format::ALL {
            let sealed = seal(format, &ring(NEW), &one, b"secret");
            prop_assert_eq!(ring(NEW).open(&two, &sealed), Err(OpenError::Refused));
        }
    }

    #[test]
    fn a_changed_envelope_never_opens(plaintext in vec(any::<u8>(), 0..64), at: Index, change in 1..=u8::MAX) {
        for format in Format::ALL {
            let mut bytes = seal(format, &ring(NEW), &PLACE, &plaintext).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            let opened = Sealed::from_bytes(bytes).is_ok_and(|changed| ring(NEW).open(&PLACE, &changed).is_ok());
            prop_assert_eq!(opened, false);
        }
    }

    #[test]
    fn arbitrary_bytes_never_open_and_never_panic(bytes in vec(any::<u8>(), 0..120), headed: bool) {
        for format in Format::ALL {
            let mut bytes = bytes.clone();
            let header_len = header_len(format);
            if headed && bytes.len() >= header_len {
                let header = seal(format, &ring(NEW), &PLACE, b"");
                bytes[..header_len].copy_from_slice(&header.as_bytes()[..header_len]);
            }
            let opened = Sealed::from_bytes(bytes).is_ok_and(|sealed| ring(NEW).open(&PLACE, &sealed).is_ok());
            prop_assert_eq!(opened, false);
        }
    }

    #[test]
    fn no_text_makes_the_key_ring_panic(text in any::<String>()) {
        let _ = KeyRing::parse(&text);
    }
}
