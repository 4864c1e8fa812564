//! What Foxy is asked for, in its own words.

use foxden_ledger::Wanted;
use foxy_api::TokenScope;

/// The scope to ask for: full access to the user, or to the store. Where the store's address is known and ends in its
/// number, the person is asked for that store alone (`store_id_N`), so that another one isn't granted by mistake.
/// Whether Foxy heeds that is not known; what was granted is judged by what it opens.
pub fn scope_for(wanted: Wanted, expected_uri: Option<&str>) -> String {
    match wanted {
        Wanted::User => TokenScope::User.as_str().to_owned(),
        Wanted::Store => match expected_uri.and_then(number) {
            Some(number) => format!("{} store_id_{number}", TokenScope::Store),
            None => TokenScope::Store.as_str().to_owned(),
        },
    }
}

/// The number that an address ends in.
fn number(uri: &str) -> Option<u64> {
    let (_, last) = uri.trim_end_matches('/').rsplit_once('/')?;
    // A sign would be read as one, too.
    last.bytes().all(|byte| byte.is_ascii_digit()).then(|| last.parse().ok())?
}

#[cfg(test)]
mod tests {
    use foxden_ledger::Wanted;

    use super::scope_for;

    #[test]
    fn a_store_is_asked_for_by_its_number_where_that_is_known() {
        for (wanted, uri, expected) in [
            (Wanted::Store, Some("https://api.foxycart.com/stores/8"), "store_full_access store_id_8"),
            (Wanted::Store, Some("https://api.foxycart.com/stores/8/"), "store_full_access store_id_8"),
            (Wanted::Store, Some("https://api.foxycart.com/stores/eight"), "store_full_access"),
            (Wanted::Store, Some("https://api.foxycart.com/stores/+8"), "store_full_access"),
            (Wanted::Store, Some("https://api.foxycart.com/stores/8?zoom=9"), "store_full_access"),
            (Wanted::Store, Some("https://api.foxycart.com/stores/99999999999999999999"), "store_full_access"),
            (Wanted::Store, Some("8"), "store_full_access"),
            (Wanted::Store, None, "store_full_access"),
            (Wanted::User, Some("https://api.foxycart.com/users/8"), "user_full_access"),
            (Wanted::User, None, "user_full_access"),
        ] {
            assert_eq!(scope_for(wanted, uri), expected, "{wanted} {uri:?}");
        }
    }
}
