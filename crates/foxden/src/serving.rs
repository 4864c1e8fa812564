//! The pages for grants as a part of the worker.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use foxden_provisioning::Granting;
use foxden_web::{Listener, serve};
use tokio_util::sync::CancellationToken;

use crate::{
    pages::Pages,
    settings::{AuthorizationPage, HttpSettings},
};

/// Pages that are about to be served.
pub(crate) struct Serving {
    listener: Listener,
    settings: foxden_web::Settings,
    pages: Arc<Pages>,
}

impl Serving {
    /// Begins to listen. No one is answered yet. `page` is where people grant access, unless it is known only by now.
    pub(crate) async fn open(
        http: HttpSettings,
        page: Option<AuthorizationPage>,
        redirect_uri: String,
        granting: Granting,
        grace: Duration,
    ) -> anyhow::Result<Self> {
        let page = match page {
            Some(page) => page,
            None => AuthorizationPage::at(&granting.endpoint.to_string()).map_err(anyhow::Error::msg)?,
        };
        let (address, settings) = http.into_pages(&page, grace);
        let listener = Listener::bind(&address).await;
        let listener = listener.with_context(|| format!("could not listen at {address} (FOXDEN_HTTP_LISTEN)"))?;
        Ok(Self { listener, settings, pages: Arc::new(Pages::new(granting, redirect_uri)) })
    }

    /// Answers people until `stop`, and ends what they have begun.
    pub(crate) async fn until(self, stop: CancellationToken) {
        serve(self.listener, self.settings, self.pages.clone(), stop.cancelled_owned()).await;
        self.pages.ended().await;
    }
}
