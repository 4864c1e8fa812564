//! Custom attributes of clients, users and stores (Foxy docs: rels/attributes, rels/attribute).

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{collection, home, not_saved, refuse_mistakes};
use crate::access;
use crate::allows::Allowed;
use crate::call::Call;
use crate::core::Core;
use crate::fields::{Field, Kind, Purpose, check};
use crate::journal::Entry;
use crate::moment::{foxy_date, now_ms};
use crate::records::{Attribute, Records};
use crate::reply::{Links, Reply};
use crate::resource::Resource;

/// Foxy docs: rels/attribute.
const FIELDS: &[Field] = &[
    Field::required("name", Kind::Text, 500),
    Field::required("value", Kind::Text, 1000),
    Field::optional("visibility", Kind::OneOf(&["public", "private", "restricted"]), 0).only_on_creation(),
];

/// `GET /…/{id}/attributes`.
pub(crate) fn list(core: &Core, records: &Records, call: &Call, owner: Resource) -> Result<Reply, Reply> {
    let reader = &access::to(records, call, owner)?.client_id;
    let attributes = records.attributes_of(owner, reader).map(|attribute| document(core, attribute)).collect();
    Ok(collection::page(core, call, "fx:attributes", attributes))
}

/// `POST /…/{id}/attributes`.
pub(crate) fn create(core: &Core, records: &mut Records, call: &Call, owner: Resource) -> Result<Reply, Reply> {
    let maker = access::to(records, call, owner)?.client_id.clone();
    // An attribute without a maker is everyone's.
    let maker = core.allows.has(Allowed::HidesRestrictedAttributes).then_some(maker);
    let checked = check(FIELDS, &call.properties()?, Purpose::Create);
    refuse_mistakes(&checked.mistakes)?;
    let mut properties = Map::from_iter([("visibility".to_owned(), Value::from("private"))]);
    properties.extend(checked.properties);
    let now = now_ms();
    let id = records.next_attribute();
    let attribute = Attribute { id, owner, maker, properties, created_at_ms: now, modified_at_ms: now };
    let links = links(core, &attribute);
    records.commit(Entry::Attribute(attribute)).map_err(not_saved)?;
    Ok(home::message(StatusCode::CREATED, "The attribute was created successfully.", links))
}

/// `GET /…_attributes/{id}`. A public one needs no token.
pub(crate) fn show(core: &Core, records: &Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let attribute = match at(records, call, id).filter(|attribute| attribute.is_public()) {
        Some(public) => public,
        None => own(records, call, id)?,
    };
    Ok(Reply::hal(StatusCode::OK, document(core, attribute)))
}

/// `PATCH /…_attributes/{id}`.
pub(crate) fn change(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let mut attribute = own(records, call, id)?.clone();
    let checked = check(FIELDS, &call.properties()?, Purpose::Change);
    refuse_mistakes(&checked.mistakes)?;
    attribute.properties.extend(checked.properties);
    attribute.modified_at_ms = now_ms();
    records.commit(Entry::Attribute(attribute.clone())).map_err(not_saved)?;
    Ok(Reply::hal(StatusCode::OK, document(core, &attribute)))
}

/// `DELETE /…_attributes/{id}`.
pub(crate) fn delete(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let links = links(core, own(records, call, id)?);
    records.commit(Entry::AttributeDeleted(id)).map_err(not_saved)?;
    Ok(home::message(StatusCode::OK, "The attribute was deleted.", links))
}

/// An attribute as it is read.
pub(crate) fn document(core: &Core, attribute: &Attribute) -> Value {
    let mut document = attribute.properties.clone();
    document.insert("date_created".to_owned(), Value::from(foxy_date(attribute.created_at_ms)));
    document.insert("date_modified".to_owned(), Value::from(foxy_date(attribute.modified_at_ms)));
    document.insert("_links".to_owned(), links(core, attribute).done());
    Value::Object(document)
}

/// The attribute of that number, if it lives at that path.
fn at<'a>(records: &'a Records, call: &Call, id: u64) -> Option<&'a Attribute> {
    let attribute = records.attributes.get(&id)?;
    call.uri.path().starts_with(attribute.owner.attributes_home()).then_some(attribute)
}

/// The same, if the token opens its owner and its client sees the attribute.
fn own<'a>(records: &'a Records, call: &Call, id: u64) -> Result<&'a Attribute, Reply> {
    let caller = access::anyone(records, call)?;
    let attribute = at(records, call, id)
        .filter(|attribute| attribute.owner == caller.resource && caller.is_full())
        .filter(|attribute| attribute.is_seen_by(&caller.client_id));
    attribute.ok_or_else(|| Reply::not_found("This attribute was not found."))
}

fn links<'a>(core: &'a Core, attribute: &Attribute) -> Links<'a> {
    let path = format!("{}/{}", attribute.owner.attributes_home(), attribute.id);
    Links::from_base(&core.base).with("self", &path, "This attribute.")
}
