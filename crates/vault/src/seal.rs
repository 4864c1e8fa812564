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
        let tag = XChaCha20Poly1305::new(self.primary_key().into())
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
        XChaCha20Poly1305::new(key.into())
            .decrypt_in_place(sealed.nonce().into(), &associated_data, &mut *buffer)
            .map_err(|_| OpenError::Refused)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with PyNaCl 1.6.2: `crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, aad, nonce, key)`, with
    /// key = bytes(range(32)), nonce = bytes(range(0x40, 0x58)), and header and associated data as the crate documents.
    const LIBSODIUM: &str = "46584431404c0b2f395e50dc404142434445464748494a4b4c4d4e4f5051525354555657\
        a65c6302b593113bfb9becdbc1b15454d285a00bad9d5af5829351eaf32f90";
    const PLACE: Binding<'static> =
        Binding { environment: "production", purpose: "store token", owner: "0192f5a0", scope: "store_full_access" };

    fn ring() -> KeyRing {
        KeyRing::parse("main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap()
    }

    fn libsodium_envelope() -> Sealed {
        let byte = |at| u8::from_str_radix(&LIBSODIUM[at..at + 2], 16).unwrap();
        Sealed::from_bytes((0..LIBSODIUM.len()).step_by(2).map(byte).collect()).unwrap()
    }

    #[test]
    fn what_libsodium_sealed_opens_here() {
        assert_eq!(ring().open(&PLACE, &libsodium_envelope()).unwrap().as_slice(), b"refresh-token-1");
    }

    #[test]
    fn what_is_sealed_here_is_what_libsodium_makes() {
        let nonce = std::array::from_fn(|i| 0x40 + u8::try_from(i).unwrap());
        assert_eq!(ring().seal_with_nonce(&PLACE, b"refresh-token-1", &nonce).unwrap(), libsodium_envelope());
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
