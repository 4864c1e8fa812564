//! Why a PostgreSQL server could not be reached, in words that a person can act on.

use std::{io, time::Duration};

use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::{net::TcpStream, time::timeout};

use crate::error::LedgerError;

/// For each of the steps. The pool has tried for longer before.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found on the way to a server.
pub(crate) struct Found {
    /// Whether anything answered: the server, or the machine or the name service that says there is none. Without an
    /// answer the way itself is dead.
    pub(crate) answers: bool,
    /// What to say of it.
    pub(crate) error: LedgerError,
}

/// The pool repeats what fails and keeps the reason to itself, so the steps of connecting are taken one by one here.
pub(crate) async fn look(options: &PgConnectOptions) -> Found {
    let answered = |error| Found { answers: true, error };
    let says = |words: &str| answered(LedgerError::unavailable(words));
    let silent = |words: &str| Found { answers: false, error: LedgerError::unavailable(words) };
    if options.get_socket().is_none() {
        let (host, port) = (options.get_host(), options.get_port());
        let addresses = match timeout(PATIENCE, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
            Ok(Err(_)) => return says("its host name is not known"),
            Err(_) => return silent("the name service does not answer"),
        };
        match timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return says("nothing listens on its port");
            }
            Ok(Err(error)) => return says(&error.kind().to_string()),
            Err(_) => return silent("its host does not answer"),
        }
    }
    match timeout(PATIENCE, options.clone().connect()).await {
        // It answers by now.
        Ok(Ok(connection)) => {
            drop(connection.close().await);
            says("no connection could be had in time")
        }
        Ok(Err(sqlx::Error::Io(error))) if error.kind() == io::ErrorKind::NotFound => says("its socket is not there"),
        Ok(Err(error)) => answered(LedgerError::from_connecting(error)),
        Err(_) => silent("something listens on its port, but does not answer"),
    }
}
