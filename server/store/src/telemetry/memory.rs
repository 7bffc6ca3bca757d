//! What APIs and their routes held of the caches of gateways, and how much of theirs left: a small series made of what
//! gateways say of their health. Each bucket keeps the newest of what was said in it.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Utc};
use sea_orm::DatabaseConnection;
use serde::Serialize;
use sluice_contract::ids::{ApiId, BootId, GatewayId, TenantId};
use sluice_contract::link::CacheEvictions;
use uuid::Uuid;

use super::TrafficQuery;
use super::dialect::Dialect;
use super::range::{Range, time};
use super::retain::{HOUR_DAYS, MINUTE_DAYS};
use super::rollup::{DAY, HOUR, minute};
use super::row::Hex;
use super::sql::{self, Conditions, signed, unsigned};
use crate::error::Result;

/// Lengths of the buckets of such series, in minutes.
pub(super) const BUCKETS: [u32; 2] = [FINE, HOUR];
const FINE: u32 = 5;
/// How far back it is looked for what had been counted before a time range begins, in minutes.
pub(super) const BEFORE: u32 = DAY;

/// What an API, or a route of it, holds of the cache of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorySample {
    pub at: DateTime<Utc>,
    pub gateway: GatewayId,
    pub boot: BootId,
    pub tenant: TenantId,
    pub api: ApiId,
    /// None: all of them together, those that nothing is noted of too.
    pub route: Option<String>,
    pub entries: u64,
    pub bytes: u64,
    /// Since the gateway started.
    pub evictions: CacheEvictions,
}

/// What was held over a time range, by all gateways together.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    pub step_minutes: u32,
    /// One for each step, without gaps.
    pub points: Vec<(DateTime<Utc>, Held)>,
}

/// What was held at the end of a step, and what left in it. Nothing was heard in a step without `held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Responses and bytes.
    pub held: Option<(u64, u64)>,
    pub left: CacheEvictions,
}

/// A sample as the statement takes it.
#[derive(Serialize)]
pub(super) struct SampleRow {
    tenant: Hex,
    step: u32,
    /// Empty: all of them.
    route: String,
    api: Hex,
    gateway: Hex,
    bucket: u32,
    boot: Hex,
    entries: i64,
    bytes: i64,
    evictions: String,
}

/// One of those, as it is read.
struct Row {
    bucket: u32,
    boot: Uuid,
    held: (u64, u64),
    evictions: CacheEvictions,
}

/// See [`super::Telemetry::note_memory`].
pub(super) async fn note<D: Dialect>(db: &DatabaseConnection, samples: &[MemorySample]) -> Result<()> {
    let mut rows = Vec::with_capacity(2 * samples.len());
    for sample in samples {
        let evictions = serde_json::to_string(&sample.evictions)?;
        for step in BUCKETS {
            let now = minute(sample.at);
            rows.push(SampleRow {
                tenant: Hex(sample.tenant.0),
                step,
                route: sample.route.clone().unwrap_or_default(),
                api: Hex(sample.api.0),
                gateway: Hex(sample.gateway.0),
                bucket: now - now % step,
                boot: Hex(sample.boot.0),
                entries: signed(sample.entries),
                bytes: signed(sample.bytes),
                evictions: evictions.clone(),
            });
        }
    }
    if !rows.is_empty() {
        sql::execute(db, D::SAVE_MEMORY, [serde_json::to_string(&rows)?.into()]).await?;
    }
    Ok(())
}

/// See [`super::Telemetry::memory`].
pub(super) async fn read(
    db: &DatabaseConnection,
    tenant: TenantId,
    query: &TrafficQuery,
    now: DateTime<Utc>,
) -> Result<Memory> {
    let (range, bucket) = plan(query, now);
    let step = range.step;
    let mut conditions = Conditions::default();
    let first = range.from.saturating_sub(BEFORE);
    conditions.add(
        "tenant = ? AND step = ? AND route = ? AND bucket >= ? AND bucket < ?",
        [
            tenant.0.into(),
            bucket.into(),
            query.route.as_deref().unwrap_or_default().into(),
            first.into(),
            range.to.into(),
        ],
    );
    if let Some(api) = query.api {
        conditions.add("api = ?", [api.0.into()]);
    }
    let list = format!(
        "SELECT gateway, api, bucket, boot, entries, bytes, evictions FROM cache_memory WHERE {} \
         ORDER BY gateway, api, bucket",
        conditions.text()
    );
    let mut series: BTreeMap<(Uuid, Uuid), Vec<Row>> = BTreeMap::new();
    for row in sql::all(db, &list, conditions.values).await? {
        series.entry((row.try_get_by_index(0)?, row.try_get_by_index(1)?)).or_default().push(Row {
            bucket: u32::try_from(row.try_get_by_index::<i64>(2)?).unwrap_or_default(),
            boot: row.try_get_by_index(3)?,
            held: (unsigned(row.try_get_by_index(4)?), unsigned(row.try_get_by_index(5)?)),
            evictions: serde_json::from_str(&row.try_get_by_index::<String>(6)?)?,
        });
    }
    let mut points: Vec<_> =
        (0..range.len()).map(|i| (time(range.from + i * step), Held::default())).collect();
    for rows in series.values() {
        add(&mut points, range, rows);
    }
    Ok(Memory { step_minutes: step, points })
}

/// The steps of a series that is kept in such buckets, and which of them add up to these.
pub(super) fn plan(query: &TrafficQuery, now: DateTime<Utc>) -> (Range, u32) {
    let range = Range::plan(query.from, query.to, query.points, now);
    let bucket = if range.step < HOUR { FINE } else { HOUR };
    let step = range.step.max(FINE);
    (Range { from: range.from - range.from % step, to: range.to.next_multiple_of(step), step }, bucket)
}

/// Adds what one API, or one route of it, held of one gateway.
fn add(points: &mut [(DateTime<Utc>, Held)], range: Range, rows: &[Row]) {
    let mut last = BTreeMap::new();
    let mut before: Option<&Row> = None;
    for row in rows {
        if let Some(index) = range.index(row.bucket) {
            // A gateway that started anew counts from zero.
            let since = before.filter(|before| before.boot == row.boot).map(|before| before.evictions);
            let left = row.evictions.since(since.unwrap_or_default());
            if let Some((_, point)) = points.get_mut(index) {
                point.left = point.left.and(left);
            }
            last.insert(index, row.held);
        }
        before = Some(row);
    }
    for (index, (entries, bytes)) in last {
        if let Some((_, point)) = points.get_mut(index) {
            let held = point.held.unwrap_or_default();
            point.held = Some((held.0 + entries, held.1 + bytes));
        }
    }
}

/// Removes what is too old of this series and of that of second levels, as minutes and hours of rollups are. Returns how many rows went.
pub(super) async fn retain(db: &DatabaseConnection, now: DateTime<Utc>) -> Result<u64> {
    let mut removed = 0;
    for table in ["cache_memory", "cache_second_level"] {
        for (step, days) in [(FINE, MINUTE_DAYS), (HOUR, HOUR_DAYS)] {
            let before = minute(now - Days::new(days.into()));
            let delete = format!("DELETE FROM {table} WHERE step = $1 AND bucket < $2");
            removed += sql::execute(db, &delete, [step.into(), before.into()]).await?;
        }
    }
    Ok(removed)
}
