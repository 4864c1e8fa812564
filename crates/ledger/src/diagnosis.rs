//! Why a PostgreSQL server could not be reached, in words that a person can act on.

use std::{io, time::Duration};

use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::{net::TcpStream, time::timeout};

use crate::error::LedgerError;

/// For each of the steps. The pool has tried for longer before.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pool repeats what fails and keeps the reason to itself, so the steps of connecting are taken one by one here.
pub(crate) async fn of_silence(options: &PgConnectOptions) -> LedgerError {
    if options.get_socket().is_none() {
        let (host, port) = (options.get_host(), options.get_port());
        let addresses = match timeout(PATIENCE, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
            Ok(Err(_)) => return LedgerError::unavailable("its host name is not known"),
            Err(_) => return LedgerError::unavailable("the name service does not answer"),
        };
        match timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return LedgerError::unavailable("nothing listens on its port");
            }
            Ok(Err(error)) => return LedgerError::unavailable(&error.kind().to_string()),
            Err(_) => return LedgerError::unavailable("its host does not answer"),
        }
    }
    match timeout(PATIENCE, options.clone().connect()).await {
        // It answers by now.
        Ok(Ok(connection)) => {
            drop(connection.close().await);
            LedgerError::unavailable("no connection could be had in time")
        }
        Ok(Err(sqlx::Error::Io(error))) if error.kind() == io::ErrorKind::NotFound => {
            LedgerError::unavailable("its socket is not there")
        }
        Ok(Err(error)) => LedgerError::from_connecting(error),
        Err(_) => LedgerError::unavailable("something listens on its port, but does not answer"),
    }
}
