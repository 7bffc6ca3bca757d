//! Sources of events that purge the cache of an API: made, changed and looked at here; what they send comes to `hooks`.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::guard::Forbidden;
use sluice_contract::ids::{ApiId, EventSourceId, TenantId};
use sluice_contract::rest::event_sources::{EventDelivery, EventSource, EventSourceSecret, SaveEventSource};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::{environments, event_sources};
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::hooks::secret;
use crate::outbound::OutboundGuard;
use crate::problem::ApiError;
use crate::state::App;
use crate::{event_streams, ownership};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_event_sources, create_event_source))
        .routes(routes!(get_event_source, update_event_source, delete_event_source))
        .routes(routes!(rotate_event_source_secret))
        .routes(routes!(list_event_deliveries))
}

/// Sources of events of an API. Sorts: `name`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/event-sources", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), PageQuery),
    responses((status = 200, body = Page<EventSource>)),
)]
async fn list_event_sources(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EventSource>>, ApiError> {
    Ok(Json(event_sources::list(app.store.read(), scope.tenant, api, &page).await?))
}

/// Makes a source: an address for webhooks (Standard Webhooks) whose payloads say what to purge, or a stream that is
/// read. The secret of webhooks is shown this once.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/event-sources", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = SaveEventSource,
    responses((status = 201, body = EventSourceSecret)),
)]
async fn create_event_source(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(new): Json<SaveEventSource>,
) -> Result<(StatusCode, Tagged<EventSourceSecret>), ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    check_stream(&app, scope.tenant, &new).await?;
    let id = EventSourceId::generate();
    let (secret, sealed) = secret::generate(&app.sealer, id)?;
    let password = event_streams::seal(&app, id, new.stream_password.as_deref())?.flatten();
    let tx = app.store.begin().await?;
    let actor = &scope.caller.actor;
    let source = event_sources::create(&tx, actor, scope.tenant, api, (id, sealed, password), &new).await?;
    app.commit(tx).await?;
    let secret = source.stream.is_none().then_some(secret);
    Ok((StatusCode::CREATED, tagged(source.version, EventSourceSecret { source, secret })))
}

/// One source.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/event-sources/{source}", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("source" = EventSourceId, Path)),
    responses((status = 200, body = EventSource)),
)]
async fn get_event_source(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, source)): Path<(TenantId, ApiId, EventSourceId)>,
) -> Result<Tagged<EventSource>, ApiError> {
    let source = event_sources::get(app.store.read(), scope.tenant, api, source).await?;
    Ok(tagged(source.version, source))
}

/// Changes a source. Its address and secret stay; without a password its stream keeps the one that it has.
#[utoipa::path(
    put, path = "/tenants/{tenant}/apis/{api}/event-sources/{source}", tag = "purges",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("source" = EventSourceId, Path),
        ("If-Match" = String, Header),
    ),
    request_body = SaveEventSource,
    responses((status = 200, body = EventSource)),
)]
async fn update_event_source(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, source)): Path<(TenantId, ApiId, EventSourceId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<SaveEventSource>,
) -> Result<Tagged<EventSource>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    check_stream(&app, scope.tenant, &new).await?;
    let password = event_streams::seal(&app, source, new.stream_password.as_deref())?;
    let tx = app.store.begin().await?;
    let actor = &scope.caller.actor;
    let of = (api, source);
    let source = event_sources::update(&tx, actor, scope.tenant, of, version, (&new, password)).await?;
    app.commit(tx).await?;
    Ok(tagged(source.version, source))
}

/// Removes a source and what came from it. Its address is 404 from then on.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/apis/{api}/event-sources/{source}", tag = "purges",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("source" = EventSourceId, Path),
        ("If-Match" = String, Header),
    ),
    responses((status = 204)),
)]
async fn delete_event_source(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, source)): Path<(TenantId, ApiId, EventSourceId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    event_sources::delete(&tx, &scope.caller.actor, scope.tenant, (api, source), version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a source another secret, shown this once. The one before is taken for another 24 hours.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/event-sources/{source}/secret", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("source" = EventSourceId, Path)),
    responses((status = 200, body = EventSourceSecret)),
)]
async fn rotate_event_source_secret(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, source)): Path<(TenantId, ApiId, EventSourceId)>,
) -> Result<Tagged<EventSourceSecret>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let (secret, sealed) = secret::generate(&app.sealer, source)?;
    let tx = app.store.begin().await?;
    let actor = &scope.caller.actor;
    let source = event_sources::rotate(&tx, actor, scope.tenant, (api, source), sealed).await?;
    app.commit(tx).await?;
    Ok(tagged(source.version, EventSourceSecret { source, secret: Some(secret) }))
}

/// What came from a source in the last days and what became of it, newest first. Sorts: `at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/event-sources/{source}/deliveries", tag = "purges",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("source" = EventSourceId, Path), PageQuery),
    responses((status = 200, body = Page<EventDelivery>)),
)]
async fn list_event_deliveries(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, source)): Path<(TenantId, ApiId, EventSourceId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EventDelivery>>, ApiError> {
    Ok(Json(event_sources::deliveries(app.store.read(), scope.tenant, (api, source), &page).await?))
}

/// For people, who read it at once; what protects is the same guard at connect. What is no address, and an environment
/// that is not there, is reported by the checks of the source.
async fn check_stream(app: &App, tenant: TenantId, new: &SaveEventSource) -> Result<(), ApiError> {
    let Some(stream) = &new.stream else { return Ok(()) };
    if environments::get_for(app.store.read(), tenant, new.environment).await.is_err() {
        return Ok(());
    }
    let guard = OutboundGuard::of_environment(app, new.environment).await?;
    let refused =
        |error: Forbidden| ApiError::invalid_field("/stream/url", "forbidden_network", error.to_string());
    for url in sluice_contract::event_streams::servers(&stream.url).filter_map(|url| Url::parse(url).ok()) {
        guard.check_place(&url).await.map_err(refused)?;
    }
    Ok(())
}
