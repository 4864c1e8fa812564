//! The members of one object of an event, taken out one by one; what is left over is unknown.

use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value};

use super::{mistakes::Mistakes, node::Node, rule::Text};

/// An object under its path. `null` counts as left out everywhere: many serializers write it for a missing value.
pub(super) struct Fields {
    path: &'static str,
    members: Vec<(String, Node)>,
    known: Vec<&'static str>,
}

impl Fields {
    /// Opens an object; a repeated name is a mistake, since readers disagree on which of its values counts.
    pub(super) fn open(path: &'static str, node: Option<Node>, mistakes: &mut Mistakes) -> Option<Self> {
        let shown = if path.is_empty() { "event" } else { path };
        let members = match node {
            Some(Node::Object(members)) => members,
            Some(_) => {
                mistakes.add(shown, "must be an object");
                return None;
            }
            None => {
                mistakes.add(shown, "is required");
                return None;
            }
        };
        let fields = Self { path, members, known: Vec::new() };
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for (at, (name, _)) in fields.members.iter().enumerate() {
            let times = seen.entry(name).or_default();
            *times += 1;
            if *times == 2 {
                mistakes.add(fields.shown(at), "is given more than once");
            }
        }
        Some(fields)
    }

    /// Takes a member out. From now on its name is known.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Node> {
        self.known.push(name);
        let mut found = None;
        // A repeated name is a mistake already; its first value goes on to be checked.
        self.members.retain_mut(|(member, node)| {
            let wanted = member == name;
            if wanted && found.is_none() {
                found = Some(std::mem::replace(node, Node::Null));
            }
            !wanted
        });
        found.filter(|node| *node != Node::Null)
    }

    /// Whether a member is there and says something.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, node)| member == name && *node != Node::Null)
    }

    /// The full path of a member.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The path of a member whose name comes from the event. A name that is no plain word might be personal data in the
    /// wrong place, so such a member is shown by its position.
    fn shown(&self, at: usize) -> String {
        let name = self.members[at].0.as_str();
        let plain = (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if plain { self.path(name) } else { self.path(&format!("(field {})", at + 1)) }
    }

    /// A text. Nothing, where it is wrong or left out.
    pub(super) fn text(&mut self, rule: &Text, mistakes: &mut Mistakes) -> Option<String> {
        let problem = match self.take(rule.name) {
            Some(Node::Text(text)) => match rule.check(&text) {
                Ok(()) => return Some(text),
                Err(problem) => problem,
            },
            Some(_) => "must be a string".to_owned(),
            None if rule.required => "is required".to_owned(),
            None => return None,
        };
        mistakes.add(self.path(rule.name), problem);
        None
    }

    /// A yes or no that may be there.
    pub(super) fn flag(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<bool> {
        match self.take(name)? {
            Node::Bool(value) => Some(value),
            _ => {
                mistakes.add(self.path(name), "must be true or false");
                None
            }
        }
    }

    /// A whole number, zero or more, that may be there.
    pub(super) fn count(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<u64> {
        match self.take(name)? {
            Node::Number(number) if number.is_u64() => number.as_u64(),
            _ => {
                mistakes.add(self.path(name), "must be a whole number, zero or more");
                None
            }
        }
    }

    /// All that is left, under names from the event.
    pub(super) fn into_rest(self) -> impl Iterator<Item = (String, String, Node)> {
        let paths: Vec<_> = (0..self.members.len()).map(|at| self.shown(at)).collect();
        self.members.into_iter().zip(paths).map(|((name, node), path)| (path, name, node))
    }

    /// Ends the object: whatever was not taken is a mistake, most often a typing error.
    pub(super) fn finish(self, mistakes: &mut Mistakes) {
        let known = self.known.join(", ");
        let mut told: HashSet<&str> = HashSet::new();
        for (at, (name, _)) in self.members.iter().enumerate() {
            if told.insert(name) {
                mistakes.add(self.shown(at), format!("is not in the contract, which here has: {known}"));
            }
        }
    }
}

/// A single value in the form in which it goes on to Foxy; nothing for lists, objects and `null`.
pub(super) fn scalar(node: Node) -> Option<Value> {
    match node {
        Node::Bool(value) => Some(Value::Bool(value)),
        Node::Number(value) => Some(Value::Number(value)),
        Node::Text(value) => Some(Value::String(value)),
        Node::Null | Node::List | Node::Object(_) => None,
    }
}

/// A whole number as a JSON value.
pub(super) fn whole(value: u64) -> Value {
    Value::Number(Number::from(value))
}
