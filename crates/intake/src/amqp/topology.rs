//! What foxden declares at the broker: the only place that does, each option with its why.
//!
//! Declaring is repeated at every connection, and changes nothing where all is as it should be. Something that exists
//! with other arguments is refused by the broker (406): delete it after draining it, or choose another name. Where the
//! settings say so, nothing is declared: exchanges and queues are looked for, and taken as they are. Needs RabbitMQ 3.10
//! or later.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    broker_error::{BrokerError, PublishError},
    connection,
    names::Names,
    refusal::Asked,
    settings::{AmqpSettings, Topology},
    thing::{Role, Thing},
};

/// How many times the broker delivers a signup again before it dead-letters it by itself, with the reason
/// `delivery_limit` in its `x-death` header.
///
/// Only what foxden could not settle comes that far: a message that brings the process down each time. The number is high
/// because each lost connection counts as a failed delivery for all that was prefetched, and it is finite because such a
/// message would else come back for ever. RabbitMQ 4 would set 20 where we say nothing.
const DELIVERY_LIMIT: i64 = 100;

/// For the queues that others read: as good as no limit. Past the limit a queue without a dead-letter exchange *drops* the
/// message, and RabbitMQ 4 sets a limit of 20 where none is given; -1 for "none" is not understood by 3.x.
const NO_DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// Declares all exchanges, queues and bindings, on a connection of its own, or looks for them, as the settings say. The
/// consumer and the publishers do the same for themselves; this is for a person who wants to see it done.
///
/// # Errors
/// When the broker can't be reached, or refuses.
pub async fn declare(settings: &AmqpSettings) -> Result<(), PublishError> {
    let names = Names::of(settings)?;
    let connection = connection::connect(settings, "set-up").await?;
    let seen_to = connection::in_time(async {
        let channel = connection::channel(&connection).await?;
        see_to_all(&channel, &names, settings.topology).await
    })
    .await;
    connection::close(connection).await;
    Ok(seen_to?)
}

/// Does what is set about all there is.
pub(super) async fn see_to_all(channel: &Channel, names: &Names, topology: Topology) -> Result<(), BrokerError> {
    match topology {
        Topology::Declare => declare_all(channel, names).await,
        Topology::Check => {
            for thing in names.things() {
                find(channel, thing).await?;
            }
            Ok(())
        }
    }
}

/// Sees that it is there. A passive declaration compares nothing but the name, and needs no permission.
async fn find(channel: &Channel, thing: Thing) -> Result<(), BrokerError> {
    let (name, arguments) = (thing.name.clone(), FieldTable::default());
    let found = if thing.role.is_queue() {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name, options, arguments).await.map(drop)
    } else {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        // The broker does not look at the kind.
        channel.exchange_declare(name, ExchangeKind::Topic, options, arguments).await
    };
    found.map_err(BrokerError::answering(Asked::Found(thing)))
}

/// Declares all there is, dead letters first, so that nothing can be dead-lettered to where nothing is yet.
async fn declare_all(channel: &Channel, names: &Names) -> Result<(), BrokerError> {
    let dead_exchange = Thing::new(Role::DeadExchange, &names.dead_exchange);
    let dead_queue = Thing::new(Role::DeadQueue, &names.dead_queue);
    // Direct: a dead letter has one place to go, named by its routing key.
    exchange(channel, &dead_exchange, ExchangeKind::Direct).await?;
    queue(channel, &dead_queue, NO_DELIVERY_LIMIT, None).await?;
    bind(channel, &dead_queue, &dead_exchange, names.dead_queue.clone()).await?;

    let signup_exchange = Thing::new(Role::Exchange, &names.exchange);
    let signup_queue = Thing::new(Role::Queue, &names.queue);
    // Topic: the parent app may route by finer keys, or listen in, without a change here. A key without wildcards
    // matches as it would in a direct exchange.
    exchange(channel, &signup_exchange, ExchangeKind::Topic).await?;
    queue(channel, &signup_queue, DELIVERY_LIMIT, Some((&names.dead_exchange, &names.dead_queue))).await?;
    bind(channel, &signup_queue, &signup_exchange, names.routing_key.clone()).await?;

    let Some(outcomes) = &names.outcome_exchange else { return Ok(()) };
    let outcome_exchange = Thing::new(Role::OutcomeExchange, outcomes);
    // Topic: a listener may want the parked ones only.
    exchange(channel, &outcome_exchange, ExchangeKind::Topic).await?;
    if let Some(outcomes) = &names.outcome_queue {
        let outcome_queue = Thing::new(Role::OutcomeQueue, outcomes);
        queue(channel, &outcome_queue, NO_DELIVERY_LIMIT, None).await?;
        bind(channel, &outcome_queue, &outcome_exchange, "#".into()).await?;
    }
    Ok(())
}

async fn exchange(channel: &Channel, thing: &Thing, kind: ExchangeKind) -> Result<(), BrokerError> {
    // Durable: it is there again after the broker restarts, before anyone declares it.
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare(thing.name.clone(), kind, options, FieldTable::default())
        .await
        .map_err(BrokerError::answering(Asked::Declared(thing.clone())))
}

async fn queue(
    channel: &Channel,
    thing: &Thing,
    delivery_limit: i64,
    dead_letters: Option<(&ShortString, &ShortString)>,
) -> Result<(), BrokerError> {
    let text = |value: &str| AMQPValue::LongString(value.into());
    let mut arguments = FieldTable::default();
    // Quorum: replicated where the broker has several nodes, written to disk before it confirms, and counting deliveries.
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(delivery_limit));
    if let Some((exchange, routing_key)) = dead_letters {
        arguments.insert("x-dead-letter-exchange".into(), text(exchange.as_str()));
        arguments.insert("x-dead-letter-routing-key".into(), text(routing_key.as_str()));
        // The broker removes a message it dead-letters only once the dead queue has it; by default it hopes for the best.
        // That strategy demands `reject-publish`, which matters only where an operator's policy limits the queue: then
        // the publisher is told, instead of the oldest signup being dropped.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
    }
    // Durable, as a quorum queue must be.
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel
        .queue_declare(thing.name.clone(), options, arguments)
        .await
        .map(drop)
        .map_err(BrokerError::answering(Asked::Declared(thing.clone())))
}

async fn bind(channel: &Channel, queue: &Thing, exchange: &Thing, key: ShortString) -> Result<(), BrokerError> {
    let (to, from) = (queue.name.clone(), exchange.name.clone());
    channel
        .queue_bind(to, from, key, QueueBindOptions::default(), FieldTable::default())
        .await
        .map_err(BrokerError::answering(Asked::Bound { queue: queue.clone(), exchange: exchange.clone() }))
}
