//! Tokens for automation: scoped to a tenant and to permissions.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{ApiTokenId, TenantId};
use sluice_contract::rest::api_tokens::{ApiToken, CreateApiToken, CreatedApiToken};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::api_tokens;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::random;
use crate::state::App;

/// What every token starts with, so that secret scanners recognise it.
pub(crate) const PREFIX: &str = "slt_";

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_api_tokens, create_api_token)).routes(routes!(delete_api_token))
}

/// Tokens of the tenant. Sorts: `name`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/tokens", tag = "tokens",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<ApiToken>)),
)]
async fn list_api_tokens(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiToken>>, ApiError> {
    Ok(Json(api_tokens::list(app.store.read(), scope.tenant, &page).await?))
}

/// Makes a token; its secret is shown this once. Nobody can grant what they may not do themselves.
#[utoipa::path(
    post, path = "/tenants/{tenant}/tokens", tag = "tokens",
    params(("tenant" = TenantId, Path)),
    request_body = CreateApiToken,
    responses((status = 201, body = CreatedApiToken)),
)]
async fn create_api_token(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Json(new): Json<CreateApiToken>,
) -> Result<(StatusCode, Json<CreatedApiToken>), ApiError> {
    for (index, permission) in new.permissions.iter().enumerate() {
        if !scope.may(*permission) {
            let message = "you may not do this yourself";
            return Err(ApiError::invalid_field(format!("/permissions/{index}"), "not_yours", message));
        }
    }
    let secret = random::secret(PREFIX)?;
    let tx = app.store.begin().await?;
    let token = api_tokens::create(&tx, &scope.caller.actor, scope.tenant, &new, &secret).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(CreatedApiToken { token, secret })))
}

/// Ends a token at once.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/tokens/{token}", tag = "tokens",
    params(("tenant" = TenantId, Path), ("token" = ApiTokenId, Path)),
    responses((status = 204)),
)]
async fn delete_api_token(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, token)): Path<(TenantId, ApiTokenId)>,
) -> Result<StatusCode, ApiError> {
    let tx = app.store.begin().await?;
    api_tokens::delete(&tx, &scope.caller.actor, scope.tenant, token).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
