//! The text and JSON forms of a fault script.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::{Fault, FaultRule, FaultScript, OldToken, RetryAfter, When};
use crate::routes::ParseRouteError;

/// What is wrong with a rule's text. Each names the part that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultParseError {
    /// There is no `route:` before the fault.
    #[error("the rule {0:?} does not begin with a route and a colon, as in \"POST /users: refuse\"")]
    NoRoute(String),
    /// The route names nothing.
    #[error(transparent)]
    Route(#[from] ParseRouteError),
    /// There is no fault of that name.
    #[error("no fault is called {0:?}; they are listed at foxy_sim::Fault and in the program's help")]
    UnknownFault(String),
    /// The fault needs an argument, takes none, or takes another kind of one.
    #[error("the fault {fault} wants {wants}, not {argument:?}")]
    Argument {
        /// The fault's name.
        fault: String,
        /// What it got; empty for nothing.
        argument: String,
        /// What it takes.
        wants: &'static str,
    },
    /// The end of the rule is no selector.
    #[error("{0:?} does not say when: use always, every 7, nth 3, first 2 or 5%")]
    When(String),
}

impl FromStr for FaultScript {
    type Err = FaultParseError;

    fn from_str(text: &str) -> Result<Self, FaultParseError> {
        text.split(['\n', ';']).map(str::trim).filter(|rule| !rule.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for FaultRule {
    type Err = FaultParseError;

    fn from_str(text: &str) -> Result<Self, FaultParseError> {
        let (route, rest) = text.split_once(':').ok_or_else(|| FaultParseError::NoRoute(text.trim().to_owned()))?;
        let route = route.parse()?;
        let (fault, when) = split_fault(rest.trim());
        Ok(Self { route, fault: fault.parse()?, when: when.parse()? })
    }
}

/// Divides `status 502 every 7` and `rate_limited(2) nth 3` into the fault and the selector.
fn split_fault(text: &str) -> (&str, &str) {
    let divide = |at: usize| (text[..at].trim_end(), text[at..].trim_start());
    let name_ends = text.find([' ', '(']).unwrap_or(text.len());
    if text[name_ends..].starts_with('(') {
        return divide(text.find(')').map_or(text.len(), |at| at + 1));
    }
    let rest = text[name_ends..].trim_start();
    let word = rest.split(' ').next().unwrap_or_default();
    let selects = word.is_empty() || matches!(word, "always" | "every" | "nth" | "first") || word.ends_with('%');
    // Without parentheses, one word that isn't a selector is the argument.
    divide(if selects { name_ends } else { text.len() - rest.len() + word.len() })
}

impl FromStr for Fault {
    type Err = FaultParseError;

    fn from_str(text: &str) -> Result<Self, FaultParseError> {
        let text = text.trim();
        let (name, argument) = text.split_once(['(', ' ']).unwrap_or((text, ""));
        let argument = Argument { fault: name, text: argument.trim_end_matches(')').trim() };
        let fault = match name {
            "refuse" => Self::Refuse,
            "reset_before_work" => Self::ResetBeforeWork,
            "reset_after_work" => Self::ResetAfterWork,
            "stall_before_work" => return argument.duration().map(Self::StallBeforeWork),
            "stall_after_work" => return argument.duration().map(Self::StallAfterWork),
            "close_idle" => return argument.duration().map(Self::CloseIdle),
            "late_work" => return argument.duration().map(Self::LateWork),
            "rate_limited" => return argument.retry_after().map(Self::RateLimited),
            "status" => return argument.status(300..=599).map(Self::Status),
            "status_after_work" => return argument.status(200..=599).map(Self::StatusAfterWork),
            "success" => return argument.status(200..=299).map(Self::Success),
            "gateway_html" => return argument.status(400..=599).map(Self::GatewayHtml),
            "echo" => return argument.status(300..=599).map(Self::Echo),
            "gateway_html_after_work" => return argument.status(500..=599).map(Self::GatewayHtmlAfterWork),
            "foreign_link" => return argument.origin().map(Self::ForeignLink),
            "redirect" => return argument.redirect(),
            "listing_lag" => return argument.duration().map(Self::ListingLag),
            "oauth_error" => return argument.word().map(Self::OauthError),
            "other_grant" => return argument.word().map(Self::OtherGrant),
            "rotate" => return argument.old_token().map(Self::Rotate),
            "scope" => return argument.word().map(Self::Scope),
            "token_type" => return argument.word().map(Self::TokenType),
            "cut_body" => Self::CutBody,
            "no_token" => Self::NoToken,
            "garbage" => Self::Garbage,
            "echo_links" => Self::EchoLinks,
            "bom" => Self::Bom,
            "gzip" => Self::Gzip,
            "invalid_token" => Self::InvalidToken,
            "no_self_link" => Self::NoSelfLink,
            "captcha" => Self::Captcha,
            "forbidden" => Self::Forbidden,
            "request_timeout" => Self::RequestTimeout,
            "conflict" => Self::Conflict,
            _ => return Err(FaultParseError::UnknownFault(name.to_owned())),
        };
        if argument.text.is_empty() { Ok(fault) } else { Err(argument.wants("nothing")) }
    }
}

/// What stands behind a fault's name.
struct Argument<'a> {
    fault: &'a str,
    text: &'a str,
}

impl Argument<'_> {
    fn wants(&self, wants: &'static str) -> FaultParseError {
        FaultParseError::Argument { fault: self.fault.to_owned(), argument: self.text.to_owned(), wants }
    }

    fn duration(&self) -> Result<Duration, FaultParseError> {
        duration(self.text).ok_or_else(|| self.wants("a duration such as 500ms or 2s"))
    }

    fn status(&self, allowed: std::ops::RangeInclusive<u16>) -> Result<u16, FaultParseError> {
        let status = self.text.parse().ok().filter(|status| allowed.contains(status));
        status.ok_or_else(|| self.wants("a fitting HTTP status such as 502"))
    }

    fn retry_after(&self) -> Result<Option<RetryAfter>, FaultParseError> {
        let wrong = || self.wants("nothing, a number of seconds, or date+2s");
        match self.text.strip_prefix("date+") {
            _ if self.text.is_empty() => Ok(None),
            Some(ahead) => duration(ahead).map(|ahead| Some(RetryAfter::DateIn(ahead))).ok_or_else(wrong),
            None => self.text.parse().map(|seconds| Some(RetryAfter::Seconds(seconds))).map_err(|_| wrong()),
        }
    }

    fn origin(&self) -> Result<String, FaultParseError> {
        let origin = if self.text.is_empty() { "http://evil.invalid" } else { self.text.trim_end_matches('/') };
        let whole = url::Url::parse(origin).is_ok_and(|url| url.has_host());
        if whole { Ok(origin.to_owned()) } else { Err(self.wants("an origin such as http://evil.invalid")) }
    }

    fn old_token(&self) -> Result<OldToken, FaultParseError> {
        match self.text {
            "" => Ok(OldToken::EndsAtOnce),
            "later" => Ok(OldToken::EndsWithFirstUse),
            _ => Err(self.wants("nothing, or later")),
        }
    }

    fn word(&self) -> Result<String, FaultParseError> {
        if self.text.is_empty() { Err(self.wants("what the answer says")) } else { Ok(self.text.to_owned()) }
    }

    fn redirect(&self) -> Result<Fault, FaultParseError> {
        let (status, location) = self.text.split_once([' ', ',']).unwrap_or((self.text, ""));
        let location = Some(location.trim().to_owned()).filter(|location| !location.is_empty());
        match status.parse() {
            Ok(status @ (301 | 302 | 303 | 307 | 308)) => Ok(Fault::Redirect { status, location }),
            _ => Err(self.wants("301, 302, 303, 307 or 308, and a location if it matters")),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

impl FromStr for When {
    type Err = FaultParseError;

    fn from_str(text: &str) -> Result<Self, FaultParseError> {
        let text = text.trim();
        let wrong = || FaultParseError::When(text.to_owned());
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.trim().parse().map_err(|_| wrong())?;
            return if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(wrong()) };
        }
        let (word, number) = text.split_once(' ').unwrap_or((text, ""));
        let number = number.trim().parse().ok().filter(|number| *number > 0);
        match (word, number) {
            ("" | "always", None) => Ok(Self::Always),
            ("every", Some(number)) => Ok(Self::Every(number)),
            ("nth", Some(number)) => Ok(Self::Nth(number)),
            ("first", Some(number)) => Ok(Self::First(number)),
            _ => Err(wrong()),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RuleForm {
    Text(String),
    Parts {
        route: String,
        fault: String,
        #[serde(default)]
        when: String,
    },
}

impl<'de> Deserialize<'de> for FaultRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rule = match RuleForm::deserialize(deserializer)? {
            RuleForm::Text(text) => text.parse(),
            RuleForm::Parts { route, fault, when } => (|| {
                Ok(Self { route: route.parse::<crate::RoutePattern>()?, fault: fault.parse()?, when: when.parse()? })
            })(),
        };
        rule.map_err(|error: FaultParseError| de::Error::custom(error))
    }
}

impl<'de> Deserialize<'de> for FaultScript {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|rules| Self { rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> (Fault, When) {
        let rule: FaultRule = text.parse().unwrap();
        (rule.fault, rule.when)
    }

    #[test]
    fn rules_read_as_they_are_written() {
        assert_eq!(rule("POST /users: reset_after_work 5%"), (Fault::ResetAfterWork, When::Percent(5.0)));
        assert_eq!(rule("POST /stores: status 502 every 7"), (Fault::Status(502), When::Every(7)));
        assert_eq!(
            rule("POST /token: rate_limited(2) nth 3"),
            (Fault::RateLimited(Some(RetryAfter::Seconds(2))), When::Nth(3))
        );
        assert_eq!(rule("*: late_work(500ms)"), (Fault::LateWork(Duration::from_millis(500)), When::Always));
        assert_eq!(
            rule("GET /: redirect(301 http://other.invalid/x) first 1"),
            (Fault::Redirect { status: 301, location: Some("http://other.invalid/x".into()) }, When::First(1))
        );
        assert_eq!(rule("GET /: foreign_link").0, Fault::ForeignLink("http://evil.invalid".into()));
        assert_eq!(rule("POST /token: rotate nth 2"), (Fault::Rotate(OldToken::EndsAtOnce), When::Nth(2)));
        assert_eq!(rule("POST /token: rotate(later)").0, Fault::Rotate(OldToken::EndsWithFirstUse));
        let lost = rule("POST /token?grant_type=authorization_code: oauth_error(invalid_grant) first 1");
        assert_eq!(lost, (Fault::OauthError("invalid_grant".into()), When::First(1)));
        assert_eq!(rule("POST /token: other_grant bob@example.com").0, Fault::OtherGrant("bob@example.com".into()));
        assert_eq!(rule("POST /token: token_type(mac)").0, Fault::TokenType("mac".into()));
    }

    #[test]
    fn a_script_reads_from_json_as_texts_and_as_objects() {
        let json = r#"["POST /users: captcha", {"route": "*", "fault": "refuse", "when": "nth 3"}]"#;
        let script: FaultScript = serde_json::from_str(json).unwrap();
        assert_eq!(script, "POST /users: captcha; *: refuse nth 3".parse().unwrap());
    }

    #[test]
    fn a_mistake_names_the_part_that_is_wrong() {
        let error = |text: &str| text.parse::<FaultRule>().unwrap_err().to_string();
        assert_eq!(
            error("refuse"),
            "the rule \"refuse\" does not begin with a route and a colon, as in \"POST /users: refuse\""
        );
        assert_eq!(
            error("POST /user: refuse"),
            "no route is called \"POST /user\"; routes look like \"POST /users\", \"GET /users/{id}/stores\", or * for all"
        );
        assert_eq!(
            error("*: explode"),
            "no fault is called \"explode\"; they are listed at foxy_sim::Fault and in the program's help"
        );
        assert_eq!(error("*: status"), "the fault status wants a fitting HTTP status such as 502, not \"\"");
        assert_eq!(
            error("*: late_work(soon)"),
            "the fault late_work wants a duration such as 500ms or 2s, not \"soon\""
        );
        assert_eq!(error("*: refuse(2)"), "the fault refuse wants nothing, not \"2\"");
        assert_eq!(error("*: refuse every"), "\"every\" does not say when: use always, every 7, nth 3, first 2 or 5%");
    }
}
