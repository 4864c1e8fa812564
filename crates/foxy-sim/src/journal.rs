//! The books file: one JSON object a line, only ever appended to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::StartError;
use crate::grants::Refresh;
use crate::records::{Attribute, Client, Store, User};
use crate::resource::Resource;

/// One line of the journal. A record written again replaces the one of the same number.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// Which books these are. The first one counts.
    Books {
        /// Drawn when the books were begun.
        id: String,
    },
    /// A client was made, or changed.
    Client(Client),
    /// A user was made, or changed.
    User(User),
    /// A store was made, or changed.
    Store(Store),
    /// An attribute was made, or changed.
    Attribute(Attribute),
    /// An attribute was deleted.
    AttributeDeleted(u64),
    /// A user was deleted.
    UserDeleted {
        /// Its number.
        id: u64,
        /// Whether its email stays taken.
        keeps_email: bool,
    },
    /// A store was deleted.
    StoreDeleted {
        /// Its number.
        id: u64,
        /// Whether its domain stays taken.
        keeps_domain: bool,
    },
    /// A refresh token was given out by the authorization code grant, or to an integration.
    Granted {
        /// The refresh token.
        refresh_token: String,
        /// What it opens, for whom.
        #[serde(flatten)]
        refresh: Refresh,
    },
    /// A refresh token opens nothing any more.
    Ended {
        /// The refresh token.
        refresh_token: String,
    },
    /// The 201 of this user or store went out with its token.
    Answered(Resource),
}

/// An open books file, locked for writing while this lives.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// The length up to which every line is whole.
    whole: u64,
}

impl Journal {
    /// Reads the file, making it if it isn't there, and locks it for writing.
    ///
    /// The journal is `None` when another process holds the lock: what it had written is in the entries, and
    /// what is made from here on stays in memory. A torn last line, left by a killed writer, is dropped.
    ///
    /// # Errors
    /// When the file can't be opened, or a line before the last isn't an entry.
    pub(crate) fn open(path: &Path) -> Result<(Option<Self>, Vec<Entry>), StartError> {
        let fail = |source| StartError::Books { path: path.to_owned(), source };
        let mut file = open_private(path).map_err(fail)?;
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        };
        let mut entries = Vec::new();
        let mut whole: u64 = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(fail)? > 0 {
            if line.last() == Some(&b'\n') {
                let entry = serde_json::from_slice(&line)
                    .map_err(|_| StartError::NotBooks { path: path.to_owned(), line: entries.len() + 1 })?;
                entries.push(entry);
                whole += line.len() as u64;
            }
            line.clear();
        }
        if !locked {
            return Ok((None, entries));
        }
        // Else the next entry would be glued to the torn one.
        file.set_len(whole).map_err(fail)?;
        file.seek(SeekFrom::Start(whole)).map_err(fail)?;
        Ok((Some(Self { file, whole }), entries))
    }

    /// Writes one entry whole: it is with the operating system when this returns, so it outlives the process.
    ///
    /// # Errors
    /// When the file can't be written; what could not be written must not be answered for.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.flush()) {
            // A full disk may have taken a part of the line; best effort, since the disk is already failing.
            let _ = self.file.set_len(self.whole).and_then(|()| self.file.seek(SeekFrom::Start(self.whole)));
            return Err(error);
        }
        self.whole += line.len() as u64;
        Ok(())
    }
}

/// The id of the books in this file, without starting a simulator; `None` if there are no books, or they have no id yet
/// because no release that gives one has opened them.
///
/// # Errors
/// When the file can't be read, or a line before the id isn't an entry.
pub fn books_id(path: &Path) -> Result<Option<String>, StartError> {
    let fail = |source| StartError::Books { path: path.to_owned(), source };
    let file = match open_to_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(fail)?,
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    while reader.read_until(b'\n', &mut line).map_err(fail)? > 0 && line.last() == Some(&b'\n') {
        number += 1;
        let entry = serde_json::from_slice(&line);
        match entry.map_err(|_| StartError::NotBooks { path: path.to_owned(), line: number })? {
            Entry::Books { id } => return Ok(Some(id)),
            _ => line.clear(),
        }
    }
    Ok(None)
}

/// Opens the file to look into it: no link, and nothing that would be waited for, as a pipe is.
fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).map_err(io::Error::other)?);
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    Ok(file)
}

/// Opens the file so that its owner alone can read it: it holds tokens. Never through a link: what that leads to
/// would be cut short and lose its mode.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
        options.mode(0o600).custom_flags(no_follow);
        let file = options.open(path)?;
        // A file that was there before keeps its mode when opened.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}
