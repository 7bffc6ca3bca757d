//! The browsable reference of the admin API at `/api/docs`: Swagger UI, bundled, reading `/api/openapi.json`.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use crate::problem::ApiError;
use crate::state::App;

/// Swagger UI sets styles from its scripts, which our own policy would forbid; scripts are its own files only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
                      img-src 'self' data:; font-src 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/docs", get(async || Redirect::permanent("/api/docs/")))
        .route("/api/docs/", get(async || file("")))
        .route("/api/docs/{*file}", get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Response {
    let config = Config::from("/api/openapi.json");
    match utoipa_swagger_ui::serve(name, Arc::new(config)) {
        Ok(Some(file)) => {
            let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            let caching = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            let Ok(kind) = HeaderValue::from_str(&file.content_type) else {
                return ApiError::internal("the reference has a file of no type").into_response();
            };
            let headers: [(HeaderName, HeaderValue); 3] = [(header::CONTENT_TYPE, kind), policy, caching];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => ApiError::not_found().into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}
