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
//! The format, for readers in other languages, is in `docs/envelope.md`, with test vectors in
//! `docs/envelope-vectors.json`.

mod binding;
mod fingerprint;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod key_id;
mod key_ring;
mod key_text;
mod randomness;
mod seal;
mod sealed;
mod secret;
mod small_file;
#[cfg(test)]
mod vectors;

pub use binding::Binding;
pub use fingerprint::{Fingerprint, MalformedFingerprint};
pub use format::Format;
pub use key_id::KeyId;
pub use key_ring::KeyRing;
pub use key_text::{GenerateKeyError, KeyRingError, generate_key};
pub use randomness::{NoRandomness, random_text};
pub use seal::{OpenError, SealError};
pub use sealed::{MalformedEnvelope, Sealed};
pub use secret::{AccessToken, AuthorizationCode, AuthorizationState, ClientSecret, RefreshToken};
pub use small_file::{SmallFile, SmallFileError, read_small_file};
