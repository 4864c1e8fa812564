//! OAuth clients (Foxy docs: rels/create_client, rels/client).

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Parts, document, not_saved, refuse_mistakes, token_object};
use crate::access;
use crate::allows::Allowed;
use crate::call::Call;
use crate::core::Core;
use crate::fields::{Field, Kind, Purpose, check};
use crate::grants::Grantee;
use crate::journal::Entry;
use crate::moment::now_ms;
use crate::records::{Client, Records, text};
use crate::reply::{Links, Reply};
use crate::resource::Resource;

/// Foxy docs: rels/create_client; the lengths are guesses.
const FIELDS: &[Field] = &[
    Field::optional("client_id", Kind::Text, 80).only_on_creation(),
    Field::required("redirect_uri", Kind::WebUrl, 300),
    Field::required("project_name", Kind::Text, 200),
    Field::optional("project_description", Kind::Text, 0),
    Field::required("company_name", Kind::Text, 200),
    Field::optional("company_url", Kind::WebUrl, 300),
    Field::optional("company_logo", Kind::WebUrl, 300),
    Field::required("contact_name", Kind::Text, 200),
    Field::required("contact_email", Kind::Email, 100),
    Field::required("contact_phone", Kind::Text, 50),
    Field::optional("javascript_origin_uri", Kind::WebUrl, 300),
];

/// `POST /clients`: needs no token.
pub(crate) fn create(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    access::caller(records, call)?;
    let mut checked = check(FIELDS, &call.properties()?, Purpose::Create);
    let wanted = text(&checked.properties, "client_id").to_owned();
    checked.properties.remove("client_id");
    if !wanted.is_empty() && records.client_by_public_id(&wanted).is_some() {
        checked.mistakes.push("client_id is already in use".to_owned());
    }
    refuse_mistakes(&checked.mistakes)?;
    let now = now_ms();
    let wanted = Some(wanted).filter(|wanted| !wanted.is_empty());
    let client = records.draw_client(wanted, checked.properties, now);
    records.commit(Entry::Client(client.clone())).map_err(not_saved)?;
    let resource = Resource::Client(client.id);
    let grantee = Grantee::of(&client.client_id, resource);
    let token = token_object(core, records, grantee, Some(&client.refresh_token));
    let document = json!({
        "_links": links(core, resource),
        "message": "The client was created successfully.",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "token": token,
    });
    Ok(Reply::hal(StatusCode::CREATED, document))
}

/// `GET /clients/{id}`, with the secret (Foxy docs: rels/create_client).
pub(crate) fn show(core: &Core, records: &Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    access::to(records, call, Resource::Client(id))?;
    let client = records.clients.get(&id).ok_or_else(not_found)?;
    Ok(Reply::hal(StatusCode::OK, read(core, records, client)))
}

/// `PATCH /clients/{id}`. A new `client_secret` holds at once; an empty one asks for a random one (Foxy docs:
/// authentication, client creation).
pub(crate) fn change(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    access::to(records, call, Resource::Client(id))?;
    let mut client = records.clients.get(&id).cloned().ok_or_else(not_found)?;
    let given = call.properties()?;
    let checked = check(FIELDS, &given, Purpose::Change);
    refuse_mistakes(&checked.mistakes)?;
    client.properties.extend(checked.properties);
    client.modified_at_ms = now_ms();
    match given.get("client_secret").map(Value::as_str) {
        None => {}
        Some(_) if !core.allows.has(Allowed::ShowsClientSecret) => {
            return Err(Reply::bad_request("client_secret can not be changed"));
        }
        Some(None) => return Err(Reply::bad_request("client_secret must be a string")),
        Some(Some("")) => client.client_secret = records.draw_token(),
        Some(Some(secret)) => secret.clone_into(&mut client.client_secret),
    }
    records.commit(Entry::Client(client.clone())).map_err(not_saved)?;
    Ok(Reply::hal(StatusCode::OK, read(core, records, &client)))
}

fn read(core: &Core, records: &Records, client: &Client) -> Value {
    let resource = Resource::Client(client.id);
    let own = [("client_id", &client.client_id), ("client_secret", &client.client_secret)];
    let mut properties = Map::from_iter(own.map(|(name, value)| (name.to_owned(), Value::from(value.as_str()))));
    properties.retain(|name, _| name != "client_secret" || core.allows.has(Allowed::ShowsClientSecret));
    properties.extend(client.properties.clone());
    let parts = Parts {
        properties: &properties,
        created_at_ms: client.created_at_ms,
        modified_at_ms: client.modified_at_ms,
        links: links(core, resource),
    };
    document(core, records, resource, &client.client_id, parts)
}

fn links(core: &Core, resource: Resource) -> Value {
    let path = resource.path();
    Links::from_base(&core.base)
        .with("self", &path, "This client.")
        .with("fx:attributes", &format!("{path}/attributes"), "Attributes of this client.")
        .done()
}

fn not_found() -> Reply {
    Reply::not_found("This client was not found.")
}
