//! One connection to the broker, opened and closed in bounded time.

use std::time::Duration;

use futures::StreamExt;
use lapin::{Channel, Connection, ConnectionProperties, Event, options::ConfirmSelectOptions};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::{broker_error::BrokerError, guard, refusal::Asked, settings::AmqpSettings};

/// For TCP, TLS and the AMQP handshake. The library has no limit of its own: it waits for ever for a broker that accepts
/// and says nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For all that is declared on a new connection.
pub(super) const SET_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// For taking leave. What is lost with it is only politeness: the broker requeues what was not acknowledged either way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same while the broker says that it reads nothing: for the goodbye to be sent.
const CLOSE_BLOCKED_TIMEOUT: Duration = Duration::from_millis(200);
/// AMQP's reply code for an orderly end.
const OK: u16 = 200;

/// Connects. `role` names the connection in the broker's own listings, and in the log if the broker blocks it.
pub(super) async fn connect(settings: &AmqpSettings, role: &'static str) -> Result<Connection, BrokerError> {
    let uri = settings.url.uri();
    let asked = Asked::Connection { vhost: uri.vhost.clone() };
    let doing = asked.doing();
    let properties = ConnectionProperties::default().with_connection_name(format!("foxden {role}").into());
    match timeout(CONNECT_TIMEOUT, guard::connect(uri, settings.tls.clone(), properties)).await {
        Ok(Ok(connection)) => {
            tell_of_blocks(&connection, role, settings.url.display());
            Ok(connection)
        }
        Ok(Err(error)) => Err(BrokerError::answering(asked)(error)),
        Err(_) => Err(BrokerError::TimedOut { doing, within: CONNECT_TIMEOUT }),
    }
}

/// Logs when the broker takes nothing more from this connection, for want of memory or disk, and when it does again.
/// Ends with the connection.
fn tell_of_blocks(connection: &Connection, role: &'static str, broker: String) {
    let mut events = Box::pin(connection.events_listener());
    tokio::spawn(async move {
        let mut since = None;
        while let Some(event) = events.next().await {
            match event {
                Event::ConnectionBlocked(reason) => {
                    since.get_or_insert_with(Instant::now);
                    warn!(
                        event = "broker.blocked",
                        role, broker, reason, "the broker takes no messages for now; waiting"
                    );
                }
                Event::ConnectionUnblocked => {
                    let blocked_s = since.take().map_or(0.0, |since: Instant| since.elapsed().as_secs_f64());
                    info!(event = "broker.unblocked", role, broker, blocked_s, "the broker takes messages again");
                }
                Event::Error(_) => return,
                _ => {}
            }
        }
    });
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

/// Closes in good order if the broker still listens. While it is short of memory or disk it does not read from a
/// connection that has published, so there is no answer to wait for.
pub(super) async fn close(connection: Connection) {
    let status = connection.status().clone();
    if !status.connected() {
        return;
    }
    let patience = if status.blocked() { CLOSE_BLOCKED_TIMEOUT } else { CLOSE_TIMEOUT };
    // An error or a missing answer changes nothing: dropping the connection ends it as well.
    drop(timeout(patience, connection.close(OK, "bye".into())).await);
}

/// Bounds the setting up of channels and topology.
pub(super) async fn in_time<T>(set_up: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    match timeout(SET_UP_TIMEOUT, set_up).await {
        Ok(result) => result,
        Err(_) => Err(BrokerError::TimedOut { doing: "setting up exchanges and queues", within: SET_UP_TIMEOUT }),
    }
}
