//! The call log of a tenant, and calls as they happen.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use sluice_contract::ids::{CallId, TenantId};
use sluice_contract::rest::calls::{CallFilter, CallRow};
use sluice_contract::rest::page::{MAX_LIMIT, Page, PageQuery};
use sluice_store::telemetry::Matcher;
use tokio_stream::Stream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::state::App;
use crate::tail::{self, Names};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_calls)).routes(routes!(tail_calls)).routes(routes!(get_call))
}

/// Calls of the tenant, newest first; no other order, and no `q`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/calls", tag = "calls",
    params(("tenant" = TenantId, Path), CallFilter, PageQuery),
    responses((status = 200, body = Page<CallRow>)),
)]
async fn list_calls(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
    Query(filter): Query<CallFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<CallRow>>, ApiError> {
    let limit = check_page(&page)?;
    let Page { items, next } =
        app.telemetry.calls(scope.tenant, &filter, limit, page.after.as_deref()).await?;
    let mut names = Names::default();
    names.learn(&app.store, scope.tenant, &items).await?;
    let items = items.into_iter().map(|stored| tail::row(stored, &names)).collect();
    Ok(Json(Page { items, next }))
}

/// One call.
#[utoipa::path(
    get, path = "/tenants/{tenant}/calls/{call}", tag = "calls",
    params(("tenant" = TenantId, Path), ("call" = CallId, Path)),
    responses((status = 200, body = CallRow)),
)]
async fn get_call(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
    Path((_, call)): Path<(TenantId, CallId)>,
) -> Result<Json<CallRow>, ApiError> {
    let stored = app.telemetry.call(scope.tenant, call).await?;
    let mut names = Names::default();
    names.learn(&app.store, scope.tenant, std::slice::from_ref(&stored)).await?;
    Ok(Json(tail::row(stored, &names)))
}

/// Calls as they arrive, as server-sent events: `call` with a `CallRow`; `skipped` with `{"at_least": n}` when the
/// connection was too slow for some. Ends after five minutes; browsers connect again.
#[utoipa::path(
    get, path = "/tenants/{tenant}/calls/tail", tag = "calls",
    params(("tenant" = TenantId, Path), CallFilter),
    responses((status = 200, body = CallRow, content_type = "text/event-stream")),
)]
async fn tail_calls(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
    Query(filter): Query<CallFilter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, ApiError> {
    let events = tail::watch(&app, scope.tenant, Matcher::new(filter)?).await?;
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// The log has one order: what it cannot do is refused, not ignored.
fn check_page(page: &PageQuery) -> Result<u32, ApiError> {
    let PageQuery { limit, after: _, sort, q } = page;
    if sort.as_deref().is_some_and(|sort| !matches!(sort, "" | "-at")) {
        return Err(ApiError::invalid_field("sort", "unsupported", "calls are sorted by -at, newest first"));
    }
    if q.as_deref().is_some_and(|q| !q.is_empty()) {
        return Err(ApiError::invalid_field("q", "unsupported", "filter calls by their fields"));
    }
    match limit {
        None => Ok(0),
        Some(limit @ 1..=MAX_LIMIT) => Ok(*limit),
        Some(_) => Err(ApiError::invalid_field("limit", "out_of_range", format!("1 to {MAX_LIMIT}"))),
    }
}
