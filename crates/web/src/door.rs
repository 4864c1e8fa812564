//! What all requests share, and which of them goes where.

use std::{
    error::Error,
    iter::successors,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Router,
    middleware::{from_fn_with_state, map_response_with_state},
    routing::get,
};
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    admission::{admit, headers},
    callback, grant,
    grants::{Grants, Unavailable},
    pages::{Layout, Trouble},
    rates::Rates,
    reply::{Reply, see_other},
    seldom::Seldom,
    settings::Settings,
    trip,
};

/// What all requests share.
pub(crate) struct Door {
    pub(crate) settings: Settings,
    pub(crate) grants: Arc<dyn Grants>,
    pub(crate) layout: Layout,
    pub(crate) rates: Mutex<Rates>,
    /// What a request has begun and must end, whatever becomes of the request.
    pub(crate) under_way: TaskTracker,
    seldom: Seldom,
}

impl Door {
    pub(crate) fn new(settings: Settings, grants: Arc<dyn Grants>) -> Arc<Self> {
        let layout = Layout::new(&settings);
        let rates = Mutex::new(Rates::new(settings.limits.rate, settings.limits.clients));
        let (under_way, seldom) = (TaskTracker::new(), Seldom::default());
        Arc::new(Self { settings, grants, layout, rates, under_way, seldom })
    }

    /// Every path. What comes later, such as health, is to be merged here, outside the limits if it must be.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let public = &self.settings.public_url;
        let panicked = Arc::clone(self);
        Router::new()
            .route(&public.path("grant/{ticket}"), get(grant::show).post(grant::depart))
            .route(&public.path("trip/{trip}"), get(trip::show).post(trip::choose))
            .route(&public.path("trouble/{name}"), get(trip::trouble))
            .route(self.settings.redirect_uri.path(), get(callback::arrive).head(callback::refuse_head))
            .fallback(async |door: axum::extract::State<Arc<Self>>| door.trouble(Trouble::NoPage))
            .method_not_allowed_fallback(async |door: axum::extract::State<Arc<Self>>| door.trouble(Trouble::Method))
            .layer(CatchPanicLayer::custom(move |_| panicked.trouble(Trouble::Fault)))
            .layer(from_fn_with_state(Arc::clone(self), admit))
            .layer(map_response_with_state(Arc::clone(self), headers))
            .with_state(Arc::clone(self))
    }

    /// The page that says so.
    pub(crate) fn trouble(&self, trouble: Trouble) -> Reply {
        self.refused(trouble);
        self.page(&trouble.page(&self.layout))
    }

    /// Sends a browser to the page that says so: what stands in the URL leaves it, and its history.
    pub(crate) fn see_trouble(&self, trouble: Trouble) -> Reply {
        self.refused(trouble);
        see_other(&self.settings.public_url.path(&format!("trouble/{}", trouble.name())))
    }

    /// Grants could not be asked.
    pub(crate) fn unavailable(&self, error: &Unavailable) -> Reply {
        if let Some(times) = self.seldom.due("web.unavailable", Instant::now()) {
            let error = chain(error);
            tracing::warn!(event = "web.unavailable", times, error, "grants can't be asked; a person was put off");
        }
        self.page(&Trouble::Unavailable.page(&self.layout))
    }

    /// Something of ours is broken.
    pub(crate) fn fault(&self, problem: &'static str) -> Reply {
        if let Some(times) = self.seldom.due(problem, Instant::now()) {
            tracing::error!(event = "web.fault", times, problem, "a request could not be served");
        }
        self.page(&Trouble::Fault.page(&self.layout))
    }

    fn refused(&self, trouble: Trouble) {
        let reason = trouble.name();
        if let Some(times) = self.seldom.due(reason, Instant::now()) {
            tracing::info!(event = "web.refused", reason, times, "a request was refused");
        }
    }
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
