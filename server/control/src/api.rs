//! The admin REST API: resources side by side, and the OpenAPI document that they add up to.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use sluice_contract::problem::Problem;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::problem::ApiError;
use crate::state::App;
use crate::{csrf, session_store};

/// Where the API is.
const BASE: &str = "/api/v1";

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Sluice admin API",
    description = "Publish APIs, approve subscriptions, watch calls. Errors are RFC 9457 problems with stable codes. \
                   Lists are paged by `limit` and `after`. What two people could edit has an `ETag`; changes of it \
                   need `If-Match`. Sign in for a session (changes then need the header `x-sluice-csrf: 1`), or send \
                   an API token as bearer."
))]
struct Document;

/// One line for each resource.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(crate::setup::router())
        .merge(crate::session::router())
        .merge(crate::invitations::router())
        .merge(crate::about::router())
        .merge(crate::settings::router())
        .merge(crate::tenants::router())
        .merge(crate::users::router())
        .merge(crate::teams::router())
        .merge(crate::api_tokens::router())
        .merge(crate::audit::router())
        .merge(crate::environments::router())
        .merge(crate::gateways::router())
        .merge(crate::enrolment_tokens::router())
        .merge(crate::calls::router())
        .merge(crate::analytics::router())
        .merge(crate::cache_advice::router())
        .merge(crate::cache_analytics::router())
        .merge(crate::overview::router())
        .merge(crate::apis::router())
        .merge(crate::revisions::router())
        .merge(crate::releases::router())
        .merge(crate::plans::router())
        .merge(crate::policy_types::router())
        .merge(crate::imports::router())
        .merge(crate::catalogue::router())
        .merge(crate::applications::router())
        .merge(crate::credentials::router())
        .merge(crate::subscriptions::router())
        .merge(crate::purges::router())
        .merge(crate::warmings::router())
        .merge(crate::event_sources::router())
        .merge(crate::cache::router())
        .merge(crate::cdn_hooks::router())
}

/// All of it where it is, below what the document says of itself.
fn whole() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi()).nest(BASE, resources())
}

/// The API and its document.
pub(crate) fn router(app: &App) -> (Router<App>, OpenApi) {
    let (router, document) = whole().split_for_parts();
    let router = router
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(session_store::layer(app.store.clone()))
        .layer(from_fn_with_state(app.clone(), csrf::check));
    (router, complete(document))
}

/// The OpenAPI document of the admin API.
pub fn document() -> OpenApi {
    complete(whole().into_openapi())
}

/// Adds what holds for every operation: how to authenticate, and what errors look like.
fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let mut nested = Vec::new();
    Problem::schemas(&mut nested);
    components.schemas.extend(nested);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token, slt_..."));
    let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-sluice"));
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(bearer.build()).into());
    components.security_schemes.insert("session".to_owned(), SecurityScheme::ApiKey(cookie).into());
    // Unless an operation says `security(())`.
    let either = ["token", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
    document.security = Some(either.to_vec());
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let responses = &mut operation.responses.responses;
        for (status, response) in responses.iter_mut() {
            describe(status, response);
        }
        responses.entry("default".to_owned()).or_insert_with(problem);
    }
    document
}

/// A response without a description makes the document invalid (OpenAPI 3.1 §4.8.17).
fn describe(status: &str, response: &mut RefOr<utoipa::openapi::Response>) {
    let RefOr::T(response) = response else { return };
    if response.description.is_empty() {
        let reason = StatusCode::from_bytes(status.as_bytes()).ok().and_then(|code| code.canonical_reason());
        response.description = reason.unwrap_or("An answer").to_owned();
    }
}

fn problem() -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let response =
        ResponseBuilder::new().description("A problem").content("application/problem+json", content);
    RefOr::T(response.build())
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}
