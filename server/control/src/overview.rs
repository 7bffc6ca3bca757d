//! The front page: the last hour, and what waits for a person.

use axum::extract::State;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::analytics::{AnalyticsQuery, Overview};
use sluice_store::overview::{self, Inventory};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::analytics::analytics;
use crate::authorise::{Scope, need};
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_overview))
}

/// The last hour's traffic, and counts of what the tenant has.
#[utoipa::path(
    get, path = "/tenants/{tenant}/overview", tag = "analytics",
    params(("tenant" = TenantId, Path)),
    responses((status = 200, body = Overview)),
)]
async fn get_overview(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
) -> Result<Json<Overview>, ApiError> {
    let traffic = analytics(&app, scope.tenant, AnalyticsQuery::default()).await?;
    let Inventory { pending_approvals, apis, applications, gateways, gateways_live } =
        overview::inventory(app.store.read(), scope.tenant).await?;
    Ok(Json(Overview { traffic, pending_approvals, apis, applications, gateways_live, gateways }))
}
