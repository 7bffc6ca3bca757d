//! `POST /gateway/v1/heartbeats`: a gateway is alive. What was heard is written once a second for all gateways
//! together, so that a large fleet costs the database one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::ids::GatewayId;
use sluice_contract::link::{
    CACHE_APIS_MOST, CACHE_ROUTES_MOST, CacheEvictions, CacheRouteUse, CacheUse, Heartbeat,
};
use sluice_contract::rest::second_level::SecondLevelDid;
use sluice_store::Store;
use sluice_store::gateways::{self, Heard};
use sluice_store::telemetry::{MemorySample, SecondLevelSample, Telemetry};

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often what a gateway's cache holds is noted for its history: every fifth heartbeat, which may come a little early.
const SAMPLE_EVERY: TimeDelta = TimeDelta::seconds(9);

/// Heartbeats that are not written yet, the newest of each gateway.
#[derive(Default)]
pub(super) struct Heartbeats {
    unwritten: Mutex<HashMap<GatewayId, Heard>>,
    sampled: Sampled,
    /// Of their own, since few heartbeats tell of routes.
    routes_sampled: Sampled,
}

/// When something of each gateway was noted for its history.
#[derive(Default)]
struct Sampled(Mutex<HashMap<GatewayId, DateTime<Utc>>>);

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
        let (held, second_levels) = self.samples(&heard);
        heard.iter_mut().for_each(|heard| keep_what_is_current(&mut heard.heartbeat));
        let tx = store.begin().await?;
        gateways::hear(&tx, &heard).await?;
        tx.commit().await?;
        // Neither goes without being tried because the other failed.
        let memory = telemetry.note_memory(&held).await;
        telemetry.note_second_level(&second_levels).await.and(memory)
    }

    /// What is to be noted of these.
    fn samples(&self, heard: &[Heard]) -> (Vec<MemorySample>, Vec<SecondLevelSample>) {
        let due = self.sampled.due(heard);
        let with_routes = heard.iter().filter(|heard| !heard.heartbeat.cache_routes.is_empty());
        let routes = self.routes_sampled.due(with_routes).into_iter().flat_map(held_by_route);
        let held = due.iter().copied().flat_map(held).chain(routes).collect();
        (held, due.into_iter().filter_map(second_level).collect())
    }
}

impl Sampled {
    /// Those of gateways of which nothing was noted just now.
    fn due<'a>(&self, heard: impl IntoIterator<Item = &'a Heard>) -> Vec<&'a Heard> {
        let mut sampled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for heard in heard {
            if sampled.get(&heard.gateway).is_none_or(|last| heard.at - last >= SAMPLE_EVERY) {
                sampled.insert(heard.gateway, heard.at);
                due.push(heard);
            }
        }
        // Who is due anyway need not be remembered: gateways come and go.
        if let Some(now) = due.iter().map(|heard| heard.at).max() {
            sampled.retain(|_, last| now - *last < SAMPLE_EVERY);
        }
        due
    }
}

/// Leaves what is written every second: routes are for the history only, and no gateway tells of more APIs than it should.
fn keep_what_is_current(heartbeat: &mut Heartbeat) {
    heartbeat.cache_routes.clear();
    if let Some(cache) = &mut heartbeat.cache {
        cache.apis.truncate(CACHE_APIS_MOST);
    }
}

/// The APIs that a gateway tells of: each once, and no more than gateways tell, whatever this one does.
fn apis(heard: &Heard) -> impl Iterator<Item = &CacheUse> {
    let mut seen = HashSet::new();
    let apis = heard.heartbeat.cache.iter().flat_map(|cache| &cache.apis);
    apis.filter(move |held| seen.insert(held.api)).take(CACHE_APIS_MOST)
}

/// What each API holds of a gateway's cache.
fn held(heard: &Heard) -> impl Iterator<Item = MemorySample> {
    apis(heard).map(|held| sample(heard, held, None, (held.entries, held.bytes, held.evictions)))
}

/// What each route that is told of holds of it, bounded as the APIs are.
fn held_by_route(heard: &Heard) -> impl Iterator<Item = MemorySample> {
    let of_api = move |api| {
        let mut seen = HashSet::new();
        let routes = heard.heartbeat.cache_routes.get(&api).into_iter().flatten();
        routes.filter(move |held| CacheRouteUse::can_name(&held.route) && seen.insert(&held.route))
    };
    let of_route = move |api, CacheRouteUse { route, entries, bytes, evictions }: &CacheRouteUse| {
        sample(heard, api, Some(route.clone()), (*entries, *bytes, *evictions))
    };
    let routes = apis(heard).flat_map(move |api| of_api(api.api).map(move |held| of_route(api, held)));
    routes.take(CACHE_ROUTES_MOST)
}

fn sample(
    heard: &Heard,
    of: &CacheUse,
    route: Option<String>,
    (entries, bytes, evictions): (u64, u64, CacheEvictions),
) -> MemorySample {
    let Heard { at, gateway, ref heartbeat } = *heard;
    let CacheUse { api, tenant, .. } = *of;
    MemorySample { at, gateway, boot: heartbeat.boot, tenant, api, route, entries, bytes, evictions }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sluice_contract::ids::{ApiId, BootId, TenantId};

    use super::*;

    fn heard(gateway: GatewayId, second: i64, apis: &[ApiId], routes: Value) -> Heard {
        let tenant = TenantId::generate();
        let held =
            |api: &ApiId| json!({ "api": api, "slug": "a", "tenant": tenant, "entries": 1, "bytes": 2 });
        let evictions = CacheEvictions::default();
        let heartbeat = serde_json::from_value(json!({
            "boot": BootId::generate(), "position": 0, "uptime_s": 0, "memory_bytes": 0, "cpu_ms": 0, "connections": 0,
            "calls": 0, "cache_entries": 0, "cache_bytes": 0, "spooled_batches": 0, "spooled_bytes": 0,
            "dropped_calls": 0, "cache_routes": routes,
            "cache": {
                "capacity_bytes": 1, "eviction": "lru", "api_share": 50, "tenant_share": 75, "evictions": evictions,
                "apis": apis.iter().map(held).collect::<Vec<_>>(),
            },
        }));
        let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        Heard { gateway, at, heartbeat: heartbeat.unwrap() }
    }

    fn route(id: impl ToString) -> Value {
        json!({ "route": id.to_string(), "entries": 1, "bytes": 1, "evictions": CacheEvictions::default() })
    }

    #[test]
    fn of_a_gateway_that_tells_too_much_each_is_noted_once_and_no_more_than_gateways_tell() {
        let (gateway, api, other) = (GatewayId::generate(), ApiId::generate(), ApiId::generate());
        let samples =
            |apis: &[ApiId], routes| Heartbeats::default().samples(&[heard(gateway, 0, apis, routes)]).0;
        let noted = |apis: &[ApiId], routes| -> Vec<_> {
            samples(apis, routes).into_iter().map(|sample| (sample.api, sample.route)).collect()
        };
        let twice = [route("a"), route("b"), route("a")];
        let name = |id: &str| Some(id.to_owned());
        assert_eq!(
            noted(&[api, other, api], json!({ api.to_string(): twice, other.to_string(): [route("a")] })),
            [(api, None), (other, None), (api, name("a")), (api, name("b")), (other, name("a"))]
        );

        let many: Vec<_> = (0..4_000).map(route).collect();
        let apis: Vec<_> = std::iter::repeat_with(ApiId::generate).take(4_000).collect();
        let of_each: serde_json::Map<_, _> =
            apis.iter().map(|api| (api.to_string(), json!([route(1)]))).collect();
        assert_eq!(samples(&[api; 4_000], json!({ api.to_string(): many })).len(), 1 + CACHE_ROUTES_MOST);
        assert_eq!(samples(&apis, of_each.into()).len(), CACHE_APIS_MOST + CACHE_ROUTES_MOST);
    }

    #[test]
    fn routes_are_noted_from_whichever_heartbeat_tells_of_them() {
        let (heartbeats, gateway, api) = (Heartbeats::default(), GatewayId::generate(), ApiId::generate());
        let mut noted = Vec::new();
        for second in (0..40).step_by(2) {
            // The control plane was started in between: the third that it hears is the first with routes.
            let routes = if second % 10 == 4 { json!({ api.to_string(): [route("a")] }) } else { json!({}) };
            for sample in heartbeats.samples(&[heard(gateway, second, &[api], routes)]).0 {
                noted.push((second, sample.route.is_some()));
            }
        }
        let (routes, apis): (Vec<_>, Vec<_>) = noted.into_iter().partition(|(_, of_route)| *of_route);
        assert_eq!(apis.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [0, 10, 20, 30]);
        assert_eq!(routes.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [4, 14, 24, 34]);
        let often = |second| heard(gateway, second, &[api], json!({ api.to_string(): [route("a")] }));
        assert!(heartbeats.samples(&[often(36)]).0.is_empty(), "not more often, whatever a gateway tells");
    }
}
