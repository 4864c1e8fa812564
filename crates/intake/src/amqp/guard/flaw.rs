//! What can be wrong with a message as AMQP.

use std::collections::BTreeSet;

use lapin::types::FieldTable;

use crate::{amqp::header::text_in, event::Mistake};

/// Lists the flaws that were mended, by their words. A publisher that sets it itself gets its own message put aside.
pub(in crate::amqp) const FLAWS_HEADER: &str = "x-foxden-flaws";

/// Something that the AMQP library couldn't have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::amqp) enum Flaw {
    /// These are not UTF-8. Bytes that aren't were replaced by `\x…`.
    ContentType,
    ContentEncoding,
    CorrelationId,
    ReplyTo,
    Expiration,
    MessageId,
    Type,
    UserId,
    AppId,
    ClusterId,
    Exchange,
    RoutingKey,
    HeaderName,
    /// Containers below the deepest level were left out.
    HeaderDepth,
    /// There was no way to tell where a value ends. It was left out with all that follows it in its container.
    HeaderForm,
    /// The headers were left out, since they would have been too large when mended, or came in a frame larger than
    /// agreed.
    HeaderSize,
    /// The list of properties was cut off or too long. Those that could be read were kept.
    Properties,
}

impl Flaw {
    const ALL: [Self; 17] = [
        Self::ContentType,
        Self::ContentEncoding,
        Self::CorrelationId,
        Self::ReplyTo,
        Self::Expiration,
        Self::MessageId,
        Self::Type,
        Self::UserId,
        Self::AppId,
        Self::ClusterId,
        Self::Exchange,
        Self::RoutingKey,
        Self::HeaderName,
        Self::HeaderDepth,
        Self::HeaderForm,
        Self::HeaderSize,
        Self::Properties,
    ];

    /// The word in the header.
    const fn word(self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::ContentEncoding => "content_encoding",
            Self::CorrelationId => "correlation_id",
            Self::ReplyTo => "reply_to",
            Self::Expiration => "expiration",
            Self::MessageId => "message_id",
            Self::Type => "type",
            Self::UserId => "user_id",
            Self::AppId => "app_id",
            Self::ClusterId => "cluster_id",
            Self::Exchange => "exchange",
            Self::RoutingKey => "routing_key",
            Self::HeaderName => "header_name",
            Self::HeaderDepth => "header_depth",
            Self::HeaderForm => "header_form",
            Self::HeaderSize => "header_size",
            Self::Properties => "properties",
        }
    }

    fn mistake(self) -> Mistake {
        let (path, problem) = match self {
            Self::HeaderName => ("properties.headers".to_owned(), "have a name that is not UTF-8"),
            Self::HeaderDepth => ("properties.headers".to_owned(), "nest deeper than 32 levels"),
            Self::HeaderForm => ("properties.headers".to_owned(), "have a value of no type that AMQP 0-9-1 knows"),
            Self::HeaderSize => ("properties.headers".to_owned(), "are too large"),
            Self::Properties => ("properties".to_owned(), "are not those of AMQP 0-9-1"),
            Self::Exchange | Self::RoutingKey => (self.word().to_owned(), "is not UTF-8"),
            property => (format!("properties.{}", property.word()), "is not UTF-8"),
        };
        Mistake { path, problem: problem.to_owned() }
    }
}

/// A set of flaws.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::amqp) struct Flaws(BTreeSet<Flaw>);

impl Flaws {
    /// Those that are listed among a message's headers.
    pub(in crate::amqp) fn in_headers(headers: &FieldTable) -> Self {
        let listed = text_in(headers, FLAWS_HEADER).unwrap_or_default();
        let is_listed = |flaw: &Flaw| listed.split(' ').any(|word| word == flaw.word());
        Self(Flaw::ALL.into_iter().filter(is_listed).collect())
    }

    pub(in crate::amqp) fn mistakes(&self) -> Vec<Mistake> {
        self.0.iter().map(|flaw| flaw.mistake()).collect()
    }

    pub(super) fn add(&mut self, flaw: Flaw) {
        self.0.insert(flaw);
    }

    pub(in crate::amqp) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they stand in the header.
    pub(super) fn words(&self) -> String {
        self.0.iter().map(|flaw| flaw.word()).collect::<Vec<_>>().join(" ")
    }
}
