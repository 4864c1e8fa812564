//! The words that a person reads. Each page is a status and a document.
//!
//! The templates (`maud`) escape whatever is put into them; `PreEscaped` stands for the style sheet only.

mod ask;
mod layout;
mod result;
mod trouble;

use axum::http::StatusCode;
use maud::{Markup, html};

pub(crate) use ask::{choose, offer};
pub(crate) use layout::Layout;
pub(crate) use result::{link_ended, trip_result};
pub(crate) use trouble::Trouble;

use crate::{grants::Asked, shown::shown};

/// A page before it has its frame.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) heading: String,
    pub(crate) body: Markup,
    /// It has a form, so browsers must be allowed to say where it was sent from.
    pub(crate) has_form: bool,
    /// Seconds after which it is to be fetched again.
    pub(crate) again_in: Option<u32>,
}

impl Page {
    fn new(status: StatusCode, heading: impl Into<String>, body: Markup) -> Self {
        Self { status, heading: heading.into(), body, has_form: false, again_in: None }
    }
}

/// The store's name, set apart so that letters written from right to left don't turn what follows.
fn store_named(asked: &Asked) -> Option<Markup> {
    let name = shown(asked.store.as_deref()?);
    (!name.is_empty()).then(|| html! { bdi { (name) } })
}
