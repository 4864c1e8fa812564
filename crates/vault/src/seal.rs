//! Sealing and opening.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use zeroize::Zeroizing;

use crate::randomness::random_bytes;
use crate::{Binding, KeyId, KeyRing, NoRandomness, Sealed};

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No nonce could be made.
    #[error("could not make a nonce")]
    NoRandomness(#[from] NoRandomness),
    /// The value has more than 256 GiB, or a field of the binding more than 4 GiB.
    #[error("the value or its binding is too long to be sealed")]
    TooLong,
}

/// Why an envelope did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The ring lacks the key that sealed it. Nothing is wrong with the envelope: add the key and it opens.
    #[error("sealed with key {0}, which is not in the key ring; add that key to the ring to open it")]
    KeyMissing(KeyId),
    /// Not what was sealed for this place: changed, or moved from elsewhere. Which of the two can't be told, and is
    /// not to be told to whoever tries.
    #[error("the envelope does not open here")]
    Refused,
}

impl KeyRing {
    /// Seals a value under the ring's first key, for the place that `binding` names.
    ///
    /// # Errors
    /// If the operating system gives no randomness, or on sizes that no caller of ours comes near.
    pub fn seal(&self, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Sealed, SealError> {
        // 24 random bytes are unique for all practical purposes, so no counter has to be kept between processes.
        let nonce = random_bytes::<{ Sealed::NONCE_LEN }>()?;
        self.seal_with_nonce(binding, plaintext, &nonce)
    }

    /// The deterministic half of [`seal`](Self::seal). A nonce must never be used twice.
    fn seal_with_nonce(
        &self,
        binding: &Binding<'_>,
        plaintext: &[u8],
        nonce: &[u8; Sealed::NONCE_LEN],
    ) -> Result<Sealed, SealError> {
        let key_id = self.primary();
        let associated_data = binding.associated_data(key_id).ok_or(SealError::TooLong)?;
        let mut envelope = Sealed::header(key_id, nonce, plaintext.len());
        let body = envelope.len();
        // Encrypted where it stands, in a buffer that never grows: no second copy of the plaintext is left behind.
        envelope.extend_from_slice(plaintext);
        let tag = XChaCha20Poly1305::new((&*self.first().bytes).into())
            .encrypt_inout_detached(nonce.into(), &associated_data, (&mut envelope[body..]).into())
            .map_err(|_| SealError::TooLong)?;
        envelope.extend_from_slice(&tag);
        Ok(Sealed::from_complete(envelope))
    }

    /// Opens an envelope found at the place that `binding` names.
    ///
    /// The key is chosen by the envelope's key id, never by trying one after the other.
    ///
    /// # Errors
    /// [`OpenError::KeyMissing`] if the ring lacks the key, else [`OpenError::Refused`], whatever the reason.
    pub fn open(&self, binding: &Binding<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key_id = sealed.key_id();
        let key = self.key(key_id).ok_or(OpenError::KeyMissing(key_id))?;
        let associated_data = binding.associated_data(key_id).ok_or(OpenError::Refused)?;
        let mut buffer = Zeroizing::new(sealed.ciphertext_and_tag().to_vec());
        XChaCha20Poly1305::new((&*key.bytes).into())
            .decrypt_in_place(sealed.nonce().into(), &associated_data, &mut *buffer)
            .map_err(|_| OpenError::Refused)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented vectors, first made with PyNaCl 1.6.2 (`crypto_aead_xchacha20poly1305_ietf_encrypt`).
    const VECTORS: &str = include_str!("../../../docs/envelope-vectors.json");

    const KEY_OF_COUNTING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const KEY_OF_ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const PROVISIONING: &str = "01930000-0000-7000-8000-000000000001";
    const EVENT: &str = "{\"user\":{\"first_name\":\"Zoë\",\"last_name\":\"Lovelace\",\
        \"email\":\"zoe@customers.example\"},\"store\":{\"name\":\"Engines\",\"url\":\"https://engines.example\",\
        \"email\":\"shop@engines.example\",\"country\":\"US\",\"region\":\"MN\",\"postal_code\":\"55401\"}}";

    /// Name, key, first byte of the nonce, the binding's fields in order, plaintext.
    type Case = (&'static str, &'static str, u8, [&'static str; 4], &'static str);
    const CASES: [Case; 5] = [
        (
            "any binding",
            KEY_OF_COUNTING,
            0x40,
            ["production", "store token", "0192f5a0", "store_full_access"],
            "refresh-token-1",
        ),
        (
            "a store's token",
            KEY_OF_COUNTING,
            0x00,
            ["production", "credential", PROVISIONING, "store_full_access"],
            "refresh-token-2",
        ),
        (
            "a user's token",
            KEY_OF_ONES,
            0x60,
            ["staging", "credential", PROVISIONING, "user_full_access"],
            "refresh-token-3",
        ),
        ("an event", KEY_OF_COUNTING, 0x80, ["production", "payload", PROVISIONING, "signup"], EVENT),
        ("nothing, for no scope", KEY_OF_ONES, 0xa0, ["e", "p", "ö", ""], ""),
    ];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn vector((name, key, first, fields, plaintext): Case) -> serde_json::Value {
        let [environment, purpose, owner, scope] = fields;
        let place = Binding { environment, purpose, owner, scope };
        let ring = KeyRing::parse(&format!("vector:{key}")).unwrap();
        let nonce = std::array::from_fn(|i| first + u8::try_from(i).unwrap());
        let envelope = ring.seal_with_nonce(&place, plaintext.as_bytes(), &nonce).unwrap();
        assert_eq!(ring.open(&place, &envelope).unwrap().as_slice(), plaintext.as_bytes());
        serde_json::json!({
            "name": name, "key_base64": key, "environment": environment, "purpose": purpose, "owner": owner,
            "scope": scope, "plaintext": plaintext, "nonce": hex(&nonce), "key_id": ring.primary().to_string(),
            "associated_data": hex(&place.associated_data(ring.primary()).unwrap()),
            "envelope": hex(envelope.as_bytes()),
        })
    }

    #[test]
    fn what_is_sealed_here_is_what_the_documented_vectors_say() {
        let vectors = serde_json::json!({ "format": "FXD1", "vectors": CASES.map(vector) });
        let documented: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        assert!(documented == vectors, "docs/envelope-vectors.json holds others; these are they:\n{vectors:#}");
    }

    #[test]
    fn errors_say_what_to_do_and_nothing_of_the_content() {
        let missing = OpenError::KeyMissing(KeyId::from_bytes([1; 8]));
        assert_eq!(
            missing.to_string(),
            "sealed with key 0101010101010101, which is not in the key ring; add that key to the ring to open it"
        );
        assert_eq!(OpenError::Refused.to_string(), "the envelope does not open here");
    }
}
