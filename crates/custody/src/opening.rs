//! Opening a store's token: the one road by which a token leaves the ledger for somebody's use, with its audit.

use foxden_ledger::{Act, By, Deed, FoxyClient, Ledger, LedgerError, Provisioning, Scope, SignupId};
use foxden_vault::RefreshToken;

use crate::{
    content::TokenRow,
    custody::{Custody, CustodyError},
    renewal::TokenPlace,
};

/// A store's refresh token, opened, with where it belongs. `Debug` does not show the token, and nothing makes JSON of
/// it:
///
/// ```compile_fail,E0277
/// fn out(store: &foxden_custody::StoreToken) {
///     serde_json::to_string(store);
/// }
/// ```
#[derive(Debug)]
pub struct StoreToken {
    /// The token: it makes access tokens for ten years, together with the OAuth client that it was given to.
    pub token: RefreshToken,
    /// That client, and at which Foxy; `None` if it was kept by an earlier release, and not used since. Foxy refuses
    /// a token that another client comes with.
    pub client: Option<FoxyClient>,
    /// The store's address at Foxy, checked; `None` if its link could not be trusted.
    pub store_uri: Option<String>,
    /// The store's domain at Foxy.
    pub store_domain: Option<String>,
    /// Where the token is kept. Should Foxy answer another refresh token, the old one may be dead: put the new one
    /// there, by [`TokenPlace::renew`], before you use what came with it. And should Foxy refuse the token, look
    /// there first whether it was renewed meanwhile ([`TokenPlace::kept`]).
    pub place: TokenPlace,
}

/// Why no token was handed out.
#[derive(Debug, thiserror::Error)]
pub enum OpenTokenError {
    /// The ledger has no such signup.
    #[error("the ledger has no signup {0}")]
    NotFound(SignupId),
    /// It has no store token: not yet, or no longer; one of a store that it has left behind doesn't count. The row
    /// says where it stands.
    #[error("signup {} has no store token", .0.signup_id)]
    NoToken(Box<Provisioning>),
    /// The address that the ledger has for its store is not Foxy's: a token must not go there.
    #[error("the address that the ledger has for the store of {0} is not trusted")]
    NotTrusted(SignupId),
    /// The envelope does not open.
    #[error("could not open the store token of {signup_id}")]
    Sealed {
        /// Whose it is.
        signup_id: SignupId,
        /// Why not.
        #[source]
        source: CustodyError,
    },
    /// The ledger could not record that the token is opened. Mend that, or wait, and ask again.
    #[error("the opening of the store token could not be recorded in the ledger, so it was not opened")]
    NotRecorded(#[source] LedgerError),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Opens the token of a signup's store, for use on the spot.
///
/// It is recorded before it is handed out: a row in the audit, and `token.opened` in the log. If the row can't be
/// written, no token is given out. So the connection needs the right to write, and a standby will not do.
///
/// A platform written in Rust needs no foxden program for it, only `foxden-custody`, `foxden-ledger` and
/// `foxden-vault`:
///
/// ```no_run
/// # async fn example(keys: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use foxden_custody::{Custody, open_store_token};
/// use foxden_ledger::{By, Ledger, SignupId};
/// use foxden_vault::KeyRing;
///
/// let ledger = Ledger::connect("postgres://platform@db.internal/foxden", 2).await?;
/// let custody = Custody::new(Arc::new(KeyRing::parse(keys)?), "production");
///
/// let by = By::new("billing-service").because("nightly export");
/// let foxy = |address: &str| address.starts_with("https://api.foxycart.com/").then(|| address.to_owned());
/// let store = open_store_token(&ledger, &custody, &SignupId::parse("acct_000001")?, &by, foxy).await?;
/// // Trade `store.token.expose()` for an access token at Foxy, and let it go. If the answer has another refresh token:
/// // store.place.renew(&store.token, &RefreshToken::new(answered)).await?;
/// # Ok(())
/// # }
/// ```
///
/// Anyone who can write to the database can put another address into the row, and the token would go with it. So
/// `checked` says of an address whether it is Foxy's, and how it is to be used; where it is not, no token is opened.
///
/// `examples/open_store_token.rs` is a program that does this. The store's address and domain come along, since it is
/// of no use without them.
///
/// # Errors
/// [`OpenTokenError`]; whichever it is, no token left the ledger.
pub async fn open_store_token(
    ledger: &Ledger,
    custody: &Custody,
    signup_id: &SignupId,
    by: &By,
    checked: impl Fn(&str) -> Option<String>,
) -> Result<StoreToken, OpenTokenError> {
    let row = ledger.find(signup_id).await?.ok_or_else(|| OpenTokenError::NotFound(signup_id.clone()))?;
    let store_uri = match &row.store_uri {
        Some(kept) => Some(checked(kept).ok_or_else(|| OpenTokenError::NotTrusted(signup_id.clone()))?),
        None => None,
    };
    let of_store = row.store_token(ledger.credentials(&row.id).await?);
    let Some((held, sealed)) = of_store.as_ref().and_then(|held| Some((held, held.sealed.as_ref()?))) else {
        return Err(OpenTokenError::NoToken(Box::new(row)));
    };
    custody.heed_end(ledger, [sealed]).await?;
    let around = TokenRow::of(&row, held);
    let token = custody
        .open_token(&around.clone().used_for(row.store_uri.as_deref()), sealed)
        .map_err(|source| OpenTokenError::Sealed { signup_id: signup_id.clone(), source })?;
    let deed = Deed { scope: Some(Scope::Store), ..Deed::to(Act::OpenToken, signup_id) };
    ledger.audit(by, deed).await.map_err(OpenTokenError::NotRecorded)?;
    tracing::info!(
        event = "token.opened",
        signup_id = %signup_id,
        scope = Scope::Store.as_str(),
        who = by.who.as_str(),
        reason = by.reason.as_deref(),
        "a store's token was opened",
    );
    let client = around.client.clone();
    let place = TokenPlace::new(ledger, custody, around);
    Ok(StoreToken { token, client, store_uri, store_domain: row.store_domain, place })
}
