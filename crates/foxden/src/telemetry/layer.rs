//! Turns `tracing`'s events into lines.

use time::OffsetDateTime;
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{fields::Fields, human, json, line::Line};
use crate::terminal::Painter;

/// What takes a whole line, its break included.
pub(super) type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// How lines look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rendering {
    /// See [`json`].
    Json,
    /// See [`human`].
    Human(Painter),
}

/// Writes a line for every event, with the fields of the spans around it.
///
/// `tracing-subscriber`'s own JSON form keeps spans' fields in objects of their own, and with `flatten_event` a field
/// may be there twice; people search by `signup_id`, wherever it was set.
pub(super) struct LineLayer {
    rendering: Rendering,
    sink: Sink,
}

impl LineLayer {
    pub(super) fn new(rendering: Rendering, sink: Sink) -> Self {
        Self { rendering, sink }
    }
}

impl<S> Layer<S> for LineLayer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut around = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.iter().for_each(|(name, value)| around.set(name, value.clone()));
            }
        }
        let line = Line::of(event, around, OffsetDateTime::now_utc());
        let bytes = match self.rendering {
            Rendering::Json => json::render(&line),
            Rendering::Human(painter) => human::render(&line, painter),
        };
        (self.sink)(&bytes);
    }
}
