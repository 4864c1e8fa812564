//! Reading what an answer has against a request, in whichever form it says so.
//!
//! Foxy documents `_embedded.fx:errors`. What stands before Foxy, and what Foxy is made of, may say it otherwise: one error
//! where there could be several, problem details (RFC 9457), OAuth's form, a line of text, a page. Each is read, so that a
//! person sees it; how far it is believed is in [`Manner`].

use serde_json::{Map, Value};

use crate::FoxyError;
use crate::answer::Answer;
use crate::body::Body;
use crate::errors::Manner;

/// More errors, and more characters of one, help nobody.
const MOST: usize = 20;
const LONGEST: usize = 1000;
/// As much of a page is looked through for its words.
const PAGE: usize = 64 * 1024;

/// What the answer has against the request; nothing if it is no refusal, or says nothing. In its own words, to be
/// judged by: what leaves this crate of them goes through [`FoxyError::without`].
pub(crate) fn of(answer: &Answer) -> Vec<FoxyError> {
    let Body::Whole(bytes) = &answer.body else { return Vec::new() };
    if answer.status < 400 {
        return Vec::new();
    }
    let mut errors = match answer.body.value() {
        Some(value) => of_value(&value),
        None => of_text(&String::from_utf8_lossy(&bytes[..bytes.len().min(PAGE)])),
    };
    errors.truncate(MOST);
    errors
}

/// What a JSON document has against it.
pub(crate) fn of_value(document: &Value) -> Vec<FoxyError> {
    let lists = [document.pointer("/_embedded/fx:errors"), document.get("errors"), Some(document)];
    let read = |list: &Value| match list {
        Value::Array(entries) => entries.iter().take(MOST).filter_map(entry).collect(),
        single => Vec::from_iter(entry(single)),
    };
    lists.into_iter().flatten().map(read).find(|errors| !errors.is_empty()).unwrap_or_default()
}

/// One error: Foxy's own, a problem's details, OAuth's, a text, or fields with what is wrong about each.
fn entry(entry: &Value) -> Option<FoxyError> {
    let fields = match entry {
        Value::String(text) => return error(&Map::new(), text),
        Value::Object(fields) => fields,
        _ => return None,
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("message"), text("title"), text("detail")) {
        (Some(message), _, _) => error(fields, message),
        (None, Some(title), Some(detail)) => error(fields, &format!("{title}: {detail}")),
        (None, Some(either), None) | (None, None, Some(either)) => error(fields, either),
        (None, None, None) => match text("error_description").or_else(|| text("error").filter(|it| it.contains(' '))) {
            Some(description) => error(fields, description),
            None => error(fields, &by_field(fields)),
        },
    }
}

fn error(fields: &Map<String, Value>, message: &str) -> Option<FoxyError> {
    let text = |name| fields.get(name).and_then(Value::as_str);
    let number = fields.get("code").and_then(Value::as_i64).map(|code| code.to_string());
    let message: String = message.chars().take(LONGEST).collect();
    let error = FoxyError::new(text("logref"), text("code").or(number.as_deref()), message);
    (!error.message().trim().is_empty() || error.logref.is_some()).then_some(error)
}

/// `{"store_domain": ["is already in use"]}`: many frameworks list mistakes by field.
fn by_field(fields: &Map<String, Value>) -> String {
    let mistakes = fields.iter().filter_map(|(field, mistakes)| {
        let mistakes: Vec<&str> = mistakes.as_array()?.iter().filter_map(Value::as_str).collect();
        (!mistakes.is_empty()).then(|| format!("{field} {}", mistakes.join(", ")))
    });
    mistakes.collect::<Vec<_>>().join("; ")
}

fn of_text(text: &str) -> Vec<FoxyError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let (words, manner) = match text.strip_prefix('<') {
        Some(_) => (words_of_page(text), Manner::Page),
        None => (text.to_owned(), Manner::Text),
    };
    let words: String = words.chars().take(LONGEST).collect();
    let said = words.chars().any(char::is_alphanumeric) && !words.contains('\u{fffd}');
    if said { vec![FoxyError::in_words(words, manner)] } else { Vec::new() }
}

/// What a browser would show of it, roughly: no tags, no scripts, no styles.
fn words_of_page(html: &str) -> String {
    let (mut words, mut rest) = (String::new(), html);
    while let Some((text, tag)) = rest.split_once('<') {
        words.push_str(text);
        words.push(' ');
        let name = tag.get(..6).unwrap_or_default().to_ascii_lowercase();
        let end = match name.as_str() {
            "script" => "</script",
            "style>" | "style " => "</style",
            _ => "",
        };
        let tag = if end.is_empty() { tag } else { tag.split_once(end).map_or("", |(_, after)| after) };
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    words.push_str(rest);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Vec<String> {
        let answer = Answer::bare(status, Body::Whole(body.as_bytes().to_vec().into()));
        of(&answer).iter().map(|error| error.message().to_owned()).collect()
    }

    #[test]
    fn every_form_of_an_error_is_read() {
        for (body, expected) in [
            (r#"{"_embedded":{"fx:errors":[{"message":"a"},{"message":"b"}]}}"#, vec!["a", "b"]),
            (r#"{"_embedded":{"fx:errors":{"message":"a"}}}"#, vec!["a"]),
            (r#"{"_embedded":{"fx:errors":"a"}}"#, vec!["a"]),
            (
                r#"{"type":"https://x/taken","title":"Taken","status":400,"detail":"email is in use"}"#,
                vec!["Taken: email is in use"],
            ),
            (r#"{"title":"Taken"}"#, vec!["Taken"]),
            (r#"{"logref":"id-1","message":"a"}"#, vec!["a"]),
            (r#"[{"logref":"id-1","message":"a"}]"#, vec!["a"]),
            (r#"{"errors":["a","b"]}"#, vec!["a", "b"]),
            (r#"{"errors":{"email":["is in use"]}}"#, vec!["email is in use"]),
            (r#"{"error":"invalid_request","error_description":"a is missing"}"#, vec!["a is missing"]),
            (r#"{"error":"a is missing"}"#, vec!["a is missing"]),
            (r#""a is missing""#, vec!["a is missing"]),
            ("\u{feff}a is missing\r\n", vec!["a is missing"]),
            (
                "<html><head><title>Bad\nRequest</title><style>p{}</style></head><script>x<y</script><p>No.</p>",
                vec!["Bad Request No."],
            ),
            (r#"{"error":"invalid_client"}"#, vec![]),
            ("{}", vec![]),
            ("[]", vec![]),
            ("null", vec![]),
            ("", vec![]),
            ("<html></html>", vec![]),
            ("\u{1}\u{2}", vec![]),
        ] {
            assert_eq!(said(400, body), expected, "{body}");
        }
    }

    #[test]
    fn what_succeeded_has_nothing_against_it() {
        assert_eq!(said(201, r#"{"message":"User created"}"#), [""; 0]);
    }

    #[test]
    fn errors_are_few_and_short() {
        let many = format!("[{}1]", r#""no","#.repeat(1000));
        assert_eq!(said(400, &many).len(), MOST);
        assert_eq!(said(400, &"long ".repeat(1000))[0].len(), LONGEST);
        assert_eq!(said(400, &format!("<p>{}", "long ".repeat(100_000)))[0].len(), LONGEST);
    }
}
