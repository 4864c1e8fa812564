//! The pages over HTTP: a real listener, requests byte by byte, and grants kept in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod callback;
mod choosing;
mod draining;
mod examples;
mod fake;
mod headers;
mod hostile_texts;
mod limits;
mod link;
mod logging;
#[path = "../../../../tests/other_languages.rs"]
mod other_languages;
mod results;
mod site;

/// What `other_languages` asks of its tests.
mod support {
    pub(crate) fn given(variable: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "the path on which other languages' programs are found")]
        std::env::var(variable).ok()
    }
}
