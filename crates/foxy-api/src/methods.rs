//! What `OPTIONS` says of a resource.

use std::collections::BTreeSet;

/// A method that a resource may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads it.
    Get,
    /// Makes something in it.
    Post,
    /// Changes it.
    Patch,
    /// Replaces it.
    Put,
    /// Removes it.
    Delete,
}

/// The methods that a resource takes, as its answer to `OPTIONS` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Methods(BTreeSet<Method>);

impl Methods {
    /// Whether it is among them.
    pub fn has(&self, method: Method) -> bool {
        self.0.contains(&method)
    }

    /// From an `Allow` header (RFC 9110 section 10.2.1). Methods that none of our calls has are left out.
    pub(crate) fn parse(header: &str) -> Self {
        let method = |name: &str| match name.trim() {
            "GET" => Some(Method::Get),
            "POST" => Some(Method::Post),
            "PATCH" => Some(Method::Patch),
            "PUT" => Some(Method::Put),
            "DELETE" => Some(Method::Delete),
            _ => None,
        };
        Self(header.split(',').filter_map(method).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_an_allow_header_are_read() {
        let methods = Methods::parse("GET,HEAD, DELETE");
        assert!(methods.has(Method::Get) && methods.has(Method::Delete) && !methods.has(Method::Post));
        assert_eq!(Methods::parse(""), Methods::default());
    }
}
