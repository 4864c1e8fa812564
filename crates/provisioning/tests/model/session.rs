//! A user's session with the played Foxy, which may answer another refresh token at any time.

use std::sync::{Arc, Mutex};

use foxden_vault::RefreshToken;
use foxy_api::{ReadError, TokenKeeper};

use crate::{
    books::{Books, Thing},
    shop::Shop,
};

/// One worker acts as one user.
#[derive(Clone)]
pub(crate) struct Session {
    /// The user's address.
    pub(crate) user: String,
    token: Arc<Mutex<String>>,
    keeper: Option<Arc<dyn TokenKeeper>>,
}

impl Session {
    /// The same; its token is kept there.
    pub(crate) fn kept_by(self, keeper: Arc<dyn TokenKeeper>) -> Self {
        Self { keeper: Some(keeper), ..self }
    }
}

impl Thing {
    /// Whether this token opens it, or did before Foxy answered another.
    pub(crate) fn had(&self, token: &str) -> bool {
        self.token == token || self.replaced.iter().any(|replaced| replaced == token)
    }
}

impl Books {
    fn user(&mut self, uri: &str) -> Option<&mut Thing> {
        self.things.iter_mut().find(|thing| thing.uri == uri)
    }
}

impl Shop {
    /// By a token of whatever age.
    pub(crate) fn session_by(&self, token: &str, keeper: Option<Arc<dyn TokenKeeper>>) -> Session {
        let books = self.books();
        let user = books.things.iter().find(|thing| thing.had(token));
        let user = user.map_or_else(|| "nobody".to_owned(), |user| user.uri.clone());
        Session { user, token: Arc::new(Mutex::new(token.to_owned())), keeper }
    }

    /// The session's token is used. If it was replaced, the one that its keeper has is tried; if that is not the
    /// living one, its successor was answered to somebody who has not kept it yet, or never will.
    pub(crate) async fn open(&self, session: &Session) -> Result<(), ReadError> {
        let used = session.token.lock().unwrap().clone();
        let living = self.books().user(&session.user).map(|user| user.token.clone());
        let (Some(living), Some(keeper)) = (living, &session.keeper) else { return Ok(()) };
        if living == used {
            return Ok(());
        }
        let kept = keeper.kept().await.map_err(|source| ReadError::NotKept { source })?;
        if kept.iter().any(|kept| kept.expose() == living) {
            if kept[0].expose() != living {
                let (first, living) = (kept[0].clone(), RefreshToken::new(living.as_str()));
                keeper.replace(first, living).await.map_err(|source| ReadError::NotKept { source })?;
            }
            *session.token.lock().unwrap() = living;
            return Ok(());
        }
        // Its successor may be in the escrow of another machine, until that is drained: no one can find it from here.
        // That it is not lost is asked once all is at rest.
        Err(ReadError::Revoked)
    }

    /// Foxy answers another token. That it is kept is seen to by a task of its own.
    pub(crate) async fn rotate(&self, session: &Session) -> Result<(), ReadError> {
        self.open(session).await?;
        let (old, new) = {
            let mut books = self.books();
            let Some(user) = books.user(&session.user) else { return Ok(()) };
            let old = user.token.clone();
            user.replaced.push(old.clone());
            let new = format!("{}-{}", user.replaced[0], user.replaced.len());
            user.token.clone_from(&new);
            books.delivered.push((self.boot, new.clone()));
            books.unkept.insert(new.clone());
            (old, new)
        };
        let Some(keeper) = &session.keeper else { return Ok(()) };
        let (replacing, books) = (keeper.replace(RefreshToken::new(old), RefreshToken::new(new.as_str())), &self.books);
        let (books, session, answered) = (Arc::clone(books), session.clone(), new.clone());
        let kept = tokio::spawn(async move {
            let kept = replacing.await;
            if kept.is_ok() {
                books.lock().unwrap().unkept.remove(&answered);
                *session.token.lock().unwrap() = answered;
            }
            kept
        });
        kept.await.unwrap().map_err(|source| ReadError::NotKept { source })
    }
}
