//! Checking the properties that a request sets.

use serde_json::{Map, Value};
use url::Url;

/// ISO 3166-1 alpha-2, as officially assigned.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI \
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS \
    IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA \
    RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT \
    TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// What a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Email,
    /// One or several, separated by commas.
    Emails,
    /// An http or https URL.
    WebUrl,
    Country,
    Integer,
    /// From 0 to this.
    UpTo(i64),
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// What a property is allowed to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    name: &'static str,
    kind: Kind,
    /// In characters; 0 is no limit.
    max: usize,
    required: bool,
    creation_only: bool,
}

impl Field {
    /// A property that may be left out. `max` is in characters; 0 is no limit.
    pub(crate) const fn optional(name: &'static str, kind: Kind, max: usize) -> Self {
        Self { name, kind, max, required: false, creation_only: false }
    }

    /// A property that must be given on creation and can't be emptied later.
    pub(crate) const fn required(name: &'static str, kind: Kind, max: usize) -> Self {
        Self { required: true, ..Self::optional(name, kind, max) }
    }

    /// The same property, fixed once the resource exists.
    pub(crate) const fn only_on_creation(self) -> Self {
        Self { creation_only: true, ..self }
    }
}

/// Whether a resource is being made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Change,
}

/// The properties that were given and known, and all that is wrong with them, one message a mistake.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) properties: Map<String, Value>,
    pub(crate) mistakes: Vec<String>,
}

/// Checks every field and reports every mistake. Properties that no field describes are left out.
pub(crate) fn check(fields: &[Field], given: &Map<String, Value>, purpose: Purpose) -> Checked {
    let mut checked = Checked::default();
    for field in fields {
        let name = field.name;
        let value = given.get(name).filter(|value| !value.is_null());
        let empty = value.is_some_and(|value| value.as_str().is_some_and(|text| text.trim().is_empty()));
        if field.required && (empty || value.is_none() && purpose == Purpose::Create) {
            checked.mistakes.push(format!("{name} is required"));
            continue;
        }
        let Some(value) = value else { continue };
        if field.creation_only && purpose == Purpose::Change {
            checked.mistakes.push(format!("{name} can only be set on creation"));
            continue;
        }
        if empty {
            checked.properties.insert(name.to_owned(), Value::from(""));
            continue;
        }
        match parse(*field, value) {
            Ok(value) => {
                checked.properties.insert(name.to_owned(), value);
            }
            Err(must) => checked.mistakes.push(format!("{name} {must}")),
        }
    }
    checked
}

fn parse(field: Field, value: &Value) -> Result<Value, String> {
    match field.kind {
        Kind::Integer => return integer(value).map(Value::from).ok_or_else(|| "must be an integer".to_owned()),
        Kind::UpTo(most) => {
            let number = integer(value).filter(|number| (0..=most).contains(number));
            return number.map(Value::from).ok_or_else(|| format!("must be an integer from 0 to {most}"));
        }
        Kind::Boolean => return boolean(value).map(Value::from).ok_or_else(|| "must be true or false".to_owned()),
        Kind::Text | Kind::Email | Kind::Emails | Kind::WebUrl | Kind::Country | Kind::OneOf(_) => {}
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err("must be a string".to_owned()),
    };
    if field.max > 0 && text.chars().count() > field.max {
        return Err(format!("can not be longer than {} characters", field.max));
    }
    let (good, must) = match field.kind {
        Kind::Email => (is_email(&text), "must be a valid email address"),
        Kind::Emails => (text.split(',').all(|one| is_email(one.trim())), "must be a valid email address"),
        Kind::WebUrl => (is_web_url(&text), "must be a valid URL"),
        Kind::Country => (is_country(&text), "must be a two character ISO 3166-1 country code"),
        Kind::OneOf(words) => (words.contains(&text.as_str()), "is not one of the allowed values"),
        Kind::Text | Kind::Integer | Kind::UpTo(_) | Kind::Boolean => (true, ""),
    };
    if good { Ok(Value::from(text)) } else { Err(must.to_owned()) }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Foxy docs: booleans are "true or false, 1 or 0"; a form can only send their texts.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => [false, true].into_iter().find(|value| number.as_u64() == Some(u64::from(*value))),
        Value::String(text) => match text.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '@' || c == ',');
    plain(local) && plain(domain) && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
}

fn is_web_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && COUNTRIES.split(' ').any(|code| code.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: &[Field] = &[
        Field::required("name", Kind::Text, 5),
        Field::required("email", Kind::Email, 100),
        Field::optional("is_nice", Kind::Boolean, 0),
        Field::optional("affiliate_id", Kind::Integer, 0).only_on_creation(),
        Field::optional("country", Kind::Country, 0),
    ];

    fn mistakes(given: &Value, purpose: Purpose) -> Vec<String> {
        check(FIELDS, given.as_object().unwrap(), purpose).mistakes
    }

    #[test]
    fn every_mistake_is_reported_once() {
        let given = json!({ "name": "sixsix", "is_nice": "perhaps", "affiliate_id": "x", "country": "XX" });
        assert_eq!(
            mistakes(&given, Purpose::Create),
            [
                "name can not be longer than 5 characters",
                "email is required",
                "is_nice must be true or false",
                "affiliate_id must be an integer",
                "country must be a two character ISO 3166-1 country code",
            ]
        );
    }

    #[test]
    fn a_change_may_leave_out_but_not_empty_what_is_required() {
        assert_eq!(mistakes(&json!({}), Purpose::Change), [""; 0]);
        assert_eq!(mistakes(&json!({ "name": " " }), Purpose::Change), ["name is required"]);
        let given = json!({ "affiliate_id": 1 });
        assert_eq!(mistakes(&given, Purpose::Change), ["affiliate_id can only be set on creation"]);
    }

    #[test]
    fn lengths_are_counted_in_characters_and_values_normalized() {
        let given = json!({ "name": "größe", "email": "a@b.example", "is_nice": "1", "affiliate_id": "12", "x": 1 });
        let checked = check(FIELDS, given.as_object().unwrap(), Purpose::Create);
        assert_eq!(checked.mistakes, [""; 0]);
        let expected = json!({ "name": "größe", "email": "a@b.example", "is_nice": true, "affiliate_id": 12 });
        assert_eq!(Value::Object(checked.properties), expected);
    }
}
