//! The settings' names in the broker's terms, checked once.

use lapin::types::ShortString;

use super::{
    broker_error::IntakeError,
    settings::AmqpSettings,
    thing::{Role, Thing},
};

/// Checked names. AMQP gives each 255 bytes at most.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) exchange: ShortString,
    pub(super) queue: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) dead_exchange: ShortString,
    pub(super) dead_queue: ShortString,
    pub(super) outcome_exchange: Option<ShortString>,
    pub(super) outcome_queue: Option<ShortString>,
}

impl Names {
    pub(super) fn of(settings: &AmqpSettings) -> Result<Self, IntakeError> {
        let exchanges = [Some(&settings.exchange), Some(&settings.dead_exchange), settings.outcome_exchange.as_ref()];
        let queues = [Some(&settings.queue), Some(&settings.dead_queue), settings.outcome_queue.as_ref()];
        // One queue in two roles would feed dead letters or outcomes back as signups, for ever.
        if repeats(&exchanges.iter().flatten().collect::<Vec<_>>())
            || repeats(&queues.iter().flatten().collect::<Vec<_>>())
        {
            return Err(IntakeError::NamesClash);
        }
        Ok(Self {
            exchange: name("exchange", &settings.exchange)?,
            queue: name("queue", &settings.queue)?,
            routing_key: name("routing key", &settings.routing_key)?,
            dead_exchange: name("dead exchange", &settings.dead_exchange)?,
            dead_queue: name("dead queue", &settings.dead_queue)?,
            outcome_exchange: optional("outcome exchange", settings.outcome_exchange.as_deref())?,
            outcome_queue: optional("outcome queue", settings.outcome_queue.as_deref())?,
        })
    }

    /// All exchanges and queues there are.
    pub(super) fn things(&self) -> Vec<Thing> {
        let mut things = vec![
            Thing::new(Role::DeadExchange, &self.dead_exchange),
            Thing::new(Role::DeadQueue, &self.dead_queue),
            Thing::new(Role::Exchange, &self.exchange),
            Thing::new(Role::Queue, &self.queue),
        ];
        things.extend(self.outcome_exchange.as_ref().map(|name| Thing::new(Role::OutcomeExchange, name)));
        things.extend(self.outcome_queue.as_ref().map(|name| Thing::new(Role::OutcomeQueue, name)));
        things
    }
}

fn repeats<T: PartialEq>(names: &[T]) -> bool {
    names.iter().enumerate().any(|(at, name)| names[..at].contains(name))
}

fn optional(role: &'static str, text: Option<&str>) -> Result<Option<ShortString>, IntakeError> {
    text.map(|text| name(role, text)).transpose()
}

/// An empty exchange name would be the broker's default exchange, an empty queue name one that the broker makes up.
fn name(role: &'static str, text: &str) -> Result<ShortString, IntakeError> {
    if text.is_empty() || text.contains(char::is_control) {
        return Err(IntakeError::Name { role });
    }
    ShortString::try_new(text).map_err(|_| IntakeError::Name { role })
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::{AmqpSettings, testing};

    fn settings() -> AmqpSettings {
        testing::settings("amqp://localhost", "t")
    }

    #[test]
    fn names_fit_into_amqp_and_have_one_role_each() {
        assert!(Names::of(&settings()).is_ok());
        let long = AmqpSettings { queue: "x".repeat(256), ..settings() };
        assert_eq!(
            Names::of(&long).unwrap_err().to_string(),
            "the name of the queue is empty, longer than 255 bytes or has control characters"
        );
        let looped = AmqpSettings { dead_queue: settings().queue, ..settings() };
        assert_eq!(
            Names::of(&looped).unwrap_err().to_string(),
            "two exchanges or two queues have the same name; each needs its own"
        );
    }
}
