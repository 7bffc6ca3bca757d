//! The telemetry store's own schema versions.

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};

use super::dialect::{Dialect, run};
use super::sql;
use crate::error::Result;

/// Brings the schema up to date: each change in order, all in one transaction.
pub(super) async fn migrate<D: Dialect>(db: &DatabaseConnection, dialect: &D) -> Result<()> {
    let tx = db.begin().await?;
    dialect.lock_schema(&tx).await?;
    run(&tx, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").await?;
    let applied = applied(&tx).await?;
    for (version, change) in (1_i64..).zip(dialect.schema()).filter(|(version, _)| *version > applied) {
        run(&tx, change).await?;
        sql::execute(&tx, "INSERT INTO schema_version (version) VALUES ($1)", [version.into()]).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn applied(tx: &impl ConnectionTrait) -> Result<i64> {
    let newest = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
    Ok(sql::one(tx, newest, []).await?.map_or(Ok(0), |row| row.try_get_by_index(0))?)
}
