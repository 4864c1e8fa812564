//! The table: what the end of a create call means. Pure, and the only place that decides it.

use serde_json::Value;

use crate::answer::{Answer, Body};
use crate::errors::{self, Creating};
use crate::http::{Failure, Fate};
use crate::link::Links;
use crate::oauth::OAuthError;
use crate::{
    ApiOrigins, Doubt, Evidence, FoxyError, Granted, NoEffect, Outcome, Rejection, ResourceUri, SetupFault, TokenLoss,
};

/// How one sending of a create call ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// There is no more to be done about it here.
    Final(Outcome<Created>),
    /// 401: nothing was created. Worth one more sending, with a fresh token.
    StaleToken,
    /// 404 or 410: nothing was created. Worth one more sending, to a link discovered anew.
    StaleLink,
}

/// What a 201 brought.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    /// The token to the new resource.
    pub(crate) token: Granted,
    /// The answer's links, unchecked.
    pub(crate) links: Links,
}

/// Says what one sending came to.
pub(crate) fn judge(creating: Creating, exchange: &Result<Answer, Failure>) -> Ending {
    let answer = match exchange {
        Ok(answer) => answer,
        Err(failure) => {
            return Ending::Final(match failure.fate {
                Fate::NotSent(why) => Outcome::NoEffect(NoEffect::NotSent(why)),
                Fate::TimedOut => Outcome::Unknown(Doubt::TimedOut),
                Fate::ConnectionLost => Outcome::Unknown(Doubt::ConnectionLost),
            });
        }
    };
    match answer.status {
        201 => Ending::Final(created(answer)),
        300..=399 => Ending::Final(Outcome::Unknown(Doubt::Redirected)),
        status @ (408 | 409) => Ending::Final(Outcome::Unknown(Doubt::Status(status))),
        400..=499 => refused(creating, answer),
        status => Ending::Final(Outcome::Unknown(Doubt::Status(status))),
    }
}

/// A 201: the thing exists, so all that is left to ask is whether its token is in hand.
fn created(answer: &Answer) -> Outcome<Created> {
    let loss = match (answer.json(), &answer.body) {
        (Some(document), _) => match Granted::of_creation(&document) {
            Some(token) => return Outcome::Done(Created { token, links: Links::of(&document) }),
            None => TokenLoss::NoToken,
        },
        (None, Body::Whole(_)) => TokenLoss::BodyUnreadable,
        (None, Body::Cut(_)) => TokenLoss::BodyCut,
        (None, Body::TooLarge) => TokenLoss::BodyTooLarge,
    };
    Outcome::TokenLost(loss)
}

/// A 4xx other than 408 and 409: nothing was created.
fn refused(creating: Creating, answer: &Answer) -> Ending {
    let body = answer.json().unwrap_or_default();
    let errors = FoxyError::all_of(&body);
    let oauth = OAuthError::of(&body, answer.challenge.as_deref());
    let fault = |fault| Ending::Final(Outcome::NoEffect(NoEffect::SetupFault(fault)));
    match (answer.status, oauth) {
        (429, _) => Ending::Final(Outcome::NoEffect(NoEffect::RateLimited { retry_after: answer.retry_after })),
        (_, Some(OAuthError::InvalidClient)) => fault(SetupFault::InvalidClient),
        (_, Some(OAuthError::InsufficientScope)) => fault(SetupFault::InsufficientScope),
        (401, _) | (_, Some(OAuthError::InvalidToken)) => Ending::StaleToken,
        _ if errors::demand_captcha(&errors) => fault(SetupFault::CaptchaDemanded),
        (403, _) => fault(SetupFault::Forbidden),
        (404 | 410, _) => Ending::StaleLink,
        (status, _) if matches!(answer.body, Body::Cut(_)) => {
            Ending::Final(Outcome::NoEffect(NoEffect::ReasonsLost { status }))
        }
        (status, _) => {
            let kind = errors::kind(creating, &errors);
            Ending::Final(Outcome::Rejected(Rejection { kind, status, errors }))
        }
    }
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
        logref: FoxyError::all_of(&body).into_iter().find_map(|error| error.logref),
        resource: if answer.status == 201 { resource(answer, &body, origins) } else { None },
        cause: if let Body::Cut(cause) = &answer.body { Some(cause.clone()) } else { None },
        ..Evidence::default()
    }
}

/// A 201's own word on where the new resource is: its `self` link, else its `Location`, which arrives even if a body
/// doesn't.
fn resource(answer: &Answer, body: &Value, origins: &ApiOrigins) -> Option<ResourceUri> {
    let location = || ResourceUri::parse(answer.location.as_deref()?, origins).ok();
    Links::of(body).uri("self", origins).ok().or_else(location)
}

#[cfg(test)]
mod tests;
