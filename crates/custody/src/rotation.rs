//! A client secret on its way to Foxy: kept in the escrow directory, sealed, from before it is sent until it was handed
//! over. A file of its own kind; the ledger never takes it, and a worker leaves it alone.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_vault::{Fingerprint, KeyId, Sealed, SmallFileError, read_small_file};
use serde::{Deserialize, Serialize};

use crate::on_disk::{make_private, open_lock, remove, write_durably};

const FILE: &str = "client-secret.rotation";
const LOCK: &str = "client-secret.lock";
/// Far more than a secret takes.
const LARGEST: u64 = 64 * 1024;
/// A file of a later release is left for that release.
const VERSION: u32 = 2;
/// An earlier release did not say what a secret replaces.
const UNBOUND: u32 = 1;

/// The place for one client secret in an escrow directory. While this lives, no other process has it.
#[derive(Debug)]
pub struct SecretRotation {
    dir: PathBuf,
    _lock: File,
}

/// A secret that a client was about to be given.
#[derive(Debug, Clone)]
pub struct PendingSecret {
    /// The client's id.
    pub client_id: String,
    /// The secret, as `Custody::begin_rotation` seals it.
    pub sealed: Sealed,
    /// What the envelope is bound to besides; `None` if an earlier release wrote it.
    pub of: Option<RotationOf>,
}

/// The rotation that a pending secret belongs to: by this an old file that was put back is recognized.
#[derive(Debug, Clone)]
pub struct RotationOf {
    /// Of the secret that it is to replace.
    pub replaces: Fingerprint,
    /// Epoch milliseconds, by the clock of the machine that began it.
    pub begun_at_ms: u64,
}

impl RotationOf {
    /// What the envelope is bound to.
    pub(crate) fn scope(&self) -> String {
        format!("rotation of {} at {}", STANDARD.encode(self.replaces.as_bytes()), self.begun_at_ms)
    }
}

/// Why a secret can't be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The directory or its file can't be used.
    #[error("{path} can't be used to {doing}")]
    File {
        /// Which.
        path: String,
        /// What for.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it.
    #[error("another rotation is under way in {0}; wait for its end")]
    UnderWay(String),
    /// The file is not what this release writes.
    #[error("{0} is not a file that this release can read; keep it, and ask which release wrote it")]
    Unreadable(String),
}

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    client_id: String,
    sealed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_at_ms: Option<u64>,
}

impl SecretRotation {
    /// Takes the place, making the directory if need be.
    ///
    /// # Errors
    /// Where another process has it, or the directory can't be used.
    pub fn begin(dir: &Path) -> Result<Self, RotationError> {
        let path = dir.join(LOCK);
        let failed = |source| file_error(&path, "rotate a secret", source);
        make_private(dir).map_err(failed)?;
        let lock = open_lock(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(RotationError::UnderWay(dir.display().to_string())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Where the secret is kept.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Keeps a secret. When this returns, it survives a crash of the process and of the machine.
    ///
    /// # Errors
    /// When the file system refuses; then nothing must be sent.
    pub fn keep(&self, pending: &PendingSecret) -> Result<(), RotationError> {
        let sealed = STANDARD.encode(pending.sealed.as_bytes());
        let text = Text {
            version: if pending.of.is_some() { VERSION } else { UNBOUND },
            client_id: pending.client_id.clone(),
            sealed,
            replaces: pending.of.as_ref().map(|of| STANDARD.encode(of.replaces.as_bytes())),
            begun_at_ms: pending.of.as_ref().map(|of| of.begun_at_ms),
        };
        let text = serde_json::to_vec(&text).expect("strings and numbers always serialize");
        write_durably(&self.dir, &self.path(), &text)
            .map_err(|source| file_error(&self.path(), "keep a secret", source))
    }

    /// The secret that an earlier rotation has left.
    ///
    /// # Errors
    /// When there is one that can't be read.
    pub fn pending(&self) -> Result<Option<PendingSecret>, RotationError> {
        pending_at(&self.path())
    }

    /// The key that seals the secret of a rotation which is not finished. Takes no place and changes nothing.
    ///
    /// # Errors
    /// When there is one that can't be read.
    pub fn key_in(dir: &Path) -> Result<Option<KeyId>, RotationError> {
        Ok(pending_at(&dir.join(FILE))?.map(|pending| pending.sealed.key_id()))
    }

    /// Removes the secret: it was handed over, or Foxy never heard of it.
    ///
    /// # Errors
    /// When the file system refuses; the next rotation then settles it once more.
    pub fn release(&self) -> Result<(), RotationError> {
        remove(&self.path()).map_err(|source| file_error(&self.path(), "remove a secret", source))
    }
}

fn pending_at(path: &Path) -> Result<Option<PendingSecret>, RotationError> {
    let text = match read_small_file(path, LARGEST) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(SmallFileError::Io(source)) => return Err(file_error(path, "find a secret", source)),
        Err(SmallFileError::Directory | SmallFileError::Special | SmallFileError::TooLarge { .. }) => {
            return Err(RotationError::Unreadable(path.display().to_string()));
        }
    };
    let read = || {
        let text: Text = serde_json::from_slice(&text).ok()?;
        let sealed = Sealed::from_bytes(STANDARD.decode(text.sealed).ok()?).ok()?;
        let of = match (text.version, text.replaces, text.begun_at_ms) {
            (UNBOUND, None, None) => None,
            (VERSION, Some(replaces), Some(begun_at_ms)) => {
                let replaces = Fingerprint::from_bytes(&STANDARD.decode(replaces).ok()?).ok()?;
                Some(RotationOf { replaces, begun_at_ms })
            }
            _ => return None,
        };
        Some(PendingSecret { client_id: text.client_id, sealed, of })
    };
    read().map(Some).ok_or_else(|| RotationError::Unreadable(path.display().to_string()))
}

fn file_error(path: &Path, doing: &'static str, source: io::Error) -> RotationError {
    RotationError::File { path: path.display().to_string(), doing, source }
}
