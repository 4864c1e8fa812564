//! The escrow: local, sealed, fsynced files that hold tokens while the database can't.
//!
//! Foxy gives a token with the creation, and not again. If the commit that should keep it fails or takes long, the
//! sealed token goes to a file first: written, synced, renamed, and the directory synced. It is drained into the
//! ledger later, at start too, and only then removed. A file holds nothing that the database would not: the envelope,
//! and the keys of its row.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use foxden_ledger::{ClientId, NewCredential, ProvisioningId, StepIn, Steps, between};
use foxden_vault::{Format, KeyId, SmallFileError, read_small_file};
use zeroize::Zeroizing;

use crate::{
    deposit::{self, Content},
    on_disk::{make_private, remove, write_durably},
    renewal::Renewal,
};

/// What the files' names end in. Anything else in the directory is left alone.
const SUFFIX: &str = "escrow";
/// How the last part of a name begins where a token replaces another one.
const RENEWED: &str = "renewed-";
/// Where files go that hold no token of ours.
const REJECTED: &str = "rejected";
/// More than the largest answer of Foxy's that a token is taken from, twice, in base64.
const LARGEST: u64 = 4 * 1024 * 1024;

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

impl EscrowError {
    /// Whether it is the disk that is full, or the owner's share of it: it ends once something makes room.
    pub fn is_for_room(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
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

    /// Counts the tokens in a directory by the key that seals them, and the files that can't be read; changes
    /// nothing, and does not make the directory.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn count_by_key(dir: &Path) -> Result<(BTreeMap<KeyId, u64>, u64), EscrowError> {
        let (mut counts, mut unreadable) = (BTreeMap::new(), 0);
        for content in contents(dir)? {
            match content {
                Content::Token(_, credential) | Content::Renewal(_, Renewal { new: credential, .. }) => {
                    *counts.entry(credential.sealed.key_id()).or_default() += 1;
                }
                Content::OfLaterRelease | Content::NotOurs => unreadable += 1,
            }
        }
        Ok((counts, unreadable))
    }

    /// How many files in a directory hold an `FXD1`, or may, since they can't be read; changes nothing, and does not
    /// make the directory.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn count_fxd1(dir: &Path) -> Result<usize, EscrowError> {
        let may_be = |content: &Content| match content {
            Content::Token(_, credential) => credential.sealed.format() == Format::Fxd1,
            Content::Renewal(_, Renewal { new, replaces }) => {
                [&new.sealed, replaces].iter().any(|sealed| sealed.format() == Format::Fxd1)
            }
            Content::OfLaterRelease | Content::NotOurs => true,
        };
        Ok(contents(dir)?.iter().filter(|content| may_be(content)).count())
    }

    /// The clients that the tokens in a directory were given to, as far as its files can be read; changes nothing,
    /// and does not make the directory.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn clients_in_use(dir: &Path) -> Result<BTreeSet<ClientId>, EscrowError> {
        let client = |content| match content {
            Content::Token(_, credential) | Content::Renewal(_, Renewal { new: credential, .. }) => credential.client,
            Content::OfLaterRelease | Content::NotOurs => None,
        };
        Ok(contents(dir)?.into_iter().filter_map(client).map(|client| client.id).collect())
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
        let text = deposit::write(id, credential, None);
        self.on_disk("keep a token in it", move || write_durably(&dir, &path, &text)).await
    }

    /// Keeps a token that replaces another one, beside whatever else is here. Several of one place are drained in the
    /// order in which they came.
    pub(crate) async fn keep_renewal(&self, id: &ProvisioningId, renewal: &Renewal) -> Result<(), EscrowError> {
        let stem = self.path_of(id, &renewal.new).with_extension("");
        let mut name = stem.file_name().unwrap_or_default().to_owned();
        // Behind the call's own in the order of names, and in the order of time.
        name.push(format!(".{RENEWED}{}.{SUFFIX}", ProvisioningId::new()));
        let (dir, path) = (self.dir.clone(), self.dir.join(name));
        let text = deposit::write(id, &renewal.new, Some(&renewal.replaces));
        self.on_disk("keep a token in it", move || write_durably(&dir, &path, &text)).await
    }

    /// Whether a file has the name that its content asks for.
    pub(crate) fn is_named_for(
        &self,
        path: &Path,
        id: &ProvisioningId,
        credential: &NewCredential,
        renewed: bool,
    ) -> bool {
        let own = self.path_of(id, credential);
        if !renewed {
            return path == own;
        }
        let text = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        path.parent() == own.parent() && text(path).starts_with(&format!("{}.{RENEWED}", text(&own)))
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

    /// Moves a file out of the way that does not hold the token that it claims to hold; a person can look at it there.
    pub(crate) async fn reject(&self, path: PathBuf) -> Result<(), EscrowError> {
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
            "an escrow file does not hold the token that it claims to hold; it was moved to the directory rejected",
        );
        Ok(())
    }

    pub(crate) fn path_of(&self, id: &ProvisioningId, credential: &NewCredential) -> PathBuf {
        self.dir.join(format!("{id}.{}.{}.{SUFFIX}", credential.scope, credential.intent))
    }

    pub(crate) async fn files(&self) -> Result<Vec<PathBuf>, EscrowError> {
        let dir = self.dir.clone();
        self.on_disk("list it", move || list(&dir)).await
    }

    /// Runs file system work where it may block.
    pub(crate) async fn on_disk<T: Send + 'static>(
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

/// Reads a token's file; nothing, if it has gone. What can't be one, as it is too large or no file at all, is read as a
/// file without a text, which is not ours.
pub(crate) fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    match read_small_file(path, LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(SmallFileError::Io(error)) => Err(error),
        Err(SmallFileError::Directory | SmallFileError::Special | SmallFileError::TooLarge { .. }) => {
            Ok(Some(Zeroizing::default()))
        }
    }
}

/// What a directory's files hold. One that is not there has none.
fn contents(dir: &Path) -> Result<Vec<Content>, EscrowError> {
    let failed = |source| EscrowError { path: dir.display().to_string(), doing: "look at what is in it", source };
    if !dir.try_exists().map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut contents = Vec::new();
    for path in list(dir).map_err(failed)? {
        // Unless it was drained in the meantime.
        if let Some(text) = read(&path).map_err(failed)? {
            contents.push(deposit::read(&text));
        }
    }
    Ok(contents)
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
