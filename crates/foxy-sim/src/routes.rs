//! Which request is which.

use std::str::FromStr;

use axum::http::Method;

/// What a request asks for, whatever the numbers in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Home,
    Token,
    Authorize,
    AnswerAuthorize,
    CreateClient,
    ShowClient,
    ChangeClient,
    CreateUser,
    ShowUser,
    ChangeUser,
    ListStores,
    CreateStore,
    ShowStore,
    ChangeStore,
    ListStoreUsers,
    ListClientAttributes,
    CreateClientAttribute,
    ListUserAttributes,
    CreateUserAttribute,
    ListStoreAttributes,
    CreateStoreAttribute,
    ShowAttribute,
    ChangeAttribute,
    DeleteAttribute,
    ListIntegrations,
    AddIntegration,
    ShowIntegration,
    DeleteIntegration,
    DeleteUser,
    DeleteStore,
    Reporting,
    EmailExists,
    StoreDomainExists,
    /// A link of Foxy's that leads to a part of it that isn't simulated.
    NotSimulated,
}

/// Every route. The first entry of a route names it in the books; a later one is another spelling of it.
const TABLE: &[(&str, &str, Route)] = &[
    ("GET", "/", Route::Home),
    ("POST", "/token", Route::Token),
    ("GET", "/authorize", Route::Authorize),
    ("POST", "/authorize", Route::AnswerAuthorize),
    ("POST", "/clients", Route::CreateClient),
    ("GET", "/clients/{id}", Route::ShowClient),
    ("PATCH", "/clients/{id}", Route::ChangeClient),
    ("POST", "/users", Route::CreateUser),
    ("GET", "/users/{id}", Route::ShowUser),
    ("PATCH", "/users/{id}", Route::ChangeUser),
    ("DELETE", "/users/{id}", Route::DeleteUser),
    ("GET", "/users/{id}/stores", Route::ListStores),
    ("GET", "/stores", Route::ListStores),
    ("POST", "/stores", Route::CreateStore),
    ("POST", "/users/{id}/stores", Route::CreateStore),
    ("GET", "/stores/{id}", Route::ShowStore),
    ("PATCH", "/stores/{id}", Route::ChangeStore),
    ("DELETE", "/stores/{id}", Route::DeleteStore),
    ("GET", "/stores/{id}/integrations", Route::ListIntegrations),
    ("POST", "/stores/{id}/integrations", Route::AddIntegration),
    ("GET", "/integrations/{id}", Route::ShowIntegration),
    ("DELETE", "/integrations/{id}", Route::DeleteIntegration),
    ("GET", "/stores/{id}/users", Route::ListStoreUsers),
    ("GET", "/clients/{id}/attributes", Route::ListClientAttributes),
    ("POST", "/clients/{id}/attributes", Route::CreateClientAttribute),
    ("GET", "/users/{id}/attributes", Route::ListUserAttributes),
    ("POST", "/users/{id}/attributes", Route::CreateUserAttribute),
    ("GET", "/stores/{id}/attributes", Route::ListStoreAttributes),
    ("POST", "/stores/{id}/attributes", Route::CreateStoreAttribute),
    ("GET", "/client_attributes/{id}", Route::ShowAttribute),
    ("PATCH", "/client_attributes/{id}", Route::ChangeAttribute),
    ("DELETE", "/client_attributes/{id}", Route::DeleteAttribute),
    ("GET", "/user_attributes/{id}", Route::ShowAttribute),
    ("PATCH", "/user_attributes/{id}", Route::ChangeAttribute),
    ("DELETE", "/user_attributes/{id}", Route::DeleteAttribute),
    ("GET", "/store_attributes/{id}", Route::ShowAttribute),
    ("PATCH", "/store_attributes/{id}", Route::ChangeAttribute),
    ("DELETE", "/store_attributes/{id}", Route::DeleteAttribute),
    ("GET", "/reporting", Route::Reporting),
    ("GET", "/reporting/email_exists", Route::EmailExists),
    ("GET", "/reporting/store_domain_exists", Route::StoreDomainExists),
    ("GET", "/property_helpers", Route::NotSimulated),
    ("POST", "/encode", Route::NotSimulated),
    ("GET", "/stores/{id}/{child}", Route::NotSimulated),
    ("POST", "/stores/{id}/{child}", Route::NotSimulated),
];

/// What a request line leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A route, and the number in its path: 0 where it has none.
    Route(Route, u64),
    /// The path is right, the method isn't: the ones that are.
    OtherMethods(Vec<&'static str>),
    /// Nothing is there.
    Nothing,
}

/// Finds the route of a request line. HEAD is GET whose body the server leaves out.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let mut others = Vec::new();
    for (allowed, pattern, route) in TABLE {
        let Some(id) = fits(pattern, path) else { continue };
        if *allowed == method {
            return Found::Route(*route, id);
        }
        if !others.contains(allowed) {
            others.push(*allowed);
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// The number in a path that fits the pattern, 0 where the pattern has none. `{child}` fits any one segment.
fn fits(pattern: &str, path: &str) -> Option<u64> {
    let mut id = 0;
    let mut segments = path.trim_end_matches('/').split('/');
    for expected in pattern.trim_end_matches('/').split('/') {
        let segment = segments.next()?;
        match expected {
            "{id}" => id = segment.parse().ok()?,
            "{child}" => {}
            _ if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(id)
}

impl Route {
    /// Its name in the books and in fault scripts, `POST /users`.
    pub(crate) fn name(self) -> String {
        TABLE
            .iter()
            .find(|(_, _, route)| *route == self)
            .map_or_else(|| "(no route)".to_owned(), |(method, pattern, _)| format!("{method} {pattern}"))
    }
}

/// What a token request asks for (RFC 6749): the token endpoint's requests are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

impl GrantType {
    /// The one of that name on the wire.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "authorization_code" => Some(Self::AuthorizationCode),
            "refresh_token" => Some(Self::RefreshToken),
            "client_credentials" => Some(Self::ClientCredentials),
            _ => None,
        }
    }
}

/// One route by its name, such as `POST /users`, or `*` for all of them.
///
/// A name is a method and a path with `{id}` for numbers. `POST /stores` and `POST /users/{id}/stores` are the
/// same route, and so are `GET /stores` and `GET /users/{id}/stores`: Foxy's own links use the longer path. Token
/// requests of one kind are `POST /token?grant_type=authorization_code`, although a form says it, and no query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutePattern {
    route: Option<Route>,
    grant_type: Option<GrantType>,
}

impl RoutePattern {
    /// Every route, unknown paths included.
    pub const ANY: Self = Self { route: None, grant_type: None };

    /// Whether it means this route and grant type. `None` is a request that no route fits, or that is for no token.
    pub(crate) fn covers(self, route: Option<Route>, grant_type: Option<GrantType>) -> bool {
        (self.route.is_none() || self.route == route) && (self.grant_type.is_none() || self.grant_type == grant_type)
    }

    /// The one route it means, or `None` for `*`.
    pub(crate) fn route(self) -> Option<Route> {
        self.route
    }

    /// The one grant type it means, if only one.
    pub(crate) fn grant_type(self) -> Option<GrantType> {
        self.grant_type
    }
}

impl FromStr for RoutePattern {
    type Err = ParseRouteError;

    fn from_str(text: &str) -> Result<Self, ParseRouteError> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::ANY);
        }
        let wrong = || ParseRouteError { route: text.to_owned() };
        let (name, query) = text.split_once('?').map_or((text, None), |(name, query)| (name, Some(query)));
        let wanted = name.split_once(char::is_whitespace).map(|(method, path)| (method, path.trim()));
        let mut entries = TABLE.iter().filter(|(method, pattern, _)| wanted == Some((*method, *pattern)));
        let route = entries.next().map(|(_, _, route)| *route).ok_or_else(wrong)?;
        let grant_type = match query {
            None => None,
            Some(query) => {
                let name = query.strip_prefix("grant_type=").filter(|_| route == Route::Token).ok_or_else(wrong)?;
                Some(GrantType::parse(name).ok_or_else(wrong)?)
            }
        };
        Ok(Self { route: Some(route), grant_type })
    }
}

/// A route name that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no route is called {route:?}; routes look like \"POST /users\", \"GET /users/{{id}}/stores\", or * for all")]
pub struct ParseRouteError {
    route: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_paths_are_found_and_trailing_slashes_ignored() {
        assert_eq!(find(&Method::GET, "/"), Found::Route(Route::Home, 0));
        assert_eq!(find(&Method::HEAD, "/users/12/stores/"), Found::Route(Route::ListStores, 12));
        assert_eq!(find(&Method::GET, "/stores/3/transactions"), Found::Route(Route::NotSimulated, 3));
        assert_eq!(find(&Method::GET, "/users/twelve"), Found::Nothing);
        assert_eq!(find(&Method::PUT, "/users"), Found::OtherMethods(vec!["POST"]));
    }

    #[test]
    fn every_route_name_parses_to_its_route() {
        for (method, pattern, route) in TABLE {
            let parsed: RoutePattern = format!("{method} {pattern}").parse().unwrap();
            assert!(parsed.covers(Some(*route), None));
        }
        for wrong in ["POST /user", "POST /token?grant_type=password", "POST /token?code=1", "GET /?grant_type=code"] {
            assert!(wrong.parse::<RoutePattern>().is_err(), "{wrong}");
        }
    }
}
