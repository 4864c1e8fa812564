//! What foxden takes for granted of Foxy though Foxy's documentation does not say it. `docs/foxy-assumptions.md` has the
//! same list with what hangs on each, and where in the code.

use crate::listed::listed;

listed! {
    /// One thing that is assumed.
    Assumption {
        Access = "client-access": "client id and secret, as they are, open the home document with fx:create_user",
        WrongSecret = "wrong-secret": "a wrong client secret is told as invalid_client, or by status 401",
        EmailAbsent = "email-absent": "an email nobody has is told in the words we know",
        DomainAbsent = "domain-absent": "a domain no store has is told in the words we know",
        UserCreated = "user-created": "this client is exempt from the captcha; a new user comes with a refresh token",
        UserLinksStores = "user-links-stores": "the answer to a user's creation links fx:stores",
        UserText = "user-text": "names keep every letter",
        EmailTaken = "email-taken": "a taken email is refused in words we know",
        EmailFound = "email-found": "a new user is found by its email within 10 minutes",
        EmailCase = "email-case": "emails that differ in case are one",
        NoStores = "no-stores": "a user without stores has an empty list of them",
        RefreshStays = "refresh-stays": "a refresh token stays as it is when used",
        StoreCreated = "store-created": "a new user may create a store at once; it comes with a refresh token",
        DomainTaken = "domain-taken": "a taken domain is refused in words we know",
        DomainReserved = "domain-reserved": "a domain that Foxy keeps for itself is refused in words we know",
        StoreListed = "store-listed": "a new store is in its user's list within 10 minutes",
        DomainFound = "domain-found": "a new store is found by its domain within 10 minutes",
        DomainCase = "domain-case": "domains that differ in case are one",
        StoreToken = "store-token": "a store's refresh token opens that store, under the domain that was asked for",
        StoreNote = "store-note": "a store's token may write a restricted attribute, which is embedded in the store",
    }
}

#[cfg(test)]
mod tests {
    use super::Assumption;

    const DOC: &str = include_str!("../../../../../docs/foxy-assumptions.md");

    #[test]
    fn every_assumption_that_can_be_tried_is_documented_with_its_place_in_the_code() {
        let rows: Vec<_> = DOC.lines().filter_map(|line| line.strip_prefix("| `")).collect();
        for assumption in Assumption::ALL {
            let row = rows.iter().find(|row| row.starts_with(&format!("{}` | ", assumption.id())));
            let row = row.unwrap_or_else(|| panic!("foxy-assumptions.md has no row for {}", assumption.id()));
            assert!(row.contains(assumption.text()), "{}: the row says something else", assumption.id());
        }
    }

    #[test]
    fn every_place_that_the_document_names_is_there() {
        let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let places = DOC.split('`').filter(|text| text.starts_with("crates/"));
        let mut count = 0;
        for place in places {
            assert!(top.join(place).exists(), "{place} is not there");
            count += 1;
        }
        assert!(count >= Assumption::ALL.len(), "each row names its place");
    }
}
