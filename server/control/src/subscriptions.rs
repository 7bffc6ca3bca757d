//! Subscriptions: requested, approved or rejected, suspended, resumed, ended.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{SubscriptionId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::subscriptions::{
    DecideSubscription, RequestSubscription, Subscription, SubscriptionFilter,
};
use sluice_store::applications::Reach;
use sluice_store::subscriptions::{self, Decision};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_subscriptions, create_subscription))
        .routes(routes!(get_subscription))
        .routes(routes!(approve_subscription))
        .routes(routes!(reject_subscription))
        .routes(routes!(suspend_subscription))
        .routes(routes!(resume_subscription))
        .routes(routes!(end_subscription))
}

/// Subscriptions, newest first: consumers see those of their applications. `q` looks into the names of application and
/// API. Sorts: `created_at`, `state`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/subscriptions", tag = "subscriptions",
    params(("tenant" = TenantId, Path), SubscriptionFilter, PageQuery),
    responses((status = 200, body = Page<Subscription>)),
)]
async fn list_subscriptions(
    State(app): State<App>,
    scope: Scope<need::ReadApplications>,
    Query(filter): Query<SubscriptionFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Subscription>>, ApiError> {
    let reach = ownership::readable(&app, &scope).await?;
    Ok(Json(subscriptions::list(app.store.read(), scope.tenant, &reach, &filter, &page).await?))
}

/// Asks for a subscription. Plans that approve by themselves answer with an approved one.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions", tag = "subscriptions",
    params(("tenant" = TenantId, Path)),
    request_body = RequestSubscription,
    responses((status = 201, body = Subscription)),
)]
async fn create_subscription(
    State(app): State<App>,
    scope: Scope<need::ManageApplications>,
    Json(new): Json<RequestSubscription>,
) -> Result<(StatusCode, Tagged<Subscription>), ApiError> {
    let reach = ownership::changeable(&app, &scope).await?;
    let anything = scope.may(Permission::ReadManagement);
    let actor = &scope.caller.actor;
    let tx = app.store.begin().await?;
    let subscription = subscriptions::request(&tx, actor, scope.tenant, &reach, anything, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(subscription.version, subscription)))
}

/// One subscription.
#[utoipa::path(
    get, path = "/tenants/{tenant}/subscriptions/{subscription}", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Subscription)),
)]
async fn get_subscription(
    State(app): State<App>,
    scope: Scope<need::ReadApplications>,
    Path((_, subscription)): Path<(TenantId, SubscriptionId)>,
) -> Result<Tagged<Subscription>, ApiError> {
    let reach = ownership::readable(&app, &scope).await?;
    let subscription = subscriptions::get(app.store.read(), scope.tenant, &reach, subscription).await?;
    Ok(tagged(subscription.version, subscription))
}

/// Approves a pending subscription: the application's keys may call from now on.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/approve", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn approve_subscription(
    State(app): State<App>,
    scope: Scope<need::ApproveSubscriptions>,
    Path((_, subscription)): Path<(TenantId, SubscriptionId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<DecideSubscription>,
) -> Result<Tagged<Subscription>, ApiError> {
    decide(&app, &scope, &Reach::Tenant, subscription, version, Decision::Approve, &new).await
}

/// Rejects a pending subscription, with a reason that the applicant reads.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/reject", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn reject_subscription(
    State(app): State<App>,
    scope: Scope<need::ApproveSubscriptions>,
    Path((_, subscription)): Path<(TenantId, SubscriptionId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<DecideSubscription>,
) -> Result<Tagged<Subscription>, ApiError> {
    decide(&app, &scope, &Reach::Tenant, subscription, version, Decision::Reject, &new).await
}

/// Suspends an approved subscription, with a reason: calls are refused until it is resumed.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/suspend", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn suspend_subscription(
    State(app): State<App>,
    scope: Scope<need::ApproveSubscriptions>,
    Path((_, subscription)): Path<(TenantId, SubscriptionId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<DecideSubscription>,
) -> Result<Tagged<Subscription>, ApiError> {
    decide(&app, &scope, &Reach::Tenant, subscription, version, Decision::Suspend, &new).await
}

/// Resumes a suspended subscription.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/resume", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn resume_subscription(
    State(app): State<App>,
    scope: Scope<need::ApproveSubscriptions>,
    Path((_, subscription)): Path<(TenantId, SubscriptionId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<DecideSubscription>,
) -> Result<Tagged<Subscription>, ApiError> {
    decide(&app, &scope, &Reach::Tenant, subscription, version, Decision::Resume, &new).await
}

/// Ends a subscription, or withdraws a request for one: approvers any, consumers those of their applications.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/end", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn end_subscription(
    State(app): State<App>,
    scope: Scope<need::EndSubscriptions>,
    Path((_, subscription)): Path<(TenantId, SubscriptionId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<DecideSubscription>,
) -> Result<Tagged<Subscription>, ApiError> {
    let reach = if scope.may(Permission::ApproveSubscriptions) {
        Reach::Tenant
    } else {
        ownership::changeable(&app, &scope).await?
    };
    decide(&app, &scope, &reach, subscription, version, Decision::End, &new).await
}

async fn decide<N>(
    app: &App,
    scope: &Scope<N>,
    reach: &Reach,
    subscription: SubscriptionId,
    version: u64,
    decision: Decision,
    new: &DecideSubscription,
) -> Result<Tagged<Subscription>, ApiError> {
    let actor = &scope.caller.actor;
    let tx = app.store.begin().await?;
    let decided =
        subscriptions::decide(&tx, actor, (scope.tenant, reach), (subscription, version), decision, new)
            .await?;
    app.commit(tx).await?;
    Ok(tagged(decided.version, decided))
}
