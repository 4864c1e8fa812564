//! The escrow: local, sealed, fsynced files that hold tokens while the database can't.
//!
//! Foxy gives a token out once. If the commit that should keep it fails or takes long, the sealed token goes to a file
//! first: written, synced, renamed, and the directory synced. It is drained into the ledger later, at start too, and
//! only then removed. A file holds nothing that the database would not: the envelope, and the keys of its row.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_vault::{KeyId, Sealed};
use serde::{Deserialize, Serialize};

use crate::{
    connect::Ledger,
    credentials::{Kept, Road},
    error::LedgerError,
    ids::ProvisioningId,
    record::NewCredential,
    state::Scope,
    step_in::{StepIn, Steps, between},
};

/// What the files' names end in. Anything else in the directory is left alone.
const SUFFIX: &str = "escrow";
/// Where files go that hold no token of ours.
const REJECTED: &str = "rejected";
/// A file of a later release is left for that release.
const VERSION: u32 = 1;

/// A directory of tokens on their way into the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Escrow {
    dir: Arc<Path>,
    steps: Steps,
}

impl fmt::Debug for Escrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Escrow({})", self.dir.display())
    }
}

/// Why the escrow can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the escrow directory {path} can't be used to {doing}")]
pub struct EscrowError {
    path: String,
    doing: &'static str,
    #[source]
    source: io::Error,
}

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

/// What is known of an envelope without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// It opens where it says it belongs.
    Opens,
    /// Its key is not here.
    KeyMissing(KeyId),
    /// It was altered, is another row's, or is no envelope of ours.
    Refused,
}

/// Tries envelopes on their place, for a ledger that opens none itself.
pub trait EnvelopeCheck: Sync {
    /// Whether a token's envelope opens as one of this row and scope.
    fn try_token(&self, id: &ProvisioningId, scope: Scope, sealed: &Sealed) -> Envelope;

    /// Whether two envelopes of one place hold the same token.
    fn is_same_token(&self, id: &ProvisioningId, scope: Scope, one: &Sealed, other: &Sealed) -> bool;
}

/// What a file turns out to be.
enum Content {
    Token(ProvisioningId, NewCredential),
    OfLaterRelease,
    NotOurs,
}

/// One token's file.
#[derive(Serialize, Deserialize)]
struct Deposit {
    version: u32,
    provisioning_id: String,
    scope: String,
    intent: u32,
    resource_uri: Option<String>,
    sealed: String,
}

impl Escrow {
    /// Opens the directory, making it if need be, readable by its owner alone; and tries that a file can be kept there,
    /// since the moment of need is too late to find out.
    ///
    /// # Errors
    /// Says what could not be done.
    pub fn open(dir: &Path) -> Result<Self, EscrowError> {
        let failed = |doing| move |source| EscrowError { path: dir.display().to_string(), doing, source };
        make_private(dir).map_err(failed("keep tokens in it"))?;
        let escrow = Self { dir: dir.into(), steps: None };
        // As large as a token's file, under a name that no other process takes.
        let trial = dir.join(format!("trial-{}", ProvisioningId::new()));
        write_durably(dir, &trial, &[b' '; 4096])
            .and_then(|()| fs::remove_file(&trial))
            .map_err(failed("write a file in it"))?;
        Ok(escrow)
    }

    /// Counts the tokens in a directory by the key that seals them, and the files that can't be read; changes nothing, and
    /// does not make the directory.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn count_by_key(dir: &Path) -> Result<(BTreeMap<KeyId, u64>, u64), EscrowError> {
        let failed = |source| EscrowError { path: dir.display().to_string(), doing: "count what is in it", source };
        let (mut counts, mut unreadable) = (BTreeMap::new(), 0);
        if !dir.try_exists().map_err(failed)? {
            return Ok((counts, unreadable));
        }
        for path in list(dir).map_err(failed)? {
            let text = match fs::read(&path) {
                // Drained in the meantime.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.map_err(failed)?,
            };
            match parse(&text) {
                Content::Token(_, credential) => *counts.entry(credential.sealed.key_id()).or_default() += 1,
                Content::OfLaterRelease | Content::NotOurs => unreadable += 1,
            }
        }
        Ok((counts, unreadable))
    }

    /// The same escrow with a test that steps into each of its operations.
    #[must_use]
    pub fn with_steps(mut self, steps: Arc<dyn StepIn>) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Keeps a token. When this returns, it survives a crash of the process and of the machine.
    ///
    /// # Errors
    /// When the file system refuses; the token is then in memory only.
    pub async fn keep(&self, id: &ProvisioningId, credential: &NewCredential) -> Result<(), EscrowError> {
        let (dir, path) = (self.dir.clone(), self.path_of(id, credential));
        let deposit = Deposit {
            version: VERSION,
            provisioning_id: id.to_string(),
            scope: credential.scope.as_str().to_owned(),
            intent: credential.intent,
            resource_uri: credential.resource_uri.clone(),
            sealed: STANDARD.encode(credential.sealed.as_bytes()),
        };
        let text = serde_json::to_vec(&deposit).expect("strings and numbers always serialize");
        self.on_disk("keep a token in it", move || write_durably(&dir, &path, &text)).await
    }

    /// Removes a token that the ledger has. Harmless if it is gone.
    ///
    /// # Errors
    /// When the file system refuses; draining then finds it again, which is harmless too.
    pub async fn release(&self, id: &ProvisioningId, credential: &NewCredential) -> Result<(), EscrowError> {
        let path = self.path_of(id, credential);
        self.on_disk("remove a token from it", move || remove(&path)).await
    }

    /// Whether a token of this provisioning lies here.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn holds(&self, id: &ProvisioningId) -> Result<bool, EscrowError> {
        let of_this = format!("{id}.");
        let is_of_this =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&of_this));
        Ok(self.files().await?.iter().any(is_of_this))
    }

    /// Moves a file out of the way that holds no token of ours, and keeps it for a person to look at.
    async fn reject(&self, path: PathBuf) -> Result<(), EscrowError> {
        let name = path.file_name().unwrap_or_default().display().to_string();
        let to = self.dir.join(REJECTED);
        let aside = to.join(format!("{name}.{}", ProvisioningId::new()));
        self.on_disk("move a file aside that holds no token", move || {
            make_private(&to)?;
            match fs::rename(&path, &aside) {
                // Somebody else has.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                moved => moved,
            }
        })
        .await?;
        tracing::error!(
            event = "escrow.rejected",
            file = name,
            "an escrow file holds no token that opens where it says it belongs; it was moved to the directory rejected",
        );
        Ok(())
    }

    fn path_of(&self, id: &ProvisioningId, credential: &NewCredential) -> PathBuf {
        self.dir.join(format!("{id}.{}.{}.{SUFFIX}", credential.scope, credential.intent))
    }

    async fn files(&self) -> Result<Vec<PathBuf>, EscrowError> {
        let dir = self.dir.clone();
        self.on_disk("list it", move || list(&dir)).await
    }

    /// Runs file system work where it may block.
    async fn on_disk<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, EscrowError> {
        let on_disk = async {
            let done = tokio::task::spawn_blocking(work).await;
            done.unwrap_or_else(|_| Err(io::Error::other("the program is shutting down")))
        };
        let done = between(self.steps.clone(), doing, || io::Error::other("stepped in"), on_disk).await;
        done.map_err(|source| EscrowError { path: self.dir.display().to_string(), doing, source })
    }
}

impl Ledger {
    /// Moves every token in the escrow into the ledger. Answers how many. Another process may drain the same directory.
    ///
    /// # Errors
    /// When the ledger does not answer; and, once all others are moved, for a file that can't be read or that the ledger
    /// refuses. Nothing is removed that the ledger does not have; what does not open in its place is moved aside.
    pub async fn drain(&self, escrow: &Escrow, check: &dyn EnvelopeCheck) -> Result<usize, DrainError> {
        let (mut drained, mut stuck) = (0, None);
        for path in escrow.files().await? {
            let reading = path.clone();
            let text = escrow.on_disk("read a token in it", move || match fs::read(&reading) {
                // Drained by somebody else in the meantime.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                text => text.map(Some),
            });
            let text = match text.await {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(error) => {
                    stuck = Some(error.into());
                    continue;
                }
            };
            let file = || path.file_name().unwrap_or_default().display().to_string();
            let (id, credential) = match parse(&text) {
                // A name and a content that differ were not written by us.
                Content::Token(id, credential) if escrow.path_of(&id, &credential) == path => (id, credential),
                Content::OfLaterRelease => {
                    stuck = Some(DrainError::Unreadable(file()));
                    continue;
                }
                Content::Token(..) | Content::NotOurs => {
                    escrow.reject(path).await?;
                    continue;
                }
            };
            match check.try_token(&id, credential.scope, &credential.sealed) {
                Envelope::Opens => {}
                Envelope::KeyMissing(key) => {
                    stuck = Some(DrainError::KeyMissing { file: file(), key });
                    continue;
                }
                Envelope::Refused => {
                    escrow.reject(path).await?;
                    continue;
                }
            }
            match self.keep_from_escrow(&id, credential, check).await {
                Ok(()) => {}
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(error) => {
                    stuck = Some(error.into());
                    continue;
                }
            }
            escrow.on_disk("remove a token from it", move || remove(&path)).await?;
            drained += 1;
        }
        stuck.map_or(Ok(drained), Err)
    }

    /// Keeps a token that opens, unless the same one is here under another envelope.
    async fn keep_from_escrow(
        &self,
        id: &ProvisioningId,
        credential: NewCredential,
        check: &dyn EnvelopeCheck,
    ) -> Result<(), LedgerError> {
        let kept = self.keep_late(id, credential.clone(), Road::Escrow { is_other: false }).await?;
        if kept != Kept::Differs {
            return Ok(());
        }
        let is_same = |held: &Sealed| check.is_same_token(id, credential.scope, held, &credential.sealed);
        let held = self.credentials(id).await?;
        let mut of_call = held.iter().filter(|held| (held.scope, held.intent) == (credential.scope, credential.intent));
        if of_call.any(|held| held.sealed.as_ref().is_some_and(is_same)) {
            return Ok(());
        }
        self.keep_late(id, credential, Road::Escrow { is_other: true }).await.map(drop)
    }
}

/// The files of tokens in a directory, the oldest rows' first.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn parse(text: &[u8]) -> Content {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(text) {
        Ok(Versioned { version: VERSION }) => {
            token(text).map_or(Content::NotOurs, |(id, token)| Content::Token(id, token))
        }
        Ok(_) => Content::OfLaterRelease,
        Err(_) => Content::NotOurs,
    }
}

fn token(text: &[u8]) -> Option<(ProvisioningId, NewCredential)> {
    let deposit: Deposit = serde_json::from_slice(text).ok()?;
    let credential = NewCredential {
        scope: Scope::parse(&deposit.scope)?,
        intent: deposit.intent,
        resource_uri: deposit.resource_uri,
        sealed: Sealed::from_bytes(STANDARD.decode(deposit.sealed).ok()?).ok()?,
    };
    Some((ProvisioningId::from_row(deposit.provisioning_id), credential))
}

/// Write, sync, rename, sync the directory: after a crash the file is there whole, or not at all.
pub(crate) fn write_durably(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let write = || {
        let mut file = options.open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(dir)?.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Makes the directory, for its owner alone. One that is there already is somebody's and never changed; it is taken unless
/// anybody may remove what is kept in it.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    let is_new = !dir.exists();
    fs::create_dir_all(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if is_new {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        } else if fs::metadata(dir)?.permissions().mode() & 0o1002 == 0o0002 {
            return Err(io::Error::other("anybody may remove files in it; run chmod 700 on it, or name another"));
        }
    }
    Ok(())
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
