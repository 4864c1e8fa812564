//! The client's secret in a file, read again while the program runs.

use std::{
    fmt,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use foxden_vault::ClientSecret;
use foxy_api::SecretSource;

use crate::settings;

/// The file that `FOXDEN_FOXY_CLIENT_SECRET_FILE` names. What can't be read, or is open to others, is told and passed over.
pub(crate) struct SecretFile {
    path: PathBuf,
    seen: Mutex<Option<Stamp>>,
    /// What was wrong with it when it was last read, so that this is told once.
    told: Mutex<Option<String>>,
}

/// What differs once a file was written, replaced, or given other permissions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl SecretFile {
    /// Looks at the file when it is first asked.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::default(), told: Mutex::default() }
    }

    /// Reads the file now, to say whether it can be; and sees that it is read before the next token is asked for,
    /// though it may look unchanged.
    ///
    /// # Errors
    /// What is wrong with it. It is not reported again by itself.
    pub(crate) fn reread(&self) -> Result<(), String> {
        let read = settings::client_secret_in(&self.path);
        *locked(&self.seen) = None;
        *locked(&self.told) = read.as_ref().err().cloned();
        read.map(drop)
    }
}

impl Stamp {
    /// As the file stands now; `None` if there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            length: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl SecretSource for SecretFile {
    fn changed(&self) -> Option<ClientSecret> {
        // Taken before the file is read: what is written meanwhile counts as another change.
        let now = Stamp::of(&self.path);
        let before = std::mem::replace(&mut *locked(&self.seen), now);
        if now == before { None } else { self.read() }
    }

    fn read(&self) -> Option<ClientSecret> {
        let read = settings::client_secret_in(&self.path);
        let problem = read.as_ref().err().cloned();
        let before = std::mem::replace(&mut *locked(&self.told), problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            tracing::warn!(
                event = "foxy.secret_unreadable",
                problem,
                "the client's secret can't be read again (FOXDEN_FOXY_CLIENT_SECRET_FILE); the one in use stays",
            );
        }
        read.ok()
    }
}

/// What is in it is replaced whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_is_read_when_it_was_changed_and_not_if_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        write("secret", "one\n", 0o600);
        let source = SecretFile::new(path.clone());
        let changed = || source.changed().map(|secret| secret.expose().to_owned());
        assert_eq!((changed().as_deref(), changed()), (Some("one"), None));

        fs::rename(write("next", "two\n", 0o600), &path).unwrap();
        assert_eq!((changed().as_deref(), changed()), (Some("two"), None));
        fs::rename(write("next", "three\n", 0o644), &path).unwrap();
        assert_eq!((changed(), source.read().is_none()), (None, true), "others can read it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(changed().as_deref(), Some("three"), "mended");
        for broken in ["", "two\nlines\n"] {
            fs::rename(write("next", broken, 0o600), &path).unwrap();
            assert_eq!(changed(), None, "{broken:?}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!((changed(), source.read().is_none()), (None, true));
        write("secret", "four", 0o600);
        assert_eq!(changed().as_deref(), Some("four"));
    }
    #[test]
    fn a_file_is_read_once_more_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("one\n");
        let source = SecretFile::new(path.clone());
        let changed = || source.changed().map(|secret| secret.expose().to_owned());
        assert_eq!((changed().as_deref(), changed()), (Some("one"), None));
        assert_eq!((source.reread(), changed().as_deref(), changed()), (Ok(()), Some("one"), None));
        write("");
        assert_eq!(source.reread(), Err(format!("{} is empty", path.display())));
        assert_eq!(changed(), None);
    }
}
