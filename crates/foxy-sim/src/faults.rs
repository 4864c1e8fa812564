//! What goes wrong, where and when: the fault script.

mod act;
mod echo;
mod parse;

use std::time::Duration;

pub(crate) use act::{Ending, captcha_demanded, instead_of_work, oauth_error, upon_answer};
pub use parse::FaultParseError;

use crate::dice::Dice;
use crate::routes::{GrantType, Route, RoutePattern};

/// One way for a request to go wrong.
///
/// "Work" is what the request asks for: a user made, a token given out. The text form of each is its name in
/// snake case, with its argument in parentheses or after a space: `late_work(2s)`, `status 503`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// `refuse`: the connection is closed once the request's head is read; at the token endpoint its body is read, too,
    /// since that says of which grant type it is. No work.
    Refuse,
    /// `reset_before_work`: the request is read, then the connection is reset. No work.
    ResetBeforeWork,
    /// `reset_after_work`: the work is done, then the connection is reset without an answer.
    ResetAfterWork,
    /// `stall_before_work(2s)`: nothing happens for a while, then all as usual; the work too, even when the
    /// client has left meanwhile.
    StallBeforeWork(Duration),
    /// `stall_after_work(2s)`: the work is done at once, the answer comes later.
    StallAfterWork(Duration),
    /// `late_work(2s)`: the connection is closed at once without an answer, the work is done later.
    LateWork(Duration),
    /// `close_idle(20ms)`: all as usual; this long after the answer the connection is closed without a word, be it
    /// idle or in the middle of the next request.
    CloseIdle(Duration),
    /// `rate_limited`, `rate_limited(2)` or `rate_limited(date+2s)`: 429. No work.
    RateLimited(Option<RetryAfter>),
    /// `status(503)`: this status with `fx:errors`. No work.
    Status(u16),
    /// `status_after_work(500)`: the work is done, this status is answered.
    StatusAfterWork(u16),
    /// `gateway_html(502)`: a gateway's HTML page. No work.
    GatewayHtml(u16),
    /// `gateway_html_after_work(504)`: the work is done, a gateway's HTML page is answered.
    GatewayHtmlAfterWork(u16),
    /// `cut_body`: the answer's status and head arrive, the body ends half-way.
    CutBody,
    /// `no_token`: the answer lacks its token.
    NoToken,
    /// `garbage`: the status is right, the body is noise that claims to be JSON.
    Garbage,
    /// `success(202)`: the answer as usual, under this status.
    Success(u16),
    /// `bom`: a byte order mark stands before the answer's body.
    Bom,
    /// `gzip`: the body is compressed, and says so, whether that was asked for or not.
    Gzip,
    /// `invalid_token`: 401, as for a revoked access token. No work.
    InvalidToken,
    /// `oauth_error(invalid_grant)` or `oauth_error(server_error Try later)`: this error code of RFC 6749, and a
    /// description if one is given. At the token endpoint it is a 400 (section 5.2); the authorization endpoint sends
    /// the browser back with it (section 4.1.2.1). No work.
    OauthError(String),
    /// `other_grant(two)`: a code is exchanged for tokens of this user (by email) or store (by domain), whoever and
    /// whatever was granted. It changes no other answer, and nothing if there is no such user or store.
    OtherGrant(String),
    /// `rotate` or `rotate(later)`: the token endpoint answers a refresh token with another one in its place. It
    /// changes no other answer.
    Rotate(OldToken),
    /// `scope(user_full_access)`: the answer's token says that it has this scope.
    Scope(String),
    /// `token_type(mac)`: the answer's token says that it is of this type.
    TokenType(String),
    /// `foreign_link` or `foreign_link(http://evil.invalid)`: all links of the answer lead to another origin.
    ForeignLink(String),
    /// `no_self_link`: the answer has no `self` link.
    NoSelfLink,
    /// `redirect(307)` or `redirect(301 http://evil.invalid/)`: to another origin unless one is named. No work.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`; `None` is the same path at `http://evil.invalid`.
        location: Option<String>,
    },
    /// `captcha`: an hCaptcha code is demanded, whatever the policy. No work.
    Captcha,
    /// `forbidden`: 403. No work.
    Forbidden,
    /// `request_timeout`: 408. No work.
    RequestTimeout,
    /// `conflict`: 409. No work.
    Conflict,
    /// `echo(400)`: this status; its errors and headers repeat the request, headers and body, in many forms. No work.
    Echo(u16),
    /// `echo_links`: the work is done; the answer's links, and its `Location`, repeat the request.
    EchoLinks,
    /// `listing_lag(2s)`: users and stores younger than this are missing from collections and reports.
    /// It changes no other answer, and joins whatever other fault strikes.
    ListingLag(Duration),
}

/// When a refresh token ends that another one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OldToken {
    /// At once.
    #[default]
    EndsAtOnce,
    /// When the new one is used for the first time. Until then each use of the old one answers another successor.
    EndsWithFirstUse,
}

/// What a 429 says of when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date this far ahead.
    DateIn(Duration),
}

/// Which of a route's requests a fault strikes. Requests are counted from when the rule was set.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum When {
    /// `always`, and what a rule without a selector means.
    #[default]
    Always,
    /// `every 7`: the 7th, the 14th, …
    Every(u64),
    /// `nth 3`: the 3rd, once.
    Nth(u64),
    /// `first 2`: the 1st and 2nd.
    First(u64),
    /// `5%`: as the dice fall, under the configuration's seed.
    Percent(f64),
}

/// One line of a script: a fault, for these requests of this route.
///
/// ```
/// let rule: foxy_sim::FaultRule = "POST /stores: status 502 every 7".parse()?;
/// # Ok::<(), foxy_sim::FaultParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// Where.
    pub route: RoutePattern,
    /// What.
    pub fault: Fault,
    /// When.
    pub when: When,
}

/// All that goes wrong. Of several rules that strike one request, the first decides.
///
/// It parses from text, one rule a line (or separated by `;`), and deserializes from a list of such texts or
/// of objects: `["POST /users: reset_after_work 5%", {"route": "*", "fault": "refuse", "when": "nth 3"}]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FaultScript {
    /// The rules, in the order they are asked.
    pub rules: Vec<FaultRule>,
}

impl From<FaultRule> for FaultScript {
    fn from(rule: FaultRule) -> Self {
        Self { rules: vec![rule] }
    }
}

impl FromIterator<FaultRule> for FaultScript {
    fn from_iter<I: IntoIterator<Item = FaultRule>>(rules: I) -> Self {
        Self { rules: rules.into_iter().collect() }
    }
}

/// A script at work: it counts what it has seen.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<(FaultRule, u64)>,
    dice: Dice,
}

/// What the script has in store for one request.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The fault that strikes.
    pub(crate) fault: Option<Fault>,
    /// The longest listing lag that applies.
    pub(crate) lag: Duration,
}

impl Faults {
    /// Begins to follow a script.
    pub(crate) fn follow(script: FaultScript, dice: Dice) -> Self {
        let mut faults = Self { rules: Vec::new(), dice };
        faults.replace(script);
        faults
    }

    /// Follows another script from here on, with its counts at zero.
    pub(crate) fn replace(&mut self, script: FaultScript) {
        self.rules = script.rules.into_iter().map(|rule| (rule, 0)).collect();
    }

    /// Follows one rule more.
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push((rule, 0));
    }

    /// Forgets the rules that were set for exactly this pattern.
    pub(crate) fn clear(&mut self, route: RoutePattern) {
        self.rules.retain(|(rule, _)| rule.route != route);
    }

    /// Shows a request to every rule that covers its route and grant type.
    pub(crate) fn judge(&mut self, route: Option<Route>, grant_type: Option<GrantType>) -> Verdict {
        let mut verdict = Verdict { fault: None, lag: Duration::ZERO };
        for (rule, seen) in self.rules.iter_mut().filter(|(rule, _)| rule.route.covers(route, grant_type)) {
            *seen += 1;
            let strikes = match rule.when {
                When::Always => true,
                When::Every(n) => n > 0 && seen.is_multiple_of(n),
                When::Nth(n) => *seen == n,
                When::First(n) => *seen <= n,
                When::Percent(percent) => self.dice.happens(percent),
            };
            match &rule.fault {
                Fault::ListingLag(lag) if strikes => verdict.lag = verdict.lag.max(*lag),
                fault if strikes && verdict.fault.is_none() => verdict.fault = Some(fault.clone()),
                _ => {}
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(rule: &str, requests: usize) -> Vec<usize> {
        let script: FaultScript = rule.parse().unwrap();
        let mut faults = Faults::follow(script, Dice::seeded(1));
        (1..=requests).filter(|_| faults.judge(Some(Route::CreateUser), None).fault.is_some()).collect()
    }

    #[test]
    fn selectors_choose_the_requests_they_name() {
        assert_eq!(strikes("POST /users: refuse", 3), [1, 2, 3]);
        assert_eq!(strikes("POST /users: refuse every 2", 5), [2, 4]);
        assert_eq!(strikes("POST /users: refuse nth 3", 5), [3]);
        assert_eq!(strikes("POST /users: refuse first 2", 5), [1, 2]);
        assert_eq!(strikes("*: refuse nth 1", 2), [1]);
        assert_eq!(strikes("POST /stores: refuse", 2), [0_usize; 0]);
        assert!((20..80).contains(&strikes("POST /users: refuse 5%", 1000).len()));
    }

    #[test]
    fn the_first_rule_that_strikes_decides_and_a_lag_joins_it() {
        let script = "*: listing_lag(3s); POST /users: conflict nth 2; *: forbidden".parse().unwrap();
        let mut faults = Faults::follow(script, Dice::seeded(1));
        let judged: Vec<_> = (0..2).map(|_| faults.judge(Some(Route::CreateUser), None)).collect();
        assert_eq!(judged[0].fault, Some(Fault::Forbidden));
        assert_eq!(judged[1], Verdict { fault: Some(Fault::Conflict), lag: Duration::from_secs(3) });
    }
}
