//! What the cache did for a tenant over time: by outcome, what it saved, and what it held of the memory of gateways.

mod saved;

use axum::extract::State;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::analytics::AnalyticsQuery;
use sluice_contract::rest::cache_analytics::{
    CacheAnalytics, CacheAnalyticsQuery, CachePoint, CacheRow, CacheTotals, MemoryPoint,
};
use sluice_store::names;
use sluice_store::telemetry::{CacheGroup, CacheTraffic, Held, Memory};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::analytics;
use crate::authorise::{Scope, need};
use crate::extract::{Json, Query};
use crate::problem::ApiError;
use crate::state::App;
use saved::Sums;

/// Rows that are told of.
const ROWS: usize = 50;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_cache_analytics))
}

/// What the cache did over a time range, in points without gaps. The range is widened to whole steps.
#[utoipa::path(
    get, path = "/tenants/{tenant}/analytics/cache", tag = "analytics",
    params(("tenant" = TenantId, Path), CacheAnalyticsQuery),
    responses((status = 200, body = CacheAnalytics)),
)]
async fn get_cache_analytics(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
    Query(query): Query<CacheAnalyticsQuery>,
) -> Result<Json<CacheAnalytics>, ApiError> {
    let CacheAnalyticsQuery { from, to, api, route, points } = query;
    let query = analytics::check(AnalyticsQuery { from, to, api, route, points, application: None })?;
    let traffic = app.telemetry.cache(scope.tenant, &query).await?;
    let memory = app.telemetry.memory(scope.tenant, &query).await?;
    let by_route = query.api.is_some() || query.route.is_some();
    let rows = rows(&app, scope.tenant, &traffic, by_route).await?;
    Ok(Json(shown(&traffic, rows, memory)))
}

/// What it did in the whole time.
pub(crate) fn total(traffic: &CacheTraffic) -> CacheTotals {
    let mut total = Sums::default();
    let of_points = traffic.groups.iter().flat_map(saved::of_group);
    of_points.for_each(|(_, sum)| total.merge(&sum));
    total.totals()
}

fn shown(traffic: &CacheTraffic, rows: Vec<CacheRow>, memory: Memory) -> CacheAnalytics {
    let mut points = vec![CacheTotals::default(); traffic.points.len()];
    let mut sums = vec![Sums::default(); traffic.points.len()];
    for group in &traffic.groups {
        for (index, sum) in saved::of_group(group) {
            if let Some(point) = sums.get_mut(index) {
                point.merge(&sum);
            }
        }
    }
    points.iter_mut().zip(&sums).for_each(|(point, sum)| *point = sum.totals());
    let Memory { step_minutes, points: held } = memory;
    CacheAnalytics {
        from: traffic.from,
        to: traffic.to,
        step_s: traffic.step_minutes * 60,
        total: total(traffic),
        points: traffic
            .points
            .iter()
            .zip(points)
            .map(|(at, totals)| CachePoint { at: *at, totals })
            .collect(),
        rows,
        memory_step_s: step_minutes * 60,
        memory: held
            .into_iter()
            .map(|(at, Held { held, left })| MemoryPoint {
                at,
                entries: held.map(|(entries, _)| entries),
                bytes: held.map(|(_, bytes)| bytes),
                evictions: left,
            })
            .collect(),
    }
}

/// The busiest groups with their names. Calls that matched no API, or no route of one, are in none.
async fn rows(
    app: &App,
    tenant: TenantId,
    traffic: &CacheTraffic,
    by_route: bool,
) -> Result<Vec<CacheRow>, ApiError> {
    let named =
        |group: &CacheGroup| Some((group.api?, if by_route { Some(group.route.clone()?) } else { None }));
    let mut found: Vec<(ApiId, Option<String>, CacheTotals)> = traffic
        .groups
        .iter()
        .filter_map(|group| {
            let (api, route) = named(group)?;
            let mut sum = Sums::default();
            saved::of_group(group).iter().for_each(|(_, one)| sum.merge(one));
            Some((api, route, sum.totals()))
        })
        .collect();
    found.sort_by(|a, b| b.2.calls.cmp(&a.2.calls).then_with(|| (a.0, &a.1).cmp(&(b.0, &b.1))));
    found.truncate(ROWS);
    let names = names::apis(app.store.read(), tenant, found.iter().map(|(api, ..)| *api)).await?;
    let name = |api: &ApiId| names.get(api).cloned().unwrap_or_else(|| "Deleted API".to_owned());
    let row = |(api, route, totals): (ApiId, Option<String>, CacheTotals)| match route {
        Some(route) => {
            CacheRow { name: format!("{} · {route}", name(&api)), id: route, api: Some(api), totals }
        }
        None => CacheRow { id: api.to_string(), name: name(&api), api: None, totals },
    };
    Ok(found.into_iter().map(row).collect())
}
