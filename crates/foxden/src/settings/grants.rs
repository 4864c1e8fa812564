//! Grants: how long people are asked, and where links and Foxy's answers lead.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_GRANT_LIFETIME` | `7d` | how long a person may take to grant what they are asked for, 1h to 90d |
//! | `FOXDEN_HTTP_PUBLIC_URL` | | where browsers reach the pages: links begin with it; needed with `FOXDEN_HTTP_LISTEN` |
//! | `FOXDEN_HTTP_REDIRECT_URI` | | the OAuth client's redirect URI, as it is registered at Foxy; without it, the public URL and `/callback` |
//!
//! They stand without the pages too: a command prints links to pages that another machine serves.

use std::time::Duration;

use foxden_web::{PublicUrl, RedirectUri};

use super::reader::Reader;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct GrantSettings {
    /// How long a grant is open, and so its link.
    pub(crate) lifetime: Duration,
    /// Where browsers reach the pages.
    pub(crate) public_url: Option<PublicUrl>,
    /// The OAuth client's redirect URI, character by character as it was given: Foxy may compare it so.
    pub(crate) redirect_uri: Option<String>,
}

impl GrantSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        const DAY: Duration = Duration::from_hours(24);
        const URI: &str = "FOXDEN_HTTP_REDIRECT_URI";
        let lifetime = reader.duration("FOXDEN_GRANT_LIFETIME", &(Duration::from_hours(1)..=90 * DAY));
        let public = reader.value("FOXDEN_HTTP_PUBLIC_URL", |text| match PublicUrl::parse(text) {
            Ok(url) => Ok((url, format!("{}/callback", text.trim_end_matches('/')))),
            Err(error) => Err(error.to_string()),
        });
        let (public_url, default_uri) = public.unzip();
        let redirect_uri = reader.value(URI, |text| {
            // Without the pages a browser ends wherever this is, and a person copies its address from there.
            let here = public_url.clone().map_or_else(|| PublicUrl::parse(text), Ok);
            let uri = here.and_then(|here| RedirectUri::parse(text, &here));
            uri.map(|_| text.to_owned()).map_err(|error| error.to_string())
        });
        Some(Self { lifetime: lifetime?, public_url, redirect_uri: redirect_uri.or(default_uri) })
    }
}
