//! `/healthz`: whether the control plane answers and reaches its database. For load balancers and supervisors.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::time::timeout;

use crate::state::App;

/// Whoever asks waits no longer than a few seconds: an answer that comes later is none.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn router() -> Router<App> {
    Router::new().route("/healthz", get(healthz))
}

async fn healthz(State(app): State<App>) -> (StatusCode, &'static str) {
    let why = match timeout(PATIENCE, app.store.read().ping()).await {
        Ok(Ok(())) => return (StatusCode::OK, "ok\n"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing within {} s", PATIENCE.as_secs()),
    };
    tracing::error!(error = why, "the database does not answer");
    (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
}
