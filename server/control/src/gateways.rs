//! Gateways: their health and applied position, and their removal. They come by themselves, see `link`.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{GatewayId, TenantId};
use sluice_contract::rest::analytics::AnalyticsQuery;
use sluice_contract::rest::gateways::Gateway;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::second_level::{SecondLevelHistory, SecondLevelPoint, SecondLevelQuery};
use sluice_store::audit::{self, Change, seen};
use sluice_store::gateways;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::analytics;
use crate::authorise::{Platform, Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_gateways))
        .routes(routes!(get_gateway))
        .routes(routes!(delete_gateway))
        .routes(routes!(get_second_level_history))
}

/// Gateways of the environments that the tenant may use. Sorts: `name`, `enrolled_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/gateways", tag = "gateways",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<Gateway>)),
)]
async fn list_gateways(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Gateway>>, ApiError> {
    Ok(Json(gateways::list(app.store.read(), scope.tenant, &page).await?))
}

/// One gateway.
#[utoipa::path(
    get, path = "/tenants/{tenant}/gateways/{gateway}", tag = "gateways",
    params(("tenant" = TenantId, Path), ("gateway" = GatewayId, Path)),
    responses((status = 200, body = Gateway)),
)]
async fn get_gateway(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, gateway)): Path<(TenantId, GatewayId)>,
) -> Result<Json<Gateway>, ApiError> {
    Ok(Json(gateways::get_for(app.store.read(), scope.tenant, gateway).await?))
}

/// How a gateway did with the second level of its cache over a time range, in points without gaps. The range is widened to whole
/// steps.
#[utoipa::path(
    get, path = "/tenants/{tenant}/gateways/{gateway}/second-level", tag = "gateways",
    params(("tenant" = TenantId, Path), ("gateway" = GatewayId, Path), SecondLevelQuery),
    responses((status = 200, body = SecondLevelHistory)),
)]
async fn get_second_level_history(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, gateway)): Path<(TenantId, GatewayId)>,
    Query(query): Query<SecondLevelQuery>,
) -> Result<Json<SecondLevelHistory>, ApiError> {
    let gateway = gateways::get_for(app.store.read(), scope.tenant, gateway).await?.id;
    let SecondLevelQuery { from, to, points } = query;
    let query = analytics::check(AnalyticsQuery { from, to, points, ..AnalyticsQuery::default() })?;
    let found = app.telemetry.second_level(gateway, &query).await?;
    let points = found.points.into_iter().map(|(at, did)| SecondLevelPoint { at, did }).collect();
    Ok(Json(SecondLevelHistory { step_s: found.step_minutes * 60, points }))
}

/// Removes a gateway: its sessions are refused at once, and it stops to serve when it learns of it.
#[utoipa::path(
    delete, path = "/gateways/{gateway}", tag = "gateways",
    params(("gateway" = GatewayId, Path)),
    responses((status = 204)),
)]
async fn delete_gateway(
    State(app): State<App>,
    platform: Platform,
    Path(gateway): Path<GatewayId>,
) -> Result<StatusCode, ApiError> {
    let tx = app.store.begin().await?;
    let before = gateways::get(&tx, gateway).await?;
    gateways::remove(&tx, gateway).await?;
    let change = Change {
        tenant: None,
        action: "delete_gateway",
        resource: "gateway",
        id: gateway.to_string(),
        name: &before.name,
        before: seen(&serde_json::json!({ "environment": before.environment, "region": before.region }))?,
        after: None,
    };
    audit::record(&tx, &platform.caller.actor, change).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
