//! Attributes: a platform's own notes on a client, a user or a store.

use std::fmt;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::access::{Access, To};
use crate::errors::Creating;
use crate::http::Verb;
use crate::link::Links;
use crate::wire::Wire;
use crate::{ApiOrigins, Document, Evidence, NoEffect, NotSent, Outcome, Report, ResourceUri, outcome};

/// A note on a resource (Foxy docs: rels/attributes). `Debug` shows its name only.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What it is called; names may repeat at Foxy.
    pub name: String,
    /// What it says.
    pub value: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// Where it is, once Foxy has it.
    uri: Option<ResourceUri>,
}

/// Who may read an attribute (Foxy docs: rels/attributes). It is fixed when the attribute is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Every OAuth client and every admin with access to the resource; not the public.
    #[default]
    Private,
    /// Only the OAuth client that made it.
    Restricted,
    /// Everyone.
    Public,
}

impl Attribute {
    /// A note that no other client of Foxy's API sees, nor anyone in Foxy's admin.
    pub fn restricted(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), visibility: Visibility::Restricted, uri: None }
    }

    /// A note that this circle sees.
    pub fn new(name: impl Into<String>, value: impl Into<String>, visibility: Visibility) -> Self {
        Self { name: name.into(), value: value.into(), visibility, uri: None }
    }

    /// An embedded attribute; what can't be read is none.
    pub(crate) fn read(entry: &Value, origins: &ApiOrigins) -> Option<Self> {
        let text = |name: &str| Some(entry.get(name)?.as_str()?.to_owned());
        let visibility = match entry.get("visibility").and_then(Value::as_str) {
            Some("public") => Visibility::Public,
            Some("restricted") => Visibility::Restricted,
            _ => Visibility::Private,
        };
        let uri = Links::of(entry).uri("self", origins).ok();
        Some(Self { name: text("name")?, value: text("value")?, visibility, uri })
    }

    /// Foxy's body for the creation.
    fn body(&self) -> Value {
        let visibility = match self.visibility {
            Visibility::Private => "private",
            Visibility::Restricted => "restricted",
            Visibility::Public => "public",
        };
        json!({ "name": self.name, "value": self.value, "visibility": visibility })
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribute").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Makes sure that the resource linked as `rel` has the attribute: writes it, or changes the value of the one with its
/// name and visibility, unless it is there already. After an unknown outcome it can be asked for again; at worst the
/// note is there twice.
///
/// One of that name under another visibility stays as it is: Foxy can't make it what is wanted, and it may be another
/// client's.
pub(crate) async fn ensure(
    wire: &Wire,
    access: &Access,
    rel: &'static str,
    wanted: &Attribute,
    deadline: Instant,
) -> Report<()> {
    let begun = Instant::now();
    let mut report = match timeout_at(deadline, Document::linked(wire, access, rel)).await {
        Err(_) => no_effect(NoEffect::NotSent(NotSent::DeadlinePassed), None),
        Ok(Err(error)) => {
            let (reason, cause) = error.into_no_effect();
            no_effect(reason, cause)
        }
        Ok(Ok(document)) => write(wire, access, &document, wanted, deadline).await,
    };
    report.evidence.elapsed = begun.elapsed();
    report
}

async fn write(wire: &Wire, access: &Access, document: &Document, wanted: &Attribute, deadline: Instant) -> Report<()> {
    let of_that_name =
        document.attributes.iter().filter(|there| (&there.name, there.visibility) == (&wanted.name, wanted.visibility));
    let (right, other): (Vec<_>, Vec<_>) = of_that_name.partition(|there| there.value == wanted.value);
    // Foxy refuses a change of the visibility (Foxy docs: rels/attribute).
    let change = json!({ "name": wanted.name, "value": wanted.value });
    let mut report = Report { outcome: Outcome::Done(()), evidence: Evidence::default() };
    let mut changed = false;
    for uri in other.iter().filter_map(|there| there.uri.as_ref()) {
        let to = (Verb::Patch, To::Known(uri));
        report = access.send(wire, to, &change, deadline, outcome::judge_change).await;
        if report.outcome != Outcome::Done(()) {
            return report;
        }
        changed = true;
    }
    if changed || !right.is_empty() {
        return report;
    }
    let collection = match document.links().uri("fx:attributes", wire.origins()) {
        Ok(collection) => collection,
        Err(problem) => return no_effect(NoEffect::SetupFault(problem.into()), None),
    };
    let to = (Verb::Post, To::Known(&collection));
    let made = |exchange: &_| outcome::judge_creation(Creating::Other, exchange, |_| Some(()));
    let report = access.send(wire, to, &wanted.body(), deadline, made).await;
    // A 201 whose body was lost is as good: nothing in it is needed.
    match report.outcome {
        Outcome::TokenLost(_) => Report { outcome: Outcome::Done(()), evidence: report.evidence },
        _ => report,
    }
}

fn no_effect(reason: NoEffect, cause: Option<crate::Cause>) -> Report<()> {
    Report { outcome: Outcome::NoEffect(reason), evidence: Evidence { cause, ..Evidence::default() } }
}
