//! Purges: removal of cached responses.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{PurgeId, TenantId};
use sluice_contract::journal::PurgeScope;
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::purges::{CreatePurge, PurgeFilter, PurgePreview, PurgeRecord};
use sluice_store::{gateways, purges};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path, Query};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_purges, create_purge))
        .routes(routes!(get_purge))
        .routes(routes!(preview_purge))
}

/// Purges of the tenant, newest first. Sorts: `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/purges", tag = "purges",
    params(("tenant" = TenantId, Path), PurgeFilter, PageQuery),
    responses((status = 200, body = Page<PurgeRecord>)),
)]
async fn list_purges(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Query(filter): Query<PurgeFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PurgeRecord>>, ApiError> {
    Ok(Json(purges::list(app.store.read(), scope.tenant, &filter, &page).await?))
}

/// Removes cached responses from every gateway of an environment, or makes them stale: by URL, prefix of the path, tag,
/// API or application, or everything of the tenant. What touches every API needs who manages the tenant.
#[utoipa::path(
    post, path = "/tenants/{tenant}/purges", tag = "purges",
    params(("tenant" = TenantId, Path)),
    request_body = CreatePurge,
    responses((status = 201, body = PurgeRecord)),
)]
async fn create_purge(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Json(new): Json<CreatePurge>,
) -> Result<(StatusCode, Json<PurgeRecord>), ApiError> {
    check_reach(&app, &scope, &new.scope).await?;
    let tx = app.store.begin().await?;
    let purge = purges::create(&tx, &scope.caller.actor, scope.tenant, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(purges::get(app.store.read(), scope.tenant, purge).await?)))
}

/// Asks the gateways of an environment how much a purge would cover in their memory, about, and purges nothing. It waits two
/// seconds at most; a gateway that is not connected to the process that is asked, or does not answer in time, is named as such.
#[utoipa::path(
    post, path = "/tenants/{tenant}/purges/preview", tag = "purges",
    params(("tenant" = TenantId, Path)),
    request_body = CreatePurge,
    responses((status = 200, body = PurgePreview)),
)]
async fn preview_purge(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Json(wanted): Json<CreatePurge>,
) -> Result<Json<PurgePreview>, ApiError> {
    // Soft or hard, it covers the same.
    let CreatePurge { environment, scope: what, soft: _ } = wanted;
    check_reach(&app, &scope, &what).await?;
    purges::check(app.store.read(), scope.tenant, &what).await?;
    let gateways = gateways::lately_seen(app.store.read(), scope.tenant, environment).await?;
    let read = |reply| match reply {
        Reply::PurgeAmount(amount) => Some(amount),
        _ => None,
    };
    let ask = Ask::PurgeAmount { scope: what };
    let gateways = app.link.questions().ask(gateways, scope.tenant, ask, read).await?;
    let amounts = || gateways.iter().filter_map(|gateway| gateway.answer);
    let entries = amounts().map(|amount| amount.entries).sum();
    let bytes = amounts().map(|amount| amount.bytes).sum();
    Ok(Json(PurgePreview { gateways, entries, bytes }))
}

/// Whether the caller may purge this.
async fn check_reach<N>(app: &App, scope: &Scope<N>, what: &PurgeScope) -> Result<(), ApiError> {
    match what.api() {
        Some(api) => ownership::check_api(app, scope, api).await,
        None => ownership::check_every_api(app, scope).await,
    }
}

/// One purge: which gateways have it, and how long each took.
#[utoipa::path(
    get, path = "/tenants/{tenant}/purges/{purge}", tag = "purges",
    params(("tenant" = TenantId, Path), ("purge" = PurgeId, Path)),
    responses((status = 200, body = PurgeRecord)),
)]
async fn get_purge(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, purge)): Path<(TenantId, PurgeId)>,
) -> Result<Json<PurgeRecord>, ApiError> {
    Ok(Json(purges::get(app.store.read(), scope.tenant, purge).await?))
}
