//! The audit log.

use axum::extract::State;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::audit::{AuditEntry, AuditFilter};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::audit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Platform, Scope, need};
use crate::extract::{Json, Query};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit)).routes(routes!(list_platform_audit))
}

/// Changes in the tenant, newest first. Sorts: `at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/audit", tag = "audit",
    params(("tenant" = TenantId, Path), AuditFilter, PageQuery),
    responses((status = 200, body = Page<AuditEntry>)),
)]
async fn list_audit(
    State(app): State<App>,
    scope: Scope<need::ReadAudit>,
    Query(filter): Query<AuditFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, ApiError> {
    Ok(Json(audit::list(app.store.read(), Some(scope.tenant), &filter, &page).await?))
}

/// Changes of the platform, newest first. Sorts: `at`.
#[utoipa::path(
    get, path = "/audit", tag = "audit",
    params(AuditFilter, PageQuery),
    responses((status = 200, body = Page<AuditEntry>)),
)]
async fn list_platform_audit(
    State(app): State<App>,
    _platform: Platform,
    Query(filter): Query<AuditFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, ApiError> {
    Ok(Json(audit::list(app.store.read(), None, &filter, &page).await?))
}
