//! What is told to a CDN when something of an API is purged: made, changed and looked at here; `sender` tells it.

pub(crate) mod sender;

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{ApiId, CdnHookId, TenantId};
use sluice_contract::rest::cdn_hooks::{CdnCall, CdnHook, SaveCdnHook};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::{cdn_hooks, environments};
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::hooks::secret;
use crate::outbound::OutboundGuard;
use crate::ownership;
use crate::problem::ApiError;
use crate::seal::Sealed;
use crate::state::App;

/// Longest secret, in bytes.
const SECRET_MAX: usize = 1024;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_cdn_hooks, create_cdn_hook))
        .routes(routes!(get_cdn_hook, update_cdn_hook, delete_cdn_hook))
        .routes(routes!(list_cdn_calls))
}

/// What CDNs are told of purges of an API. Sorts: `name`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/cdn-hooks", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), PageQuery),
    responses((status = 200, body = Page<CdnHook>)),
)]
async fn list_cdn_hooks(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<CdnHook>>, ApiError> {
    Ok(Json(cdn_hooks::list(app.store.read(), scope.tenant, api, &page).await?))
}

/// Makes a request that is sent to a CDN for each purge of the API in an environment, until the CDN has taken it.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/cdn-hooks", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = SaveCdnHook,
    responses((status = 201, body = CdnHook)),
)]
async fn create_cdn_hook(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(new): Json<SaveCdnHook>,
) -> Result<(StatusCode, Tagged<CdnHook>), ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    check_url(&app, scope.tenant, &new).await?;
    let id = CdnHookId::generate();
    let sealed = seal(&app, id, &new)?.flatten();
    let tx = app.store.begin().await?;
    let hook = cdn_hooks::create(&tx, &scope.caller.actor, scope.tenant, api, (id, sealed), &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(hook.version, hook)))
}

/// One of them.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/cdn-hooks/{hook}", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("hook" = CdnHookId, Path)),
    responses((status = 200, body = CdnHook)),
)]
async fn get_cdn_hook(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, hook)): Path<(TenantId, ApiId, CdnHookId)>,
) -> Result<Tagged<CdnHook>, ApiError> {
    let hook = cdn_hooks::get(app.store.read(), scope.tenant, api, hook).await?;
    Ok(tagged(hook.version, hook))
}

/// Changes one. Without a secret it keeps the one that it has.
#[utoipa::path(
    put, path = "/tenants/{tenant}/apis/{api}/cdn-hooks/{hook}", tag = "purges",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("hook" = CdnHookId, Path),
        ("If-Match" = String, Header),
    ),
    request_body = SaveCdnHook,
    responses((status = 200, body = CdnHook)),
)]
async fn update_cdn_hook(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, hook)): Path<(TenantId, ApiId, CdnHookId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<SaveCdnHook>,
) -> Result<Tagged<CdnHook>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    check_url(&app, scope.tenant, &new).await?;
    let sealed = seal(&app, hook, &new)?;
    let tx = app.store.begin().await?;
    let actor = &scope.caller.actor;
    let hook = cdn_hooks::update(&tx, actor, scope.tenant, (api, hook), version, (&new, sealed)).await?;
    app.commit(tx).await?;
    Ok(tagged(hook.version, hook))
}

/// Removes one, with the requests that were still to be sent.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/apis/{api}/cdn-hooks/{hook}", tag = "purges",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("hook" = CdnHookId, Path),
        ("If-Match" = String, Header),
    ),
    responses((status = 204)),
)]
async fn delete_cdn_hook(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, hook)): Path<(TenantId, ApiId, CdnHookId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    cdn_hooks::delete(&tx, &scope.caller.actor, scope.tenant, (api, hook), version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was sent to a CDN in the last days and what is still to be sent, newest first. Sorts: `at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/cdn-hooks/{hook}/calls", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("hook" = CdnHookId, Path), PageQuery),
    responses((status = 200, body = Page<CdnCall>)),
)]
async fn list_cdn_calls(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, hook)): Path<(TenantId, ApiId, CdnHookId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<CdnCall>>, ApiError> {
    Ok(Json(cdn_hooks::calls(app.store.read(), scope.tenant, (api, hook), &page).await?))
}

/// For people, who read it at once; what protects is the same guard at connect. What is no address, and an environment
/// that is not there, is reported by the checks of the hook.
async fn check_url(app: &App, tenant: TenantId, new: &SaveCdnHook) -> Result<(), ApiError> {
    if environments::get_for(app.store.read(), tenant, new.environment).await.is_err() {
        return Ok(());
    }
    // The host is no template.
    let Ok(url) = Url::parse(&new.url.replace(['{', '}'], "")) else { return Ok(()) };
    let guard = OutboundGuard::of_environment(app, new.environment).await?;
    match guard.check_name(&url).await {
        Ok(()) => Ok(()),
        Err(refused) => Err(ApiError::invalid_field("/url", "forbidden_network", refused.to_string())),
    }
}

/// The secret, sealed: none where it stays, and nothing where it is to have none.
fn seal(app: &App, hook: CdnHookId, new: &SaveCdnHook) -> Result<Option<Option<String>>, ApiError> {
    let Some(secret) = new.secret.as_deref() else { return Ok(None) };
    if secret.is_empty() {
        return Ok(Some(None));
    }
    let visible = secret.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) && secret.len() <= SECRET_MAX;
    if !visible || !secret::is_well_formed(secret) {
        let message = "Visible characters, at most 1024; behind whsec_ base64.";
        return Err(ApiError::invalid_field("/secret", "invalid_secret", message));
    }
    let Sealed(sealed) = app.sealer.seal(&about(hook), secret.as_bytes()).map_err(ApiError::internal)?;
    Ok(Some(Some(sealed)))
}

fn about(hook: CdnHookId) -> String {
    format!("cdn-hook/{hook}")
}
