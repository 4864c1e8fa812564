//! As much of JSON Schema (draft 2020-12) as our own schemas use. A keyword that it does not know is an error, so that it
//! can't agree by overlooking something.

use std::{cell::RefCell, collections::HashMap};

use regex::Regex;
use serde_json::Value;

use crate::event;

/// Keywords that assert nothing.
const NOTES: [&str; 6] = ["$schema", "title", "description", "examples", "format", "else"];

thread_local! {
    /// Patterns that were compiled before: each is used thousands of times.
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// What is wrong with a value, by keyword and place.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn fits(schema: &Value, value: &Value) -> bool {
    problems(schema, value).is_empty()
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, says) in schema.as_object().unwrap() {
        let mut members = |with: &mut dyn FnMut(&str, &Value, &mut Vec<String>)| {
            value.as_object().into_iter().flatten().for_each(|(name, member)| with(name, member, found));
        };
        let holds = match keyword.as_str() {
            "type" => match says {
                Value::Array(kinds) => kinds.iter().any(|kind| is_of(value, kind)),
                kind => is_of(value, kind),
            },
            "const" => value == says,
            "enum" => says.as_array().unwrap().contains(value),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= says.as_u64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= says.as_u64().unwrap()),
            "minimum" => value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= says.as_f64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| matches(says.as_str().unwrap(), text)),
            "maxProperties" => value.as_object().is_none_or(|object| object.len() as u64 <= says.as_u64().unwrap()),
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                !value.is_object() || says.as_array().unwrap().iter().all(has)
            }
            "not" => !fits(says, value),
            "anyOf" => says.as_array().unwrap().iter().any(|one| fits(one, value)),
            "allOf" => {
                says.as_array().unwrap().iter().for_each(|one| check(one, value, at, found));
                true
            }
            "if" => {
                let branch = if fits(says, value) { "then" } else { "else" };
                if let Some(branch) = schema.get(branch) {
                    check(branch, value, at, found);
                }
                true
            }
            "properties" => {
                members(&mut |name, member, found| {
                    if let Some(rule) = says.get(name) {
                        check(rule, member, &format!("{at}.{name}"), found);
                    }
                });
                true
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                items.for_each(|(place, item)| check(says, item, &format!("{at}[{place}]"), found));
                true
            }
            "propertyNames" => {
                members(&mut |name, _, found| check(says, &name.into(), &format!("{at}.{name}"), found));
                true
            }
            "additionalProperties" => {
                let named = schema.get("properties").cloned().unwrap_or_default();
                members(&mut |name, member, found| match says {
                    _ if named.get(name).is_some() => {}
                    Value::Bool(false) => found.push(format!("{at}.{name}: additionalProperties")),
                    rule => check(rule, member, &format!("{at}.{name}"), found),
                });
                true
            }
            "$ref" => {
                assert_eq!(says, event::SIGNUP_FILE);
                check(&event::signup_schema(), value, at, found);
                true
            }
            "then" => true,
            note if NOTES.contains(&note) => true,
            other => panic!("the schemas have a keyword that is not checked: {other}"),
        };
        if !holds {
            found.push(format!("{at}: {keyword}"));
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|known| {
        let compiled = known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap());
        compiled.is_match(text)
    })
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("an unknown type: {other}"),
    }
}
