//! Sealing and opening.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::format::{Format, NONCE_LEN};
use crate::key_ring::NamedKey;
use crate::randomness::random_bytes;
use crate::{Binding, KeyId, KeyRing, NoRandomness, Sealed};

/// Followed by the purpose. Changing it orphans every envelope of `FXD2`.
const INFO: &[u8] = b"foxden v2 seal: ";

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
    /// Seals a value for the place that `binding` names, as [`Format::Fxd2`]: under a key that the ring's first one has
    /// for this purpose alone.
    ///
    /// # Errors
    /// If the operating system gives no randomness, or on sizes that no caller of ours comes near.
    pub fn seal(&self, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Sealed, SealError> {
        self.seal_as(Format::Fxd2, binding, plaintext)
    }

    /// Seals a value as an earlier release did, for tests of what becomes of such envelopes.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    #[cfg(any(test, feature = "earlier-formats"))]
    pub fn seal_fxd1(&self, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Sealed, SealError> {
        self.seal_as(Format::Fxd1, binding, plaintext)
    }

    pub(crate) fn seal_as(&self, format: Format, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Sealed, SealError> {
        // 24 random bytes are unique for all practical purposes, so no counter has to be kept between processes.
        let nonce = random_bytes::<NONCE_LEN>()?;
        self.seal_with_nonce(format, binding, plaintext, &nonce)
    }

    /// The deterministic half of sealing. A nonce must never be used twice.
    pub(crate) fn seal_with_nonce(
        &self,
        format: Format,
        binding: &Binding<'_>,
        plaintext: &[u8],
        nonce: &[u8; NONCE_LEN],
    ) -> Result<Sealed, SealError> {
        let key = self.first();
        let associated_data = binding.associated_data(&format.header(&key.id)).ok_or(SealError::TooLong)?;
        let mut envelope = Sealed::begin(format, &key.id, nonce, plaintext.len());
        let body = envelope.len();
        // Encrypted where it stands, in a buffer that never grows: no second copy of the plaintext is left behind.
        envelope.extend_from_slice(plaintext);
        let tag = cipher(format, key, binding)
            .encrypt_inout_detached(nonce.into(), &associated_data, (&mut envelope[body..]).into())
            .map_err(|_| SealError::TooLong)?;
        envelope.extend_from_slice(&tag);
        Ok(Sealed::from_complete(format, envelope))
    }

    /// Opens an envelope found at the place that `binding` names, of whatever format.
    ///
    /// The key is chosen by the envelope's key id, never by trying one after the other.
    ///
    /// # Errors
    /// [`OpenError::KeyMissing`] if the ring lacks the key, else [`OpenError::Refused`], whatever the reason.
    pub fn open(&self, binding: &Binding<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (format, key_id) = (sealed.format(), sealed.key_id());
        let key = self.key(key_id).ok_or(OpenError::KeyMissing(key_id))?;
        // The rest of a long key id: it belongs to the key that was sealed with, or someone has changed it.
        if sealed.header() != format.header(&key.id) {
            return Err(OpenError::Refused);
        }
        let associated_data = binding.associated_data(sealed.header()).ok_or(OpenError::Refused)?;
        let mut buffer = Zeroizing::new(sealed.ciphertext_and_tag().to_vec());
        cipher(format, key, binding)
            .decrypt_in_place(sealed.nonce().into(), &associated_data, &mut *buffer)
            .map_err(|_| OpenError::Refused)?;
        Ok(buffer)
    }
}

/// What seals and opens in this format, for this purpose.
fn cipher(format: Format, key: &NamedKey, binding: &Binding<'_>) -> XChaCha20Poly1305 {
    match format {
        Format::Fxd1 => XChaCha20Poly1305::new((&*key.bytes).into()),
        Format::Fxd2 => XChaCha20Poly1305::new((&*subkey(&key.bytes, binding.purpose)).into()),
    }
}

/// The key of one purpose: it opens nothing of another one.
pub(crate) fn subkey(key: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, key)
        .expand_multi_info(&[INFO, purpose.as_bytes()], derived.as_mut_slice())
        .expect("32 bytes are within what HKDF-SHA256 can give");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

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
