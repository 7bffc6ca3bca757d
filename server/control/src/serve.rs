//! The control plane as a service: all routes, the listener, and an orderly end.

use std::net::SocketAddr;

use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::cdn_hooks::sender;
use crate::problem::ApiError;
use crate::state::App;
use crate::{
    api, console, event_streams, health, hooks, jobs, link, middleware, reference, telemetry_jobs, warmings,
};

/// All routes of the console's listener.
pub fn router(app: &App) -> Router {
    let (api, document) = api::router(app);
    let document = Json(document);
    let router = api
        .route("/api/openapi.json", get(async move || document.clone()))
        .merge(reference::router())
        .merge(health::router())
        .merge(hooks::router())
        .merge(link::plain_router())
        .route("/api/{*rest}", axum::routing::any(async || ApiError::not_found()))
        .fallback(console::serve)
        .with_state(app.clone());
    middleware::wrap(router, app)
}

/// Serves until `shutdown`, then lets requests end. Streams end by [`App`]'s `stopping`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    app: App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let service = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    jobs::start(&app);
    app.link.run(&app);
    telemetry_jobs::start(&app);
    warmings::start(&app);
    sender::start(&app);
    let streams = event_streams::start(&app);
    let stopping = app.stopping.clone();
    let shutdown = async move {
        shutdown.await;
        stopping.cancel();
    };
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await?;
    drop(streams.await);
    Ok(())
}
