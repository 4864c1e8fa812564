//! The secrets of clients other than the one that creates, read again while the program runs.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use foxden_custody::Escrow;
use foxden_ledger::{ClientId, Ledger};
use foxden_vault::ClientSecret;
use foxy_api::ClientSecrets;

use crate::{
    secret_source::Stamp,
    settings::{OtherClients, other_clients_in},
};

/// Those of `FOXDEN_FOXY_OTHER_CLIENTS`. What can't be read, or is open to others, is logged once, and tried again
/// whenever a secret is asked for.
pub(crate) struct KnownClients {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    secrets: BTreeMap<ClientId, ClientSecret>,
    /// The file as it was last read.
    seen: Option<Stamp>,
    /// What was wrong with it since, so that this is logged once.
    reported: Option<String>,
}

impl KnownClients {
    /// What the settings have read.
    pub(crate) fn new(settings: &OtherClients) -> Self {
        // Looked at when a secret is first asked for: what was written since the settings were read counts.
        let state = State { secrets: settings.secrets.clone(), seen: None, reported: None };
        Self { file: settings.file.clone(), state: Mutex::new(state) }
    }
}

impl ClientSecrets for KnownClients {
    fn secret_of(&self, client_id: &str) -> Option<ClientSecret> {
        // What is in it is replaced whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            // Taken before the file is read: what is written meanwhile counts as another change.
            let now = Stamp::of(file);
            if now != state.seen {
                match other_clients_in(file) {
                    Ok(secrets) => (state.secrets, state.seen, state.reported) = (secrets, now, None),
                    Err(problem) if state.reported.as_ref() == Some(&problem) => {}
                    Err(problem) => {
                        tracing::warn!(
                            event = "foxy.clients_unreadable",
                            problem,
                            "other clients' secrets can't be read again (FOXDEN_FOXY_OTHER_CLIENTS_FILE); those known stay",
                        );
                        state.reported = Some(problem);
                    }
                }
            }
        }
        let found = state.secrets.iter().find(|(id, _)| id.as_str() == client_id);
        found.map(|(_, secret)| secret.clone())
    }
}

impl fmt::Debug for KnownClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownClients").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Sees that there is a secret for every client that tokens in the ledger and in the escrow were given to:
/// without it they can't be used, and signups would be parked for it, one after the other.
pub(crate) async fn check(ledger: &Ledger, escrow: &Path, creating: &str, others: &OtherClients) -> anyhow::Result<()> {
    let mut in_use = ledger.clients_in_use().await.context("could not read which clients the ledger's tokens need")?;
    in_use.extend(Escrow::clients_in_use(escrow).context("FOXDEN_ESCROW_DIR")?);
    let is_known = |id: &ClientId| id.as_str() == creating || others.secrets.contains_key(id);
    let lacking: Vec<_> = in_use.iter().filter(|id| !is_known(id)).map(ToString::to_string).collect();
    if !lacking.is_empty() {
        bail!(
            "the ledger or the escrow has tokens that were given to clients other than FOXDEN_FOXY_CLIENT_ID, and no secret of theirs: {}. \
             Nothing was started; put a line id:secret for each into the file of FOXDEN_FOXY_OTHER_CLIENTS_FILE",
            lacking.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn the_file_is_read_again_when_it_was_changed_and_what_was_known_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients");
        let write = |text: &str, mode: u32| {
            let next = folder.path().join("next");
            fs::write(&next, text).unwrap();
            fs::set_permissions(&next, fs::Permissions::from_mode(mode)).unwrap();
            fs::rename(next, &path).unwrap();
        };
        write("one:first\n", 0o600);
        let secrets = other_clients_in(&path).unwrap();
        let known = KnownClients::new(&OtherClients { secrets, file: Some(path.clone()) });
        let secret_of = |id| known.secret_of(id).map(|secret| secret.expose().to_owned());
        assert_eq!((secret_of("one").as_deref(), secret_of("two")), (Some("first"), None));
        write("one:second\ntwo:other\n", 0o600);
        assert_eq!((secret_of("one").as_deref(), secret_of("two").as_deref()), (Some("second"), Some("other")));
        for (text, mode) in [("one:third\n", 0o644), ("one\n", 0o600)] {
            write(text, mode);
            assert_eq!(secret_of("one").as_deref(), Some("second"), "{text:?} {mode:o}");
        }
        write("two:other\n", 0o600);
        assert_eq!(secret_of("one"), None, "it was taken out");
    }
}
