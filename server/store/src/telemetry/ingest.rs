//! Storing a batch: calls, rollups and the watermark in one transaction, so that it counts once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use sluice_contract::calls::{Call, CallBatch};
use sluice_contract::ids::{EnvironmentId, GatewayId, TenantId};
use sluice_contract::rollup::{Cell, RollupDelta};
use uuid::Uuid;

use super::Stored;
use super::dialect::Dialect;
use super::row::CallRow;
use super::sql::{self, signed, unsigned};
use crate::error::Result;

/// Rows in one statement: bounds the memory that one takes.
const ROWS: usize = 4_000;
/// A call dated further ahead, or further back than anything is ever kept, comes from a wrong clock.
const AHEAD: TimeDelta = TimeDelta::hours(24);
const BACK: TimeDelta = TimeDelta::days(3_650);

const ADVANCE: &str = "INSERT INTO watermarks (gateway, boot, environment, sequence, missing, dropped, updated_at) \
     VALUES ($1, $2, $3, $4, $4 - 1, $5, $6) \
     ON CONFLICT (gateway, boot) DO UPDATE SET \
     missing = watermarks.missing + excluded.sequence - watermarks.sequence - 1, \
     sequence = excluded.sequence, \
     dropped = watermarks.dropped + excluded.dropped, \
     updated_at = excluded.updated_at \
     WHERE watermarks.sequence < excluded.sequence \
     RETURNING sequence";

/// See [`super::Telemetry::store_batch`].
pub(super) async fn store_batch<D: Dialect>(
    db: &DatabaseConnection,
    dialect: &D,
    gateway: GatewayId,
    environment: EnvironmentId,
    batch: &CallBatch,
) -> Result<Stored> {
    let now = Utc::now();
    let calls: Vec<_> = batch.calls.iter().map(|call| (call, plausible(call.at, now))).collect();
    dialect.prepare_days(db, &days(&calls)).await?;
    let tx = db.begin().await?;
    if !advance(&tx, gateway, environment, batch, now).await? {
        let sequence = watermark(&tx, gateway, batch).await?;
        tx.rollback().await?;
        return Ok(Stored { sequence, fresh: false });
    }
    for calls in calls.chunks(ROWS) {
        insert_calls::<D>(&tx, gateway, calls).await?;
    }
    insert_rollups(&tx, gateway, &batch.rollups, now).await?;
    tx.commit().await?;
    Ok(Stored { sequence: batch.sequence, fresh: true })
}

/// See [`super::Telemetry::dropped`].
pub(super) async fn dropped(db: &DatabaseConnection, gateway: GatewayId) -> Result<u64> {
    let sum = "SELECT CAST(COALESCE(SUM(dropped), 0) AS BIGINT) FROM watermarks WHERE gateway = $1";
    let row = sql::one(db, sum, [gateway.0.into()]).await?;
    Ok(unsigned(row.map_or(Ok(0), |row| row.try_get_by_index(0))?))
}

/// Moves the watermark to this batch. False when it is there already or beyond. Concurrent repetitions wait here for
/// each other, on the watermark's row.
async fn advance(
    tx: &DatabaseTransaction,
    gateway: GatewayId,
    environment: EnvironmentId,
    batch: &CallBatch,
    now: DateTime<Utc>,
) -> Result<bool> {
    let values = [
        gateway.0.into(),
        batch.boot.0.into(),
        environment.0.into(),
        signed(batch.sequence).into(),
        signed(batch.dropped).into(),
        now.timestamp_micros().into(),
    ];
    Ok(sql::one(tx, ADVANCE, values).await?.is_some())
}

async fn watermark(tx: &DatabaseTransaction, gateway: GatewayId, batch: &CallBatch) -> Result<u64> {
    let find = "SELECT sequence FROM watermarks WHERE gateway = $1 AND boot = $2";
    let row = sql::one(tx, find, [gateway.0.into(), batch.boot.0.into()]).await?;
    Ok(unsigned(row.map_or(Ok(0), |row| row.try_get_by_index(0))?))
}

async fn insert_calls<D: Dialect>(
    tx: &DatabaseTransaction,
    gateway: GatewayId,
    calls: &[(&Call, DateTime<Utc>)],
) -> Result<()> {
    let rows: Vec<_> = calls.iter().map(|(call, at)| CallRow::new(call, gateway, *at)).collect();
    let json = without_nul(serde_json::to_string(&rows)?);
    sql::execute(tx, D::INSERT_CALLS, [json.into()]).await?;
    Ok(())
}

/// Rollups wait in the form in which they came; compaction folds them. Readers add what waits.
async fn insert_rollups(
    tx: &DatabaseTransaction,
    gateway: GatewayId,
    rollups: &[RollupDelta],
    now: DateTime<Utc>,
) -> Result<()> {
    let mut by_tenant = BTreeMap::<Option<TenantId>, Vec<&RollupDelta>>::new();
    for delta in rollups.iter().filter(|delta| is_plausible(delta, now)) {
        by_tenant.entry(tenant(delta)).or_default().push(delta);
    }
    let insert = "INSERT INTO rollups_waiting (tenant, gateway, deltas) VALUES ($1, $2, $3)";
    for (tenant, deltas) in by_tenant {
        let tenant = tenant.map_or(Uuid::nil(), |tenant| tenant.0);
        let json = without_nul(serde_json::to_string(&deltas)?);
        sql::execute(tx, insert, [tenant.into(), gateway.0.into(), json.into()]).await?;
    }
    Ok(())
}

fn tenant(delta: &RollupDelta) -> Option<TenantId> {
    match delta.cell {
        Cell::Traffic { tenant, .. } => tenant,
        Cell::Consumer { tenant, .. } | Cell::Target { tenant, .. } => Some(tenant),
    }
}

fn plausible(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    if at > now + AHEAD || at < now - BACK { now } else { at }
}

fn is_plausible(delta: &RollupDelta, now: DateTime<Utc>) -> bool {
    DateTime::from_timestamp(i64::from(delta.minute) * 60, 0).is_some_and(|at| plausible(at, now) == at)
}

fn days(calls: &[(&Call, DateTime<Utc>)]) -> Vec<NaiveDate> {
    calls.iter().map(|(_, at)| at.date_naive()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Postgres keeps no NUL in text. One odd header must not hold up a gateway's batches for ever.
fn without_nul(json: String) -> String {
    if json.contains("\\u0000") { json.replace("\\u0000", "\\ufffd") } else { json }
}
