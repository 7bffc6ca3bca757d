//! A transaction that writes. Dropped without [`Tx::commit`], it never happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::error::Result;
use crate::listen;

/// A transaction that writes.
pub struct Tx {
    transaction: DatabaseTransaction,
    appended: AtomicBool,
    journal: Arc<watch::Sender<u64>>,
    _writer: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    pub(crate) fn new(
        transaction: DatabaseTransaction,
        journal: Arc<watch::Sender<u64>>,
        writer: Option<OwnedMutexGuard<()>>,
    ) -> Self {
        Self { transaction, appended: AtomicBool::new(false), journal, _writer: writer }
    }

    /// Gateways wait for what this transaction does: wake who serves them once it is committed.
    pub(crate) fn appended(&self) {
        self.appended.store(true, Ordering::Relaxed);
    }

    /// Makes it true.
    ///
    /// # Errors
    /// When the database refuses; nothing has happened then.
    pub async fn commit(self) -> Result<()> {
        let appended = self.appended.into_inner();
        if appended && self.transaction.get_database_backend() == DbBackend::Postgres {
            self.transaction.execute_unprepared(listen::NOTIFY).await?;
        }
        self.transaction.commit().await?;
        if appended {
            self.journal.send_modify(|times| *times += 1);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> std::result::Result<ExecResult, DbErr> {
        self.transaction.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> std::result::Result<ExecResult, DbErr> {
        self.transaction.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> std::result::Result<Option<QueryResult>, DbErr> {
        self.transaction.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> std::result::Result<Vec<QueryResult>, DbErr> {
        self.transaction.query_all_raw(statement).await
    }
}
