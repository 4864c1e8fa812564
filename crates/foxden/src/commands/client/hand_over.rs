//! Where a new secret goes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use foxden_vault::ClientSecret;
use zeroize::Zeroizing;

use super::env_lines;
use crate::{
    output,
    private_file::{NewFile, Replacement},
};

/// How things stand where it could not be handed over.
pub(super) const KEPT: &str = "the new secret is still kept, sealed; run `foxden client rotate-secret` again";

/// Where a new secret goes; prepared before anything is sent.
pub(super) enum HandOver {
    /// Into the place of the file from which the settings take it.
    SecretFile(PathBuf, Replacement),
    /// Into a new file of settings.
    EnvFile(PathBuf, NewFile),
    /// To standard output.
    Printed,
}

impl HandOver {
    /// Sees that it can be done.
    pub(super) fn prepare(env_file: Option<&Path>, secret_file: Option<&Path>) -> anyhow::Result<Self> {
        let refused = |path: &Path, what: &str| format!("could not {what} {}; nothing was sent", path.display());
        match (env_file, secret_file) {
            (Some(path), _) => {
                let file = NewFile::create(path).with_context(|| refused(path, "make"))?;
                Ok(Self::EnvFile(path.to_owned(), file))
            }
            (None, Some(path)) => {
                let file = Replacement::prepare(path).with_context(|| {
                    refused(path, "prepare to replace")
                        + ". With --env-file the secret goes elsewhere (FOXDEN_FOXY_CLIENT_SECRET_FILE)"
                })?;
                Ok(Self::SecretFile(path.to_owned(), file))
            }
            (None, None) => Ok(Self::Printed),
        }
    }

    /// As a part of a question.
    pub(super) fn as_told(&self) -> String {
        match self {
            Self::SecretFile(path, _) => format!("put it into {} in the old one's place", path.display()),
            Self::EnvFile(path, _) => format!("write it to {}", path.display()),
            Self::Printed => "print it here".to_owned(),
        }
    }

    /// One word for the log.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::SecretFile(..) => "secret_file",
            Self::EnvFile(..) => "env_file",
            Self::Printed => "printed",
        }
    }

    /// Hands it over. Where it is printed as JSON, the caller prints.
    pub(super) fn give(self, client_id: &str, secret: &ClientSecret, json: bool) -> anyhow::Result<()> {
        match self {
            Self::SecretFile(path, file) => {
                // Also where it is there already: one that was stopped may not have seen it to the disk.
                let line = Zeroizing::new(format!("{}\n", secret.expose()));
                file.put(&line).with_context(|| format!("could not replace {}; {KEPT}", path.display()))?;
            }
            Self::EnvFile(path, file) => {
                let lines = env_lines(client_id, secret);
                file.fill(&lines).with_context(|| format!("could not write {}; {KEPT}", path.display()))?;
            }
            Self::Printed if json => {}
            Self::Printed => {
                let printed = output::give(env_lines(client_id, secret).trim_end());
                printed.with_context(|| format!("could not print the new secret; {KEPT}"))?;
            }
        }
        Ok(())
    }
}
