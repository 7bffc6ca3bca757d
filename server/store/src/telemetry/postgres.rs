//! Telemetry in Postgres: a schema of its own, calls in one partition for each day, so that old days go in one step.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, TransactionTrait};

use super::dialect::{Dialect, run};
use super::{SqlTelemetry, schema, sql};
use crate::error::Result;

/// Advisory locks (names of our own, any numbers).
const SCHEMA_LOCK: i64 = 6_013_743;
const COMPACTION_LOCK: i64 = 6_013_744;

/// Several control planes may share it.
#[derive(Default)]
pub(super) struct Postgres {
    /// Days that are known to have a partition.
    days: Mutex<BTreeSet<NaiveDate>>,
}

/// Connects, with a pool of its own: dashboards cannot take the connections of the admin API.
pub(super) async fn open(url: &str) -> Result<SqlTelemetry<Postgres>> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(10)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(30))
        .set_application_name("sluice-telemetry")
        .set_schema_search_path("telemetry")
        .sqlx_logging(false);
    let db = Database::connect(options).await?;
    make_schema(&db).await?;
    let dialect = Postgres::default();
    schema::migrate(&db, &dialect).await?;
    let today = Utc::now().date_naive();
    dialect.prepare_days(&db, &[today, today + Days::new(1)]).await?;
    Ok(SqlTelemetry { reads: db.clone(), writes: db, dialect })
}

async fn make_schema(db: &DatabaseConnection) -> Result<()> {
    let tx = db.begin().await?;
    lock(&tx, SCHEMA_LOCK).await?;
    run(&tx, "CREATE SCHEMA IF NOT EXISTS telemetry").await?;
    tx.commit().await?;
    Ok(())
}

async fn lock(tx: &DatabaseTransaction, name: i64) -> Result<()> {
    sql::one(tx, "SELECT pg_advisory_xact_lock($1)", [name.into()]).await?;
    Ok(())
}

#[async_trait]
impl Dialect for Postgres {
    const QUERY: &'static str = "(detail::json ->> 'query')";
    const INSERT_CALLS: &'static str = "INSERT INTO calls \
         (id, at, tenant, api, route, application, gateway, method, status, class, cache, path, request_id, \
         duration_us, detail) \
         SELECT id, at, tenant, api, route, application, gateway, method, status, class, cache, path, request_id, \
         duration_us, detail::text FROM json_to_recordset($1::json) AS r(id uuid, at bigint, tenant uuid, api uuid, \
         route text, application uuid, gateway uuid, method text, status integer, class integer, cache text, \
         path text, request_id text, duration_us bigint, detail json) ON CONFLICT DO NOTHING";
    const LOAD_CELLS: &'static str = "SELECT tenant, cube, step, bucket, a, b, counts \
         FROM json_to_recordset($1::json) \
         AS k(tenant uuid, cube text, step integer, bucket bigint, a text, b text) \
         JOIN rollups USING (tenant, cube, step, bucket, a, b)";
    const SAVE_CELLS: &'static str = "INSERT INTO rollups (tenant, cube, step, bucket, a, b, calls, errors, counts) \
         SELECT tenant, cube, step, bucket, a, b, calls, errors, counts FROM json_to_recordset($1::json) \
         AS r(tenant uuid, cube text, step integer, bucket bigint, a text, b text, calls bigint, errors bigint, \
         counts text) ON CONFLICT (tenant, cube, step, a, b, bucket) DO UPDATE SET \
         calls = excluded.calls, errors = excluded.errors, counts = excluded.counts";

    const SAVE_MEMORY: &'static str = "INSERT INTO cache_memory \
         (tenant, step, route, api, gateway, bucket, boot, entries, bytes, evictions) \
         SELECT tenant, step, route, api, gateway, bucket, boot, entries, bytes, evictions \
         FROM json_to_recordset($1::json) AS r(tenant uuid, step integer, route text, api uuid, gateway uuid, \
         bucket bigint, boot uuid, entries bigint, bytes bigint, evictions text) \
         ON CONFLICT (tenant, step, route, api, gateway, bucket) DO UPDATE SET boot = excluded.boot, \
         entries = excluded.entries, bytes = excluded.bytes, evictions = excluded.evictions";
    const SAVE_SECOND_LEVEL: &'static str = "INSERT INTO cache_second_level (gateway, step, bucket, boot, figures) \
         SELECT gateway, step, bucket, boot, figures FROM json_to_recordset($1::json) \
         AS r(gateway uuid, step integer, bucket bigint, boot uuid, figures text) \
         ON CONFLICT (gateway, step, bucket, boot) DO UPDATE SET figures = excluded.figures";

    async fn prepare_days(&self, db: &DatabaseConnection, days: &[NaiveDate]) -> Result<()> {
        // Another control plane may have dropped an old day since.
        let recent = Utc::now().date_naive() - Days::new(2);
        let missing: Vec<_> = {
            let known = self.days.lock().unwrap_or_else(PoisonError::into_inner);
            days.iter().copied().filter(|day| *day < recent || !known.contains(day)).collect()
        };
        for day in missing {
            create_partition(db, day).await?;
            self.days.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
        }
        Ok(())
    }

    async fn may_compact(&self, tx: &DatabaseTransaction) -> Result<bool> {
        let row = sql::one(tx, "SELECT pg_try_advisory_xact_lock($1)", [COMPACTION_LOCK.into()]).await?;
        Ok(row.map_or(Ok(false), |row| row.try_get_by_index(0))?)
    }

    async fn remove_calls(&self, db: &DatabaseConnection, before: DateTime<Utc>) -> Result<u64> {
        let mut removed = 0;
        for (day, rows) in partitions(db).await? {
            if midnight(day + Days::new(1)) <= before.timestamp_micros() {
                self.days.lock().unwrap_or_else(PoisonError::into_inner).remove(&day);
                drop_partition(db, day).await?;
                removed += rows;
            }
        }
        let today = Utc::now().date_naive();
        self.prepare_days(db, &[today, today + Days::new(1), today + Days::new(2)]).await?;
        Ok(removed)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn lock_schema(&self, tx: &DatabaseTransaction) -> Result<()> {
        lock(tx, SCHEMA_LOCK).await
    }

    fn schema(&self) -> &'static [&'static str] {
        &[
            include_str!("postgres.sql"),
            include_str!("postgres.memory.sql"),
            include_str!("postgres.second_level.sql"),
            include_str!("postgres.route_memory.sql"),
        ]
    }
}

/// Several control planes may want the same day at once: one makes it, the others find it.
async fn create_partition(db: &DatabaseConnection, day: NaiveDate) -> Result<()> {
    let tx = db.begin().await?;
    lock(&tx, SCHEMA_LOCK).await?;
    let (from, to) = (midnight(day), midnight(day + Days::new(1)));
    let name = name(day);
    let create =
        format!("CREATE TABLE IF NOT EXISTS {name} PARTITION OF calls FOR VALUES FROM ({from}) TO ({to})");
    run(&tx, &create).await?;
    tx.commit().await?;
    Ok(())
}

/// Waits for readers for a bounded time, because others wait behind it; the next round tries again.
async fn drop_partition(db: &DatabaseConnection, day: NaiveDate) -> Result<()> {
    let tx = db.begin().await?;
    lock(&tx, SCHEMA_LOCK).await?;
    run(&tx, "SET LOCAL lock_timeout = '5s'").await?;
    run(&tx, &format!("DROP TABLE IF EXISTS {}", name(day))).await?;
    tx.commit().await?;
    Ok(())
}

/// The days that have a partition, and about how many calls each has.
async fn partitions(db: &DatabaseConnection) -> Result<Vec<(NaiveDate, u64)>> {
    let list = "SELECT c.relname::text, GREATEST(c.reltuples, 0)::bigint FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'telemetry.calls'::regclass";
    let mut days = Vec::new();
    for row in sql::all(db, list, []).await? {
        let name: String = row.try_get_by_index(0)?;
        if let Ok(day) = NaiveDate::parse_from_str(&name, "calls_%Y%m%d") {
            days.push((day, sql::unsigned(row.try_get_by_index(1)?)));
        }
    }
    Ok(days)
}

fn name(day: NaiveDate) -> String {
    day.format("calls_%Y%m%d").to_string()
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}
