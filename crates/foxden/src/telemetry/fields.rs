//! The fields of an event or a span, as values.

use std::{error::Error, fmt};

use serde_json::{Number, Value};
use tracing::field::{Field, Visit};

/// Fields in the order in which they were recorded; each name once, its last value.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Sets a field, in its old place if it has one.
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(index).1)
    }

    /// Takes out all fields whose name this holds for.
    pub(super) fn remove_where(&mut self, matches: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| !matches(name));
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

impl IntoIterator for Fields {
    type Item = (&'static str, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(name_of(field), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(name_of(field), Value::String(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(name_of(field), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(name_of(field), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(name_of(field), Value::from(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set(name_of(field), Number::from_i128(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(name_of(field), Number::from_u128(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity; as a text they at least show.
        self.set(name_of(field), Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    /// The whole chain, since an error's own text does not repeat its source.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let chain = std::iter::successors(Some(value), |&error| error.source());
        let texts: Vec<String> = chain.map(ToString::to_string).collect();
        self.set(name_of(field), Value::String(texts.join(": ")));
    }
}

/// The field's name, without what Rust needs to take a keyword for a name (`r#type`).
fn name_of(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}
