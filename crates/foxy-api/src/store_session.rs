//! Acting as one store.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::access::{Access, Identity};
use crate::{Attribute, Document, Foxy, HeldToken, Reach, ReadError, Report, TokenScope, attribute};

/// One store's session, by [`Foxy::store`]. Cheap to clone; clones share the store's access token and links.
#[derive(Clone)]
pub struct StoreSession {
    foxy: Foxy,
    store: Arc<Access>,
}

impl StoreSession {
    /// Knowing the refresh token alone.
    pub(crate) fn of_refresh_token(foxy: Foxy, token: HeldToken) -> Self {
        Self { foxy, store: Arc::new(Access::new(Identity::Holder(token, TokenScope::Store))) }
    }

    /// What the store's token can do beyond this.
    pub fn reach(&self) -> Reach {
        Reach::new(self.foxy.clone(), Arc::clone(&self.store))
    }

    /// Reads the store (Foxy docs: rels/store).
    ///
    /// # Errors
    /// [`ReadError`], by what is wrong.
    pub async fn read(&self) -> Result<Document, ReadError> {
        Document::linked(self.foxy.wire(), &self.store, "fx:store").await
    }

    /// Sees to it that the store has an attribute of this name with this value (Foxy docs: rels/attributes).
    pub async fn ensure_attribute(&self, attribute: &Attribute, deadline: Instant) -> Report<()> {
        attribute::ensure(self.foxy.wire(), &self.store, "fx:store", attribute, deadline).await
    }
}

impl fmt::Debug for StoreSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreSession(at {})", self.foxy.origins())
    }
}
