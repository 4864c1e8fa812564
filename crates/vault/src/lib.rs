//! Secret types, key ring and sealed envelopes (XChaCha20-Poly1305).
//!
//! Whatever foxden must keep, but nobody may read, goes through here: refresh tokens and signup payloads. A value is
//! [sealed](KeyRing::seal) under the ring's first key and [bound](Binding) to the one place it belongs to; a
//! [`Sealed`] can then be stored anywhere. There is no plaintext mode: without a valid [`KeyRing`] nothing is sealed.
//!
//! What this crate will not do: store anything, read the environment or files, log, or know what a signup is.
//!
//! ```
//! use foxden_vault::{Binding, KeyRing, OpenError, RefreshToken, generate_key};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ring = KeyRing::parse(&generate_key("main")?)?;
//! let token = RefreshToken::new("from Foxy");
//!
//! let place = Binding { environment: "production", purpose: "store token", owner: "42", scope: "store_full_access" };
//! let sealed = ring.seal(&place, token.expose().as_bytes())?;
//! assert_eq!(ring.open(&place, &sealed)?.as_slice(), b"from Foxy");
//!
//! // The same envelope, moved to another owner's row, stays shut.
//! let elsewhere = Binding { owner: "43", ..place };
//! assert_eq!(ring.open(&elsewhere, &sealed), Err(OpenError::Refused));
//! # Ok(())
//! # }
//! ```
//!
//! # The format, for readers in other languages
//!
//! | part | bytes | content |
//! | --- | --- | --- |
//! | magic | 4 | `FXD1` |
//! | key id | 8 | first 8 bytes of HKDF-SHA256(key, no salt, info `foxden v1 key id`) |
//! | nonce | 24 | random |
//! | ciphertext and tag | length of the plaintext + 16 | XChaCha20-Poly1305 under the key itself |
//!
//! The associated data is the magic, the key id, then environment, purpose, owner and scope in this order, each preceded
//! by its length in bytes as a big-endian 32-bit number. libsodium opens the last part with
//! `crypto_aead_xchacha20poly1305_ietf_decrypt`.
//!
//! A test vector, all but the key in hexadecimal:
//!
//! | input | value |
//! | --- | --- |
//! | key, base64 | `AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=` |
//! | environment, purpose | `production`, `store token` |
//! | owner, scope | `0192f5a0`, `store_full_access` |
//! | plaintext | `refresh-token-1` in ASCII |
//! | key id | `404c0b2f395e50dc` |
//! | nonce | `404142434445464748494a4b4c4d4e4f5051525354555657` |
//! | ciphertext and tag | `a65c6302b593113bfb9becdbc1b15454d285a00bad9d5af5829351eaf32f90` |

mod binding;
mod fingerprint;
mod key_id;
mod key_ring;
mod key_text;
mod randomness;
mod seal;
mod sealed;
mod secret;

pub use binding::Binding;
pub use fingerprint::{Fingerprint, MalformedFingerprint};
pub use key_id::KeyId;
pub use key_ring::KeyRing;
pub use key_text::{GenerateKeyError, KeyRingError, generate_key};
pub use randomness::NoRandomness;
pub use seal::{OpenError, SealError};
pub use sealed::{MalformedEnvelope, Sealed};
pub use secret::{AccessToken, ClientSecret, RefreshToken};
