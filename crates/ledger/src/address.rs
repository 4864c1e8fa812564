//! Comparing addresses of Foxy's that were kept.
//!
//! One resource has several of them: Foxy's production API has two names, and its answers may carry either; a
//! simulator has another port each time it starts. A ledger belongs to one Foxy, so what an address names is its
//! path.

use sea_orm::{
    ExprTrait,
    sea_query::{Expr, SimpleExpr},
};

/// The path of an address: what stays of it whatever name or port Foxy is reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourcePath(String);

/// Behind `http://` and the first letter of the host, or behind `https://`.
const IN_HOST: usize = 8;

impl ResourcePath {
    pub(crate) fn of(address: &str) -> Self {
        let path = address.get(IN_HOST..).and_then(|rest| rest.find('/').and_then(|place| rest.get(place..)));
        Self(path.unwrap_or(address).to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a column has an address with this path, in the words of the index on those of stores.
    pub(crate) fn is_in(&self, column: &str, is_embedded: bool) -> SimpleExpr {
        // SQLite does not see that what has a path is not null, which the index demands.
        Expr::cust(format!("{column} IS NOT NULL")).and(Expr::cust(path_in(column, is_embedded)).eq(self.0.as_str()))
    }
}

/// The path of the address in a column, as an expression.
pub(crate) fn path_in(column: &str, is_embedded: bool) -> String {
    let find = if is_embedded { "instr" } else { "strpos" };
    format!("substr({column}, {find}(substr({column}, 9), '/') + 8)")
}

/// Whether two addresses name the same resource. One that is missing names none.
pub fn is_same_resource(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_some_and(|(one, other)| ResourcePath::of(one) == ResourcePath::of(other))
}

#[cfg(test)]
mod tests {
    use super::is_same_resource;

    #[test]
    fn an_address_names_the_same_under_each_of_foxys_names_and_ports() {
        for (one, other, same) in [
            ("https://api.foxycart.com/stores/12", "https://api.foxy.io/stores/12", true),
            ("http://127.0.0.1:35501/stores/1", "http://127.0.0.1:40021/stores/1", true),
            ("http://h/stores/1", "https://h/stores/1", true),
            ("https://api.foxycart.com/stores/12", "https://api.foxycart.com/stores/1", false),
            ("https://api.foxycart.com/stores/12", "https://api.foxycart.com/users/12", false),
            ("é", "é", true),
            ("", "https:/", false),
        ] {
            assert_eq!(is_same_resource(Some(one), Some(other)), same, "{one} {other}");
        }
        assert!(!is_same_resource(None, None));
    }
}
