//! Dashboards: points, totals and rankings, from the cubes and from what still waits for compaction.

use chrono::{DateTime, Utc};
use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, TransactionOptions,
    TransactionTrait,
};
use sluice_contract::ids::TenantId;
use sluice_contract::rollup::Counts;

use super::compact::read_waiting;
use super::focus::{Focus, Slice};
use super::range::{Range, time};
use super::ranking;
use super::rollup::{Place, counts, places};
use super::sql;
use super::{Traffic, TrafficQuery};
use crate::error::Result;

/// What one delta that still waits adds to one place.
pub(super) struct Waiting {
    pub(super) place: Place,
    pub(super) minute: u32,
    pub(super) counts: Counts,
}

/// See [`super::Telemetry::traffic`].
pub(super) async fn read(
    db: &DatabaseConnection,
    tenant: TenantId,
    query: &TrafficQuery,
    now: DateTime<Utc>,
) -> Result<Traffic> {
    let focus = Focus::of(query)?;
    let range = Range::plan(query.from, query.to, query.points, now);
    let tx = snapshot(db).await?;
    let waiting = waiting(&tx, tenant, range).await?;
    let points = points(&tx, tenant, range, &focus.series, &waiting).await?;
    let apis = ranking::apis(&tx, tenant, range, &focus, &waiting).await?;
    let routes = ranking::routes(&tx, tenant, range, &focus, &waiting).await?;
    let applications = ranking::applications(&tx, tenant, range, &focus, &waiting).await?;
    let plans = ranking::plans(&tx, tenant, range, &focus, &waiting).await?;
    let targets = ranking::targets(&tx, tenant, range, &focus, &waiting).await?;
    tx.rollback().await?;
    Ok(Traffic {
        from: time(range.from),
        to: time(range.to),
        step_minutes: range.step,
        points,
        apis,
        routes,
        applications,
        plans,
        targets,
    })
}

/// All queries see the same moment: a compaction in between would be seen twice or not at all.
pub(super) async fn snapshot(db: &DatabaseConnection) -> Result<DatabaseTransaction> {
    let options = match db.get_database_backend() {
        DbBackend::Postgres => TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            access_mode: Some(AccessMode::ReadOnly),
            ..TransactionOptions::default()
        },
        _ => TransactionOptions::default(),
    };
    Ok(db.begin_with_options(options).await?)
}

pub(super) async fn waiting(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
) -> Result<Vec<Waiting>> {
    let list = "SELECT tenant, gateway, deltas FROM rollups_waiting WHERE tenant = $1";
    let mut found = Vec::new();
    for row in sql::all(tx, list, [tenant.0.into()]).await? {
        let (_, gateway, deltas) = read_waiting(&row)?;
        for delta in deltas.iter().filter(|delta| range.index(delta.minute).is_some()) {
            let counts = counts(delta);
            found.extend(places(gateway, &delta.cell).into_iter().map(|place| Waiting {
                place,
                minute: delta.minute,
                counts: Counts::clone(&counts),
            }));
        }
    }
    Ok(found)
}

async fn points(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    series: &Slice,
    waiting: &[Waiting],
) -> Result<Vec<(DateTime<Utc>, Counts)>> {
    let mut points: Vec<_> = (0..range.len()).map(|i| (range.start(i), Counts::default())).collect();
    let mut add = |minute: u32, counts: &Counts| {
        if let Some((_, point)) = range.index(minute).and_then(|i| points.get_mut(i)) {
            point.merge(counts);
        }
    };
    let segment = range.by_point();
    let mut conditions = series.conditions(tenant);
    conditions.add(
        "step = ? AND bucket >= ? AND bucket < ?",
        [segment.step.into(), segment.from.into(), segment.to.into()],
    );
    let list = format!("SELECT bucket, counts FROM rollups WHERE {}", conditions.text());
    for row in sql::all(tx, &list, conditions.values).await? {
        let bucket = u32::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or_default();
        add(bucket, &serde_json::from_str(&row.try_get_by_index::<String>(1)?)?);
    }
    for waiting in waiting.iter().filter(|waiting| series.holds(&waiting.place)) {
        add(waiting.minute, &waiting.counts);
    }
    Ok(points)
}
