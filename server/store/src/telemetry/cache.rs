//! What the cache did, over time and by what it did it for: API, or route of an API.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use serde::Deserialize;
use sluice_contract::calls::CacheOutcome;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rollup::OutcomeCounts;

use super::TrafficQuery;
use super::focus::Slice;
use super::range::{Range, time};
use super::rollup::Cube;
use super::sql;
use super::traffic::{snapshot, waiting};
use crate::error::{Error, Result};

/// What the cache did over a time range.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheTraffic {
    /// Start of the first point.
    pub from: DateTime<Utc>,
    /// End of the last point.
    pub to: DateTime<Utc>,
    pub step_minutes: u32,
    /// When each point begins, without gaps.
    pub points: Vec<DateTime<Utc>>,
    pub groups: Vec<CacheGroup>,
}

/// What the cache did for one API or route.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheGroup {
    /// None: no API matched.
    pub api: Option<ApiId>,
    /// None where groups are APIs, or no route matched.
    pub route: Option<String>,
    /// For each point in which there were calls, by its index.
    pub points: BTreeMap<usize, BTreeMap<CacheOutcome, OutcomeCounts>>,
}

type Names = (String, String);
type Groups = BTreeMap<Names, CacheGroup>;

/// What is read of [`sluice_contract::rollup::Counts`]: not the histograms, which are most of it.
#[derive(Deserialize)]
struct Outcomes {
    #[serde(default)]
    outcomes: Vec<(CacheOutcome, OutcomeCounts)>,
}

/// See [`super::Telemetry::cache`].
pub(super) async fn read(
    db: &DatabaseConnection,
    tenant: TenantId,
    query: &TrafficQuery,
    now: DateTime<Utc>,
) -> Result<CacheTraffic> {
    let slice = slice(query)?;
    let range = Range::plan(query.from, query.to, query.points, now);
    let tx = snapshot(db).await?;
    let mut groups = Groups::new();
    let segment = range.by_point();
    let mut conditions = slice.conditions(tenant);
    conditions.add(
        "step = ? AND bucket >= ? AND bucket < ?",
        [segment.step.into(), segment.from.into(), segment.to.into()],
    );
    let list = format!("SELECT bucket, a, b, counts FROM rollups WHERE {}", conditions.text());
    for row in sql::all(&tx, &list, conditions.values).await? {
        let bucket = u32::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or_default();
        let found: Outcomes = serde_json::from_str(&row.try_get_by_index::<String>(3)?)?;
        let names = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        add(&mut groups, names, range.index(bucket), &found.outcomes);
    }
    for one in waiting(&tx, tenant, range).await?.into_iter().filter(|one| slice.holds(&one.place)) {
        add(&mut groups, (one.place.a, one.place.b), range.index(one.minute), &one.counts.outcomes);
    }
    tx.rollback().await?;
    Ok(CacheTraffic {
        from: time(range.from),
        to: time(range.to),
        step_minutes: range.step,
        points: (0..range.len()).map(|i| range.start(i)).collect(),
        groups: groups.into_values().collect(),
    })
}

fn slice(query: &TrafficQuery) -> Result<Slice> {
    if query.application.is_some() {
        let message = "what the cache does is counted by API and route, not by application; leave it out";
        return Err(Error::invalid("application", "unsupported", message));
    }
    let (a, b) = (query.api.map(|api| api.to_string()), query.route.clone());
    Ok(if a.is_some() || b.is_some() {
        Slice { cube: Cube::Route, a, b }
    } else {
        Slice { cube: Cube::Api, a: None, b: Some(String::new()) }
    })
}

fn add(groups: &mut Groups, names: Names, point: Option<usize>, outcomes: &[(CacheOutcome, OutcomeCounts)]) {
    let Some(point) = point.filter(|_| !outcomes.is_empty()) else { return };
    let (api, route) = (names.0.parse().ok(), Some(names.1.clone()).filter(|route| !route.is_empty()));
    let group = groups.entry(names).or_insert_with(|| CacheGroup { api, route, points: BTreeMap::new() });
    let sums = group.points.entry(point).or_default();
    for (outcome, counts) in outcomes {
        sums.entry(*outcome).or_default().merge(counts);
    }
}
