//! Where settings are found: the environment and the settings file.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use foxden_vault::{SmallFile, SmallFileError};

use super::{
    trust::{self, Distrust},
    variables::PREFIX,
};

/// The settings file that is read without being asked for.
const DEFAULT_CONFIG: &str = "foxden.toml";

/// Far more than all settings take; a path to something else by mistake shall not fill the memory.
const CONFIG_MAX: u64 = 1024 * 1024;

/// The variable that switches colours off in any program: <https://no-color.org>.
const NO_COLOR: &str = "NO_COLOR";

/// What was found, uninterpreted. Tests build it from a list of pairs, so that they touch no environment.
///
/// No `Debug`: it holds secrets.
#[derive(Default)]
pub(crate) struct Sources {
    /// Environment variables; of those that are not ours, only `NO_COLOR` matters.
    pub(crate) environment: BTreeMap<String, OsString>,
    /// The settings file.
    pub(crate) config: ConfigFile,
}

/// The settings file, as far as reading it went.
#[derive(Default)]
pub(crate) enum ConfigFile {
    /// There is none, and none was asked for.
    #[default]
    Absent,
    /// It is there.
    Found {
        /// Its name, for messages.
        name: String,
        /// Where it lies.
        path: PathBuf,
        /// Its text.
        text: String,
        /// Who says that it is to be read.
        asked: Asked,
    },
    /// It was not asked for, and someone else could have written it.
    NotOurs {
        /// How.
        why: Distrust,
    },
    /// It can't be read, which is reported together with all other mistakes.
    Unreadable {
        /// What asked for it: a variable, an option, or the default file's own name.
        asked_by: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// Who says that a settings file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A person or a service's environment named it, and so answers for it.
    ByName,
    /// It lies in the working directory.
    ByItsPlace,
}

impl Sources {
    /// What this process was given: its environment, and the file that `--config` or `FOXDEN_CONFIG` names, else
    /// `./foxden.toml` if it is there and no one else can have written it.
    pub(crate) fn of_process(config_option: Option<&Path>) -> Self {
        let environment = environment();
        let config = if let Some(path) = config_option {
            ConfigFile::read("--config", path)
        } else if let Some(path) = environment.get("FOXDEN_CONFIG").filter(|path| !path.is_empty()) {
            ConfigFile::read("FOXDEN_CONFIG", &PathBuf::from(path))
        } else {
            ConfigFile::found_in(Path::new("."))
        };
        Self { environment, config }
    }

    /// What stands in one file, and nothing of the environment: for settings that the program wrote for itself.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self { environment: BTreeMap::new(), config: ConfigFile::read("the demo", path) }
    }

    /// The settings file, if one was read.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.config {
            ConfigFile::Found { path, .. } => Some(path),
            ConfigFile::Absent | ConfigFile::NotOurs { .. } | ConfigFile::Unreadable { .. } => None,
        }
    }

    /// Whether the person at the terminal asked for no colours.
    pub(super) fn no_color(&self) -> bool {
        self.environment.get(NO_COLOR).is_some_and(|value| !value.is_empty())
    }
}

impl ConfigFile {
    fn read(asked_by: &'static str, path: &Path) -> Self {
        match SmallFile::open(path).and_then(text_of) {
            Ok(text) => {
                let name = path.display().to_string();
                Self::Found { name, path: path.to_owned(), text, asked: Asked::ByName }
            }
            Err(error) => Self::Unreadable { asked_by, error: error.into() },
        }
    }

    /// The file that is read without being asked for.
    fn found_in(folder: &Path) -> Self {
        let name = DEFAULT_CONFIG.to_owned();
        let path = folder.join(&name);
        // Before the way there is looked at: where there is no file, it doesn't matter who could make one.
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Self::Absent;
        }
        let read = trust::open(&path).and_then(|(file, path)| Ok((text_of(file).map_err(io::Error::from)?, path)));
        match read {
            Ok((text, path)) => Self::Found { name, path, text, asked: Asked::ByItsPlace },
            Err(Distrust::Io(error)) => Self::Unreadable { asked_by: DEFAULT_CONFIG, error },
            Err(why) => Self::NotOurs { why },
        }
    }
}

fn text_of(file: SmallFile) -> Result<String, SmallFileError> {
    let text = String::from_utf8(file.read(CONFIG_MAX)?.to_vec());
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8").into())
}

impl<const N: usize> From<[(&str, &str); N]> for Sources {
    /// An environment of these variables, and no settings file.
    fn from(pairs: [(&str, &str); N]) -> Self {
        let environment = pairs.into_iter().map(|(name, value)| (name.to_owned(), OsString::from(value))).collect();
        Self { environment, config: ConfigFile::Absent }
    }
}

/// The variables that concern us. The only place in the program that reads the environment.
///
/// Not `std::env::vars`, which panics, with the value in its message, on a value that is not UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one place that the rule is about")]
fn environment() -> BTreeMap<String, OsString> {
    let ours = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX));
    let no_color = std::env::var_os(NO_COLOR).map(|value| (NO_COLOR.to_owned(), value));
    ours.chain(no_color).collect()
}

/// The variables by which programs are commonly given a proxy, in the order in which they win.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variable that names a proxy for HTTPS, if one does.
#[expect(
    clippy::disallowed_methods,
    reason = "whether it is set only, and this is the one place that the rule is about"
)]
pub(crate) fn proxy_variable() -> Option<&'static str> {
    PROXIES.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The names of all variables that are foxden's, and of the password that reaches its PostgreSQL without one: what a
/// command that foxden starts has no business to know.
#[expect(clippy::disallowed_methods, reason = "names only, and this is the one place that the rule is about")]
pub(crate) fn names_of_ours() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || name == "PGPASSWORD")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_file_that_was_asked_for_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let found = ConfigFile::read("--config", &folder.path().join("missing.toml"));
        assert!(matches!(found, ConfigFile::Unreadable { asked_by: "--config", .. }));
    }

    #[test]
    fn a_directory_without_a_config_file_needs_no_trust() {
        let folder = tempfile::tempdir().unwrap();
        let open = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o1777);
        std::fs::set_permissions(folder.path(), open).unwrap();
        assert!(matches!(ConfigFile::found_in(folder.path()), ConfigFile::Absent));
        std::fs::write(folder.path().join(DEFAULT_CONFIG), "").unwrap();
        assert!(matches!(ConfigFile::found_in(folder.path()), ConfigFile::NotOurs { .. }));
    }

    #[test]
    fn an_empty_no_color_counts_as_unset() {
        assert!(!Sources::from([("NO_COLOR", "")]).no_color());
        assert!(Sources::from([("NO_COLOR", "1")]).no_color());
    }
}
