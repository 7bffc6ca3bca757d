//! `POST /gateway/v1/heartbeats`: a gateway is alive. What was heard is written once a second for all gateways
//! together, so that a large fleet costs the database one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::ids::GatewayId;
use sluice_contract::link::{CacheUse, Heartbeat};
use sluice_contract::rest::second_level::SecondLevelDid;
use sluice_store::Store;
use sluice_store::gateways::{self, Heard};
use sluice_store::telemetry::{MemorySample, SecondLevelSample, Telemetry};

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often what a gateway's cache holds is noted for its history.
const SAMPLE_EVERY: TimeDelta = TimeDelta::seconds(10);

/// Heartbeats that are not written yet, the newest of each gateway.
#[derive(Default)]
pub(super) struct Heartbeats {
    unwritten: Mutex<HashMap<GatewayId, Heard>>,
    sampled: Mutex<HashMap<GatewayId, DateTime<Utc>>>,
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
    async fn write(&self, store: &Store, telemetry: &dyn Telemetry) -> sluice_store::Result<()> {
        let heard = std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner));
        if heard.is_empty() {
            return Ok(());
        }
        let mut heard: Vec<_> = heard.into_values().collect();
        // In one order everywhere, so that two control planes never wait for each other's rows.
        heard.sort_by_key(|heard| heard.gateway);
        let tx = store.begin().await?;
        gateways::hear(&tx, &heard).await?;
        tx.commit().await?;
        let due = self.due(heard);
        telemetry.note_memory(&due.iter().flat_map(held).collect::<Vec<_>>()).await?;
        telemetry.note_second_level(&due.iter().filter_map(second_level).collect::<Vec<_>>()).await
    }

    /// Those of gateways of which nothing was noted just now.
    fn due(&self, mut heard: Vec<Heard>) -> Vec<Heard> {
        let mut sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        heard.retain(|heard| {
            let is_due = sampled.get(&heard.gateway).is_none_or(|last| heard.at - last >= SAMPLE_EVERY);
            if is_due {
                sampled.insert(heard.gateway, heard.at);
            }
            is_due
        });
        heard
    }
}

/// What each API holds of a gateway's cache.
fn held(heard: &Heard) -> impl Iterator<Item = MemorySample> {
    let Heard { gateway, at, heartbeat } = heard;
    let held = heartbeat.cache.iter().flat_map(|cache| &cache.apis);
    held.map(|CacheUse { api, slug: _, tenant, entries, bytes, evictions }| MemorySample {
        at: *at,
        gateway: *gateway,
        boot: heartbeat.boot,
        tenant: *tenant,
        api: *api,
        entries: *entries,
        bytes: *bytes,
        evictions: *evictions,
    })
}

/// How a gateway does with its second level, where it has one.
fn second_level(heard: &Heard) -> Option<SecondLevelSample> {
    let Heard { gateway, at, heartbeat } = heard;
    let health = heartbeat.second_level.as_ref()?;
    let figures = SecondLevelDid {
        hits: health.hits,
        misses: health.misses,
        failed: health.late + health.errors,
        answer_us: health.answer_us,
        tripped_ms: health.tripped_ms,
    };
    Some(SecondLevelSample { at: *at, gateway: *gateway, boot: heartbeat.boot, figures })
}

/// Writes heartbeats until the control plane stops.
pub(super) fn start(app: &App, heartbeats: &Arc<Heartbeats>) {
    let (store, stopping) = (app.store.clone(), app.stopping.clone());
    let telemetry = Arc::clone(&app.telemetry);
    let heartbeats = Arc::downgrade(heartbeats);
    tokio::spawn(async move {
        let mut clock = tokio::time::interval(WRITE_EVERY);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = clock.tick() => {}
            }
            let Some(heartbeats) = heartbeats.upgrade() else { return };
            if let Err(error) = heartbeats.write(&store, &*telemetry).await {
                tracing::warn!(%error, "heartbeats could not be written");
            }
        }
    });
}
