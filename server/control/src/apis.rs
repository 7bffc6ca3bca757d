//! APIs and their drafts.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::apis::{Api, ApiFilter, ApiSummary, CreateApi, UpdateApi};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::apis;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::problem::ApiError;
use crate::state::App;
use crate::{ownership, upstream_guard};

/// Bytes of an API: its draft with thousands of described routes.
const BODY_LIMIT: usize = 16 << 20;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_apis, create_api))
        .routes(routes!(get_api, update_api, delete_api))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// APIs of the tenant. Sorts: `name`, `slug`, `created_at`, `updated_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis", tag = "apis",
    params(("tenant" = TenantId, Path), ApiFilter, PageQuery),
    responses((status = 200, body = Page<ApiSummary>)),
)]
async fn list_apis(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Query(filter): Query<ApiFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiSummary>>, ApiError> {
    Ok(Json(apis::list(app.store.read(), scope.tenant, &filter, &page).await?))
}

/// Makes an API. It is not in the catalogue until it is listed and released.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis", tag = "apis",
    params(("tenant" = TenantId, Path)),
    request_body = CreateApi,
    responses((status = 201, body = Api)),
)]
async fn create_api(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Json(new): Json<CreateApi>,
) -> Result<(StatusCode, Tagged<Api>), ApiError> {
    ownership::check_team(&app, &scope, new.team).await?;
    ownership::check_hosts(&scope, None, &new.draft)?;
    let guard = upstream_guard::of_tenant(&app, scope.tenant).await?;
    upstream_guard::check(&new.draft, &guard, "/draft").await?;
    let tx = app.store.begin().await?;
    let api = apis::create(&tx, &scope.caller.actor, scope.tenant, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(api.version, api)))
}

/// One API with its draft.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}", tag = "apis",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    responses((status = 200, body = Api)),
)]
async fn get_api(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
) -> Result<Tagged<Api>, ApiError> {
    let api = apis::get(app.store.read(), scope.tenant, api).await?;
    Ok(tagged(api.version, api))
}

/// Changes an API and its draft. What is live does not change until a revision is released.
#[utoipa::path(
    put, path = "/tenants/{tenant}/apis/{api}", tag = "apis",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("If-Match" = String, Header)),
    request_body = UpdateApi,
    responses((status = 200, body = Api)),
)]
async fn update_api(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<UpdateApi>,
) -> Result<Tagged<Api>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    ownership::check_team(&app, &scope, new.team).await?;
    let before = apis::draft(app.store.read(), scope.tenant, api).await?;
    ownership::check_hosts(&scope, Some(&before), &new.draft)?;
    if before.upstreams != new.draft.upstreams {
        let guard = upstream_guard::of_tenant(&app, scope.tenant).await?;
        upstream_guard::check(&new.draft, &guard, "/draft").await?;
    }
    let tx = app.store.begin().await?;
    let api = apis::update(&tx, &scope.caller.actor, scope.tenant, api, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(api.version, api))
}

/// Removes an API that no environment serves, with its history, plans and subscriptions.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/apis/{api}", tag = "apis",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("If-Match" = String, Header)),
    responses((status = 204)),
)]
async fn delete_api(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    apis::delete(&tx, &scope.caller.actor, scope.tenant, api, version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
