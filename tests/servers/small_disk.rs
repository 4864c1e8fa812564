//! A small file system of a test's own, which fills up and frees again.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A small file system of its own.
pub(super) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of this size. `None`, and says so, where that is not allowed.
    pub(super) fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let options = format!("size={mib}m,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "foxden-test"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            refused => {
                assert!(!is_root, "root may mount: {refused:?}");
                skipped();
                None
            }
        }
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) {
        let mut filler = File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[b'x'; 65_536]).is_ok() {}
        while filler.write_all(&[b'x'; 512]).is_ok() {}
    }

    pub(super) fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[expect(clippy::print_stderr, reason = "what is not tested must be seen")]
fn skipped() {
    eprintln!("SKIPPED: only root may mount a small file system");
}
