//! Whether a file that was not asked for is ours: only then is it read.
//!
//! As sshd and sudo do it: the file and each directory above it, those of symbolic links included, must belong
//! to us or to root, and no one else may write there. A sticky directory such as `/tmp` is one where others write.
//! Access lists need no look of their own: where one lets others write, the mode shows a group that may.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use foxden_vault::SmallFile;

/// Linux gives up after as many.
const MAX_LINKS: usize = 40;

const ROOT: u32 = 0;

/// Why a file was not opened.
#[derive(Debug)]
pub(crate) enum Distrust {
    /// Somebody else could have written it, or could put another in its place.
    Others {
        /// The file, or a directory on the way to it.
        path: PathBuf,
        /// How they could.
        way: Way,
    },
    /// It is a directory, a pipe or a device.
    NoFile(PathBuf),
    /// It is not there, or can't be read.
    Io(io::Error),
}

/// How somebody else could have a say in what a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is theirs.
    Owns(u32),
    /// It is ours or root's, and this mode lets others write.
    Writes(u32),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others { path, way: Way::Owns(uid) } => write!(f, "{} belongs to uid {uid}", path.display()),
            Self::Others { path, way: Way::Writes(mode) } => {
                write!(f, "{} can be written by others (mode {mode:04o})", path.display())
            }
            Self::NoFile(path) => write!(f, "{} is no regular file", path.display()),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Distrust {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a file that no one but us and root can have written. Answers its path without links, too.
pub(super) fn open(path: &Path) -> Result<(SmallFile, PathBuf), Distrust> {
    open_as(path, rustix::process::geteuid().as_raw())
}

fn open_as(path: &Path, we: u32) -> Result<(SmallFile, PathBuf), Distrust> {
    let (path, walked) = walk(&std::path::absolute(path)?, we)?;
    if !walked.is_file() {
        return Err(Distrust::NoFile(path));
    }
    let file = SmallFile::open_no_link(&path).map_err(io::Error::from)?;
    // What is read is what was looked at. Only we and root can have exchanged it, so this is no more than a belt.
    let opened = file.metadata();
    if (opened.dev(), opened.ino()) != (walked.dev(), walked.ino()) {
        return Err(Distrust::Io(io::Error::other("it was replaced while it was opened")));
    }
    Ok((file, path))
}

/// Goes from the root to the file, over links, and looks at whatever it steps on.
fn walk(path: &Path, we: u32) -> Result<(PathBuf, Metadata), Distrust> {
    let mut ahead = names(path);
    let mut here = PathBuf::from("/");
    let mut found = fs::symlink_metadata(&here)?;
    check(&here, &found, we)?;
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            here.pop();
            found = fs::symlink_metadata(&here)?;
            continue;
        }
        let next = here.join(&name);
        let seen = fs::symlink_metadata(&next)?;
        if seen.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(Distrust::Io(io::Error::from(rustix::io::Errno::LOOP)));
            }
            // A link can be replaced, but not changed, so it is as good as the directory that it lies in.
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            let mut longer = names(&target);
            longer.append(&mut ahead);
            ahead = longer;
            continue;
        }
        check(&next, &seen, we)?;
        (here, found) = (next, seen);
    }
    Ok((here, found))
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

fn check(path: &Path, found: &Metadata, we: u32) -> Result<(), Distrust> {
    match way_in(found.uid(), found.mode() & 0o7777, we) {
        None => Ok(()),
        Some(way) => Err(Distrust::Others { path: path.to_owned(), way }),
    }
}

fn way_in(owner: u32, mode: u32, we: u32) -> Option<Way> {
    if owner != we && owner != ROOT {
        Some(Way::Owns(owner))
    } else if mode & 0o022 != 0 {
        Some(Way::Writes(mode))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_belongs_to_us_or_root_and_only_its_owner_can_write_is_ours() {
        let (root, we, another) = (0, 1000, 1001);
        for (owner, mode, way) in [
            (we, 0o644, None),
            (we, 0o700, None),
            (root, 0o755, None),
            (root, 0o1755, None),
            (another, 0o600, Some(Way::Owns(another))),
            (another, 0o444, Some(Way::Owns(another))),
            (we, 0o664, Some(Way::Writes(0o664))),
            (we, 0o602, Some(Way::Writes(0o602))),
            (root, 0o1777, Some(Way::Writes(0o1777))),
            (root, 0o2775, Some(Way::Writes(0o2775))),
        ] {
            assert_eq!(way_in(owner, mode, we), way, "mode {mode:o} of {owner}");
        }
        // Root trusts only root.
        assert_eq!(way_in(we, 0o600, root), Some(Way::Owns(we)));
    }

    /// Where the way from the root is ours all along. A build below `/tmp`, or in a group's directory, has none.
    #[expect(clippy::print_stderr, reason = "what is not tested is said")]
    fn folder_of_ours() -> Option<tempfile::TempDir> {
        let built_in = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(built_in.parent().unwrap()).unwrap();
        match walk(folder.path(), rustix::process::geteuid().as_raw()) {
            Ok(_) => Some(folder),
            Err(why) => {
                eprintln!("SKIPPED: files on a trusted way: {why}");
                None
            }
        }
    }

    fn refusal(path: &Path) -> String {
        open(path).unwrap_err().to_string()
    }

    #[test]
    fn whoever_can_put_another_file_in_its_place_keeps_it_from_being_read() {
        let Some(folder) = folder_of_ours() else { return };
        let shared = folder.path().join("shared");
        let inner = shared.join("inner");
        fs::create_dir_all(&inner).unwrap();
        let file = inner.join("foxden.toml");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        for folder in [&shared, &inner] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(open(&file).unwrap().1, file.canonicalize().unwrap());

        for open_to_others in [&shared, &inner] {
            fs::set_permissions(open_to_others, fs::Permissions::from_mode(0o1777)).unwrap();
            let why = format!("{} can be written by others (mode 1777)", open_to_others.display());
            assert_eq!(refusal(&file), why);
            fs::set_permissions(open_to_others, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(refusal(&file), format!("{} can be written by others (mode 0664)", file.display()));
    }

    #[test]
    fn a_link_is_followed_only_over_directories_of_ours() {
        let Some(folder) = folder_of_ours() else { return };
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("shared")).unwrap();
        fs::write(path("real.toml"), "").unwrap();
        fs::set_permissions(path("real.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("real.toml", path("straight")).unwrap();
        symlink("shared/../real.toml", path("around")).unwrap();
        symlink("../real.toml", path("shared/back")).unwrap();
        symlink("shared/back", path("over_a_link")).unwrap();
        symlink("circle", path("circle")).unwrap();
        for good in ["straight", "around", "over_a_link"] {
            assert_eq!(open(&path(good)).unwrap().1, path("real.toml").canonicalize().unwrap(), "{good}");
        }
        fs::set_permissions(path("shared"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open(&path("straight")).is_ok());
        for bad in ["around", "over_a_link"] {
            assert!(refusal(&path(bad)).contains("shared can be written by others (mode 0777)"), "{bad}");
        }
        assert!(matches!(open(&path("circle")), Err(Distrust::Io(_))));
        assert_eq!(refusal(folder.path()), format!("{} is no regular file", folder.path().display()));
    }
}
