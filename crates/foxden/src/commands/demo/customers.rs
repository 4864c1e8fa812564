//! The demo's customers: made up, the same in every run, with names as real ones have them.

use serde_json::{Value, json};

const FIRST: [&str; 12] =
    ["Ada", "Björn", "Chloé", "Dmitri", "Emeka", "Fatima", "Grace", "Hiroshi", "Inês", "Jürgen", "Łucja", "Mei"];
const LAST: [&str; 10] =
    ["Lovelace", "Åkerlund", "Dubois", "Ivanov", "Okafor", "Haddad", "O'Neill", "Tanaka", "Müller", "Nowak"];
const SHOPS: [&str; 15] = [
    "Analytical Engines",
    "Smörgås & Co.",
    "Café des Fleurs",
    "Northern Lights Candles",
    "Lagos Print House",
    "Atlas Rugs",
    "O'Neill's Bicycles",
    "茶屋 Tea House",
    "Azulejo Tiles",
    "Größenwahn Hats",
    "Amber & Oak",
    "Paper Crane Books",
    "The Honey Shelf",
    "Second Wind Sails",
    "Copper Kettle Coffee",
];

const TOWNS: [&str; 24] = [
    "Aarhus",
    "Bergen",
    "Cork",
    "Dundee",
    "Évora",
    "Fargo",
    "Ghent",
    "Hobart",
    "Innsbruck",
    "Jena",
    "Kraków",
    "Lund",
    "Malmö",
    "Nantes",
    "Oulu",
    "Porto",
    "Quimper",
    "Reims",
    "Split",
    "Turku",
    "Utrecht",
    "Verona",
    "Wels",
    "Zürich",
];

/// The signup id of the n-th customer.
pub(super) fn signup_id(number: u32) -> String {
    format!("acct_{number:06}")
}

/// The name of a customer's store, by the signup id.
pub(super) fn store_name_of(signup_id: &str) -> String {
    let number = signup_id.trim_start_matches("acct_").parse().unwrap_or_default();
    store_name(number)
}

/// The first names come twice, so that a demo shows what happens to a derived domain that is taken.
fn store_name(number: u32) -> String {
    let (shop, round) = (pick(&SHOPS, number), number / (2 * SHOPS.len() as u32));
    if round == 0 { shop.to_owned() } else { format!("{shop} {}", pick(&TOWNS, round)) }
}

fn pick(names: &'static [&'static str], number: u32) -> &'static str {
    names[number as usize % names.len()]
}

/// The signup event of the n-th customer. Every third has a domain of its own; the others leave it to foxden.
pub(super) fn event(number: u32) -> Value {
    let id = signup_id(number);
    let mut event = json!({
        "version": 1,
        "signup_id": id,
        "user": {
            "first_name": pick(&FIRST, number),
            "last_name": pick(&LAST, number),
            "email": format!("{id}@customers.example"),
        },
        "store": {
            "name": store_name(number),
            "url": format!("https://{number}.shops.example"),
            "email": format!("orders+{id}@customers.example"),
            "country": "US",
            "region": "MN",
            "postal_code": "55401",
        },
    });
    if number.is_multiple_of(3) {
        event["store"]["domain"] = format!("shop-{number:06}").into();
    }
    event
}

#[cfg(test)]
mod tests {
    use foxden_intake::SignupEvent;

    #[test]
    fn every_customer_is_as_the_contract_wants_it() {
        for number in 1..200 {
            SignupEvent::parse(super::event(number).to_string().as_bytes()).unwrap();
        }
        assert_eq!(super::store_name_of("acct_000002"), "Café des Fleurs");
    }
}
