//! Publishes a signup event with lapin.
//!
//! ```sh
//! cargo run --package foxden --example publish -- amqp://user:password@localhost foxden signup signup.json
//! ```
//!
//! Ends with 0 only when the broker has the event in a queue. When in doubt run it again: a repeat does no harm.

use std::error::Error;

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

/// Publishes one event and waits until the broker has it.
pub(crate) async fn publish(url: &str, exchange: &str, routing_key: &str, body: &[u8]) -> Result<(), Box<dyn Error>> {
    let event: serde_json::Value = serde_json::from_slice(body)?;
    let signup_id = event["signup_id"].as_str().ok_or("the event has no signup_id")?;
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(signup_id.into());
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm =
        channel.basic_publish(exchange.into(), routing_key.into(), mandatory, body, properties).await?.await?;
    if !confirm.is_ack() {
        return Err("the broker refused the event".into());
    }
    // The broker returns what no queue takes, and confirms it all the same.
    if confirm.take_message().is_some() {
        return Err("no queue takes the event: has a worker declared it yet?".into());
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, exchange, routing_key, file] = arguments.as_slice() else {
        return Err("usage: publish URL EXCHANGE ROUTING_KEY FILE".into());
    };
    publish(url, exchange, routing_key, &std::fs::read(file)?).await
}
