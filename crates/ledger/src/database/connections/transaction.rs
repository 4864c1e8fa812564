//! Transactions that commit only what they were seen to have done.

use std::sync::Mutex;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};

use super::{Lent, Shared, lock};
use crate::error::Trust;

/// An open write transaction. Dropped, it is rolled back, and its connection is kept only if that is known to have
/// worked.
pub(crate) struct Transaction {
    inner: Option<DatabaseTransaction>,
    lent: Option<Lent>,
    standing: Mutex<Standing>,
}

/// How a transaction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Every statement so far was answered without an error.
    Sound,
    /// A row's own error: only a rollback can follow.
    Failed,
    /// Its connection can't be trusted.
    Distrusted,
}

impl Transaction {
    /// One that was begun on this connection.
    pub(super) fn new(inner: DatabaseTransaction, lent: Lent) -> Self {
        Self { inner: Some(inner), lent: Some(lent), standing: Mutex::new(Standing::Sound) }
    }

    /// Runs what may take as long as it takes, on the library's own transaction.
    pub(crate) async fn patiently<'a, T, F>(
        &'a self,
        run: impl FnOnce(&'a DatabaseTransaction) -> F,
    ) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let done = run(self.inner()).await;
        if done.is_err() {
            *lock(&self.standing) = Standing::Distrusted;
        }
        done
    }

    fn inner(&self) -> &DatabaseTransaction {
        self.inner.as_ref().expect("it is there until it ends")
    }

    /// Commits.
    ///
    /// # Errors
    /// Whatever the error, the commit may have happened, unless an earlier statement has failed.
    pub(crate) async fn commit(mut self) -> Result<(), DbErr> {
        let (inner, lent) = self.take();
        if self.standing() != Standing::Sound {
            // PostgreSQL answers such a commit as if all were well, and rolls back.
            self.abandon(inner, lent);
            return Err(DbErr::Conn(RuntimeErr::Internal("an earlier statement of it has failed".to_owned())));
        }
        let shared = lent.shared.clone();
        let committed = shared.bounded(inner.commit()).await;
        match &committed {
            Ok(()) => lent.give_back(),
            Err(error) => drop(shared.judge(error)),
        }
        committed
    }

    /// Rolls back.
    ///
    /// # Errors
    /// When that is not known to have worked; its connection is closed then, which rolls back as well.
    pub(crate) async fn rollback(mut self) -> Result<(), DbErr> {
        let (inner, lent) = self.take();
        if self.standing() == Standing::Distrusted {
            return Ok(());
        }
        let rolled_back = lent.shared.clone().bounded(inner.rollback()).await;
        if rolled_back.is_ok() {
            lent.give_back();
        }
        rolled_back
    }

    fn shared(&self) -> &Shared {
        &self.lent.as_ref().expect("it is there until it ends").shared
    }

    fn standing(&self) -> Standing {
        *lock(&self.standing)
    }

    fn take(&mut self) -> (DatabaseTransaction, Lent) {
        let inner = self.inner.take().expect("it is there until it ends");
        (inner, self.lent.take().expect("it is there until it ends"))
    }

    /// Ends it where no one can wait for that: its connection is kept if it can be rolled back.
    fn abandon(&self, inner: DatabaseTransaction, lent: Lent) {
        let runtime = tokio::runtime::Handle::try_current();
        if self.standing() != Standing::Distrusted
            && let Ok(runtime) = runtime
        {
            runtime.spawn(async move {
                if lent.shared.clone().bounded(inner.rollback()).await.is_ok() {
                    lent.give_back();
                }
            });
        }
    }

    async fn run<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        if self.standing() != Standing::Sound {
            return Err(DbErr::Conn(RuntimeErr::Internal("an earlier statement of it has failed".to_owned())));
        }
        self.shared().announce();
        let answer = self.shared().bounded(statement).await;
        if let Err(error) = &answer {
            let kept = self.shared().judge(error) == Trust::Kept;
            *lock(&self.standing) = if kept { Standing::Failed } else { Standing::Distrusted };
        }
        answer
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let (Some(inner), Some(lent)) = (self.inner.take(), self.lent.take()) {
            self.abandon(inner, lent);
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(self.shared().seen(statement, async |statement| self.inner().execute_raw(statement).await)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(self.inner().execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(self.shared().seen(statement, async |statement| self.inner().query_one_raw(statement).await)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(self.shared().seen(statement, async |statement| self.inner().query_all_raw(statement).await)).await
    }
}
