//! Pages of collections (Foxy docs: rels/stores; cheat sheet).

use axum::http::StatusCode;
use serde_json::{Number, Value, json};
use url::form_urlencoded::Serializer;

use crate::call::Call;
use crate::core::Core;
use crate::reply::{Links, Reply};

/// Items on a page unless the query says otherwise.
const DEFAULT_LIMIT: usize = 20;
/// Items on a page at most; more is cut down to it.
const MAX_LIMIT: usize = 300;
/// Query parameters that are no filters. The last three are accepted and change nothing here.
const NOT_FILTERS: &[&str] = &["limit", "offset", "order", "fields", "zoom"];

/// The page that the query asks for, of those items that fit its filters.
///
/// As in Foxy's own examples, all four page links are always there: on the last page `next` is the page itself,
/// so a client that follows `next` until it is missing never ends.
pub(crate) fn page(core: &Core, call: &Call, rel: &str, items: Vec<Value>) -> Reply {
    let number = |name: &str| call.query_value(name).and_then(|value| value.parse().ok());
    let limit = number("limit").unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let offset = number("offset").unwrap_or(0);
    let filters: Vec<_> = call.query().filter(|(name, _)| !NOT_FILTERS.contains(&name.as_str())).collect();
    let fitting: Vec<_> = items.into_iter().filter(|item| filters.iter().all(|filter| fits(item, filter))).collect();
    let total = fitting.len();
    let page: Vec<_> = fitting.into_iter().skip(offset).take(limit).collect();

    let last = total.saturating_sub(1) / limit * limit;
    let next = if offset.saturating_add(limit) < total { offset + limit } else { offset };
    let own = call.uri.path_and_query().map_or(call.uri.path(), |path| path.as_str());
    let links = Links::from_base(&core.base)
        .with("self", own, "This collection.")
        .with("first", &at_offset(call, 0), "The first page.")
        .with("prev", &at_offset(call, offset.saturating_sub(limit)), "The previous page.")
        .with("next", &at_offset(call, next), "The next page.")
        .with("last", &at_offset(call, last), "The last page.");
    let document = json!({
        "_links": links.done(),
        "total_items": total,
        "returned_items": page.len(),
        "limit": limit,
        "offset": offset,
        "_embedded": { rel: page },
    });
    Reply::hal(StatusCode::OK, document)
}

/// The same query at another offset.
fn at_offset(call: &Call, offset: usize) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(call.query().filter(|(name, _)| name != "offset"));
    query.append_pair("offset", &offset.to_string());
    format!("{}?{}", call.uri.path(), query.finish())
}

/// Whether an item has the property, with exactly that text; a filter on an unknown property fits nothing.
fn fits(item: &Value, (name, wanted): &(String, String)) -> bool {
    match item.get(name) {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(flag)) => wanted.parse().is_ok_and(|wanted: bool| wanted == *flag),
        Some(Value::Number(number)) => wanted.parse().is_ok_and(|wanted: Number| wanted == *number),
        _ => false,
    }
}
