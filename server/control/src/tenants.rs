//! Tenants: organisations.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::tenants::{CreateTenant, Tenant, UpdateTenant};
use sluice_store::tenants;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Platform, Scope, need};
use crate::extract::{IfMatch, Json, Query, Tagged, tagged};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_tenants, create_tenant))
        .routes(routes!(get_tenant, update_tenant))
}

/// All tenants. Sorts: `name`, `slug`, `created_at`.
#[utoipa::path(
    get, path = "/tenants", tag = "tenants", params(PageQuery), responses((status = 200, body = Page<Tenant>)),
)]
async fn list_tenants(
    State(app): State<App>,
    _platform: Platform,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Tenant>>, ApiError> {
    Ok(Json(tenants::list(app.store.read(), &page).await?))
}

/// Makes a tenant.
#[utoipa::path(
    post, path = "/tenants", tag = "tenants", request_body = CreateTenant, responses((status = 201, body = Tenant)),
)]
async fn create_tenant(
    State(app): State<App>,
    platform: Platform,
    Json(new): Json<CreateTenant>,
) -> Result<(StatusCode, Tagged<Tenant>), ApiError> {
    let tx = app.store.begin().await?;
    let tenant = tenants::create(&tx, &platform.caller.actor, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(tenant.version, tenant)))
}

/// One tenant.
#[utoipa::path(
    get, path = "/tenants/{tenant}", tag = "tenants",
    params(("tenant" = TenantId, Path)),
    responses((status = 200, body = Tenant)),
)]
async fn get_tenant(
    State(app): State<App>,
    scope: Scope<need::Membership>,
) -> Result<Tagged<Tenant>, ApiError> {
    let tenant = tenants::get(app.store.read(), scope.tenant).await?;
    Ok(tagged(tenant.version, tenant))
}

/// Renames a tenant.
#[utoipa::path(
    put, path = "/tenants/{tenant}", tag = "tenants",
    params(("tenant" = TenantId, Path), ("If-Match" = String, Header)),
    request_body = UpdateTenant,
    responses((status = 200, body = Tenant)),
)]
async fn update_tenant(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    IfMatch(version): IfMatch,
    Json(new): Json<UpdateTenant>,
) -> Result<Tagged<Tenant>, ApiError> {
    let tx = app.store.begin().await?;
    let tenant = tenants::update(&tx, &scope.caller.actor, scope.tenant, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(tenant.version, tenant))
}
