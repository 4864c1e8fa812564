//! What the saga asks of Foxy, so that a test can play Foxy without a network.

use std::{future::Future, sync::Arc};

use foxden_vault::RefreshToken;
use foxy_api::{
    Attribute, CreatedStore, Evidence, Foxy, HeldToken, Line, LinkProblem, NewStore, NewUser, Outcome, ReadError,
    Report, ResourceUri, StoreSearch, TokenKeeper, UserSession,
};
use tokio::time::Instant;

/// A user that was created, with its token.
#[derive(Debug, Clone)]
pub struct MadeUser<S> {
    /// The user's address, if it can be trusted.
    pub uri: Result<ResourceUri, LinkProblem>,
    /// The user's token (`user_full_access`).
    pub token: RefreshToken,
    /// Acts as this user at once.
    pub session: S,
}

/// The calls to Foxy. [`Foxy`] makes them over the network; every method is the one of its name there.
pub trait Calls: Clone + Send + Sync + 'static {
    /// Acts as one user.
    type Session: Clone + Send + Sync + 'static;

    /// Creates a user, once, if it is still wanted when its turn in `line` has come. By `deadline` the call has ended,
    /// whatever it came to; it is later than a call may take, so that there is time to wait for the call's turn.
    fn create_user(
        &self,
        user: &NewUser,
        line: Line,
        deadline: Instant,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> impl Future<Output = Report<MadeUser<Self::Session>>> + Send;

    /// Creates a store of this user's, once, if that is still wanted when its turn has come. By `deadline` the call has
    /// ended, whatever it came to.
    fn create_store(
        &self,
        session: &Self::Session,
        store: &NewStore,
        deadline: Instant,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> impl Future<Output = Report<CreatedStore>> + Send;

    /// Acts as a user whose refresh token is kept there. Sends nothing.
    fn session(&self, refresh: RefreshToken, keeper: Arc<dyn TokenKeeper>) -> Self::Session;

    /// The session of a user that was just made, now that it is known where its refresh token is kept.
    fn kept_by(&self, session: Self::Session, keeper: Arc<dyn TokenKeeper>) -> Self::Session;

    /// Looks for a domain among all of this user's stores.
    fn find_store(
        &self,
        session: &Self::Session,
        domain: &str,
    ) -> impl Future<Output = Result<StoreSearch, ReadError>> + Send;

    /// The addresses of all of this user's stores.
    fn stores(&self, session: &Self::Session) -> impl Future<Output = Result<Vec<ResourceUri>, ReadError>> + Send;

    /// Whether a user with this email exists.
    fn email_exists(&self, email: &str) -> impl Future<Output = Result<bool, ReadError>> + Send;

    /// Whether a store with this domain exists.
    fn store_domain_exists(&self, domain: &str) -> impl Future<Output = Result<bool, ReadError>> + Send;

    /// Writes a note on a store, with the store's own token. By `deadline` it has ended. One that keeps no notes says that
    /// all is done.
    fn mark_store(
        &self,
        _token: HeldToken,
        _mark: &Attribute,
        _deadline: Instant,
    ) -> impl Future<Output = Report<()>> + Send {
        async { Report { outcome: Outcome::Done(()), evidence: Evidence::default() } }
    }

    /// A kept address as it may be used; `None` if it is not of this Foxy. One that keeps no addresses trusts all.
    fn checked(&self, address: &str) -> Option<String> {
        Some(address.to_owned())
    }

    /// Whether Foxy answers and lets us in; changes nothing.
    fn probe(&self) -> impl Future<Output = Result<(), ReadError>> + Send;
}

impl Calls for Foxy {
    type Session = UserSession;

    async fn create_user(
        &self,
        user: &NewUser,
        line: Line,
        deadline: Instant,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Report<MadeUser<UserSession>> {
        let report = self.create_user_if(user, line, deadline, wanted).await;
        report.map(|made| MadeUser { session: made.session(), uri: made.uri, token: made.token.refresh })
    }

    async fn create_store(
        &self,
        session: &UserSession,
        store: &NewStore,
        deadline: Instant,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Report<CreatedStore> {
        session.create_store_if(store, deadline, wanted).await
    }

    fn session(&self, refresh: RefreshToken, keeper: Arc<dyn TokenKeeper>) -> UserSession {
        self.user(HeldToken::new(refresh).kept_by(keeper))
    }

    fn kept_by(&self, session: UserSession, keeper: Arc<dyn TokenKeeper>) -> UserSession {
        session.kept_by(keeper)
    }

    async fn find_store(&self, session: &UserSession, domain: &str) -> Result<StoreSearch, ReadError> {
        session.find_store(domain).await
    }

    async fn stores(&self, session: &UserSession) -> Result<Vec<ResourceUri>, ReadError> {
        Ok(session.stores().await?.into_iter().map(|store| store.uri).collect())
    }

    async fn email_exists(&self, email: &str) -> Result<bool, ReadError> {
        Self::email_exists(self, email).await
    }

    async fn store_domain_exists(&self, domain: &str) -> Result<bool, ReadError> {
        Self::store_domain_exists(self, domain).await
    }

    fn checked(&self, address: &str) -> Option<String> {
        ResourceUri::kept(address, self.origins()).ok().map(|uri| uri.to_string())
    }

    async fn mark_store(&self, token: HeldToken, mark: &Attribute, deadline: Instant) -> Report<()> {
        self.store(token).ensure_attribute(mark, deadline).await
    }

    async fn probe(&self) -> Result<(), ReadError> {
        Self::probe(self).await
    }
}
