//! The experiments with a user and a store: what Foxy allows beyond its documentation. Each asks with OPTIONS first,
//! then tries the effect on things of this run's own.

use std::time::Duration;

use foxden_vault::AccessToken;
use foxy_api::{
    AddedIntegration, Attribute, CreatedStore, CreatedUser, Foxy, Method, Outcome, Reach, ReadError, ResourceUri,
    TokenScope, Visibility,
};
use tokio::time::Instant;

use super::{
    left::Left,
    verdict::{Effect, Verdict, offers},
    walk::{Marks, chain, deadline, ending_of, new_store, new_user},
};
use crate::{settings::Permission, terminal::printable, wiring::FoxySide};

/// What the integrations and clients of this run are called at Foxy.
pub(super) const PROJECT: &str = "foxden verify";

/// Tries one after the other.
pub(crate) struct Experiments<'a> {
    pub(crate) side: &'a FoxySide,
    pub(crate) marks: &'a Marks,
    pub(crate) left: &'a Left,
    pub(crate) call_timeout: Duration,
    pub(crate) tell: &'a mut dyn FnMut(Permission, Verdict),
}

/// A store that this run made, and how it is reached.
struct Shop {
    user: Reach,
    store: Reach,
    address: ResourceUri,
    integrations: ResourceUri,
}

/// Another client's token of the store.
struct Second {
    foxy: Foxy,
    added: AddedIntegration,
}

impl Experiments<'_> {
    /// X1, X2, X6 and X4.
    pub(crate) async fn with_store(&mut self, user: &CreatedUser, store: &CreatedStore) {
        let shop = match self.shop(user, store).await {
            Ok(shop) => shop,
            Err(error) => {
                for permission in [
                    Permission::UserAddsStoreTokens,
                    Permission::StoreCreatesStores,
                    Permission::RevokesStoreTokens,
                    Permission::HidesRestrictedAttributes,
                ] {
                    (self.tell)(permission, Verdict::NotTried(chain(&error)));
                }
                return;
            }
        };
        let found = self.user_adds_tokens(&shop).await;
        (self.tell)(Permission::UserAddsStoreTokens, found);
        let found = self.store_creates_stores(&shop).await;
        (self.tell)(Permission::StoreCreatesStores, found);
        let (second, ..) = self.add(&shop.store, &shop).await;
        let found = self.hides_restricted(store, second.as_ref()).await;
        (self.tell)(Permission::HidesRestrictedAttributes, found);
        let found = self.revokes(&shop, store, second.as_ref()).await;
        (self.tell)(Permission::RevokesStoreTokens, found);
    }

    async fn shop(&self, user: &CreatedUser, store: &CreatedStore) -> Result<Shop, ReadError> {
        let session = self.side.foxy.store(store.token.refresh.clone());
        let document = session.read().await?;
        let integrations = document.link("fx:integrations", self.side.foxy.origins())?;
        Ok(Shop { user: user.session().reach(), store: session.reach(), address: document.uri, integrations })
    }

    /// Adds an integration; with the proof that its token opens the store.
    async fn add(&self, by: &Reach, shop: &Shop) -> (Option<Second>, Effect, Effect) {
        let mark = self.left.expect("the integration \"foxden verify\" of the store, and its OAuth client");
        let report = by.add_integration(&shop.integrations, PROJECT, self.deadline()).await;
        self.left.settle(mark, &report, |added| added.uri.clone().ok());
        self.left.belongs(mark, shop.store.clone(), Some(shop.address.clone()));
        let effect = Effect::of(&report);
        let Outcome::Done(added) = report.outcome else { return (None, effect, Effect::had()) };
        match self.side.client(added.client_id.clone(), added.client_secret.clone()) {
            Err(error) => (None, effect, Effect::Unclear(format!("{error:#}"))),
            Ok(foxy) => {
                let read = foxy.store(added.token.refresh.clone()).read().await;
                let opens = read.map(|document| document.uri == shop.address);
                let opens = Effect::of_read(opens, "a token came, but it opens another store");
                (Some(Second { foxy, added }), effect, opens)
            }
        }
    }

    async fn user_adds_tokens(&self, shop: &Shop) -> Verdict {
        let offered = offers(&shop.user.methods(&shop.integrations).await, Method::Post);
        let (_, added, opens) = self.add(&shop.user, shop).await;
        Verdict::of(offered, added, opens)
    }

    async fn store_creates_stores(&self, shop: &Shop) -> Verdict {
        let stores = match shop.store.linked("fx:stores").await {
            Ok(stores) => stores,
            Err(error) => return Verdict::of(None, Effect::of_read(Err(error), ""), Effect::had()),
        };
        let offered = offers(&shop.store.methods(&stores).await, Method::Post);
        let domain = format!("{}-2", self.marks.domain);
        let mark = self.left.expect(format!("the store {domain}"));
        let wanted = new_store(self.marks, domain);
        let report = shop.store.create_store(&wanted, self.deadline()).await;
        self.left.settle(mark, &report, |made| made.uri.clone().ok());
        if let Outcome::Done(made) = &report.outcome {
            self.left.belongs(mark, self.side.foxy.store(made.token.refresh.clone()).reach(), None);
        }
        Verdict::of(offered, Effect::of(&report), Effect::had())
    }

    async fn hides_restricted(&self, store: &CreatedStore, second: Option<&Second>) -> Verdict {
        const HIDDEN: &str = "foxden_verify_restricted";
        const SEEN: &str = "foxden_verify_private";
        let Some(second) = second else {
            return Verdict::NotTried("no second client could be given access to the store".into());
        };
        let own = self.side.foxy.store(store.token.refresh.clone());
        for (name, visibility) in [(HIDDEN, Visibility::Restricted), (SEEN, Visibility::Private)] {
            let report = own.ensure_attribute(&Attribute::new(name, "1", visibility), self.deadline()).await;
            if report.outcome != Outcome::Done(()) {
                return Verdict::NotTried(ending_of(&report));
            }
        }
        let names = async |foxy: &Foxy, token| {
            let document = foxy.store(token).read().await?;
            Ok(document.attributes.into_iter().map(|attribute| attribute.name).collect::<Vec<_>>())
        };
        let ours: Result<_, ReadError> = names(&self.side.foxy, store.token.refresh.clone()).await;
        let theirs: Result<_, ReadError> = names(&second.foxy, second.added.token.refresh.clone()).await;
        let has = |names: &[String], name: &str| names.iter().any(|there| there == name);
        match (ours, theirs) {
            (Err(error), _) | (_, Err(error)) => Verdict::Unclear(chain(&error)),
            (Ok(ours), _) if !has(&ours, HIDDEN) => Verdict::Unclear("its maker does not see it either".into()),
            (_, Ok(theirs)) if !has(&theirs, SEEN) => Verdict::Unclear("the second client sees no attribute".into()),
            (_, Ok(theirs)) if has(&theirs, HIDDEN) => Verdict::Refused("the second client reads it".into()),
            _ => Verdict::Allowed(String::new()),
        }
    }

    async fn revokes(&self, shop: &Shop, store: &CreatedStore, second: Option<&Second>) -> Verdict {
        let own = |list: Vec<foxy_api::Integration>| {
            list.iter().any(|one| {
                let scope = one.scope.split(' ').any(|word| word == "store_full_access");
                one.client_id == self.side.client_id() && scope && one.says_expiry
            })
        };
        let listed = shop.store.integrations(&shop.integrations).await.map(own);
        let listed = Effect::of_read(listed, "the token of the store's creation is not listed with scope and expiry");
        let Some((second, address)) = second.and_then(|second| Some((second, second.added.uri.as_ref().ok()?))) else {
            let why = "no other token could be made to try a deletion on";
            return Verdict::of(None, listed, Effect::Unclear(why.into()));
        };
        let offered = offers(&shop.store.methods(address).await, Method::Delete);
        // Its deletion is tried whether or not ours is listed: this run has no more use for it.
        let deleted = self.left.delete(&shop.store, address, self.deadline()).await;
        let then = listed.and(async || self.has_ended(shop, second).await).await;
        Verdict::of(offered, deleted, then.and(async || self.lives(store).await).await)
    }

    /// Whether nothing of a revoked token opens anything.
    async fn has_ended(&self, shop: &Shop, second: &Second) -> Effect {
        let access: &AccessToken = &second.added.token.access;
        let dead = shop.store.opens(access, &shop.address).await.map(|opens| !opens);
        let access = Effect::of_read(dead, "the refresh token is deleted, but its access token lives on");
        let refresh = second.added.token.refresh.clone();
        access
            .and(async || match second.foxy.access_token(refresh, TokenScope::Store).await {
                Err(ReadError::Revoked) => Effect::had(),
                Ok(_) => Effect::Refused("the integration is deleted, but its refresh token lives on".into()),
                Err(error) => Effect::of_read(Err(error), ""),
            })
            .await
    }

    /// Whether the store's first token outlived the deletion of another.
    async fn lives(&self, store: &CreatedStore) -> Effect {
        match self.side.foxy.access_token(store.token.refresh.clone(), TokenScope::Store).await {
            Ok(_) => Effect::had(),
            Err(ReadError::Revoked) => Effect::Refused("the deletion ended another client's token, too".into()),
            Err(error) => Effect::Unclear(chain(&error)),
        }
    }

    /// X3, by cleaning up: store and user are deleted, then the email is used again.
    pub(crate) async fn deletes(&mut self, user: &CreatedUser, store: Option<&CreatedStore>) {
        let found = match store {
            None => {
                if let Ok(address) = &user.uri {
                    self.left.delete(&user.session().reach(), address, self.deadline()).await;
                }
                Verdict::NotTried("there is no store to delete".into())
            }
            Some(store) => self.delete_both(user, store).await,
        };
        (self.tell)(Permission::DeletesStoresAndUsers, found);
    }

    async fn delete_both(&self, user: &CreatedUser, store: &CreatedStore) -> Verdict {
        let (Ok(store_at), Ok(user_at)) = (&store.uri, &user.uri) else {
            return Verdict::NotTried("Foxy did not say where user and store are".into());
        };
        self.left.clear_insides(|| self.deadline()).await;
        let by_store = self.side.foxy.store(store.token.refresh.clone()).reach();
        let by_user = user.session().reach();
        let of_store = offers(&by_store.methods(store_at).await, Method::Delete);
        let of_user = offers(&by_user.methods(user_at).await, Method::Delete);
        let offered = of_store.zip(of_user).map(|(store, user)| store && user);
        let deleted = self.left.delete(&by_store, store_at, self.deadline()).await;
        let deleted = deleted
            .and(async || {
                // The user's other store, if there is one, stands in the user's way.
                self.left.clear_all(|| self.deadline()).await;
                self.left.delete(&by_user, user_at, self.deadline()).await
            })
            .await;
        let then = match &deleted {
            Effect::Had(_) => self.email_is_free().await,
            Effect::Refused(_) | Effect::Unclear(_) => Effect::had(),
        };
        Verdict::of(offered, deleted, then)
    }

    async fn email_is_free(&self) -> Effect {
        let mark = self.left.expect(format!("the user {}", printable(&self.marks.email)));
        let report = self.side.foxy.create_user(&new_user(self.marks), self.deadline()).await;
        self.left.settle(mark, &report, |made| made.uri.clone().ok());
        match Effect::of(&report) {
            Effect::Refused(seen) => {
                Effect::Refused(format!("store and user are deleted, but the email stays taken: {seen}"))
            }
            effect => {
                if let Outcome::Done(made) = &report.outcome {
                    self.left.belongs(mark, made.session().reach(), None);
                }
                effect
            }
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        deadline(self.call_timeout)
    }
}
