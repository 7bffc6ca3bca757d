//! What every request passes through, in one function that reads from the outside in.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use sluice_contract::problem::{PROBLEM_JSON, Problem};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tracing::Instrument;
use uuid::Uuid;

use crate::client_address;
use crate::problem::ApiError;
use crate::state::App;

/// Largest body, in bytes, unless an operation says otherwise.
const BODY_LIMIT: usize = 1 << 20;

/// The id of a request: in every answer as `x-request-id`, in problems, in the log and in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// What every request passes through.
pub(crate) fn wrap(router: Router, app: &App) -> Router {
    let streams = DefaultPredicate::new().and(NotForContentType::const_new("application/x-ndjson"));
    router.layer(
        ServiceBuilder::new()
            // First, so that whatever happens has an id in the answer and in the log.
            .layer(from_fn(identify))
            // Outside of everything that can fail: gives problems their body.
            .layer(from_fn(write_problems))
            .layer(from_fn_with_state(app.clone(), secure))
            .layer(CompressionLayer::new().compress_when(streams))
            // Inside of compression and headers, so that the answer to a panic has them too.
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn_with_state(app.clone(), client_address::note))
            .layer(DefaultBodyLimit::max(BODY_LIMIT)),
    )
}

async fn identify(mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let span = tracing::info_span!("request", %id, method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(RequestId(id.clone()));
    let begun = Instant::now();
    // In a task of its own: who hangs up must not stop a transaction half-way and leave it open on its connection.
    let answer = tokio::spawn(next.run(request).instrument(span.clone())).await;
    let mut response = answer.unwrap_or_else(|error| ApiError::internal(error).into_response());
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    tracing::debug!(parent: &span, status = response.status().as_u16(), milliseconds, "answered");
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn write_problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let mut response = next.run(request).await;
    let Some(mut problem) = response.extensions_mut().remove::<Box<Problem>>() else { return response };
    problem.request_id = id;
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_ENCODING);
    Response::from_parts(parts, Body::from(serde_json::to_vec(&problem).unwrap_or_default()))
}

/// Security headers; a handler's own `Content-Security-Policy` and `Cache-Control` stand.
async fn secure(State(app): State<App>, request: Request, next: Next) -> Response {
    let https = app.settings.public_origin.as_deref().is_some_and(|origin| origin.starts_with("https:"));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    default(header::CACHE_CONTROL, "no-store");
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::REFERRER_POLICY, "no-referrer");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    default(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    if https {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    ApiError::internal(format_args!("panic: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::routing::get;
    use sluice_store::{DatabaseUrl, Store};
    use tower::ServiceExt;

    use super::*;
    use crate::{ControlSettings, MasterKey, PasswordCost};

    async fn app(directory: &std::path::Path) -> App {
        let url = DatabaseUrl::Sqlite(directory.join("sluice.db"));
        let store = Store::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let settings = ControlSettings {
            embedded: false,
            loopback_allowed: false,
            public_origin: Some("https://console.example.com".to_owned()),
            link_url: None,
            trusted_proxies: Vec::new(),
            master_key: MasterKey::generate().unwrap(),
            password_cost: PasswordCost { memory_kib: 8, passes: 1, at_once: 1 },
        };
        App::new(settings, store).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_with_an_id_and_all_headers_and_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        async fn fails() -> &'static str {
            panic!("a secret of ours")
        }
        let router = wrap(Router::new().route("/", get(fails)), &app(directory.path()).await);
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.code, "internal");
        assert!(problem.request_id.is_some());
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
    }
}
