//! `POST /gateway/v1/heartbeats`: a gateway is alive. What was heard is written once a second for all gateways
//! together, so that a large fleet costs the database one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::ids::GatewayId;
use sluice_contract::link::{CacheRouteUse, CacheUse, Heartbeat};
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
        let due = self.due(&heard);
        let held: Vec<_> = due.iter().copied().flat_map(held).collect();
        let second_levels: Vec<_> = due.iter().copied().filter_map(second_level).collect();
        // These are for the history only, and too many to be written every second.
        heard.iter_mut().for_each(|heard| heard.heartbeat.cache_routes.clear());
        let tx = store.begin().await?;
        gateways::hear(&tx, &heard).await?;
        tx.commit().await?;
        telemetry.note_memory(&held).await?;
        telemetry.note_second_level(&second_levels).await
    }

    /// Those of gateways of which nothing was noted just now.
    fn due<'a>(&self, heard: &'a [Heard]) -> Vec<&'a Heard> {
        let mut sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for heard in heard {
            if sampled.get(&heard.gateway).is_none_or(|last| heard.at - last >= SAMPLE_EVERY) {
                sampled.insert(heard.gateway, heard.at);
                due.push(heard);
            }
        }
        due
    }
}

/// What each API, and each route of it that is told of, holds of a gateway's cache.
fn held(heard: &Heard) -> impl Iterator<Item = MemorySample> {
    let apis = heard.heartbeat.cache.iter().flat_map(|cache| &cache.apis);
    apis.flat_map(move |CacheUse { api, slug: _, tenant, entries, bytes, evictions }| {
        let sample = move |route, entries, bytes, evictions| MemorySample {
            at: heard.at,
            gateway: heard.gateway,
            boot: heard.heartbeat.boot,
            tenant: *tenant,
            api: *api,
            route,
            entries,
            bytes,
            evictions,
        };
        let of_route = move |CacheRouteUse { route, entries, bytes, evictions }: &CacheRouteUse| {
            sample(Some(route.clone()), *entries, *bytes, *evictions)
        };
        let routes = heard.heartbeat.cache_routes.get(api).into_iter().flatten();
        let routes = routes.filter(|held| CacheRouteUse::can_name(&held.route)).map(of_route);
        std::iter::once(sample(None, *entries, *bytes, *evictions)).chain(routes)
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
