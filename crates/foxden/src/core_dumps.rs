//! No core dumps: one would hold every key and token that is in memory.

use rustix::{
    io,
    process::{Resource, Rlimit, setrlimit},
};

/// Switches core dumps off for this process. On Linux it can also no longer be traced, nor its memory or environment be
/// read, by anybody but root: not by other programs of the same user either.
///
/// The limit alone would not do: the kernel disregards it where dumps are piped to a program, as systemd has it.
///
/// # Errors
/// If the system refuses.
pub(crate) fn forbid() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn the_kernel_is_told_to_dump_nothing() {
        super::forbid().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
