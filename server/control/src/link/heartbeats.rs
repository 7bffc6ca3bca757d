//! `POST /gateway/v1/heartbeats`: a gateway is alive. What was heard is written once a second for all gateways
//! together, so that a large fleet costs the database one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::GatewayId;
use sluice_contract::link::Heartbeat;
use sluice_store::Store;
use sluice_store::gateways::{self, Heard};

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Heartbeats that are not written yet, the newest of each gateway.
#[derive(Default)]
pub(super) struct Heartbeats {
    unwritten: Mutex<HashMap<GatewayId, Heard>>,
}

/// Notes that the gateway is alive.
pub(super) async fn create_heartbeat(
    State(app): State<App>,
    gateway: LinkedGateway,
    Json(heartbeat): Json<Heartbeat>,
) -> Result<StatusCode, ApiError> {
    app.link.run(&app);
    app.link.heartbeats.hear(Heard { gateway: gateway.id, at: sluice_store::now(), heartbeat });
    Ok(StatusCode::NO_CONTENT)
}

impl Heartbeats {
    fn hear(&self, heard: Heard) {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).insert(heard.gateway, heard);
    }

    /// Writes what was heard. What cannot be written is forgotten: the next heartbeats are not far.
    async fn write(&self, store: &Store) -> sluice_store::Result<()> {
        let heard = std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner));
        if heard.is_empty() {
            return Ok(());
        }
        let mut heard: Vec<_> = heard.into_values().collect();
        // In one order everywhere, so that two control planes never wait for each other's rows.
        heard.sort_by_key(|heard| heard.gateway);
        let tx = store.begin().await?;
        gateways::hear(&tx, &heard).await?;
        tx.commit().await
    }
}

/// Writes heartbeats until the control plane stops.
pub(super) fn start(app: &App, heartbeats: &Arc<Heartbeats>) {
    let (store, stopping) = (app.store.clone(), app.stopping.clone());
    let heartbeats = Arc::downgrade(heartbeats);
    tokio::spawn(async move {
        let mut clock = tokio::time::interval(WRITE_EVERY);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = clock.tick() => {}
            }
            let Some(heartbeats) = heartbeats.upgrade() else { return };
            if let Err(error) = heartbeats.write(&store).await {
                tracing::warn!(%error, "heartbeats could not be written");
            }
        }
    });
}
