//! Releases: a revision put into an environment, rollbacks and withdrawals among them.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{ApiId, ReleaseId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::releases::{CreateRelease, Release};
use sluice_store::releases;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::state::App;
use crate::{ownership, upstream_guard};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_releases, create_release)).routes(routes!(get_release))
}

/// Releases of an API, newest first, each with how far it is. Sorts: `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/releases", tag = "releases",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), PageQuery),
    responses((status = 200, body = Page<Release>)),
)]
async fn list_releases(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Release>>, ApiError> {
    Ok(Json(releases::list(app.store.read(), scope.tenant, api, &page).await?))
}

/// Puts a revision (an older one rolls back) into an environment, or without a revision withdraws the API from it. Done
/// when every live gateway has acknowledged; with no gateway up it waits for one.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/releases", tag = "releases",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = CreateRelease,
    responses((status = 201, body = Release)),
)]
async fn create_release(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(new): Json<CreateRelease>,
) -> Result<(StatusCode, Json<Release>), ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    // Names are resolved before the transaction: nobody else waits for that.
    let (environment, definition) = releases::wanted(app.store.read(), scope.tenant, api, &new).await?;
    if let Some(definition) = definition {
        let guard = upstream_guard::of_environment(&environment)?;
        upstream_guard::check(&definition, &guard, "/definition").await?;
    }
    let tx = app.store.begin().await?;
    let release = releases::create(&tx, &scope.caller.actor, scope.tenant, api, &new).await?;
    app.commit(tx).await?;
    let release = releases::get(app.store.read(), scope.tenant, api, release.id).await?;
    Ok((StatusCode::CREATED, Json(release)))
}

/// One release: which gateways serve it, how long each took, who lags or failed.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/releases/{release}", tag = "releases",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("release" = ReleaseId, Path)),
    responses((status = 200, body = Release)),
)]
async fn get_release(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, release)): Path<(TenantId, ApiId, ReleaseId)>,
) -> Result<Json<Release>, ApiError> {
    Ok(Json(releases::get(app.store.read(), scope.tenant, api, release).await?))
}
