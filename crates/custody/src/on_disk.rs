//! Files of the escrow directory: written whole, through no link, where no one else can write.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use foxden_ledger::ProvisioningId;

/// Write, sync, rename, sync the directory: after a crash the file is there whole, or not at all. It is written under
/// a name that can't be guessed, and that no link has.
pub(crate) fn write_durably(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.unfinished", ProvisioningId::new()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let mut write = || {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(dir)?.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Opens a file to lock it, making it if need be; never through a link.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow).open(path)
}

/// Makes the directory, for its owner alone. One that is there already is somebody's and never changed; it is taken
/// if it is ours or root's, and no one else can write in it: those who can may put anything in any file's place.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let there = fs::metadata(dir)?;
    if ![0, rustix::process::geteuid().as_raw()].contains(&there.uid()) {
        return Err(io::Error::other("it belongs to another user; name another directory"));
    }
    if there.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "others than its owner can write in it; run chmod go-w on it, or name a directory of its own below it",
        ));
    }
    Ok(())
}

/// Removes a file; it may be gone.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
