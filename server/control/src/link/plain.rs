//! The link without TLS: for gateways on the same machine only, because secrets travel on it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::ApiError;

/// Refuses who is not on loopback, and who cannot be told.
pub(super) async fn loopback_only(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback()) {
        return next.run(request).await;
    }
    ApiError::forbidden("from another machine, gateways come over TLS to the link's own listener")
        .with_code("tls_required")
        .into_response()
}
