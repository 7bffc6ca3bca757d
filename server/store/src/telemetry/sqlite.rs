//! Telemetry in a SQLite file of its own, so that the log's volume never slows the management tables.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DatabaseTransaction};
use uuid::Uuid;

use super::dialect::{Dialect, run};
use super::{SqlTelemetry, schema, sql};
use crate::connection::make_private;
use crate::error::Result;

/// Rows that one statement deletes: the writer is free for batches in between.
const DELETED_AT_ONCE: i64 = 10_000;

/// One file, one process.
pub(super) struct Sqlite;

/// Opens the file, which is made when absent.
pub(super) async fn open(path: &Path) -> Result<SqlTelemetry<Sqlite>> {
    // One writing connection: batches wait for it in order instead of polling SQLite's lock.
    make_private(path)?;
    let writes = Database::connect(options(path, 1)).await?;
    schema::migrate(&writes, &Sqlite).await?;
    let reads = Database::connect(options(path, 4)).await?;
    Ok(SqlTelemetry { reads, writes, dialect: Sqlite })
}

fn options(path: &Path, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new("sqlite:");
    let path = path.to_owned();
    options
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlx| {
            sqlx.filename(&path)
                .create_if_missing(true)
                .busy_timeout(Duration::from_secs(10))
                .page_size(8_192)
                .pragma("auto_vacuum", "INCREMENTAL")
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "NORMAL")
                .pragma("temp_store", "MEMORY")
                .pragma("cache_size", "-16384")
        });
    options
}

#[async_trait]
impl Dialect for Sqlite {
    const QUERY: &'static str = "json_extract(detail, '$.query')";
    const INSERT_CALLS: &'static str = "INSERT OR IGNORE INTO calls \
         (id, at, tenant, api, route, application, gateway, method, status, class, cache, path, request_id, \
         duration_us, detail) \
         SELECT unhex(value ->> 'id'), value ->> 'at', unhex(value ->> 'tenant'), unhex(value ->> 'api'), \
         value ->> 'route', unhex(value ->> 'application'), unhex(value ->> 'gateway'), value ->> 'method', \
         value ->> 'status', value ->> 'class', value ->> 'cache', value ->> 'path', value ->> 'request_id', \
         value ->> 'duration_us', value -> 'detail' FROM json_each($1)";
    const LOAD_CELLS: &'static str = "SELECT r.tenant, r.cube, r.step, r.bucket, r.a, r.b, r.counts \
         FROM json_each($1) AS k CROSS JOIN rollups AS r \
         ON r.tenant = unhex(k.value ->> 'tenant') AND r.cube = k.value ->> 'cube' AND r.step = k.value ->> 'step' \
         AND r.a = k.value ->> 'a' AND r.b = k.value ->> 'b' AND r.bucket = k.value ->> 'bucket'";
    const SAVE_CELLS: &'static str = "INSERT OR REPLACE INTO rollups \
         (tenant, cube, step, bucket, a, b, calls, errors, counts) \
         SELECT unhex(value ->> 'tenant'), value ->> 'cube', value ->> 'step', value ->> 'bucket', value ->> 'a', \
         value ->> 'b', value ->> 'calls', value ->> 'errors', value ->> 'counts' FROM json_each($1)";

    const SAVE_MEMORY: &'static str = "INSERT OR REPLACE INTO cache_memory \
         (tenant, step, route, api, gateway, bucket, boot, entries, bytes, evictions) \
         SELECT unhex(value ->> 'tenant'), value ->> 'step', value ->> 'route', unhex(value ->> 'api'), \
         unhex(value ->> 'gateway'), value ->> 'bucket', unhex(value ->> 'boot'), value ->> 'entries', value ->> 'bytes', value ->> 'evictions' \
         FROM json_each($1)";
    const SAVE_SECOND_LEVEL: &'static str = "INSERT OR REPLACE INTO cache_second_level (gateway, step, bucket, boot, figures) \
         SELECT unhex(value ->> 'gateway'), value ->> 'step', value ->> 'bucket', unhex(value ->> 'boot'), \
         value ->> 'figures' FROM json_each($1)";

    async fn prepare_days(&self, _: &DatabaseConnection, _: &[NaiveDate]) -> Result<()> {
        Ok(())
    }

    async fn may_compact(&self, _: &DatabaseTransaction) -> Result<bool> {
        Ok(true)
    }

    async fn remove_calls(&self, db: &DatabaseConnection, before: DateTime<Utc>) -> Result<u64> {
        let mut removed = 0;
        let mut tenant = None;
        while let Some(next) = next_tenant(db, tenant).await? {
            removed += remove_calls_of(db, next, before).await?;
            tenant = Some(next);
        }
        run(db, "PRAGMA incremental_vacuum").await?;
        Ok(removed)
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn lock_schema(&self, _: &DatabaseTransaction) -> Result<()> {
        Ok(())
    }

    fn schema(&self) -> &'static [&'static str] {
        &[
            include_str!("sqlite.sql"),
            include_str!("sqlite.memory.sql"),
            include_str!("sqlite.second_level.sql"),
            include_str!("sqlite.route_memory.sql"),
        ]
    }
}

/// The tenants that have calls, one by one: each is one step into the index.
async fn next_tenant(db: &DatabaseConnection, after: Option<Uuid>) -> Result<Option<Uuid>> {
    let row = match after {
        None => sql::one(db, "SELECT tenant FROM calls ORDER BY tenant LIMIT 1", []).await?,
        Some(after) => {
            let next = "SELECT tenant FROM calls WHERE tenant > $1 ORDER BY tenant LIMIT 1";
            sql::one(db, next, [after.into()]).await?
        }
    };
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

async fn remove_calls_of(db: &DatabaseConnection, tenant: Uuid, before: DateTime<Utc>) -> Result<u64> {
    let delete = "DELETE FROM calls WHERE rowid IN \
         (SELECT rowid FROM calls WHERE tenant = $1 AND at < $2 ORDER BY at LIMIT $3)";
    let mut removed = 0;
    loop {
        let values = [tenant.into(), before.timestamp_micros().into(), DELETED_AT_ONCE.into()];
        match sql::execute(db, delete, values).await? {
            0 => return Ok(removed),
            some => removed += some,
        }
    }
}
