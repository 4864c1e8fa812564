//! Acting as one user.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::access::{Access, Identity, When};
use crate::errors::Creating;
use crate::link::Links;
use crate::{
    Attribute, CreatedStore, Document, Foxy, Granted, HeldToken, Line, ListedStore, NewStore, Reach, ReadError, Report,
    StoreSearch, TokenKeeper, TokenScope, attribute, listing,
};

/// One user's session, by [`Foxy::user`] or [`CreatedUser::session`](crate::CreatedUser::session). Cheap to clone;
/// clones share the user's access token and links.
#[derive(Clone)]
pub struct UserSession {
    foxy: Foxy,
    user: Arc<Access>,
}

impl UserSession {
    /// Knowing the refresh token alone.
    pub(crate) fn of_refresh_token(foxy: Foxy, token: HeldToken) -> Self {
        Self { foxy, user: Arc::new(Access::new(Identity::Holder(token, TokenScope::User))) }
    }

    /// Knowing what the answer to the user's creation brought at `received`.
    pub(crate) fn of_creation(foxy: Foxy, token: &Granted, received: Instant, stores: Option<Links>) -> Self {
        let identity = Identity::Holder(token.refresh.clone().into(), TokenScope::User);
        let user = Access::known(identity, token.bearer(received, TokenScope::User), stores);
        Self { foxy, user: Arc::new(user) }
    }

    /// The same session; from here on its refresh token is kept there. The first keeper stays.
    #[must_use]
    pub fn kept_by(self, keeper: Arc<dyn TokenKeeper>) -> Self {
        self.user.keep_with(keeper);
        self
    }

    /// Creates a store of this user's (Foxy docs: rels/stores), or says that nothing was created, or that nobody knows.
    ///
    /// `deadline` means what it means for [`Foxy::create_user`]. Dropping the future leaves the outcome unknown.
    pub async fn create_store(&self, store: &NewStore, deadline: Instant) -> Report<CreatedStore> {
        self.create_store_if(store, deadline, &|| true).await
    }

    /// As [`UserSession::create_store`], unless it is not `wanted` any more when its turn under the rate of calls has come.
    pub async fn create_store_if(
        &self,
        store: &NewStore,
        deadline: Instant,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Report<CreatedStore> {
        let (what, when) = ((Creating::Store, "fx:stores"), When { deadline, line: Line::Begun, wanted });
        let captcha = store.captcha.as_ref();
        let report = self.user.create(self.foxy.wire(), what, &store.body(), captcha, when).await;
        report.map(|created| CreatedStore::new(created, self.foxy.origins()))
    }

    /// What the user can do beyond this.
    pub fn reach(&self) -> Reach {
        Reach::new(self.foxy.clone(), Arc::clone(&self.user))
    }

    /// Reads the user (Foxy docs: rels/user).
    ///
    /// # Errors
    /// [`ReadError`], by what is wrong.
    pub async fn read(&self) -> Result<Document, ReadError> {
        Document::linked(self.foxy.wire(), &self.user, "fx:user").await
    }

    /// Sees to it that the user has an attribute of this name with this value (Foxy docs: rels/attributes).
    pub async fn ensure_attribute(&self, attribute: &Attribute, deadline: Instant) -> Report<()> {
        attribute::ensure(self.foxy.wire(), &self.user, "fx:user", attribute, deadline).await
    }

    /// All of this user's stores, page by page.
    ///
    /// A store made a moment ago may not be listed yet.
    ///
    /// # Errors
    /// [`ReadError`], also if the listing is incomplete; then it is not known.
    pub async fn stores(&self) -> Result<Vec<ListedStore>, ReadError> {
        listing::all_stores(self.foxy.wire(), &self.user).await
    }

    /// Looks for a domain among all of this user's stores, page by page. Case makes no difference, as with any domain.
    ///
    /// A store made a moment ago may not be listed yet: look again before you believe that it is absent.
    ///
    /// # Errors
    /// [`ReadError`], also if the listing is incomplete; then it is not known.
    pub async fn find_store(&self, domain: &str) -> Result<StoreSearch, ReadError> {
        listing::find_store(self.foxy.wire(), &self.user, domain).await
    }
}

impl fmt::Debug for UserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserSession(at {})", self.foxy.origins())
    }
}
