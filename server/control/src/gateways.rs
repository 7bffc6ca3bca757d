//! Gateways: their health and applied position, and their removal. They come by themselves, see `link`.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{GatewayId, TenantId};
use sluice_contract::rest::gateways::Gateway;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::audit::{self, Change, seen};
use sluice_store::gateways;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Platform, Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_gateways))
        .routes(routes!(get_gateway))
        .routes(routes!(delete_gateway))
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
