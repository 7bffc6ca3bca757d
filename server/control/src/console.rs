//! The console: files built by `cargo xtask console`, embedded with their compressed forms.
//!
//! Names that carry a hash never change and are cached for ever; every other path that is no file is the start page,
//! because the console has its own routes.

use std::borrow::Cow;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::problem::ApiError;
use crate::state::App;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../target/console"]
#[allow_missing = true]
struct Files;

const START: &str = "index.html";
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sluice</title>\
    <h1>The console is not in this build</h1>\
    <p>Build it with <code>cargo xtask console</code> and build Sluice again; <code>cargo xtask up</code> does both.</p>\
    <p>The API is there: <a href=\"/api/docs\">its reference</a>.</p></html>";

/// Everything that is not the API.
pub(crate) async fn serve(State(app): State<App>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return ApiError::method_not_allowed().into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let lookup = |name: &str| Files::get(name).map(|file| file.data);
    answer(path, request.headers(), &policy(&app.gateway_origins()), lookup)
}

fn answer(
    path: &str,
    headers: &HeaderMap,
    policy: &str,
    lookup: impl Fn(&str) -> Option<Cow<'static, [u8]>>,
) -> Response {
    let is_compressed = path.ends_with(".br") || path.ends_with(".gz");
    if !path.is_empty() && path != START && !is_compressed && lookup(path).is_some() {
        return file(path, headers, &lookup).unwrap_or_else(|| ApiError::not_found().into_response());
    }
    if looks_like_file(path) {
        return ApiError::not_found().into_response();
    }
    let mut response = match file(START, headers, &lookup) {
        Some(response) => response,
        None => (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT)).into_response(),
    };
    if let Ok(policy) = HeaderValue::from_str(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A missing script must be a 404, not the start page, or the browser would try to run it.
fn looks_like_file(path: &str) -> bool {
    let known = ["js", "css", "wasm", "woff2", "svg", "png", "ico", "map", "br", "gz", "json", "txt"];
    path.rsplit_once('.').is_some_and(|(_, extension)| known.contains(&extension))
}

fn file(
    name: &str,
    headers: &HeaderMap,
    lookup: &impl Fn(&str) -> Option<Cow<'static, [u8]>>,
) -> Option<Response> {
    let (body, encoding) = ["br", "gzip"]
        .into_iter()
        .filter(|encoding| accepts(headers, encoding))
        .find_map(|encoding| {
            let extension = if encoding == "br" { "br" } else { "gz" };
            lookup(&format!("{name}.{extension}")).map(|body| (body, Some(encoding)))
        })
        .or_else(|| lookup(name).map(|body| (body, None)))?;
    let mut response = body.into_response();
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_str(&kind).ok()?);
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching(name)));
    if let Some(encoding) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

fn caching(name: &str) -> &'static str {
    if has_hash(name) { "public, max-age=31536000, immutable" } else { "no-cache" }
}

/// `app-0123456789abcdef.js`, `fonts/inter.0123456789abcdef.woff2`: a field of hex digits before the extension.
fn has_hash(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let field = stem.rsplit(['.', '-', '/']).next().unwrap_or_default();
    field.len() >= 8 && field.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// RFC 9110 §12.5.3, as far as precompressed files need it: listed and not refused by `q=0`.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let listed = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

/// Only our own files; calls go to us and, for try-it, to the gateways.
fn policy(gateways: &[String]) -> String {
    let connect: String = gateways.iter().map(|origin| format!(" {origin}")).collect();
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'{connect}; \
         img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, accept: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
        answer(path, &headers, &policy(&["http://127.0.0.1:8000".to_owned()]), |name| {
            let files =
                ["index.html", "index.html.gz", "app-0123456789abcdef.js", "app-0123456789abcdef.js.br"];
            files.contains(&name).then(|| Cow::Owned(name.as_bytes().to_vec()))
        })
    }

    fn value(response: &Response, name: header::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn files_with_a_hash_are_cached_for_ever_and_come_compressed() {
        let response = get("app-0123456789abcdef.js", "gzip, br");
        assert_eq!(value(&response, header::CONTENT_ENCODING), "br");
        assert_eq!(value(&response, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert!(value(&response, header::CACHE_CONTROL).contains("immutable"));
        let response = get("app-0123456789abcdef.js", "gzip, br;q=0");
        assert_eq!(value(&response, header::CONTENT_ENCODING), "");
    }

    #[test]
    fn deep_links_are_the_start_page_and_it_may_call_the_gateways() {
        for path in ["", "apis/123", "calls"] {
            let response = get(path, "gzip");
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(value(&response, header::CACHE_CONTROL), "no-cache");
            let policy = value(&response, header::CONTENT_SECURITY_POLICY);
            assert!(policy.contains("connect-src 'self' http://127.0.0.1:8000;"), "{policy}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_not_the_start_page() {
        for path in ["app-ffffffffffffffff.js", "index.html.gz", "x.wasm"] {
            assert_eq!(get(path, "gzip").status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_build_without_the_console_says_how_to_get_it() {
        let response = answer("", &HeaderMap::new(), "", |_| None);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
