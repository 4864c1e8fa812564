//! What is written in the escrow's files.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_ledger::{ClientId, FoxyClient, NewCredential, ProvisioningId, Scope};
use foxden_vault::Sealed;
use serde::{Deserialize, Serialize};

use crate::renewal::Renewal;

/// The version of a token's file. A release leaves files of versions that it does not know for one that does: so each
/// thing that an earlier release could not read is a version of its own. These two may hold `FXD2`.
const TOKEN: u32 = 3;
/// A token that replaces another one. A release that knows none of those must not take it for the call's own.
const RENEWAL: u32 = 4;
/// The same two, of releases that sealed `FXD1`.
const EARLIER_TOKEN: u32 = 1;
const EARLIER_RENEWAL: u32 = 2;

/// What a file turns out to be.
pub(crate) enum Content {
    Token(ProvisioningId, NewCredential),
    Renewal(ProvisioningId, Renewal),
    OfLaterRelease,
    NotOurs,
}

/// One token's file.
#[derive(Serialize, Deserialize)]
struct Deposit {
    version: u32,
    provisioning_id: String,
    scope: String,
    intent: u32,
    resource_uri: Option<String>,
    sealed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    which_foxy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
}

/// A token's file.
pub(crate) fn write(id: &ProvisioningId, credential: &NewCredential, replaces: Option<&Sealed>) -> Vec<u8> {
    let deposit = Deposit {
        version: if replaces.is_some() { RENEWAL } else { TOKEN },
        provisioning_id: id.to_string(),
        scope: credential.scope.as_str().to_owned(),
        intent: credential.intent,
        resource_uri: credential.resource_uri.clone(),
        sealed: STANDARD.encode(credential.sealed.as_bytes()),
        client_id: credential.client.as_ref().map(|client| client.id.to_string()),
        which_foxy: credential.client.as_ref().map(|client| client.foxy.to_string()),
        replaces: replaces.map(|replaces| STANDARD.encode(replaces.as_bytes())),
    };
    serde_json::to_vec(&deposit).expect("strings and numbers always serialize")
}

/// What a file holds.
pub(crate) fn read(text: &[u8]) -> Content {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(text) {
        Ok(Versioned { version: TOKEN | EARLIER_TOKEN }) => match token(text) {
            Some((id, token, None)) => Content::Token(id, token),
            _ => Content::NotOurs,
        },
        Ok(Versioned { version: RENEWAL | EARLIER_RENEWAL }) => match token(text) {
            Some((id, new, Some(replaces))) => Content::Renewal(id, Renewal { new, replaces }),
            _ => Content::NotOurs,
        },
        Ok(_) => Content::OfLaterRelease,
        Err(_) => Content::NotOurs,
    }
}

fn token(text: &[u8]) -> Option<(ProvisioningId, NewCredential, Option<Sealed>)> {
    let deposit: Deposit = serde_json::from_slice(text).ok()?;
    let sealed = |text: String| Sealed::from_bytes(STANDARD.decode(text).ok()?).ok();
    let replaces = match deposit.replaces {
        Some(text) => Some(sealed(text)?),
        None => None,
    };
    let client = match (deposit.client_id, deposit.which_foxy) {
        (Some(id), Some(foxy)) => Some(FoxyClient { foxy: foxy.parse().ok()?, id: ClientId::parse(&id).ok()? }),
        (None, None) => None,
        _ => return None,
    };
    let credential = NewCredential {
        scope: Scope::parse(&deposit.scope)?,
        intent: deposit.intent,
        resource_uri: deposit.resource_uri,
        client,
        sealed: sealed(deposit.sealed)?,
    };
    Some((ProvisioningId::parse(&deposit.provisioning_id)?, credential, replaces))
}

#[cfg(test)]
mod tests {
    use foxden_ledger::WhichFoxy;

    use super::*;
    use crate::Escrow;

    #[test]
    fn a_file_keeps_the_client_that_the_token_was_given_to() {
        let of = |client| NewCredential {
            scope: Scope::Store,
            intent: 2,
            resource_uri: None,
            client,
            sealed: Sealed::from_bytes([&b"FXD1"[..], &[7; 60]].concat()).unwrap(),
        };
        let client = FoxyClient { foxy: WhichFoxy::Sandbox, id: ClientId::parse("acme").unwrap() };
        for client in [Some(client), None] {
            let text = write(&ProvisioningId::new(), &of(client.clone()), None);
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("one.escrow"), &text).unwrap();
            let in_use = Escrow::clients_in_use(dir.path()).unwrap();
            assert_eq!(in_use, client.iter().map(|client| client.id.clone()).collect());
            let Content::Token(_, read) = read(&text) else { panic!("our own file is not read") };
            assert_eq!(read.client, client);
        }
    }

    #[test]
    fn a_file_says_its_version_and_those_of_earlier_releases_are_read() {
        let sealed = |magic: &[u8]| Sealed::from_bytes([magic, &[7; 60]].concat()).unwrap();
        let of = |magic| NewCredential {
            scope: Scope::Store,
            intent: 2,
            resource_uri: None,
            client: None,
            sealed: sealed(magic),
        };
        let id = ProvisioningId::new();
        for (replaces, version, earlier) in [(None, 3, 1), (Some(sealed(b"FXD2")), 4, 2)] {
            let said = |magic| String::from_utf8(write(&id, &of(magic), replaces.as_ref())).unwrap();
            let (ours, theirs) = (said(b"FXD2"), said(b"FXD1"));
            let (now, before) = (format!("{{\"version\":{version},"), format!("{{\"version\":{earlier},"));
            assert!(ours.starts_with(&now), "{ours}");
            for text in [ours, theirs.replacen(&now, &before, 1)] {
                let is_read = match read(text.as_bytes()) {
                    Content::Token(..) => replaces.is_none(),
                    Content::Renewal(..) => replaces.is_some(),
                    Content::OfLaterRelease | Content::NotOurs => false,
                };
                assert!(is_read, "{text}");
            }
        }
        assert!(matches!(read(b"{\"version\":5}"), Content::OfLaterRelease));
    }

    #[test]
    fn a_renewal_of_a_token_that_was_sealed_as_fxd1_is_counted_as_one() {
        let sealed = |magic: &[u8]| Sealed::from_bytes([magic, &[7; 60]].concat()).unwrap();
        for (new, replaces, count) in [(b"FXD2", b"FXD2", 0), (b"FXD2", b"FXD1", 1), (b"FXD1", b"FXD2", 1)] {
            let (scope, intent, resource_uri) = (Scope::Store, 2, None);
            let new = NewCredential { scope, intent, resource_uri, client: None, sealed: sealed(new) };
            let dir = tempfile::tempdir().unwrap();
            let text = write(&ProvisioningId::new(), &new, Some(&sealed(replaces)));
            std::fs::write(dir.path().join("one.escrow"), text).unwrap();
            assert_eq!(Escrow::count_fxd1(dir.path()).unwrap(), count);
        }
    }
}
