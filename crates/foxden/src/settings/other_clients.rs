//! Clients other than the one that creates: tokens that were given to them are refreshed by no other.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_FOXY_OTHER_CLIENTS` (`_FILE`) | | ids and secrets of further OAuth clients, a line `id:secret` for each; for tokens that were given to them |

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use foxden_ledger::ClientId;
use foxden_vault::ClientSecret;

use super::{Need, foxy::parse_secret, reader::Reader, secret_file};

pub(super) const OTHER_CLIENTS: &str = "FOXDEN_FOXY_OTHER_CLIENTS";

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct OtherClients {
    /// Their secrets.
    pub(crate) secrets: BTreeMap<ClientId, ClientSecret>,
    /// The file that these were read from, where they were given by one.
    pub(crate) file: Option<PathBuf>,
}

/// Reads them, if the command has a use for a client at all. `creating` is the id of the one that creates.
pub(super) fn read(reader: &mut Reader, need: Need, creating: Option<&str>) -> OtherClients {
    reader.prepare_secret(OTHER_CLIENTS, if need == Need::Unused { Need::Unused } else { Need::IfSet });
    // A mistake in it is noted by the reader.
    let secrets = reader.value(OTHER_CLIENTS, parse).unwrap_or_default();
    if creating.is_some_and(|id| secrets.keys().any(|other| other.as_str() == id)) {
        reader.refuse(OTHER_CLIENTS, "has the client of FOXDEN_FOXY_CLIENT_ID, too; take it out here");
    }
    OtherClients { secrets, file: reader.secret_file(OTHER_CLIENTS) }
}

/// The clients as they stand in this file now, by the rules under which the settings read it.
///
/// # Errors
/// What is wrong with the file, without what is in it.
pub(crate) fn other_clients_in(file: &Path) -> Result<BTreeMap<ClientId, ClientSecret>, String> {
    let text = secret_file::read(&file.to_string_lossy())?;
    parse(&text).map_err(|problem| format!("{}: {problem}", file.display()))
}

/// All mistakes at once, by the line.
fn parse(text: &str) -> Result<BTreeMap<ClientId, ClientSecret>, String> {
    let (mut secrets, mut wrong) = (BTreeMap::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match entry(line) {
            Ok((id, secret)) => {
                if secrets.insert(id, secret).is_some() {
                    wrong.push(format!("line {number} has the client of an earlier one"));
                }
            }
            Err(problem) => wrong.push(format!("line {number}: {problem}")),
        }
    }
    if wrong.is_empty() { Ok(secrets) } else { Err(wrong.join("; ")) }
}

fn entry(line: &str) -> Result<(ClientId, ClientSecret), String> {
    let (id, secret) = line.split_once(':').ok_or("expected id:secret")?;
    if secret.is_empty() {
        return Err("expected a secret behind the colon".to_owned());
    }
    let id = ClientId::parse(id).map_err(|_| "expected a client's id before the colon")?;
    Ok((id, parse_secret(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_a_client_and_its_secret() {
        let found = parse("one:s3cret\n\nclient_2:with:colon and blank\r\n").unwrap();
        let found: Vec<_> = found.iter().map(|(id, secret)| (id.as_str(), secret.expose())).collect();
        assert_eq!(found, [("client_2", "with:colon and blank"), ("one", "s3cret")]);
    }

    #[test]
    fn all_mistakes_are_reported_at_once_by_line_and_without_a_value() {
        let text = "one:s3cret\ns3cret\none:s3cret\na b:s3cret\ntwo:\nthree:s3cr\u{e9}t\n";
        let expected = "line 2: expected id:secret; line 3 has the client of an earlier one; line 4: expected a client's id \
                        before the colon; line 5: expected a secret behind the colon; line 6: expected a single line of \
                        ASCII characters";
        assert_eq!(parse(text).unwrap_err(), expected);
    }
}
