//! Everything the simulator knows, indexed, and written to the journal before it is believed.
//!
//! Nothing here has `Debug`: it all holds tokens. `properties` are as given and checked; `refresh_token` is the one
//! that the creation answered; a resource that is changed is written again whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::books::{BookedStore, BookedUser, Books};
use crate::codes::Codes;
use crate::dice::Dice;
use crate::grants::{Grantee, Grants, Refresh, Source};
use crate::journal::{Entry, Journal};
use crate::logins::Logins;
use crate::resource::Resource;

/// An OAuth client.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) refresh_token: String,
    pub(crate) properties: Map<String, Value>,
    pub(crate) created_at_ms: u64,
    pub(crate) modified_at_ms: u64,
}

/// A Foxy user.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) refresh_token: String,
    pub(crate) properties: Map<String, Value>,
    pub(crate) created_at_ms: u64,
    pub(crate) modified_at_ms: u64,
    pub(crate) answered: bool,
}

/// A store, and the user that made it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) id: u64,
    pub(crate) owner: u64,
    pub(crate) client_id: String,
    pub(crate) refresh_token: String,
    pub(crate) properties: Map<String, Value>,
    pub(crate) created_at_ms: u64,
    pub(crate) modified_at_ms: u64,
    pub(crate) answered: bool,
}

/// A custom attribute of a client, user or store.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Attribute {
    pub(crate) id: u64,
    pub(crate) owner: Resource,
    /// The OAuth client that made it. Unknown in books of earlier releases: then it counts as the reader's own.
    #[serde(default)]
    pub(crate) maker: Option<String>,
    pub(crate) properties: Map<String, Value>,
    pub(crate) created_at_ms: u64,
    pub(crate) modified_at_ms: u64,
}

impl Attribute {
    /// Whether this OAuth client sees it, if it has access to the owner. Only `restricted` hides anything from a
    /// client (Foxy docs: rels/attributes).
    pub(crate) fn is_seen_by(&self, client_id: &str) -> bool {
        let made_it = self.maker.as_deref().is_none_or(|maker| maker == client_id);
        made_it || text(&self.properties, "visibility") != "restricted"
    }

    /// Whether everyone sees it.
    pub(crate) fn is_public(&self) -> bool {
        text(&self.properties, "visibility") == "public"
    }
}

/// A property's text, empty when it isn't there.
pub(crate) fn text<'a>(properties: &'a Map<String, Value>, name: &str) -> &'a str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Everything the simulator knows. All of it sits behind one lock, so that uniqueness needs no further care.
pub(crate) struct Records {
    /// Which books these are; a running simulator's have it.
    pub(crate) books_id: Option<String>,
    pub(crate) clients: BTreeMap<u64, Client>,
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) stores: BTreeMap<u64, Store>,
    pub(crate) attributes: BTreeMap<u64, Attribute>,
    pub(crate) grants: Grants,
    pub(crate) codes: Codes,
    pub(crate) logins: Logins,
    pub(crate) dice: Dice,
    emails: HashMap<String, u64>,
    domains: HashMap<String, u64>,
    stores_by_owner: HashMap<u64, Vec<u64>>,
    newest_user: u64,
    newest_store: u64,
    newest_attribute: u64,
    /// Emails and domains of what was deleted that stay taken.
    kept_names: HashSet<String>,
    journal: Option<Journal>,
    closed: bool,
}

impl Records {
    /// Builds the records from what a journal held, and keeps the journal for what comes.
    pub(crate) fn replay(journal: Option<Journal>, entries: Vec<Entry>, dice: Dice) -> Self {
        let mut records = Self {
            books_id: None,
            clients: BTreeMap::new(),
            users: BTreeMap::new(),
            stores: BTreeMap::new(),
            attributes: BTreeMap::new(),
            grants: Grants::default(),
            codes: Codes::default(),
            logins: Logins::default(),
            dice,
            emails: HashMap::new(),
            domains: HashMap::new(),
            stores_by_owner: HashMap::new(),
            newest_user: 0,
            newest_store: 0,
            newest_attribute: 0,
            kept_names: HashSet::new(),
            journal,
            closed: false,
        };
        entries.into_iter().for_each(|entry| records.apply(entry));
        records
    }

    /// Writes an entry to the journal, then believes it.
    ///
    /// # Errors
    /// When the journal can't be written, or the simulator has stopped; then nothing has changed.
    pub(crate) fn commit(&mut self, entry: Entry) -> io::Result<()> {
        if self.closed {
            return Err(io::Error::other("the simulator has stopped"));
        }
        if let Some(journal) = &mut self.journal {
            journal.append(&entry)?;
        }
        self.apply(entry);
        Ok(())
    }

    /// Whether what is made outlives the process.
    pub(crate) fn are_saved(&self) -> bool {
        self.journal.is_some()
    }

    /// Gives the books file, and its lock, back. Nothing is made from here on: it would be answered for, but lost.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.journal = None;
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Books { id } => drop(self.books_id.get_or_insert(id)),
            Entry::Client(client) => {
                let grantee = Grantee::of(&client.client_id, Resource::Client(client.id));
                let refresh = Refresh { grantee, source: Source::Created, since_ms: client.created_at_ms };
                self.grants.keep_refresh(client.refresh_token.clone(), refresh);
                self.clients.insert(client.id, client);
            }
            Entry::User(user) => {
                if let Some(old) = self.users.get(&user.id) {
                    self.emails.remove(&key(text(&old.properties, "email")));
                }
                self.emails.insert(key(text(&user.properties, "email")), user.id);
                let grantee = Grantee::of(&user.client_id, Resource::User(user.id));
                let refresh = Refresh { grantee, source: Source::Created, since_ms: user.created_at_ms };
                self.grants.keep_refresh(user.refresh_token.clone(), refresh);
                self.newest_user = self.newest_user.max(user.id);
                self.users.insert(user.id, user);
            }
            Entry::Store(store) => {
                match self.stores.get(&store.id) {
                    Some(old) => {
                        self.domains.remove(&key(text(&old.properties, "store_domain")));
                    }
                    None => self.stores_by_owner.entry(store.owner).or_default().push(store.id),
                }
                self.domains.insert(key(text(&store.properties, "store_domain")), store.id);
                let grantee = Grantee::of(&store.client_id, Resource::Store(store.id));
                let refresh = Refresh { grantee, source: Source::Created, since_ms: store.created_at_ms };
                self.grants.keep_refresh(store.refresh_token.clone(), refresh);
                self.newest_store = self.newest_store.max(store.id);
                self.stores.insert(store.id, store);
            }
            Entry::Attribute(attribute) => {
                self.newest_attribute = self.newest_attribute.max(attribute.id);
                self.attributes.insert(attribute.id, attribute);
            }
            Entry::AttributeDeleted(id) => {
                self.attributes.remove(&id);
            }
            Entry::UserDeleted { id, keeps_email } => {
                if let Some(user) = self.users.remove(&id) {
                    let email = key(text(&user.properties, "email"));
                    self.emails.remove(&email);
                    self.kept_names.extend(keeps_email.then_some(email));
                }
                self.grants.end_all_of(Resource::User(id));
            }
            Entry::StoreDeleted { id, keeps_domain } => {
                if let Some(store) = self.stores.remove(&id) {
                    let domain = key(text(&store.properties, "store_domain"));
                    self.domains.remove(&domain);
                    self.kept_names.extend(keeps_domain.then_some(domain));
                }
                self.grants.end_all_of(Resource::Store(id));
            }
            Entry::Granted { refresh_token, refresh } => self.grants.keep_refresh(refresh_token, refresh),
            Entry::Ended { refresh_token } => self.grants.end_refresh(refresh_token),
            Entry::Answered(Resource::User(id)) => {
                if let Some(user) = self.users.get_mut(&id) {
                    user.answered = true;
                }
            }
            Entry::Answered(Resource::Store(id)) => {
                if let Some(store) = self.stores.get_mut(&id) {
                    store.answered = true;
                }
            }
            Entry::Answered(Resource::Client(_)) => {}
        }
    }

    /// A new client, not booked yet, under this id or one of its own.
    pub(crate) fn draw_client(
        &mut self,
        client_id: Option<String>,
        properties: Map<String, Value>,
        now: u64,
    ) -> Client {
        Client {
            id: self.next_client(),
            client_id: client_id.unwrap_or_else(|| format!("client_{}", self.draw_token())),
            client_secret: self.draw_token(),
            refresh_token: self.draw_token(),
            properties,
            created_at_ms: now,
            modified_at_ms: now,
        }
    }

    /// The number of the next client.
    pub(crate) fn next_client(&self) -> u64 {
        next(&self.clients)
    }

    /// The number of the next user; a deleted one's number isn't used again.
    pub(crate) fn next_user(&self) -> u64 {
        self.newest_user + 1
    }

    /// The number of the next store; a deleted one's number isn't used again.
    pub(crate) fn next_store(&self) -> u64 {
        self.newest_store + 1
    }

    /// The number of the next attribute; a deleted one's number isn't used again.
    pub(crate) fn next_attribute(&self) -> u64 {
        self.newest_attribute + 1
    }

    /// A token nobody holds yet.
    pub(crate) fn draw_token(&mut self) -> String {
        self.grants.draw(&mut self.dice)
    }

    /// A store's secret, of 60 characters (Foxy docs: rels/store).
    pub(crate) fn draw_secret(&mut self) -> String {
        let mut secret = self.dice.token() + &self.dice.token();
        secret.truncate(60);
        secret
    }

    /// The client of that public id.
    pub(crate) fn client_by_public_id(&self, client_id: &str) -> Option<&Client> {
        self.clients.values().find(|client| client.client_id == client_id)
    }

    /// The user with that login; case makes no difference.
    pub(crate) fn user_by_email(&self, email: &str) -> Option<&User> {
        self.emails.get(&key(email)).and_then(|id| self.users.get(id))
    }

    /// Whether this email or domain was that of something deleted, and stays taken.
    pub(crate) fn keeps_name(&self, name: &str) -> bool {
        self.kept_names.contains(&key(name))
    }

    /// The store of that domain; case makes no difference.
    pub(crate) fn store_by_domain(&self, domain: &str) -> Option<&Store> {
        self.domains.get(&key(domain)).and_then(|id| self.stores.get(id))
    }

    /// The stores a user made, oldest first.
    pub(crate) fn stores_of(&self, user: u64) -> impl Iterator<Item = &Store> {
        self.stores_by_owner.get(&user).into_iter().flatten().filter_map(|id| self.stores.get(id))
    }

    /// The attributes of a client, user or store that an OAuth client sees there, oldest first.
    pub(crate) fn attributes_of(&self, owner: Resource, client_id: &str) -> impl Iterator<Item = &Attribute> {
        self.attributes.values().filter(move |attribute| attribute.owner == owner && attribute.is_seen_by(client_id))
    }

    /// The books as their owner sees them, without the request counts.
    pub(crate) fn books(&self, base: &str) -> Books {
        let users = self.users.values().map(|user| BookedUser {
            uri: format!("{base}{}", Resource::User(user.id).path()),
            email: text(&user.properties, "email").to_owned(),
            first_name: text(&user.properties, "first_name").to_owned(),
            last_name: text(&user.properties, "last_name").to_owned(),
            client_id: user.client_id.clone(),
            created_at_ms: user.created_at_ms,
            answered: user.answered,
        });
        let stores = self.stores.values().map(|store| BookedStore {
            uri: format!("{base}{}", Resource::Store(store.id).path()),
            domain: text(&store.properties, "store_domain").to_owned(),
            name: text(&store.properties, "store_name").to_owned(),
            owner: format!("{base}{}", Resource::User(store.owner).path()),
            created_at_ms: store.created_at_ms,
            answered: store.answered,
            properties: store.properties.clone(),
        });
        Books { users: users.collect(), stores: stores.collect(), requests: BTreeMap::new() }
    }
}

fn next<T>(records: &BTreeMap<u64, T>) -> u64 {
    records.last_key_value().map_or(0, |(id, _)| *id) + 1
}

/// What must be unique is compared without regard to case.
fn key(natural: &str) -> String {
    natural.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_once_the_books_are_closed() {
        let mut records = Records::replay(None, Vec::new(), Dice::seeded(1));
        assert!(records.commit(Entry::AttributeDeleted(1)).is_ok());
        records.close();
        let error = records.commit(Entry::AttributeDeleted(1)).unwrap_err();
        assert_eq!(error.to_string(), "the simulator has stopped");
    }
}
