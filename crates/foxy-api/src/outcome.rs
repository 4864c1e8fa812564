//! The table: what the end of a create call means. Pure, and the only place that decides it.

use serde_json::Value;

use crate::answer::Answer;
use crate::body::Body;
use crate::captcha::CaptchaSent;
use crate::errors::{self, Creating};
use crate::http::{Failure, Fate};
use crate::link::Links;
use crate::oauth::OAuthError;
use crate::{
    ApiOrigins, Doubt, Evidence, FoxyError, Granted, NoEffect, Outcome, Rejection, RejectionKind, ResourceUri,
    SetupFault, TokenLoss, reasons,
};

/// How one sending of a call that changes something ended.
#[derive(Debug)]
pub(crate) enum Ending<T> {
    /// There is no more to be done about it here.
    Final(Outcome<T>),
    /// 401: nothing was created. Worth one more sending, with a fresh token.
    StaleToken,
    /// 404 or 410: nothing was created. Worth one more sending, to a link discovered anew.
    StaleLink,
}

/// What a creation brought.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    /// The token to the new resource.
    pub(crate) token: Granted,
    /// The answer's links, unchecked.
    pub(crate) links: Links,
}

/// Says what one sending of a create call came to whose answer brings a token.
pub(crate) fn judge(creating: Creating, captcha: CaptchaSent, exchange: &Result<Answer, Failure>) -> Ending<Created> {
    let read =
        |document: &Value| Granted::of_creation(document).map(|token| Created { token, links: Links::of(document) });
    made_or_not(creating, captcha, exchange, read)
}

/// Says what one sending of a create call came to that no captcha protects. `read` finds in the answer what can't be asked
/// for again.
pub(crate) fn judge_creation<T>(
    creating: Creating,
    exchange: &Result<Answer, Failure>,
    read: impl Fn(&Value) -> Option<T>,
) -> Ending<T> {
    made_or_not(creating, CaptchaSent::No, exchange, read)
}

fn made_or_not<T>(
    creating: Creating,
    captcha: CaptchaSent,
    exchange: &Result<Answer, Failure>,
    read: impl Fn(&Value) -> Option<T>,
) -> Ending<T> {
    match exchange {
        // Which success it is says less than what it brings: a body with a token is a token.
        Ok(answer) if answer.is_success() => match answer.creation().and_then(|document| read(&document)) {
            Some(created) => Ending::Final(Outcome::Done(created)),
            None if answer.status == 201 => Ending::Final(Outcome::TokenLost(loss(answer))),
            None => unmade(creating, captcha, exchange),
        },
        _ => unmade(creating, captcha, exchange),
    }
}

/// Says what one sending of a change came to. Its answer may be the whole resource, or nothing.
pub(crate) fn judge_change(exchange: &Result<Answer, Failure>) -> Ending<()> {
    match exchange {
        Ok(answer) if matches!(answer.status, 200 | 204) => Ending::Final(Outcome::Done(())),
        _ => unmade(Creating::Other, CaptchaSent::No, exchange),
    }
}

/// Everything but the success that was hoped for.
fn unmade<T>(creating: Creating, captcha: CaptchaSent, exchange: &Result<Answer, Failure>) -> Ending<T> {
    let answer = match exchange {
        Ok(answer) => answer,
        Err(failure) => {
            return Ending::Final(match failure.fate {
                Fate::NotSent(why) => Outcome::NoEffect(NoEffect::NotSent(why)),
                Fate::HeldBack(wait) => Outcome::NoEffect(NoEffect::HeldBack { wait }),
                Fate::TimedOut => Outcome::Unknown(Doubt::TimedOut),
                Fate::ConnectionLost => Outcome::Unknown(Doubt::ConnectionLost),
                Fate::KeptConnectionLost => Outcome::Unknown(Doubt::KeptConnectionLost),
            });
        }
    };
    match answer.status {
        300..=399 => Ending::Final(Outcome::Unknown(Doubt::Redirected)),
        status @ (408 | 409) => Ending::Final(Outcome::Unknown(Doubt::Status(status))),
        400..=499 => refused(creating, captcha, answer),
        status => Ending::Final(Outcome::Unknown(Doubt::Status(status))),
    }
}

/// A 201 without what should have come with it: the thing exists, and this is why there is no more than that.
fn loss(answer: &Answer) -> TokenLoss {
    match &answer.body {
        Body::Whole(_) if answer.body.first_object().is_some() => TokenLoss::NoToken,
        Body::Whole(_) => TokenLoss::BodyUnreadable,
        Body::Cut { .. } => TokenLoss::BodyCut,
        Body::TooLarge => TokenLoss::BodyTooLarge,
    }
}

/// A 4xx other than 408 and 409: nothing was created.
fn refused<T>(creating: Creating, captcha: CaptchaSent, answer: &Answer) -> Ending<T> {
    let body = answer.body.json().unwrap_or_default();
    let errors = reasons::of(answer);
    let oauth = OAuthError::of(&body, answer.challenge.as_deref());
    let fault = |fault| Ending::Final(Outcome::NoEffect(NoEffect::SetupFault(fault)));
    match (answer.status, oauth) {
        (429, _) => Ending::Final(Outcome::NoEffect(NoEffect::RateLimited { retry_after: answer.retry_after })),
        (_, Some(OAuthError::InvalidClient)) => fault(SetupFault::InvalidClient),
        (_, Some(OAuthError::InsufficientScope)) => fault(SetupFault::InsufficientScope),
        (401, _) | (_, Some(OAuthError::InvalidToken)) => Ending::StaleToken,
        (status, _) if errors::demand_captcha(&errors) => match captcha {
            CaptchaSent::No => fault(SetupFault::CaptchaDemanded),
            CaptchaSent::OfSettings => fault(SetupFault::CaptchaRefused),
            CaptchaSent::Own => {
                let kind = errors::kind_with_refused_captcha(creating, &errors);
                Ending::Final(Outcome::Rejected(rejection(kind, status, errors, answer)))
            }
        },
        (403, _) => fault(SetupFault::Forbidden),
        (404 | 410, _) => Ending::StaleLink,
        (status, _) if answer.body.is_damaged() => Ending::Final(Outcome::NoEffect(NoEffect::ReasonsLost { status })),
        (status, _) => {
            let kind = errors::kind(creating, &errors);
            Ending::Final(Outcome::Rejected(rejection(kind, status, errors, answer)))
        }
    }
}

/// The kind is judged by Foxy's own words: a customer's name may be a part of them. They go on without what was sent.
fn rejection(kind: RejectionKind, status: u16, errors: Vec<FoxyError>, answer: &Answer) -> Rejection {
    Rejection { kind, status, errors: errors.into_iter().map(|error| error.without(&answer.struck)).collect() }
}

/// What one sending leaves behind for the record. Its time is the caller's to fill in.
pub(crate) fn evidence(exchange: &Result<Answer, Failure>, origins: &ApiOrigins) -> Evidence {
    let answer = match exchange {
        Ok(answer) => answer,
        Err(failure) => return Evidence { cause: failure.cause.clone(), ..Evidence::default() },
    };
    let body = answer.json().unwrap_or_default();
    Evidence {
        http_status: Some(answer.status),
        logref: reasons::of(answer).into_iter().find_map(|error| error.without(&answer.struck).logref),
        resource: if answer.status == 201 { resource(answer, &body, origins) } else { None },
        cause: if let Body::Cut { cause, .. } = &answer.body { Some(cause.clone()) } else { None },
        ..Evidence::default()
    }
}

/// A 201's own word on where the new resource is: its `self` link, else its `Location`, which arrives even if a body
/// doesn't.
fn resource(answer: &Answer, body: &Value, origins: &ApiOrigins) -> Option<ResourceUri> {
    let location = || ResourceUri::parse(answer.location.as_deref()?, origins).ok().map(ResourceUri::bare);
    Links::of(body).own(origins).ok().or_else(location)
}

#[cfg(test)]
mod tests;
