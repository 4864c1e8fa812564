//! Sealing and opening of a client secret on its way to Foxy.

use foxden_vault::{Binding, ClientSecret, Format, SealError};

use crate::{
    content::{PendingContent, encode},
    custody::{Custody, CustodyError},
    rotation::{PendingSecret, RotationOf},
};

const CLIENT_SECRET: &str = "client-secret";
/// The scope under an earlier release.
const ROTATION: &str = "rotation";
const REPLACED_SECRET: &str = "replaced-client-secret";

impl Custody {
    /// Seals the secret that an OAuth client is about to be given in the place of another one, bound to the client's
    /// id, to that other one and to the time.
    ///
    /// # Errors
    /// Only if the operating system gives no random bytes.
    pub fn begin_rotation(
        &self,
        client_id: &str,
        (replaced, new): (&ClientSecret, &ClientSecret),
        now_ms: u64,
    ) -> Result<PendingSecret, SealError> {
        let replaces = self.ring().fingerprint(REPLACED_SECRET, replaced.expose().as_bytes());
        let of = RotationOf { replaces, begun_at_ms: now_ms };
        let text = encode(&PendingContent { client_id: client_id.to_owned(), client_secret: new.clone() });
        let sealed = self.ring().seal(&self.client_secret(client_id, &of.scope()), &text)?;
        Ok(PendingSecret { client_id: client_id.to_owned(), sealed, of: Some(of) })
    }

    /// Opens a secret that an OAuth client may have been given.
    ///
    /// # Errors
    /// As [`Custody::open_payload`].
    pub fn open_pending(&self, pending: &PendingSecret) -> Result<ClientSecret, CustodyError> {
        let scope = pending.of.as_ref().map_or_else(|| ROTATION.to_owned(), RotationOf::scope);
        let bytes = self.ring().open(&self.client_secret(&pending.client_id, &scope), &pending.sealed)?;
        match pending.sealed.format() {
            Format::Fxd1 => {
                let text = str::from_utf8(&bytes).map_err(|_| CustodyError::Content)?;
                Ok(ClientSecret::new(text))
            }
            // Whose it is needs no comparison: the client's id is what the envelope is bound to.
            Format::Fxd2 => {
                let content: PendingContent = serde_json::from_slice(&bytes).map_err(|_| CustodyError::Content)?;
                Ok(content.client_secret)
            }
        }
    }

    /// Whether a pending secret is to replace this one. `None`: unknown.
    pub fn is_replaced_by(&self, secret: &ClientSecret, pending: &PendingSecret) -> Option<bool> {
        self.ring().matches(REPLACED_SECRET, secret.expose().as_bytes(), &pending.of.as_ref()?.replaces)
    }

    pub(crate) fn client_secret<'a>(&'a self, client_id: &'a str, scope: &'a str) -> Binding<'a> {
        Binding { environment: self.environment(), purpose: CLIENT_SECRET, owner: client_id, scope }
    }
}
