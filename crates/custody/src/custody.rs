//! Sealing and opening of what the ledger holds: the one place that says what each envelope is bound to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use foxden_ledger::{Ledger, LedgerError, ProvisioningId, Scope, SignupId};
use foxden_vault::{Binding, Fingerprint, Format, KeyId, KeyRing, OpenError, RefreshToken, SealError, Sealed};

use crate::{
    content::{Mismatch, OpenedPayload, PayloadContent, TokenContent, TokenRow, TokenSource, encode, with_owner},
    payload::Payload,
};

const PAYLOAD: &str = "payload";
const CREDENTIAL: &str = "credential";
const SIGNUP: &str = "signup";

/// The key ring with the environment's name: seals and opens payloads and tokens, each bound to its row.
///
/// The binding is `(environment, purpose, provisioning id, scope)`. A row copied to another provisioning, another
/// column or another environment won't open. What else the row says of it is compared with what the envelope says
/// inside; where they differ nothing is handed out, and an error line says so (`custody.mismatch`).
#[derive(Clone)]
pub struct Custody {
    ring: Arc<KeyRing>,
    environment: Arc<str>,
    /// Whether the ledger has no envelope of `FXD1` any more, so that one is none of ours.
    fxd1_has_ended: Arc<AtomicBool>,
}

/// Why something sealed could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// The envelope names a key that this ring lacks: add it to the ring.
    #[error("the key {0} that seals this is not in the key ring")]
    KeyMissing(KeyId),
    /// A wrong key, a wrong place, or a changed envelope. It doesn't say which, on purpose.
    #[error("the envelope does not open: it was altered, moved from another row, or sealed for another environment")]
    Refused,
    /// It opened, and held something this release can't read.
    #[error("the envelope opened, but its content is not what this release writes")]
    Content,
    /// It is not what its row says: what stands inside says otherwise, its format has ended, or nothing proves it.
    #[error("the envelope is not what its row says: {0}")]
    Mismatch(#[source] Mismatch),
}

/// Why there is nothing to put in an envelope's place.
#[derive(Debug)]
pub(crate) enum NotResealed {
    /// It does not open.
    Open(CustodyError),
    /// Nothing can be sealed.
    Seal(SealError),
}

impl From<CustodyError> for NotResealed {
    fn from(error: CustodyError) -> Self {
        Self::Open(error)
    }
}

impl From<OpenError> for CustodyError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::KeyMissing(key) => Self::KeyMissing(key),
            OpenError::Refused => Self::Refused,
        }
    }
}

impl Custody {
    /// Binds a key ring to the environment's name, which must never change for a ledger.
    pub fn new(ring: Arc<KeyRing>, environment: &str) -> Self {
        Self { ring, environment: environment.into(), fxd1_has_ended: Arc::default() }
    }

    /// Asks the ledger whether `FXD1` has ended in it, if one of these is of that format; then it is a mismatch from
    /// here on. Before anything is opened for use; for the others it asks nothing.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn heed_end(
        &self,
        ledger: &Ledger,
        sealed: impl IntoIterator<Item = &Sealed>,
    ) -> Result<(), LedgerError> {
        if sealed.into_iter().any(|sealed| sealed.format() == Format::Fxd1) {
            self.heed_any_end(ledger).await?;
        }
        Ok(())
    }

    /// The same before envelopes are met.
    pub(crate) async fn heed_any_end(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        self.fxd1_has_ended.store(ledger.has_fxd1_ended().await?, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses an envelope of a format that has ended.
    pub(crate) fn admit(&self, sealed: &Sealed) -> Result<(), Mismatch> {
        match sealed.format() {
            Format::Fxd1 if self.fxd1_has_ended.load(Ordering::Relaxed) => Err(Mismatch::Format),
            Format::Fxd1 | Format::Fxd2 => Ok(()),
        }
    }

    /// The ring, for counting and naming keys.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// The name that every envelope is bound to.
    pub(crate) fn environment(&self) -> &str {
        &self.environment
    }

    fn binding<'a>(&'a self, purpose: &'a str, id: &'a ProvisioningId, scope: &'a str) -> Binding<'a> {
        Binding { environment: &self.environment, purpose, owner: id.as_str(), scope }
    }

    /// Seals what a signup asks for.
    ///
    /// # Errors
    /// Only if the operating system gives no random bytes.
    pub fn seal_payload(
        &self,
        id: &ProvisioningId,
        signup_id: &SignupId,
        payload: &Payload,
    ) -> Result<Sealed, SealError> {
        let text = encode(&PayloadContent { signup_id: signup_id.as_str(), contents: payload });
        self.ring.seal(&self.binding(PAYLOAD, id, SIGNUP), &text)
    }

    /// Opens what a signup asks for.
    ///
    /// # Errors
    /// [`CustodyError`] says whether a key is missing, the envelope refuses, its content is unreadable or another's.
    pub fn open_payload(
        &self,
        id: &ProvisioningId,
        signup_id: &SignupId,
        sealed: &Sealed,
    ) -> Result<Payload, CustodyError> {
        self.admit(sealed).map_err(|mismatch| report(signup_id, PAYLOAD, mismatch))?;
        let text = self.ring.open(&self.binding(PAYLOAD, id, SIGNUP), sealed)?;
        payload_in(&text, sealed.format(), signup_id)
    }

    /// Seals a token that Foxy gave, with whose it is.
    ///
    /// # Errors
    /// Only if the operating system gives no random bytes.
    pub fn seal_token(&self, row: &TokenRow, token: &RefreshToken) -> Result<Sealed, SealError> {
        self.seal_token_of(row, token, TokenSource::Created)
    }

    /// Seals a token that a person has granted, under the number that it is kept by.
    ///
    /// # Errors
    /// As [`Custody::seal_token`].
    pub fn seal_granted_token(&self, row: &TokenRow, token: &RefreshToken) -> Result<Sealed, SealError> {
        self.seal_token_of(row, token, TokenSource::Granted)
    }

    fn seal_token_of(&self, row: &TokenRow, token: &RefreshToken, source: TokenSource) -> Result<Sealed, SealError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| i64::try_from(now.as_millis()).ok());
        let text = encode(&TokenContent::new(row, token, Some(source), now));
        self.ring.seal(&self.binding(CREDENTIAL, &row.provisioning, row.scope.as_str()), &text)
    }

    /// Opens a token, to use it now.
    ///
    /// # Errors
    /// As [`Custody::open_payload`].
    pub fn open_token(&self, row: &TokenRow, sealed: &Sealed) -> Result<RefreshToken, CustodyError> {
        self.admit(sealed).map_err(|mismatch| report(&row.signup_id, CREDENTIAL, mismatch))?;
        match self.token_in(&row.provisioning, row.scope, sealed)? {
            Inside::Bare(token) => Ok(token),
            Inside::SaysWhose(content) => match content.check(row) {
                Ok(()) => Ok(content.refresh_token),
                Err(mismatch) => Err(report(&row.signup_id, CREDENTIAL, mismatch)),
            },
        }
    }

    /// Whether a token's envelope opens as one of this row and scope, compared with nothing else.
    ///
    /// # Errors
    /// As [`Custody::open_payload`].
    pub(crate) fn tries_token(&self, id: &ProvisioningId, scope: Scope, sealed: &Sealed) -> Result<(), CustodyError> {
        self.token_in(id, scope, sealed).map(drop)
    }

    /// Whether two envelopes of one place hold the same token. One of a format that has ended is not opened, so it is
    /// no token's: [`Custody::heed_any_end`] goes before.
    pub(crate) fn is_same_token(&self, id: &ProvisioningId, scope: Scope, one: &Sealed, other: &Sealed) -> bool {
        let open = |sealed| {
            self.admit(sealed).ok()?;
            self.token_in(id, scope, sealed).map(Inside::into_token).ok()
        };
        open(one).zip(open(other)).is_some_and(|(one, other)| one.expose() == other.expose())
    }

    /// What is in a token's envelope, compared with nothing.
    fn token_in(&self, id: &ProvisioningId, scope: Scope, sealed: &Sealed) -> Result<Inside, CustodyError> {
        let bytes = self.ring.open(&self.binding(CREDENTIAL, id, scope.as_str()), sealed)?;
        match sealed.format() {
            Format::Fxd1 => {
                let text = str::from_utf8(&bytes).map_err(|_| CustodyError::Content)?;
                Ok(Inside::Bare(RefreshToken::new(text)))
            }
            Format::Fxd2 => {
                let content = serde_json::from_slice(&bytes).map_err(|_| CustodyError::Content)?;
                Ok(Inside::SaysWhose(Box::new(content)))
            }
        }
    }

    /// What a signup asks for, sealed with the first key, byte for byte what it was: a later release may have written
    /// it. An envelope of `FXD1` is sealed as this signup's only if `known` is the fingerprint of the same event:
    /// anyone who can write to the row can damage that, or name a key that there is not. The fingerprint under the
    /// first key comes along, unless it can't be shown to be of the same content: then it might make a conflict of
    /// every repeat.
    pub(crate) fn reseal_payload(
        &self,
        id: &ProvisioningId,
        (signup_id, account_id): (&SignupId, Option<&str>),
        sealed: &Sealed,
        known: Option<&Fingerprint>,
    ) -> Result<(Sealed, Option<Fingerprint>), NotResealed> {
        self.admit(sealed).map_err(|mismatch| report(signup_id, PAYLOAD, mismatch))?;
        let binding = self.binding(PAYLOAD, id, SIGNUP);
        let text = self.ring.open(&binding, sealed).map_err(CustodyError::from)?;
        let payload = payload_in(&text, sealed.format(), signup_id)?;
        let is_same = known.and_then(|known| self.is_same_event(signup_id, account_id, &payload, known)) == Some(true);
        let resealed = match sealed.format() {
            Format::Fxd1 if !is_same => return Err(report(signup_id, PAYLOAD, Mismatch::Fingerprint).into()),
            Format::Fxd1 => self.ring.seal(&binding, &with_owner(signup_id, &text)),
            Format::Fxd2 => self.ring.seal(&binding, &text),
        };
        let renewed = is_same.then(|| self.fingerprint(signup_id, account_id, &payload));
        Ok((resealed.map_err(NotResealed::Seal)?, renewed))
    }

    /// A token, sealed with the first key, byte for byte what it was. An envelope of `FXD1` is sealed as what the row
    /// says it is, unless the row contradicts itself.
    pub(crate) fn reseal_token(
        &self,
        row: &TokenRow,
        sealed: &Sealed,
        (given_at_ms, agrees): (i64, bool),
    ) -> Result<Sealed, NotResealed> {
        let token = self.open_token(row, sealed)?;
        let binding = self.binding(CREDENTIAL, &row.provisioning, row.scope.as_str());
        let resealed = match sealed.format() {
            Format::Fxd1 if !agrees => {
                return Err(report(&row.signup_id, CREDENTIAL, Mismatch::Row).into());
            }
            Format::Fxd1 => {
                let content = TokenContent::new(row, &token, Some(TokenSource::Created), Some(given_at_ms));
                self.ring.seal(&binding, &encode(&content))
            }
            Format::Fxd2 => self.ring.seal(&binding, &self.ring.open(&binding, sealed).map_err(CustodyError::from)?),
        };
        resealed.map_err(NotResealed::Seal)
    }
}

/// The payload in what an envelope of this format held, if it is this signup's.
fn payload_in(text: &[u8], format: Format, signup_id: &SignupId) -> Result<Payload, CustodyError> {
    match format {
        Format::Fxd1 => serde_json::from_slice(text).map_err(|_| CustodyError::Content),
        Format::Fxd2 => {
            let opened: OpenedPayload = serde_json::from_slice(text).map_err(|_| CustodyError::Content)?;
            opened.of(signup_id).map_err(|mismatch| report(signup_id, PAYLOAD, mismatch))
        }
    }
}

/// What a token's envelope holds.
enum Inside {
    /// The token alone.
    Bare(RefreshToken),
    /// The token, and whose it is.
    SaysWhose(Box<TokenContent>),
}

impl Inside {
    fn into_token(self) -> RefreshToken {
        match self {
            Self::Bare(token) => token,
            Self::SaysWhose(content) => content.refresh_token,
        }
    }
}

/// Says that an envelope and its row don't belong together: someone should look into it whichever command or
/// worker has met it, so the line is written here.
fn report(signup_id: &SignupId, contents: &'static str, mismatch: Mismatch) -> CustodyError {
    tracing::error!(
        event = "custody.mismatch",
        signup_id = signup_id.as_str(),
        contents,
        member = mismatch.as_str(),
        error = &mismatch as &dyn std::error::Error,
        "an envelope is not what its row says; nothing of it was handed out",
    );
    CustodyError::Mismatch(mismatch)
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{ClientId, FoxyClient, WhichFoxy};

    use super::*;

    fn acct(signup_id: &str) -> SignupId {
        SignupId::parse(signup_id).unwrap()
    }

    fn row(scope: Scope, serial: u32) -> TokenRow {
        TokenRow {
            provisioning: ProvisioningId::new(),
            signup_id: acct("acct_000001"),
            scope,
            serial,
            addresses: Vec::new(),
            client: None,
        }
    }

    #[test]
    fn what_is_bound_is_what_the_documented_vectors_say() {
        let documented: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/envelope-vectors.json")).unwrap();
        let vector = |name: &str| documented["vectors"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap();
        let opened = |name: &str| {
            let field = |field: &str| vector(name)[field].as_str().unwrap();
            let ring = KeyRing::parse(&format!("vector:{}", field("key_base64"))).unwrap();
            let hex = field("envelope");
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (
                Custody::new(Arc::new(ring), field("environment")),
                ProvisioningId::parse(field("owner")).unwrap(),
                Sealed::from_bytes((0..hex.len()).step_by(2).map(byte).collect()).unwrap(),
            )
        };
        for (name, scope, token) in
            [("a store's token", Scope::Store, "refresh-token-2"), ("a user's token", Scope::User, "refresh-token-3")]
        {
            let (custody, id, sealed) = opened(name);
            let row = TokenRow { provisioning: id, ..row(scope, 2) };
            assert_eq!(custody.open_token(&row, &sealed).unwrap().expose(), token);
        }
        for (name, scope, serial, token) in [
            ("a store's token, FXD2", Scope::Store, 2, "refresh-token-2"),
            ("an integration's token, FXD2", Scope::Store, 3, "refresh-token-4"),
            ("a user's token, FXD2", Scope::User, 1, "refresh-token-3"),
        ] {
            let (custody, id, sealed) = opened(name);
            let client = (scope == Scope::Store).then(|| FoxyClient {
                foxy: WhichFoxy::Production,
                id: ClientId::parse(&format!("client_{}", serial - 1)).unwrap(),
            });
            let row = TokenRow { provisioning: id, client, ..row(scope, serial) };
            assert_eq!(custody.open_token(&row, &sealed).unwrap().expose(), token, "{name}");
        }
        for name in ["an event", "an event, FXD2"] {
            let (custody, id, sealed) = opened(name);
            assert_eq!(custody.open_payload(&id, &acct("acct_000001"), &sealed).unwrap().user.first_name, "Zoë");
        }
    }
}
