//! `foxden.toml`, flattened to variable names: `[foxy] client_id` is `FOXDEN_FOXY_CLIENT_ID`.

use toml::{Table, Value};

use super::{
    given::{Given, Origin},
    mistakes::Mistake,
    variables::PREFIX,
};

/// One entry of the file: the variable it stands for, and its text.
pub(super) struct Entry {
    pub(super) variable: String,
    pub(super) given: Given,
}

/// The file's entries in its own order; what can't be one is a mistake.
pub(super) fn entries(name: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Vec<Entry> {
    let table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            // Not the error's own `Display`, which shows the offending line, whatever is in it.
            let place = error.span().map_or_else(String::new, |span| place(text, span.start));
            mistakes.push(Mistake::new(name, None, format!("not valid TOML{place}: {}", error.message())));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    flatten(name, &mut Vec::new(), table, &mut entries, mistakes);
    entries
}

fn flatten(name: &str, path: &mut Vec<String>, table: Table, entries: &mut Vec<Entry>, mistakes: &mut Vec<Mistake>) {
    for (key, value) in table {
        path.push(key);
        let variable = format!("{PREFIX}{}", path.join("_").to_uppercase());
        let origin = Origin::Config { file: name.to_owned(), key: path.join(".") };
        let text = match value {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(flag) => Some(flag.to_string()),
            Value::Table(section) => {
                flatten(name, path, section, entries, mistakes);
                path.pop();
                continue;
            }
            Value::Datetime(_) | Value::Array(_) => None,
        };
        if let Some(text) = text {
            entries.push(Entry { variable, given: Given::new(text, origin) });
        } else {
            let problem = "expected text, a number, or true or false";
            mistakes.push(Mistake::new(variable, Some(origin), problem));
        }
        path.pop();
    }
}

/// Where in the file a byte is, for a person.
fn place(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&character| character != '\n').count() + 1;
    format!(" at line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut mistakes = Vec::new();
        let entries = entries("foxden.toml", text, &mut mistakes);
        let pairs = entries.into_iter().map(|entry| (entry.variable, entry.given.text.to_string())).collect();
        (pairs, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sections_are_part_of_the_name() {
        let (pairs, mistakes) =
            flat("lease = \"90s\"\nconcurrency = 4\n[keep]\npayloads = true\n[amqp.dead]\nqueue = \"d\"");
        assert_eq!(mistakes, [""; 0]);
        let mut names: Vec<_> = pairs.iter().map(|(name, text)| format!("{name}={text}")).collect();
        names.sort();
        assert_eq!(
            names,
            ["FOXDEN_AMQP_DEAD_QUEUE=d", "FOXDEN_CONCURRENCY=4", "FOXDEN_KEEP_PAYLOADS=true", "FOXDEN_LEASE=90s"]
        );
    }

    #[test]
    fn a_number_may_have_a_fraction() {
        let (pairs, mistakes) = flat("[foxy]\nrate = 0.5");
        assert_eq!((pairs, mistakes), (vec![("FOXDEN_FOXY_RATE".to_owned(), "0.5".to_owned())], vec![]));
    }

    #[test]
    fn lists_and_dates_are_mistakes() {
        let (_, mistakes) = flat("[amqp]\nqueue = [\"s3cret\"]");
        assert_eq!(
            mistakes,
            ["FOXDEN_AMQP_QUEUE (amqp.queue in foxden.toml): expected text, a number, or true or false"]
        );
    }

    #[test]
    fn a_syntax_error_is_placed_without_showing_the_line() {
        let (_, mistakes) = flat("lease = \"90s\"\nkeys = main:s3cret");
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].starts_with("foxden.toml: not valid TOML at line 2, column "), "{}", mistakes[0]);
        assert!(!mistakes[0].contains("s3cret"), "{}", mistakes[0]);
    }
}
