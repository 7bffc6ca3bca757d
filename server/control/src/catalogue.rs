//! The catalogue: what consumers find, read and subscribe to.

mod openapi;

use axum::extract::State;
use serde_json::Value;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::apis::ApiSummary;
use sluice_contract::rest::catalogue::CatalogueEntry;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::catalogue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_catalogue))
        .routes(routes!(get_catalogue_entry))
        .routes(routes!(get_catalogue_document))
}

/// Listed APIs that an environment serves. Sorts: `name`, `slug`, `created_at`, `updated_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/catalogue", tag = "catalogue",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<ApiSummary>)),
)]
async fn list_catalogue(
    State(app): State<App>,
    scope: Scope<need::ReadCatalogue>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiSummary>>, ApiError> {
    Ok(Json(catalogue::list(app.store.read(), scope.tenant, &page).await?))
}

/// One API of the catalogue with its operations and the plans that take subscriptions.
#[utoipa::path(
    get, path = "/tenants/{tenant}/catalogue/{api}", tag = "catalogue",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    responses((status = 200, body = CatalogueEntry)),
)]
async fn get_catalogue_entry(
    State(app): State<App>,
    scope: Scope<need::ReadCatalogue>,
    Path((_, api)): Path<(TenantId, ApiId)>,
) -> Result<Json<CatalogueEntry>, ApiError> {
    Ok(Json(catalogue::get(app.store.read(), scope.tenant, api).await?))
}

/// An OpenAPI 3.1 document of the API as it is live: how to call it through the gateway.
#[utoipa::path(
    get, path = "/tenants/{tenant}/catalogue/{api}/openapi.json", tag = "catalogue",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    responses((status = 200, body = Value)),
)]
async fn get_catalogue_document(
    State(app): State<App>,
    scope: Scope<need::ReadCatalogue>,
    Path((_, api)): Path<(TenantId, ApiId)>,
) -> Result<Json<Value>, ApiError> {
    let entry = catalogue::get(app.store.read(), scope.tenant, api).await?;
    Ok(Json(openapi::document(&entry, &app.gateway_origins())))
}
