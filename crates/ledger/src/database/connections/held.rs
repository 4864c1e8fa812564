//! A connection that is held over several statements that belong to no transaction.
//!
//! The library asks a connection that is given back whether it is still there, and the next caller waits for
//! that: a round trip between two statements that follow each other.

use sea_orm::{
    ConnAcquireErr, DbErr, QueryResult, RuntimeErr, Statement, Value,
    sqlx::{self, AssertSqlSafe, Postgres, pool::PoolConnection},
};

use super::{Connections, Lent};

/// A connection to PostgreSQL in the hands of one operation. Dropped, it is closed; give it back if all went well.
pub(crate) struct Held {
    inner: PoolConnection<Postgres>,
    lent: Lent,
}

impl Connections {
    /// Holds a connection to PostgreSQL.
    pub(crate) async fn hold(&self) -> Result<Held, DbErr> {
        let lent = self.lend().await?;
        let acquiring = async {
            lent.db().get_postgres_connection_pool().acquire().await.map_err(|error| match error {
                sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
                sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
                error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
            })
        };
        match self.0.bounded(acquiring).await {
            Ok(inner) => Ok(Held { inner, lent }),
            Err(error) => {
                self.0.judge(&error);
                Err(error)
            }
        }
    }
}

impl Held {
    /// The rows that a statement answers, which commits by itself. Its values must be texts.
    pub(crate) async fn query_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (shared, inner) = (self.lent.shared.clone(), &mut self.inner);
        shared.announce();
        let answering = shared.seen(statement, async |statement| {
            let mut query = sqlx::query(AssertSqlSafe(statement.sql));
            for value in statement.values.into_iter().flat_map(|values| values.0) {
                let Value::String(Some(text)) = value else {
                    return Err(DbErr::Custom("a value is not a text".to_owned()));
                };
                query = query.bind(text);
            }
            let rows = query.fetch_all(&mut **inner).await;
            rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
        });
        let answer = shared.bounded(answering).await;
        match answer {
            Ok(rows) => Ok(rows.into_iter().map(QueryResult::from).collect()),
            Err(error) => {
                shared.judge(&error);
                Err(error)
            }
        }
    }

    /// No error happened on it.
    pub(crate) fn give_back(self) {
        drop(self.inner);
        self.lent.give_back();
    }
}
