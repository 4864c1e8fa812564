//! What a member of an event must be, as a value: the parser checks by it, and the published schema is made of it.

use super::{
    checks::{self, Checked},
    countries,
};

/// A member that is a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) name: &'static str,
    pub(super) required: bool,
    /// In characters.
    pub(super) max: usize,
    pub(super) form: Form,
}

/// What a text must look like, beyond what every text must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing beyond.
    Anything,
    /// One plain address.
    Email,
    /// One or several addresses.
    Emails,
    /// A link that a browser can follow.
    WebUrl,
    /// A single DNS label.
    DomainLabel,
    /// A domain with dots.
    FullDomain,
    /// ISO 3166-1 alpha-2.
    Country,
    /// A two-letter code.
    UsRegion,
    /// Visible ASCII, as short as an id of ours.
    VisibleId,
    /// What a header can carry: visible ASCII.
    Code,
}

impl Text {
    pub(super) const fn required(name: &'static str, max: usize, form: Form) -> Self {
        Self { name, required: true, max, form }
    }

    pub(super) const fn optional(name: &'static str, max: usize, form: Form) -> Self {
        Self { name, required: false, max, form }
    }

    /// The same member where another one asks for another form of it.
    pub(super) const fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    pub(super) fn check(&self, value: &str) -> Checked {
        checks::text(value, self.max).and_then(|()| self.form.check(value))
    }
}

impl Form {
    fn check(self, value: &str) -> Checked {
        match self {
            Self::Anything => Ok(()),
            Self::Email => checks::email(value),
            Self::Emails => checks::emails(value),
            Self::WebUrl => checks::web_url(value),
            Self::DomainLabel => checks::domain_label(value),
            Self::FullDomain => checks::full_domain(value),
            Self::Country => countries::country(value),
            Self::UsRegion => checks::us_region(value),
            Self::VisibleId => checks::visible_id(value),
            Self::Code => checks::code(value),
        }
    }
}
