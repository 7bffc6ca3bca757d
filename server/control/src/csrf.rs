//! Refuses what another site makes a browser send: a change needs a header that no form can send, and an `Origin` that
//! is ours. Requests with a token of their own (`Authorization: Bearer`) carry nothing that a browser adds by itself.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::ApiError;
use crate::state::App;

const HEADER: &str = "x-sluice-csrf";

/// Lets safe methods, bearer tokens and our own console pass.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    if safe || has_bearer(headers) {
        return next.run(request).await;
    }
    if headers.get(HEADER).is_none_or(|value| value != "1") {
        return refusal("send the header x-sluice-csrf: 1").into_response();
    }
    if !origin_is_ours(headers, request.uri().host(), app.settings.public_origin.as_deref()) {
        return refusal("the request comes from another site").into_response();
    }
    next.run(request).await
}

fn refusal(detail: &str) -> ApiError {
    ApiError::forbidden(detail).with_code("csrf")
}

fn has_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")))
}

/// Browsers send `Origin` with every change; what sends none is no browser.
fn origin_is_ours(headers: &HeaderMap, authority: Option<&str>, public_origin: Option<&str>) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return true };
    if public_origin.is_some_and(|public| public.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host = text(header::HOST).or(authority);
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == origin_host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(header::HOST, host.parse().unwrap());
        origin_is_ours(&headers, None, Some("https://console.example.com"))
    }

    #[test]
    fn only_our_own_origin_passes() {
        assert!(ours("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(ours("https://console.example.com", "10.0.0.1:8080"));
        assert!(!ours("http://127.0.0.1:8000", "127.0.0.1:8080"));
        assert!(!ours("https://evil.example", "console.example.com"));
        assert!(!ours("null", "127.0.0.1:8080"));
    }
}
