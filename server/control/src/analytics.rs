//! Traffic of a tenant over time, read from rollups only.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{TimeDelta, Utc};
use sluice_contract::ids::TenantId;
use sluice_contract::rest::analytics::{Analytics, AnalyticsQuery, Point, StatusCount, TopRow, Totals};
use sluice_contract::rollup::{Counts, OTHER, OTHER_APPLICATION};
use sluice_store::names;
use sluice_store::telemetry::{Traffic, TrafficQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Query};
use crate::problem::ApiError;
use crate::state::App;

const POINTS: u32 = 120;
const MAX_POINTS: u32 = 500;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_analytics))
}

/// Traffic over a time range, in points without gaps. The range is widened to whole steps.
#[utoipa::path(
    get, path = "/tenants/{tenant}/analytics", tag = "analytics",
    params(("tenant" = TenantId, Path), AnalyticsQuery),
    responses((status = 200, body = Analytics)),
)]
async fn get_analytics(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
    Query(query): Query<AnalyticsQuery>,
) -> Result<Json<Analytics>, ApiError> {
    Ok(Json(analytics(&app, scope.tenant, query).await?))
}

/// Answers an analytics query for a tenant.
pub(crate) async fn analytics(
    app: &App,
    tenant: TenantId,
    query: AnalyticsQuery,
) -> Result<Analytics, ApiError> {
    let traffic = app.telemetry.traffic(tenant, &check(query)?).await?;
    shown(app, tenant, traffic).await
}

/// The range and the filters, when they make sense.
pub(crate) fn check(query: AnalyticsQuery) -> Result<TrafficQuery, ApiError> {
    let AnalyticsQuery { from, to, api, application, route, points } = query;
    let to = to.unwrap_or_else(Utc::now);
    let from = from.unwrap_or_else(|| to.checked_sub_signed(TimeDelta::hours(1)).unwrap_or(to));
    if from >= to {
        return Err(ApiError::invalid_field("from", "out_of_range", "the start must be before the end"));
    }
    let points = points.unwrap_or(POINTS);
    if !(1..=MAX_POINTS).contains(&points) {
        return Err(ApiError::invalid_field("points", "out_of_range", format!("1 to {MAX_POINTS}")));
    }
    if route.as_deref().is_some_and(str::is_empty) {
        return Err(ApiError::invalid_field("route", "required", "the id of a route"));
    }
    Ok(TrafficQuery { from, to, points, api, route, application })
}

async fn shown(app: &App, tenant: TenantId, traffic: Traffic) -> Result<Analytics, ApiError> {
    let Traffic { from, to, step_minutes, points, apis, routes, applications, plans, targets } = traffic;
    let db = app.store.read();
    let plan_names = names::plans(db, tenant, plans.iter().map(|(id, _)| *id)).await?;
    let of_plans = plan_names.values().map(|(api, _)| *api);
    let ids = apis.iter().map(|(api, _)| *api).chain(routes.iter().map(|(api, ..)| *api)).chain(of_plans);
    let api_names = names::apis(db, tenant, ids).await?;
    let application_names = names::applications(db, tenant, applications.iter().map(|(id, _)| *id)).await?;

    let mut whole = Counts::default();
    points.iter().for_each(|(_, counts)| whole.merge(counts));
    let api_name = |api| api_names.get(api).cloned().unwrap_or_else(|| "Deleted API".to_owned());
    let top_apis = apis.iter().map(|(api, counts)| top(api.to_string(), api_name(api), counts)).collect();
    let top_routes = routes
        .iter()
        .map(|(api, route, counts)| TopRow {
            api: Some(*api),
            ..top(route.clone(), format!("{} · {route}", api_name(api)), counts)
        })
        .collect();
    let top_applications = applications
        .iter()
        .map(|(id, counts)| {
            let unknown = if *id == OTHER_APPLICATION { "Other applications" } else { "Deleted application" };
            let name = application_names.get(id).cloned().unwrap_or_else(|| unknown.to_owned());
            top(id.to_string(), name, counts)
        })
        .collect();
    let top_plans = plans
        .iter()
        .map(|(id, counts)| {
            let Some((api, plan)) = plan_names.get(id) else {
                return top(id.to_string(), "Deleted plan".to_owned(), counts);
            };
            TopRow { api: Some(*api), ..top(id.to_string(), format!("{} · {plan}", api_name(api)), counts) }
        })
        .collect();
    let top_targets = targets
        .iter()
        .map(|(target, counts)| {
            let name = if target == OTHER { "Other targets" } else { target };
            top(target.clone(), name.to_owned(), counts)
        })
        .collect();
    Ok(Analytics {
        from,
        to,
        step_s: step_minutes * 60,
        total: totals(&whole),
        points: points.iter().map(|(at, counts)| Point { at: *at, totals: totals(counts) }).collect(),
        top_apis,
        top_routes,
        top_applications,
        top_plans,
        top_targets,
        statuses: statuses(&whole),
    })
}

fn totals(counts: &Counts) -> Totals {
    Totals {
        calls: counts.calls,
        client_errors: counts.with_status(400, 499),
        server_errors: counts.with_status(500, u16::MAX),
        cache_hits: counts.cache_hits,
        cacheable: counts.cacheable,
        bytes_in: counts.bytes_in,
        bytes_out: counts.bytes_out,
        p50_us: counts.latency.quantile(0.5),
        p95_us: counts.latency.quantile(0.95),
        p99_us: counts.latency.quantile(0.99),
    }
}

fn top(id: String, name: String, counts: &Counts) -> TopRow {
    TopRow {
        id,
        name,
        api: None,
        calls: counts.calls,
        errors: counts.with_status(400, u16::MAX),
        p95_us: counts.latency.quantile(0.95),
    }
}

fn statuses(counts: &Counts) -> Vec<StatusCount> {
    let sorted: BTreeMap<_, _> = counts.statuses.iter().copied().collect();
    sorted.into_iter().map(|(status, calls)| StatusCount { status, calls }).collect()
}
