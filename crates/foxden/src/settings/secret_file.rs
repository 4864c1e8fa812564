//! Files that hold one secret, such as those that systemd, Docker and Kubernetes hand to a service.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use foxden_vault::{SmallFile, SmallFileError};
use zeroize::Zeroizing;

/// More than any secret of ours; a path to something else by mistake shall not fill the memory.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a secret, without the line break that most editors end a file with.
///
/// # Errors
/// What is wrong, without the file's contents; and without the path unless a file is there, since a secret that was
/// put into the `…_FILE` variable itself would otherwise be repeated here.
pub(super) fn read(path: &str) -> Result<Zeroizing<String>, String> {
    let file = SmallFile::open(Path::new(path)).map_err(|error| match error {
        SmallFileError::Io(error) => format!("the file it names can't be opened: {error}"),
        error => format!("{path} holds no secret: {error}"),
    })?;
    let found = file.metadata();
    let mode = found.mode() & 0o777;
    if is_open_to_others(mode, found.uid(), rustix::process::geteuid().as_raw()) {
        return Err(format!(
            "{path} is open to others than its owner (mode {mode:03o}); run: chmod 600 {}",
            quoted(path)
        ));
    }
    let bytes = file.read(MAX_BYTES).map_err(|error| match error {
        SmallFileError::TooLarge { limit } => format!("{path} is longer than {limit} bytes"),
        error => format!("{path} can't be read: {error}"),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{path} is not valid UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(format!("{path} is empty"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// Whether more can get at it than must. A group may read a file that was put there for us by root or by somebody else:
/// so do Kubernetes (`fsGroup`) and systemd hand out secrets, and then it is by the group that we read it ourselves.
fn is_open_to_others(mode: u32, owner: u32, we: u32) -> bool {
    let may_be_read_by_group = owner == 0 || owner != we;
    mode & 0o037 != 0 || (mode & 0o040 != 0 && !may_be_read_by_group)
}

/// The path as a shell takes it, so that the command can be run as shown.
fn quoted(path: &str) -> String {
    if path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(contents: &[u8], mode: u32) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn the_last_line_break_is_not_part_of_the_secret() {
        for contents in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let (_folder, path) = file(contents.as_bytes(), 0o600);
            assert_eq!(read(&path).unwrap().as_str(), "s3cret");
        }
    }

    #[test]
    fn a_file_that_others_can_open_is_refused_with_the_cure() {
        for mode in [0o644, 0o604, 0o620] {
            let (_folder, path) = file(b"s3cret", mode);
            let cure = format!("{path} is open to others than its owner (mode {mode:o}); run: chmod 600 {path}");
            assert_eq!(read(&path), Err(cure));
        }
    }

    #[test]
    fn a_group_may_read_only_what_was_handed_to_us() {
        let (root, we, another) = (0, 1000, 1001);
        for (mode, owner, is_open) in [
            (0o400, we, false),
            (0o600, we, false),
            (0o640, we, true),
            (0o440, we, true),
            (0o440, root, false),
            (0o640, root, false),
            (0o440, another, false),
            // Not even root may let anybody read it, or a group change it.
            (0o444, root, true),
            (0o644, root, true),
            (0o660, root, true),
            (0o460, another, true),
        ] {
            assert_eq!(is_open_to_others(mode, owner, we), is_open, "mode {mode:o} of {owner}");
        }
    }

    #[test]
    fn a_secret_put_where_its_path_belongs_is_not_repeated() {
        let error = read("s3cret").unwrap_err();
        assert_eq!(error, "the file it names can't be opened: No such file or directory (os error 2)");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for (contents, problem) in [
            (&b"\n"[..], "is empty"),
            (&b"s3cret\xff"[..], "is not valid UTF-8"),
            (&[b'x'; 70_000][..], "is longer than 65536 bytes"),
        ] {
            let (_folder, path) = file(contents, 0o600);
            assert_eq!(read(&path), Err(format!("{path} {problem}")));
        }
    }

    #[test]
    fn what_is_no_file_is_refused_at_once_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let special = "it is a pipe, a socket or a device, and not a regular file";
        for (path, problem) in
            [(folder.path(), "it is a directory"), (&pipe, special), (Path::new("/dev/zero"), special)]
        {
            let path = path.to_str().unwrap();
            assert_eq!(read(path), Err(format!("{path} holds no secret: {problem}")));
        }
    }

    #[test]
    fn a_path_with_blanks_is_quoted_for_the_shell() {
        assert_eq!(quoted("/run/my key"), "'/run/my key'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
