//! Keys of applications: made, shown once, revoked.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{ApplicationId, CredentialId, TenantId};
use sluice_contract::rest::applications::{
    CreateCredential, CreatedCredential, Credential, RevokedCredential,
};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::credentials;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::state::App;
use crate::{ownership, random};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_credentials, create_credential))
        .routes(routes!(get_credential, delete_credential))
}

/// Keys of an application, newest first, revoked ones too. Sorts: `created_at`, `name`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/applications/{application}/credentials", tag = "credentials",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path), PageQuery),
    responses((status = 200, body = Page<Credential>)),
)]
async fn list_credentials(
    State(app): State<App>,
    scope: Scope<need::ReadApplications>,
    Path((_, application)): Path<(TenantId, ApplicationId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Credential>>, ApiError> {
    let reach = ownership::readable(&app, &scope).await?;
    Ok(Json(credentials::list(app.store.read(), scope.tenant, &reach, application, &page).await?))
}

/// Makes a key. It is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/tenants/{tenant}/applications/{application}/credentials", tag = "credentials",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path)),
    request_body = CreateCredential,
    responses((status = 201, body = CreatedCredential)),
)]
async fn create_credential(
    State(app): State<App>,
    scope: Scope<need::ManageApplications>,
    Path((_, application)): Path<(TenantId, ApplicationId)>,
    Json(new): Json<CreateCredential>,
) -> Result<(StatusCode, Json<CreatedCredential>), ApiError> {
    let reach = ownership::changeable(&app, &scope).await?;
    let key = random::secret("slk_")?;
    let actor = &scope.caller.actor;
    let tx = app.store.begin().await?;
    let credential = credentials::create(&tx, actor, scope.tenant, &reach, application, &new, &key).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(CreatedCredential { credential, key })))
}

/// One key, and how far its revocation is.
#[utoipa::path(
    get, path = "/tenants/{tenant}/applications/{application}/credentials/{credential}", tag = "credentials",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path), ("credential" = CredentialId, Path)),
    responses((status = 200, body = RevokedCredential)),
)]
async fn get_credential(
    State(app): State<App>,
    scope: Scope<need::ReadApplications>,
    Path((_, application, credential)): Path<(TenantId, ApplicationId, CredentialId)>,
) -> Result<Json<RevokedCredential>, ApiError> {
    let reach = ownership::readable(&app, &scope).await?;
    let db = app.store.read();
    Ok(Json(credentials::get(db, scope.tenant, &reach, application, credential).await?))
}

/// Revokes a key: every gateway refuses it once it has heard of it. Ask again to see which have.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/applications/{application}/credentials/{credential}", tag = "credentials",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path), ("credential" = CredentialId, Path)),
    responses((status = 200, body = RevokedCredential)),
)]
async fn delete_credential(
    State(app): State<App>,
    scope: Scope<need::ManageApplications>,
    Path((_, application, credential)): Path<(TenantId, ApplicationId, CredentialId)>,
) -> Result<Json<RevokedCredential>, ApiError> {
    let reach = ownership::changeable(&app, &scope).await?;
    let tx = app.store.begin().await?;
    credentials::revoke(&tx, &scope.caller.actor, scope.tenant, &reach, application, credential).await?;
    app.commit(tx).await?;
    let db = app.store.read();
    Ok(Json(credentials::get(db, scope.tenant, &reach, application, credential).await?))
}
