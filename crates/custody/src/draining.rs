//! Moving the escrow's tokens into the ledger.

use foxden_ledger::{Ledger, LedgerError};
use foxden_vault::{KeyId, Sealed};

use crate::{
    custody::{Custody, CustodyError},
    deposit::{self, Content},
    escrow::{self, Escrow, EscrowError},
    on_disk::remove,
    renewal::Renewal,
};

/// Why a file could not be drained. The file stays.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The directory could not be read or a file not be removed.
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file is of a later release.
    #[error("the escrow file {0} is not one that this release can read; keep it, and ask which release wrote it")]
    Unreadable(String),
    /// A file's envelope is sealed with a key that is not here.
    #[error("the escrow file {file} is sealed with the key {key}, which is not in the key ring: add it")]
    KeyMissing {
        /// The file's name.
        file: String,
        /// The key.
        key: KeyId,
    },
}

impl Escrow {
    /// Moves every token in the escrow into the ledger. Returns how many. Another process may drain the same directory.
    ///
    /// # Errors
    /// When the ledger does not answer; and, once all others are moved, for a file that can't be read, moved or
    /// removed, or that the ledger refuses. Nothing is removed that the ledger does not have; what does not open in
    /// its place is moved aside.
    pub async fn drain(&self, ledger: &Ledger, custody: &Custody) -> Result<usize, DrainError> {
        let (mut drained, mut stuck) = (0, None);
        for path in self.files().await? {
            let reading = path.clone();
            let text = match self.on_disk("read a token in it", move || escrow::read(&reading)).await {
                Ok(Some(text)) => text,
                // Drained by somebody else in the meantime.
                Ok(None) => continue,
                Err(error) => {
                    stuck = Some(error.into());
                    continue;
                }
            };
            let file = || path.file_name().unwrap_or_default().display().to_string();
            // A name and a content that differ were not written by us.
            let (id, credential, replaces) = match deposit::read(&text) {
                Content::Token(id, new) if self.is_named_for(&path, &id, &new, false) => (id, new, None),
                Content::Renewal(id, Renewal { new, replaces }) if self.is_named_for(&path, &id, &new, true) => {
                    (id, new, Some(replaces))
                }
                Content::OfLaterRelease => {
                    stuck = Some(DrainError::Unreadable(file()));
                    continue;
                }
                Content::Token(..) | Content::Renewal(..) | Content::NotOurs => {
                    // One that can't be moved holds up none of those behind it.
                    stuck = self.reject(path).await.map_err(DrainError::from).err().or(stuck);
                    continue;
                }
            };
            match custody.open_token(&id, credential.scope, &credential.sealed) {
                Ok(_) => {}
                Err(CustodyError::KeyMissing(key)) => {
                    stuck = Some(DrainError::KeyMissing { file: file(), key });
                    continue;
                }
                Err(CustodyError::Refused | CustodyError::Content) => {
                    stuck = self.reject(path).await.map_err(DrainError::from).err().or(stuck);
                    continue;
                }
            }
            let kept = match replaces {
                None => {
                    let is_same =
                        |held: &Sealed| custody.is_same_token(&id, credential.scope, held, &credential.sealed);
                    ledger.keep_from_escrow(&id, &credential, is_same).await
                }
                Some(replaces) => Renewal { new: credential, replaces }.keep(ledger, custody, &id).await,
            };
            match kept {
                Ok(()) => {}
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(error) => {
                    stuck = Some(error.into());
                    continue;
                }
            }
            match self.on_disk("remove a token from it", move || remove(&path)).await {
                Ok(()) => drained += 1,
                Err(error) => stuck = Some(error.into()),
            }
        }
        stuck.map_or(Ok(drained), Err)
    }
}
