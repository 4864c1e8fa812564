//! A broker that says no, in words: what was wanted, what is there, and what to do about it.

use std::fmt;

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::ShortString,
};

use super::{distrust::Distrust, thing::Thing};

/// What the broker was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// To let us in.
    Connection {
        /// The virtual host of the URL.
        vhost: String,
    },
    /// To make an exchange or a queue, or to find it as we would have made it.
    Declared(Thing),
    /// To tell whether it is there.
    Found(Thing),
    /// To bind a queue to an exchange.
    Bound { queue: Thing, exchange: Thing },
    /// To deliver what is in a queue.
    Subscribed(Thing),
    /// Anything else.
    Other(&'static str),
}

impl Asked {
    /// What we were doing.
    pub(super) const fn doing(&self) -> &'static str {
        match self {
            Self::Connection { .. } => "connecting to the broker",
            Self::Declared(thing) if thing.role.is_queue() => "declaring a queue",
            Self::Declared(_) => "declaring an exchange",
            Self::Found(thing) if thing.role.is_queue() => "looking for a queue",
            Self::Found(_) => "looking for an exchange",
            Self::Bound { .. } => "binding a queue",
            Self::Subscribed(_) => "subscribing to the queue",
            Self::Other(doing) => doing,
        }
    }
}

/// The broker is there and says no, or it is not to be trusted. Trying again helps only after somebody changed something.
///
/// Its text tells the thing by role and name, what is wrong with it, and what to do. It holds no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    asked: Asked,
    why: Why,
}

#[derive(Debug, Clone, PartialEq)]
enum Why {
    /// The broker's own answer: reply code and reply text.
    Said { kind: AMQPErrorKind, text: ShortString },
    /// TLS came to nothing.
    Distrusted(Distrust),
}

impl Refusal {
    /// The refusal in an error, if it is one; else what was asked for comes back.
    pub(super) fn in_error(error: &Error, asked: Asked) -> Result<Self, Asked> {
        let why = match error.kind() {
            ErrorKind::ProtocolError(said) if passes(said) => None,
            ErrorKind::ProtocolError(said) => {
                Some(Why::Said { kind: said.kind().clone(), text: said.get_message().clone() })
            }
            ErrorKind::IOError(error) => Distrust::in_error(error).map(Why::Distrusted),
            _ => None,
        };
        match why {
            Some(why) => Ok(Self { asked, why }),
            None => Err(asked),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AMQPErrorKind::{Hard, Soft};
        let (kind, text) = match &self.why {
            Why::Said { kind, text } => (kind, text.as_str()),
            Why::Distrusted(distrust) => return distrust.fmt(f),
        };
        match (&self.asked, kind) {
            (Asked::Connection { .. }, Soft(AMQPSoftError::ACCESSREFUSED)) => f.write_str(
                "the broker refuses the user name or the password; compare those in FOXDEN_AMQP_URL with the broker's \
                 own (the user guest is let in from the broker's own machine only)",
            ),
            (Asked::Connection { vhost }, Hard(AMQPHardError::NOTALLOWED)) => write!(
                f,
                "the broker does not let this user into the virtual host {vhost} (it says: {text}); compare the end of \
                 FOXDEN_AMQP_URL with the broker's virtual hosts, and the user's permissions there"
            ),
            (Asked::Declared(thing) | Asked::Found(thing), Soft(AMQPSoftError::PRECONDITIONFAILED)) => {
                exists_otherwise(f, thing, text)
            }
            (Asked::Found(thing) | Asked::Subscribed(thing), Soft(AMQPSoftError::NOTFOUND)) if is_missing(text) => {
                write!(
                    f,
                    "there is no {thing} at the broker; have it made, or set {} to the name it has, or \
                     FOXDEN_AMQP_TOPOLOGY=declare to let foxden make it",
                    thing.role.setting()
                )
            }
            (Asked::Declared(thing), Soft(AMQPSoftError::ACCESSREFUSED)) => write!(
                f,
                "this user may not configure the {thing} (the broker says: {text}); grant it, or have it made by somebody \
                 else and set FOXDEN_AMQP_TOPOLOGY=check"
            ),
            (Asked::Bound { queue, exchange }, Soft(AMQPSoftError::ACCESSREFUSED)) => write!(
                f,
                "this user may not bind the {queue} to the {exchange} (the broker says: {text}); grant it to write to the \
                 queue and to read from the exchange, or have it bound by somebody else and set FOXDEN_AMQP_TOPOLOGY=check"
            ),
            (Asked::Subscribed(thing), Soft(AMQPSoftError::ACCESSREFUSED)) => write!(
                f,
                "the broker does not let this user consume from the {thing} (it says: {text}); grant it to read, or end \
                 the consumer that has the queue to itself"
            ),
            (
                Asked::Declared(thing) | Asked::Found(thing) | Asked::Subscribed(thing),
                Soft(AMQPSoftError::RESOURCELOCKED),
            ) => write!(
                f,
                "the {thing} belongs to another connection alone (the broker says: {text}); have it declared without \
                 `exclusive`, or set {} to another name",
                thing.role.setting()
            ),
            (
                Asked::Declared(thing)
                | Asked::Found(thing)
                | Asked::Subscribed(thing)
                | Asked::Bound { queue: thing, .. },
                _,
            ) => write!(f, "{} was refused for the {thing} (the broker says: {text})", self.asked.doing()),
            (Asked::Connection { .. } | Asked::Other(_), _) => {
                write!(
                    f,
                    "{} was refused (the broker says: {text}); check the names that are set, and the user's permissions",
                    self.asked.doing()
                )
            }
        }
    }
}

/// What a broker says that shuts down, is out of resources, or has lost a node; that one of us sent a frame which the
/// other could not take; or that has waited too long for an acknowledgement (`consumer_timeout`), and delivers again.
/// No one has to change anything.
fn passes(said: &AMQPError) -> bool {
    let text = said.get_message().as_str();
    match said.kind() {
        AMQPErrorKind::Hard(kind) => matches!(
            kind,
            AMQPHardError::CONNECTIONFORCED
                | AMQPHardError::FRAMEERROR
                | AMQPHardError::INTERNALERROR
                | AMQPHardError::RESOURCEERROR
        ),
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => text.contains("is down or inaccessible"),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => text.contains("delivery acknowledgement"),
        AMQPErrorKind::Soft(_) => false,
    }
}

/// A queue whose node is down is not found either, and comes back by itself.
fn is_missing(text: &str) -> bool {
    text.contains("no queue") || text.contains("no exchange")
}

fn exists_otherwise(f: &mut fmt::Formatter<'_>, thing: &Thing, text: &str) -> fmt::Result {
    match Difference::of(text) {
        Some(Difference { argument, wanted, found }) => {
            write!(f, "the {thing} exists otherwise: ")?;
            match found {
                Some(found) => write!(f, "its {argument} is {found}")?,
                None => write!(f, "it has no {argument}")?,
            }
            match wanted {
                Some(wanted) => write!(f, ", and foxden wants {wanted}")?,
                None => f.write_str(", and foxden wants none")?,
            }
        }
        None => write!(f, "the {thing} exists otherwise than foxden wants it (the broker says: {text})")?,
    }
    let remove = if thing.role.is_queue() { "drain and delete it" } else { "delete it" };
    write!(
        f,
        "; {remove}, or set {} to another name, or FOXDEN_AMQP_TOPOLOGY=check to take it as it is",
        thing.role.setting()
    )
}

/// What RabbitMQ tells of something that exists otherwise than it was declared.
#[derive(Debug, PartialEq, Eq)]
struct Difference<'a> {
    argument: &'a str,
    wanted: Option<&'a str>,
    found: Option<&'a str>,
}

impl<'a> Difference<'a> {
    /// Takes apart `inequivalent arg 'A' for queue 'Q' in vhost 'V': received W but current is C`, where a value is
    /// `none`, `'true'`, or `the value 'classic' of type 'longstr'`. A text of another form, or one that the broker has cut
    /// off at the 255 bytes that AMQP allows, is left as it is.
    fn of(text: &'a str) -> Option<Self> {
        let (_, rest) = text.split_once("inequivalent arg '")?;
        let (argument, rest) = rest.split_once('\'')?;
        // From the right, since names may hold anything.
        let (rest, found) = rest.rsplit_once(" but current is ")?;
        let (_, wanted) = rest.rsplit_once(": received ")?;
        Some(Self { argument, wanted: value(wanted)?, found: value(found)? })
    }
}

/// `None` where the form is unknown, `Some(None)` where there is no value.
fn value(text: &str) -> Option<Option<&str>> {
    if text == "none" {
        return Some(None);
    }
    let text = text.strip_prefix("the value ").unwrap_or(text);
    let (value, _) = text.strip_prefix('\'')?.split_once('\'')?;
    Some(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::thing::Role;

    fn queue() -> Thing {
        Thing::new(Role::Queue, &"foxden.signups".into())
    }

    fn exchange() -> Thing {
        Thing::new(Role::Exchange, &"foxden".into())
    }

    fn said(asked: Asked, kind: AMQPErrorKind, text: &str) -> String {
        let error = ErrorKind::ProtocolError(AMQPError::new(kind, text.into())).into();
        Refusal::in_error(&error, asked).unwrap().to_string()
    }

    #[test]
    fn what_exists_otherwise_is_told_with_what_is_wanted_and_what_is_there() {
        let kind = || AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'foxden.signups' in vhost '/': \
                    received the value 'quorum' of type 'longstr' but current is none";
        assert_eq!(
            said(Asked::Declared(queue()), kind(), text),
            "the signup queue foxden.signups exists otherwise: it has no x-queue-type, and foxden wants quorum; drain and \
             delete it, or set FOXDEN_AMQP_QUEUE to another name, or FOXDEN_AMQP_TOPOLOGY=check to take it as it is"
        );
        let text = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'foxden' in vhost '/': received 'topic' but \
                    current is 'direct'";
        assert_eq!(
            said(Asked::Declared(exchange()), kind(), text),
            "the signup exchange foxden exists otherwise: its type is direct, and foxden wants topic; delete it, or set \
             FOXDEN_AMQP_EXCHANGE to another name, or FOXDEN_AMQP_TOPOLOGY=check to take it as it is"
        );
        let text =
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'a: received none but current is ...";
        assert_eq!(
            said(Asked::Declared(queue()), kind(), text),
            format!(
                "the signup queue foxden.signups exists otherwise than foxden wants it (the broker says: {text}); drain and \
                 delete it, or set FOXDEN_AMQP_QUEUE to another name, or FOXDEN_AMQP_TOPOLOGY=check to take it as it is"
            )
        );
    }

    #[test]
    fn a_name_that_reads_like_the_brokers_words_confuses_nothing() {
        let text = "inequivalent arg 'durable' for queue 'x: received 'a' but current is 'b'' in vhost '/': received 'true' \
                    but current is 'false'";
        let difference = Difference { argument: "durable", wanted: Some("true"), found: Some("false") };
        assert_eq!(Difference::of(text), Some(difference));
    }

    #[test]
    fn what_is_missing_locked_or_forbidden_is_told_with_the_next_step() {
        let missing = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
        assert_eq!(
            said(Asked::Found(queue()), missing, "NOT_FOUND - no queue 'foxden.signups' in vhost '/'"),
            "there is no signup queue foxden.signups at the broker; have it made, or set FOXDEN_AMQP_QUEUE to the name it \
             has, or FOXDEN_AMQP_TOPOLOGY=declare to let foxden make it"
        );
        let locked = AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED);
        assert_eq!(
            said(Asked::Found(queue()), locked, "RESOURCE_LOCKED - …"),
            "the signup queue foxden.signups belongs to another connection alone (the broker says: RESOURCE_LOCKED - …); \
             have it declared without `exclusive`, or set FOXDEN_AMQP_QUEUE to another name"
        );
        let forbidden = || AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
        assert_eq!(
            said(Asked::Declared(exchange()), forbidden(), "ACCESS_REFUSED - …"),
            "this user may not configure the signup exchange foxden (the broker says: ACCESS_REFUSED - …); grant it, or \
             have it made by somebody else and set FOXDEN_AMQP_TOPOLOGY=check"
        );
        assert_eq!(
            said(Asked::Bound { queue: queue(), exchange: exchange() }, forbidden(), "ACCESS_REFUSED - …"),
            "this user may not bind the signup queue foxden.signups to the signup exchange foxden (the broker says: \
             ACCESS_REFUSED - …); grant it to write to the queue and to read from the exchange, or have it bound by \
             somebody else and set FOXDEN_AMQP_TOPOLOGY=check"
        );
        assert_eq!(
            said(Asked::Subscribed(queue()), forbidden(), "ACCESS_REFUSED - …"),
            "the broker does not let this user consume from the signup queue foxden.signups (it says: ACCESS_REFUSED - …); \
             grant it to read, or end the consumer that has the queue to itself"
        );
    }

    #[test]
    fn a_broker_that_does_not_let_us_in_is_told_by_what_it_minds() {
        let connection = || Asked::Connection { vhost: "shop".to_owned() };
        let forbidden = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
        assert_eq!(
            said(connection(), forbidden, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."),
            "the broker refuses the user name or the password; compare those in FOXDEN_AMQP_URL with the broker's own (the \
             user guest is let in from the broker's own machine only)"
        );
        let not_allowed = AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED);
        assert_eq!(
            said(connection(), not_allowed, "NOT_ALLOWED - vhost shop not found"),
            "the broker does not let this user into the virtual host shop (it says: NOT_ALLOWED - vhost shop not found); \
             compare the end of FOXDEN_AMQP_URL with the broker's virtual hosts, and the user's permissions there"
        );
    }

    #[test]
    fn a_broker_that_goes_away_refuses_nothing() {
        for kind in [AMQPHardError::CONNECTIONFORCED, AMQPHardError::INTERNALERROR, AMQPHardError::RESOURCEERROR] {
            let error = ErrorKind::ProtocolError(AMQPError::new(AMQPErrorKind::Hard(kind), "".into())).into();
            assert!(Refusal::in_error(&error, Asked::Other("publishing")).is_err());
        }
        for (kind, text) in [
            (
                AMQPSoftError::NOTFOUND,
                "NOT_FOUND - home node 'mq@b' of durable queue 'q' in vhost '/' is down or inaccessible",
            ),
            (
                AMQPSoftError::PRECONDITIONFAILED,
                "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out",
            ),
        ] {
            let error = ErrorKind::ProtocolError(AMQPError::new(AMQPErrorKind::Soft(kind), text.into())).into();
            assert!(Refusal::in_error(&error, Asked::Found(queue())).is_err(), "{text}");
        }
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
        assert!(Refusal::in_error(&reset, Asked::Other("publishing")).is_err());
    }
}
