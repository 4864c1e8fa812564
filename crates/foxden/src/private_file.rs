//! Files that hold a secret: made before the secret is, readable by their owner alone, whole or not there at all, and
//! only where no one else can put another in their place.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use foxden_vault::random_text;
use rustix::fs::OFlags;

/// Linux gives up after as many.
const MAX_LINKS: usize = 40;

/// A new file without its content. Goes away again unless it is filled.
pub(crate) struct NewFile {
    path: PathBuf,
    file: File,
    filled: bool,
}

impl NewFile {
    /// Makes it, never over one that is there, nor through a link, nor where others can write.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        require_ours(folder_of(path))?;
        Self::create_anywhere(path)
    }

    fn create_anywhere(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned(), file, filled: false })
    }

    /// Writes the content. When this returns, it survives a crash of the machine.
    pub(crate) fn fill(mut self, content: &str) -> io::Result<()> {
        self.write(content)?;
        self.filled = true;
        sync_folder_of(&self.path)
    }

    fn write(&mut self, content: &str) -> io::Result<()> {
        self.file.write_all(content.as_bytes())?;
        self.file.sync_all()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.filled {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Puts a file there, whole, in the place of whatever has its name. It is written under a name that can't be guessed,
/// and that no link has.
pub(crate) fn put(path: &Path, content: &str) -> io::Result<()> {
    let tail = random_text(b"abcdefghijklmnopqrstuvwxyz0123456789", 16).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", tail.as_str()));
    let mut beside = NewFile::create_anywhere(&path.with_file_name(name))?;
    beside.write(content)?;
    fs::rename(&beside.path, path)?;
    beside.filled = true;
    sync_folder_of(path)
}

/// Opens a file to write behind what is there, making it if need be, for its owner alone. A link is followed if we or
/// root have made it: somebody else's would choose the file.
pub(crate) fn append_to(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let options = || File::options().create(true).append(true).mode(0o600).clone();
    match options().custom_flags(no_follow).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&fs::symlink_metadata(path)?.uid());
            if is_ours { options().open(path) } else { Err(io::Error::other("it is another user's link")) }
        }
        opened => opened,
    }
}

/// What is to take a file's place at once, with the same owner, group and mode: who could read the one can read the other.
pub(crate) struct Replacement {
    target: PathBuf,
    beside: NewFile,
}

impl Replacement {
    /// Makes the file beside the one it is to replace, so that it is known before it is needed that this can be done.
    pub(crate) fn prepare(target: &Path) -> io::Result<Self> {
        // A link stays; what it leads to is replaced.
        let target = follow(target)?;
        // A name that nobody gives to a file of their own: what has it is removed.
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".foxden-new");
        let beside = target.with_file_name(name);
        // Left by one that was killed.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let old = fs::metadata(&target)?;
        let beside = NewFile::create(&beside)?;
        let new = beside.file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&beside.file, Some(old.uid()), Some(old.gid()))?;
        }
        beside.file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
        Ok(Self { target, beside })
    }

    /// Puts it there with this content. When this returns, it survives a crash of the machine.
    pub(crate) fn put(mut self, content: &str) -> io::Result<()> {
        self.beside.write(content)?;
        fs::rename(&self.beside.path, &self.target)?;
        self.beside.filled = true;
        sync_folder_of(&self.target)
    }
}

/// What a path leads to, over links that no one but us and root can have made.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        require_ours(folder_of(&path))?;
        if !fs::symlink_metadata(&path)?.is_symlink() {
            return path.canonicalize();
        }
        path = folder_of(&path).join(fs::read_link(&path)?);
    }
    Err(io::Error::from(rustix::io::Errno::LOOP))
}

/// Sees that no one but us and root can write in a directory: those who can may put any file or link in a file's place.
/// The sticky bit of `/tmp` changes nothing: a name that is free there is free for all.
fn require_ours(folder: &Path) -> io::Result<()> {
    let there = fs::metadata(folder)?;
    if ![0, rustix::process::geteuid().as_raw()].contains(&there.uid()) {
        return Err(io::Error::other("its directory belongs to another user; name a file in another one"));
    }
    if there.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "others can write in its directory; run chmod go-w on that, or name a file in another one",
        ));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_private_never_replaces_one_and_goes_away_unfilled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        drop(NewFile::create(&path).unwrap());
        assert!(!path.exists());
        NewFile::create(&path).unwrap().fill("A=b\n").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("A=b\n", 0o600));
        assert!(NewFile::create(&path).is_err());
        assert!(path.exists());
    }

    #[test]
    fn a_replacement_takes_the_place_with_its_mode_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("secret"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::write(folder.path().join(".secret.foxden-new"), "of one that was killed").unwrap();
        drop(Replacement::prepare(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        Replacement::prepare(&link).unwrap().put("new").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("new", 0o400));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn nothing_is_written_through_a_link_but_behind_one_of_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let (path, keys) = (folder.path().join("state"), folder.path().join("keys"));
        fs::write(&keys, "the keys").unwrap();
        for name in ["state", "state.new"] {
            std::os::unix::fs::symlink(&keys, folder.path().join(name)).unwrap();
        }
        put(&path, "1").unwrap();
        put(&path, "2").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("2", 0o600));
        assert_eq!(fs::read_to_string(&keys).unwrap(), "the keys");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        append_to(&folder.path().join("state.new")).unwrap().write_all(b", and more").unwrap();
        assert_eq!(fs::read_to_string(&keys).unwrap(), "the keys, and more");
        append_to(&folder.path().join("rejects")).unwrap();
        assert_eq!(mode(&folder.path().join("rejects")), 0o600);
        // Only root can make a link another user's.
        if rustix::process::geteuid().is_root() {
            let theirs = folder.path().join("theirs");
            std::os::unix::fs::symlink(&keys, &theirs).unwrap();
            std::os::unix::fs::lchown(&theirs, Some(65_534), None).unwrap();
            assert_eq!(append_to(&theirs).unwrap_err().to_string(), "it is another user's link");
        }
    }

    #[test]
    fn a_replacement_removes_no_file_of_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let (path, theirs) = (folder.path().join("secret"), folder.path().join("secret.new"));
        fs::write(&path, "old").unwrap();
        fs::write(&theirs, "another client's, not given again").unwrap();
        Replacement::prepare(&path).unwrap().put("new").unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "another client's, not given again");
    }

    #[test]
    fn a_secrets_file_is_made_and_replaced_only_where_no_one_else_can_write() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, own) = (folder.path().join("shared"), folder.path().join("own"));
        for (folder, mode) in [(&shared, 0o770), (&own, 0o700)] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("secret"), "old").unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        // Each of these is reached from, or leads to, a place where others could have put a link.
        let links = [(shared.join("out"), own.join("secret")), (own.join("in"), shared.join("secret"))];
        let chain = (own.join("chain"), shared.join("out"));
        for (link, target) in links.iter().chain([&chain]) {
            std::os::unix::fs::symlink(target, link).unwrap();
        }
        for mode in [0o770, 0o707, 0o1777] {
            fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
            let refused = |error: io::Error| error.to_string().starts_with("others can write in its directory");
            assert!(refused(NewFile::create(&shared.join("new")).err().unwrap()), "{mode:o}");
            for path in [&shared.join("secret"), &links[0].0, &links[1].0, &chain.0] {
                assert!(refused(Replacement::prepare(path).err().unwrap()), "{mode:o} {}", path.display());
            }
        }
        assert_eq!((fs::read_dir(&shared).unwrap().count(), fs::read_dir(&own).unwrap().count()), (2, 3));
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
        Replacement::prepare(&chain.0).unwrap().put("new").unwrap();
        assert_eq!(fs::read_to_string(own.join("secret")).unwrap(), "new");
        // Only root can make a directory another user's.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&shared, Some(65_534), None).unwrap();
            let refused = NewFile::create(&shared.join("new")).err().unwrap().to_string();
            assert!(refused.starts_with("its directory belongs to another user"), "{refused}");
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }
}
