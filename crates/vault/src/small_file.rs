//! Small files, such as those that hold secrets or sealed values, read in bounded time and memory.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Why a small file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SmallFileError {
    /// The file system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something else has the name.
    #[error("it is a directory")]
    Directory,
    /// What might never answer, or never end. Whether it would is not tried.
    #[error("it is a pipe, a socket or a device, and not a regular file")]
    Special,
    /// It is no small file.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// As large as it may be.
        limit: u64,
    },
}

/// A regular file that was opened to be read. Opening it never waits.
#[derive(Debug)]
pub struct SmallFile {
    file: File,
    found: Metadata,
}

impl SmallFile {
    /// Opens it.
    ///
    /// # Errors
    /// When it can't be opened, or is no regular file.
    pub fn open(path: &Path) -> Result<Self, SmallFileError> {
        Self::open_with(path, 0)
    }

    /// Opens it, but through no link in its last place.
    ///
    /// # Errors
    /// As [`SmallFile::open`].
    pub fn open_no_link(path: &Path) -> Result<Self, SmallFileError> {
        Self::open_with(path, OFlags::NOFOLLOW.bits())
    }

    fn open_with(path: &Path, flags: u32) -> Result<Self, SmallFileError> {
        // By itself the system waits until somebody writes to a pipe.
        let flags = (OFlags::NONBLOCK.bits() | flags).cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        // Of the open file, not of the path: what is checked is what is read.
        let found = file.metadata()?;
        match found.file_type() {
            kind if kind.is_file() => Ok(Self { file, found }),
            kind if kind.is_dir() => Err(SmallFileError::Directory),
            _ => Err(SmallFileError::Special),
        }
    }

    /// What the file system says of it.
    pub fn metadata(&self) -> &Metadata {
        &self.found
    }

    /// Reads all of it, if it has at most this many bytes.
    ///
    /// # Errors
    /// When it is larger, or can't be read.
    pub fn read(self, limit: u64) -> Result<Zeroizing<Vec<u8>>, SmallFileError> {
        if self.found.len() > limit {
            return Err(SmallFileError::TooLarge { limit });
        }
        // As large as it gets: what is moved while it grows leaves copies behind. It may have grown since it was
        // opened, and what the kernel makes up on the spot has no size.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(self.found.len()).unwrap_or(0) + 1));
        self.file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(SmallFileError::TooLarge { limit });
        }
        Ok(bytes)
    }
}

/// Opens a small file and reads all of it.
///
/// # Errors
/// As [`SmallFile::open`] and [`SmallFile::read`].
pub fn read_small_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, SmallFileError> {
    SmallFile::open(path)?.read(limit)
}

impl SmallFileError {
    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<SmallFileError> for io::Error {
    fn from(error: SmallFileError) -> Self {
        match error {
            SmallFileError::Io(error) => error,
            SmallFileError::Directory => Self::new(io::ErrorKind::IsADirectory, error),
            SmallFileError::Special | SmallFileError::TooLarge { .. } => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::{SmallFileError, read_small_file};

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("fits"), [b'x'; 10]).unwrap();
        assert_eq!(read_small_file(&path("fits"), 10).unwrap().as_slice(), [b'x'; 10]);
        fs::File::create(path("huge")).unwrap().set_len(1 << 40).unwrap();
        // A pipe that nobody writes to.
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let refused = |name: &str, limit| read_small_file(&path(name), limit).unwrap_err().to_string();
        assert_eq!(refused("fits", 9), "it is larger than 9 bytes");
        assert_eq!(refused("huge", 10), "it is larger than 10 bytes");
        assert_eq!(refused("", 10), "it is a directory");
        for special in ["pipe", "/dev/zero"] {
            assert!(matches!(read_small_file(&path(special), 10), Err(SmallFileError::Special)), "{special}");
        }
        // It says that it has no bytes.
        assert_eq!(refused("/proc/self/status", 10), "it is larger than 10 bytes");
        assert!(read_small_file(&path("none"), 10).unwrap_err().is_not_found());
    }
}
