//! Whether a request that is to be explained could be one.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::cache::{CacheRequest, RequestField};

use crate::problem::ApiError;

/// Fields of a request, and of a response; bytes of all of these, and of the body.
const MOST_FIELDS: usize = 64;
const MOST_BYTES: usize = 16 << 10;
const HOST_MAX: usize = 255;
const METHOD_MAX: usize = 32;

const A_HOST: &str = "A host as clients send it: example.com:8000.";

/// # Errors
/// 422 when callers cannot call a host this.
pub(super) fn check_host(pointer: &str, host: &str) -> Result<(), ApiError> {
    if is_host(host) { Ok(()) } else { Err(ApiError::invalid_field(pointer, "invalid_host", A_HOST)) }
}

fn is_host(host: &str) -> bool {
    host.len() <= HOST_MAX && host.bytes().all(|byte| byte.is_ascii_graphic())
}

/// # Errors
/// 422 with everything that is wrong.
pub(super) fn check(request: &CacheRequest) -> Result<(), ApiError> {
    let CacheRequest {
        method,
        host,
        https: _,
        path: _,
        headers,
        body,
        application: _,
        response_status,
        response_headers,
    } = request;
    let mut wrong = Vec::new();
    let mut say =
        |pointer: String, code: &str, message: &str| wrong.push(FieldProblem::new(pointer, code, message));
    if Method::from_bytes(method.as_bytes()).is_err() || method.len() > METHOD_MAX {
        say("/request/method".to_owned(), "invalid_method", "The name of a method, such as GET.");
    }
    if !is_host(host) {
        say("/request/host".to_owned(), "invalid_host", A_HOST);
    }
    if body.as_ref().is_some_and(|body| body.len() > MOST_BYTES) {
        say("/request/body".to_owned(), "too_long", "A body of at most 16 KiB.");
    }
    if StatusCode::from_u16(*response_status).is_err() || *response_status > 599 {
        say("/request/response_status".to_owned(), "invalid_status", "A status between 100 and 599.");
    }
    for (pointer, fields) in [("/request/headers", headers), ("/request/response_headers", response_headers)]
    {
        let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
        if fields.len() > MOST_FIELDS || bytes > MOST_BYTES {
            say(pointer.to_owned(), "too_long", "At most 64 fields of together 16 KiB.");
        }
        for (index, RequestField { name, value }) in fields.iter().enumerate().take(MOST_FIELDS) {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                say(format!("{pointer}/{index}/name"), "invalid_header", "The name of a header field.");
            }
            if HeaderValue::from_str(value).is_err() {
                say(format!("{pointer}/{index}/value"), "invalid_header", "The value of a header field.");
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
}
