//! How gateways did with the second levels of their caches: a small series made of what they say of their health. Each bucket
//! keeps the newest of what was said in it, of each life of a gateway: all figures are counts, so that nothing is lost between.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use serde::Serialize;
use sluice_contract::ids::{BootId, GatewayId};
use sluice_contract::rest::second_level::SecondLevelDid;
use uuid::Uuid;

use super::TrafficQuery;
use super::dialect::Dialect;
use super::memory::{self, BEFORE, BUCKETS};
use super::rollup::minute;
use super::row::Hex;
use super::sql;
use crate::error::Result;

/// How a gateway does with its second level.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondLevelSample {
    pub at: DateTime<Utc>,
    pub gateway: GatewayId,
    pub boot: BootId,
    /// Since it started.
    pub figures: SecondLevelDid,
}

/// How a gateway did over a time range.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondLevelSeries {
    pub step_minutes: u32,
    /// One for each step, without gaps; nothing was heard in a step without figures.
    pub points: Vec<(DateTime<Utc>, Option<SecondLevelDid>)>,
}

/// A sample as the statement takes it.
#[derive(Serialize)]
pub(super) struct SampleRow {
    gateway: Hex,
    step: u32,
    bucket: u32,
    boot: Hex,
    figures: String,
}

/// See [`super::Telemetry::note_second_level`].
pub(super) async fn note<D: Dialect>(db: &DatabaseConnection, samples: &[SecondLevelSample]) -> Result<()> {
    let mut rows = Vec::with_capacity(2 * samples.len());
    for sample in samples {
        let figures = serde_json::to_string(&sample.figures)?;
        for step in BUCKETS {
            let now = minute(sample.at);
            rows.push(SampleRow {
                gateway: Hex(sample.gateway.0),
                step,
                bucket: now - now % step,
                boot: Hex(sample.boot.0),
                figures: figures.clone(),
            });
        }
    }
    if !rows.is_empty() {
        sql::execute(db, D::SAVE_SECOND_LEVEL, [serde_json::to_string(&rows)?.into()]).await?;
    }
    Ok(())
}

/// See [`super::Telemetry::second_level`].
pub(super) async fn read(
    db: &DatabaseConnection,
    gateway: GatewayId,
    query: &TrafficQuery,
    now: DateTime<Utc>,
) -> Result<SecondLevelSeries> {
    let (range, bucket) = memory::plan(query, now);
    let list = "SELECT bucket, boot, figures FROM cache_second_level \
         WHERE gateway = $1 AND step = $2 AND bucket >= $3 AND bucket < $4 ORDER BY bucket";
    let first = range.from.saturating_sub(BEFORE);
    let values = [gateway.0.into(), bucket.into(), first.into(), range.to.into()];
    let mut points: Vec<(DateTime<Utc>, Option<SecondLevelDid>)> =
        (0..range.len()).map(|i| (range.start(i), None)).collect();
    // A gateway that started anew counts from zero.
    let mut lives: HashMap<Uuid, SecondLevelDid> = HashMap::new();
    for row in sql::all(db, list, values).await? {
        let minute = u32::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or_default();
        let figures: SecondLevelDid = serde_json::from_str(&row.try_get_by_index::<String>(2)?)?;
        let before = lives.insert(row.try_get_by_index(1)?, figures).unwrap_or_default();
        if let Some((_, point)) = range.index(minute).and_then(|index| points.get_mut(index)) {
            *point = Some(point.unwrap_or_default().and(figures.since(before)));
        }
    }
    Ok(SecondLevelSeries { step_minutes: range.step, points })
}
