//! The vectors of `docs/envelope-vectors.json`, made again and compared.

use std::fmt::Write as _;

use crate::seal::subkey;
use crate::{Binding, Format, KeyRing, Sealed};

/// Those of `FXD1` were first made with PyNaCl 1.6.2 (`crypto_aead_xchacha20poly1305_ietf_encrypt`).
const VECTORS: &str = include_str!("../../../docs/envelope-vectors.json");

const KEY_OF_COUNTING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY_OF_ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const PROVISIONING: &str = "01930000-0000-7000-8000-000000000001";
const OF_STORE: [&str; 4] = ["production", "credential", PROVISIONING, "store_full_access"];
const OF_USER: [&str; 4] = ["staging", "credential", PROVISIONING, "user_full_access"];
const OF_EVENT: [&str; 4] = ["production", "payload", PROVISIONING, "signup"];

const EVENT: &str = "{\"user\":{\"first_name\":\"Zoë\",\"last_name\":\"Lovelace\",\
    \"email\":\"zoe@customers.example\"},\"store\":{\"name\":\"Engines\",\"url\":\"https://engines.example\",\
    \"email\":\"shop@engines.example\",\"country\":\"US\",\"region\":\"MN\",\"postal_code\":\"55401\"}}";
const SAYS_WHOSE_EVENT: &str = "{\"signup_id\":\"acct_000001\",\"contents\":{\"user\":{\"first_name\":\"Zoë\",\
    \"last_name\":\"Lovelace\",\"email\":\"zoe@customers.example\"},\"store\":{\"name\":\"Engines\",\
    \"url\":\"https://engines.example\",\"email\":\"shop@engines.example\",\"country\":\"US\",\"region\":\"MN\",\
    \"postal_code\":\"55401\"}}}";
const SAYS_WHOSE_STORE: &str = "{\"signup_id\":\"acct_000001\",\"scope\":\"store_full_access\",\
    \"resource_uri\":\"https://api.foxycart.com/stores/1\",\"client_id\":\"client_1\",\"foxy\":\"production\",\
    \"source\":\"created\",\"serial\":2,\"obtained_at_ms\":1763774167000,\"refresh_token\":\"refresh-token-2\"}";
/// With all members that a token may have, and one of a later release.
const SAYS_WHOSE_INTEGRATION: &str = "{\"signup_id\":\"acct_000001\",\"scope\":\"store_full_access\",\
    \"resource_uri\":\"https://api.foxycart.com/stores/1\",\"client_id\":\"client_2\",\
    \"client_secret\":\"client-secret-2\",\"foxy\":\"production\",\"source\":\"integration\",\"serial\":3,\
    \"obtained_at_ms\":1763774167000,\"expires_at_ms\":2078874167000,\"refresh_token\":\"refresh-token-4\",\
    \"of_a_later_release\":{\"a\":[1]}}";
const SAYS_WHOSE_USER: &str = "{\"signup_id\":\"acct_000001\",\"scope\":\"user_full_access\",\
    \"serial\":1,\"refresh_token\":\"refresh-token-3\"}";

/// Name, format, key, first byte of the nonce, the binding's fields in order, plaintext.
type Case = (&'static str, Format, &'static str, u8, [&'static str; 4], &'static str);
const CASES: [Case; 11] = [
    (
        "any binding",
        Format::Fxd1,
        KEY_OF_COUNTING,
        0x40,
        ["production", "store token", "0192f5a0", "store_full_access"],
        "refresh-token-1",
    ),
    ("a store's token", Format::Fxd1, KEY_OF_COUNTING, 0x00, OF_STORE, "refresh-token-2"),
    ("a user's token", Format::Fxd1, KEY_OF_ONES, 0x60, OF_USER, "refresh-token-3"),
    ("an event", Format::Fxd1, KEY_OF_COUNTING, 0x80, OF_EVENT, EVENT),
    ("nothing, for no scope", Format::Fxd1, KEY_OF_ONES, 0xa0, ["e", "p", "ö", ""], ""),
    (
        "any binding, FXD2",
        Format::Fxd2,
        KEY_OF_COUNTING,
        0x41,
        ["production", "store token", "0192f5a0", "store_full_access"],
        "refresh-token-1",
    ),
    ("a store's token, FXD2", Format::Fxd2, KEY_OF_COUNTING, 0x01, OF_STORE, SAYS_WHOSE_STORE),
    ("an integration's token, FXD2", Format::Fxd2, KEY_OF_COUNTING, 0x21, OF_STORE, SAYS_WHOSE_INTEGRATION),
    ("a user's token, FXD2", Format::Fxd2, KEY_OF_ONES, 0x61, OF_USER, SAYS_WHOSE_USER),
    ("an event, FXD2", Format::Fxd2, KEY_OF_COUNTING, 0x81, OF_EVENT, SAYS_WHOSE_EVENT),
    ("nothing, for no scope, FXD2", Format::Fxd2, KEY_OF_ONES, 0xa1, ["e", "p", "ö", ""], ""),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn vector((name, format, key_base64, first, fields, plaintext): Case) -> serde_json::Value {
    let [environment, purpose, owner, scope] = fields;
    let place = Binding { environment, purpose, owner, scope };
    let ring = KeyRing::parse(&format!("vector:{key_base64}")).unwrap();
    let nonce = std::array::from_fn(|i| first + u8::try_from(i).unwrap());
    let envelope = ring.seal_with_nonce(format, &place, plaintext.as_bytes(), &nonce).unwrap();
    let key = ring.first();
    let sealing = match format {
        Format::Fxd1 => key.bytes.clone(),
        Format::Fxd2 => subkey(&key.bytes, purpose),
    };
    serde_json::json!({
        "name": name, "format": format.to_string(), "key_base64": key_base64,
        "environment": environment, "purpose": purpose, "owner": owner, "scope": scope, "plaintext": plaintext,
        "nonce": hex(&nonce), "key_id": hex(&envelope.header()[4..]), "sealing_key": hex(sealing.as_slice()),
        "associated_data": hex(&place.associated_data(envelope.header()).unwrap()),
        "envelope": hex(envelope.as_bytes()),
    })
}

#[test]
fn what_is_sealed_here_is_what_the_documented_vectors_say() {
    let vectors = serde_json::json!({ "vectors": CASES.map(vector) });
    let documented: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    assert!(documented == vectors, "docs/envelope-vectors.json holds others; these are they:\n{vectors:#}");
}

#[test]
fn each_documented_vector_opens_and_with_any_byte_changed_does_not() {
    let documented: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    for vector in documented["vectors"].as_array().unwrap() {
        let field = |name: &str| vector[name].as_str().unwrap();
        let ring = KeyRing::parse(&format!("vector:{}", field("key_base64"))).unwrap();
        let place = Binding {
            environment: field("environment"),
            purpose: field("purpose"),
            owner: field("owner"),
            scope: field("scope"),
        };
        let whole = bytes(field("envelope"));
        let opened = ring.open(&place, &Sealed::from_bytes(whole.clone()).unwrap()).unwrap();
        assert_eq!(opened.as_slice(), field("plaintext").as_bytes());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let opens = Sealed::from_bytes(changed).is_ok_and(|sealed| ring.open(&place, &sealed).is_ok());
            assert!(!opens, "{} with byte {at} changed", field("name"));
        }
    }
}
