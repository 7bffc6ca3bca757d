//! Revisions: immutable, numbered copies of an API's draft; and differences between any two.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::revisions::{CreateRevision, Diff, Revision, RevisionSummary};
use sluice_store::revisions;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_revisions, create_revision))
        .routes(routes!(get_revision))
        .routes(routes!(get_diff))
}

/// Revisions of an API, newest first. Sorts: `number`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/revisions", tag = "revisions",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), PageQuery),
    responses((status = 200, body = Page<RevisionSummary>)),
)]
async fn list_revisions(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<RevisionSummary>>, ApiError> {
    Ok(Json(revisions::list(app.store.read(), scope.tenant, api, &page).await?))
}

/// Freezes the draft of the API whose version is `If-Match`.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/revisions", tag = "revisions",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("If-Match" = String, Header)),
    request_body = CreateRevision,
    responses((status = 201, body = Revision)),
)]
async fn create_revision(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<CreateRevision>,
) -> Result<(StatusCode, Json<Revision>), ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    let revision = revisions::create(&tx, &scope.caller.actor, scope.tenant, api, version, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(revision)))
}

/// One revision with its definition.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/revisions/{number}", tag = "revisions",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("number" = u32, Path)),
    responses((status = 200, body = Revision)),
)]
async fn get_revision(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, number)): Path<(TenantId, ApiId, u32)>,
) -> Result<Json<Revision>, ApiError> {
    Ok(Json(revisions::get(app.store.read(), scope.tenant, api, number).await?))
}

/// What to compare.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Compared {
    /// A revision's number, `draft`, or `live:<environment slug>`.
    from: String,
    /// As `from`.
    to: String,
}

/// Field-level differences between two revisions, the draft, and what is live.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/diff", tag = "revisions",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), Compared),
    responses((status = 200, body = Diff)),
)]
async fn get_diff(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(Compared { from, to }): Query<Compared>,
) -> Result<Json<Diff>, ApiError> {
    Ok(Json(revisions::compare(app.store.read(), scope.tenant, api, &from, &to).await?))
}
