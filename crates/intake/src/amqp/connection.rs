//! One connection to the broker, opened and closed in bounded time.

use std::time::Duration;

use lapin::{Channel, Connection, ConnectionProperties, options::ConfirmSelectOptions};
use tokio::time::timeout;

use super::{broker_error::BrokerError, broker_url::AmqpUrl};

/// For TCP, TLS and the AMQP handshake. The library has no limit of its own: it waits for ever for a broker that accepts
/// and says nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For all that is declared on a new connection.
pub(super) const SET_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// For taking leave. What is lost with it is only politeness: the broker requeues what was not acknowledged either way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// AMQP's reply code for an orderly end.
const OK: u16 = 200;

/// Connects. `role` names the connection in the broker's own listings.
pub(super) async fn connect(url: &AmqpUrl, role: &str) -> Result<Connection, BrokerError> {
    const DOING: &str = "connecting to the broker";
    let properties = ConnectionProperties::default().with_connection_name(format!("foxden {role}").into());
    match timeout(CONNECT_TIMEOUT, Connection::connect_uri(url.uri(), properties)).await {
        Ok(connected) => connected.map_err(BrokerError::failed(DOING)),
        Err(_) => Err(BrokerError::TimedOut { doing: DOING, within: CONNECT_TIMEOUT }),
    }
}

/// Opens a channel. Each role gets its own: one error ends everything on a channel.
pub(super) async fn channel(connection: &Connection) -> Result<Channel, BrokerError> {
    connection.create_channel().await.map_err(BrokerError::failed("opening a channel"))
}

/// Opens a channel on which the broker confirms what is published.
pub(super) async fn confirming_channel(connection: &Connection) -> Result<Channel, BrokerError> {
    let channel = channel(connection).await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(BrokerError::failed("asking for publisher confirms"))?;
    Ok(channel)
}

/// Closes in good order if the broker still listens.
pub(super) async fn close(connection: Connection) {
    if connection.status().connected() {
        // An error or a missing answer changes nothing: dropping the connection ends it as well.
        drop(timeout(CLOSE_TIMEOUT, connection.close(OK, "bye".into())).await);
    }
}

/// Bounds the setting up of channels and topology.
pub(super) async fn in_time<T>(set_up: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    match timeout(SET_UP_TIMEOUT, set_up).await {
        Ok(result) => result,
        Err(_) => Err(BrokerError::TimedOut { doing: "declaring exchanges and queues", within: SET_UP_TIMEOUT }),
    }
}
