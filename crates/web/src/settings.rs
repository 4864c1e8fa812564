//! What an operator decides about the pages.

use std::{num::NonZeroU32, time::Duration};

use url::Url;

use crate::{
    color::Color,
    forwarded::Forwarding,
    rates::Rate,
    shown::shown,
    signed_result::ResultKey,
    site::{FormTarget, PublicUrl, RedirectUri, ReturnUrl},
};

/// What the pages need to know.
#[derive(Debug)]
pub struct Settings {
    /// Where browsers reach the pages.
    pub public_url: PublicUrl,
    /// The OAuth client's redirect URI.
    pub redirect_uri: RedirectUri,
    /// Where Foxy's authorization page is, and whatever else it redirects to before a person sees a page. A trip is
    /// sent to one of these origins or nowhere.
    pub authorization: Vec<FormTarget>,
    /// As whom the pages speak.
    pub platform: Platform,
    /// Where a person goes once a trip has ended; without it they see a page of ours.
    pub return_to: Option<ReturnTo>,
    /// Which headers about the client are believed.
    pub forwarding: Forwarding,
    /// How much is taken.
    pub limits: Limits,
}

/// As whom the pages speak.
#[derive(Clone, Debug)]
pub struct Platform {
    name: String,
    color: Color,
    help: Option<Url>,
}

/// Why the pages can't speak as this platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Nothing that could be read.
    #[error("the platform's name has no visible character")]
    NameMissing,
    /// Something that browsers do other things with.
    #[error("the address for help must be an https: or mailto: URL")]
    Help,
}

impl Platform {
    /// Its name, its color, and where a person gets help: a page or a mailbox.
    ///
    /// # Errors
    /// See [`PlatformError`].
    pub fn try_new(name: &str, color: Color, help: Option<&str>) -> Result<Self, PlatformError> {
        let name = shown(name);
        if name.is_empty() {
            return Err(PlatformError::NameMissing);
        }
        let help = help.map(|help| Url::parse(help).map_err(|_| PlatformError::Help)).transpose()?;
        if help.as_ref().is_some_and(|help| !["https", "mailto"].contains(&help.scheme())) {
            return Err(PlatformError::Help);
        }
        Ok(Self { name, color, help })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn color(&self) -> Color {
        self.color
    }

    pub(crate) fn help(&self) -> Option<&Url> {
        self.help.as_ref()
    }
}

/// Where a person goes with a signed result.
#[derive(Debug)]
pub struct ReturnTo {
    /// The platform's page.
    pub url: ReturnUrl,
    /// What signs the result. The platform has it, too.
    pub key: ResultKey,
}

/// How much is taken from outside.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often one client may ask.
    pub rate: Rate,
    /// How many clients are remembered for that. One more takes some 40 bytes.
    pub clients: usize,
    /// How many connections are open at once. More wait to be accepted.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and a connection be idle before the next one.
    pub head_time: Duration,
    /// How long a request may take as a whole, its body and our answer included. What a trip's end has begun continues.
    pub request_time: Duration,
    /// How long one connection may last, whatever is on it.
    pub connection_time: Duration,
    /// How long what is under way may take once the pages are to stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A person needs about six requests. An office or a school may share one address.
            rate: Rate { burst: NonZeroU32::new(60).expect("it is not 0"), every: Duration::from_millis(500) },
            clients: 20_000,
            connections: 512,
            head_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
            connection_time: Duration::from_secs(300),
            drain_time: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_a_name_that_can_be_read_and_help_that_is_a_page_or_a_mailbox() {
        let color = "#336699".parse().unwrap();
        let of = |name: &str, help: Option<&str>| Platform::try_new(name, color, help).map(|platform| platform.name);
        assert_eq!(of(" A\u{202e}cme\n", Some("mailto:help@a.example")).unwrap(), "Acme");
        assert_eq!(of("\u{200b} ", None).unwrap_err(), PlatformError::NameMissing);
        for help in ["javascript:alert(1)", "data:text/html,x", "http://a.example", "help"] {
            assert_eq!(of("Acme", Some(help)).unwrap_err(), PlatformError::Help, "{help}");
        }
    }
}
