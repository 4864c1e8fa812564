//! Moving the escrow's tokens into the ledger.

use foxden_ledger::{Ledger, LedgerError, NewCredential, ProvisioningId};
use foxden_vault::{KeyId, Sealed};

use crate::{
    content::{Mismatch, TokenRow},
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
    /// A file's envelope is of a format of which the ledger has none any more.
    #[error(
        "the escrow file {file} was sealed by an earlier release as FXD1, of which this ledger has none any more; it stays \
         where it is: see OPERATIONS.md, \"FXD1 in an escrow\""
    )]
    FormatEnded {
        /// The file's name.
        file: String,
    },
    /// A file's token is not that of the signup whose row it names.
    #[error("the escrow file {file} holds a token of another signup than its row in the ledger: {mismatch}")]
    Mismatch {
        /// The file's name.
        file: String,
        /// What differs.
        #[source]
        mismatch: Mismatch,
    },
}

/// Why a file's token can't be kept as what it says it is.
enum Unfit {
    Sealed(CustodyError),
    Ledger(LedgerError),
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
            match self.judge(ledger, custody, &id, (&credential, replaces.as_ref())).await {
                Ok(()) => {}
                Err(Unfit::Ledger(error)) if error.is_passing() => return Err(error.into()),
                Err(Unfit::Ledger(error)) => {
                    stuck = Some(error.into());
                    continue;
                }
                Err(Unfit::Sealed(CustodyError::KeyMissing(key))) => {
                    stuck = Some(DrainError::KeyMissing { file: file(), key });
                    continue;
                }
                // Of an earlier release, and overlooked until now: the token may be good, so it stays.
                Err(Unfit::Sealed(CustodyError::Mismatch(Mismatch::Format))) => {
                    stuck = Some(DrainError::FormatEnded { file: file() });
                    continue;
                }
                // Not the file, but its row is another's: it stays until that is put right.
                Err(Unfit::Sealed(CustodyError::Mismatch(mismatch @ Mismatch::SignupId(_)))) => {
                    stuck = Some(DrainError::Mismatch { file: file(), mismatch });
                    continue;
                }
                Err(Unfit::Sealed(CustodyError::Refused | CustodyError::Content | CustodyError::Mismatch(_))) => {
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
                // It ended since the file was judged.
                Err(LedgerError::FormatEnded) => {
                    stuck = Some(DrainError::FormatEnded { file: file() });
                    continue;
                }
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

    /// Opens a file's token, and compares it with what the file and the row that it names say of it.
    async fn judge(
        &self,
        ledger: &Ledger,
        custody: &Custody,
        id: &ProvisioningId,
        (credential, replaces): (&NewCredential, Option<&Sealed>),
    ) -> Result<(), Unfit> {
        let NewCredential { scope, intent, resource_uri, client, sealed } = credential;
        // Those that the ledger holds of the same call are opened later, too.
        custody.heed_any_end(ledger).await.map_err(Unfit::Ledger)?;
        // Without it no one can determine which token the new one replaces.
        let ended = replaces.map_or(Ok(()), |replaces| custody.admit(replaces));
        ended.map_err(|mismatch| Unfit::Sealed(CustodyError::Mismatch(mismatch)))?;
        custody.tries_token(id, *scope, sealed).map_err(Unfit::Sealed)?;
        let row = ledger.find_by_id(id).await.map_err(Unfit::Ledger)?;
        let row = row.ok_or_else(|| Unfit::Ledger(LedgerError::NotOurs { id: id.to_string() }))?;
        let around = TokenRow::of_call(&row, *scope, *intent, resource_uri.as_deref()).given_to(client.clone());
        custody.open_token(&around, sealed).map(drop).map_err(Unfit::Sealed)
    }
}
