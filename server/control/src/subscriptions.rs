//! Subscriptions: requested, approved or rejected, suspended, resumed, ended.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
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

use crate::authorise::{Need, Scope, need};
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
    to_decide: ToDecide<need::ApproveSubscriptions>,
) -> Result<Tagged<Subscription>, ApiError> {
    to_decide.decide(Decision::Approve, &Reach::Tenant).await
}

/// Rejects a pending subscription, with a reason that the applicant reads.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/reject", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn reject_subscription(
    to_decide: ToDecide<need::ApproveSubscriptions>,
) -> Result<Tagged<Subscription>, ApiError> {
    to_decide.decide(Decision::Reject, &Reach::Tenant).await
}

/// Suspends an approved subscription, with a reason: calls are refused until it is resumed.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/suspend", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn suspend_subscription(
    to_decide: ToDecide<need::ApproveSubscriptions>,
) -> Result<Tagged<Subscription>, ApiError> {
    to_decide.decide(Decision::Suspend, &Reach::Tenant).await
}

/// Resumes a suspended subscription.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/resume", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn resume_subscription(
    to_decide: ToDecide<need::ApproveSubscriptions>,
) -> Result<Tagged<Subscription>, ApiError> {
    to_decide.decide(Decision::Resume, &Reach::Tenant).await
}

/// Ends a subscription, or withdraws a request for one: approvers any, consumers those of their applications.
#[utoipa::path(
    post, path = "/tenants/{tenant}/subscriptions/{subscription}/end", tag = "subscriptions",
    params(("tenant" = TenantId, Path), ("subscription" = SubscriptionId, Path), ("If-Match" = String, Header)),
    request_body = DecideSubscription,
    responses((status = 200, body = Subscription)),
)]
async fn end_subscription(
    to_decide: ToDecide<need::EndSubscriptions>,
) -> Result<Tagged<Subscription>, ApiError> {
    let reach = if to_decide.scope.may(Permission::ApproveSubscriptions) {
        Reach::Tenant
    } else {
        ownership::changeable(&to_decide.app, &to_decide.scope).await?
    };
    to_decide.decide(Decision::End, &reach).await
}

/// A request to decide a subscription, by somebody who may do `N`.
struct ToDecide<N> {
    app: App,
    scope: Scope<N>,
    subscription: SubscriptionId,
    version: u64,
    new: DecideSubscription,
}

impl<N: Need> FromRequest<App> for ToDecide<N> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let scope = Scope::from_request_parts(&mut parts, app).await?;
        let Path((_, subscription)) =
            Path::<(TenantId, SubscriptionId)>::from_request_parts(&mut parts, app).await?;
        let IfMatch(version) = IfMatch::from_request_parts(&mut parts, app).await?;
        let Json(new) = Json::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Self { app: app.clone(), scope, subscription, version, new })
    }
}

impl<N> ToDecide<N> {
    async fn decide(self, decision: Decision, reach: &Reach) -> Result<Tagged<Subscription>, ApiError> {
        let Self { app, scope, subscription, version, new } = self;
        let tx = app.store.begin().await?;
        let (whose, which) = ((scope.tenant, reach), (subscription, version));
        let decided = subscriptions::decide(&tx, &scope.caller.actor, whose, which, decision, &new).await?;
        app.commit(tx).await?;
        Ok(tagged(decided.version, decided))
    }
}
