//! What gateways say of the memory of their caches.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, Statement};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::link::{
    CacheArriving, CacheEvictions, CacheHealth, CacheRouteUse, CacheUse, HEARTBEAT_PATH, Heartbeat,
    SecondLevelHealth,
};
use sluice_contract::rest::cache_analytics::CacheAnalytics;
use sluice_contract::rest::gateways::{Gateway, GatewayHealth};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::second_level::{SecondLevelDid, SecondLevelHistory};
use sluice_contract::rest::users::Role;
use sluice_store::DatabaseUrl;
use sluice_store::gateways::{self, Heard};
use sluice_testkit::{Client, each_database};

use super::simulated::{Served, Simulated};

/// A heartbeat has come and is written.
async fn hear(served: &Served, gateway: &Simulated, cache: Option<CacheHealth>) {
    let heartbeat = Heartbeat { cache, ..gateway.pulse(0) };
    let tx = served.store().begin().await.unwrap();
    gateways::hear(&tx, &[Heard { gateway: gateway.id, at: sluice_store::now(), heartbeat }]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn health(client: &Client, tenant: TenantId) -> GatewayHealth {
    let path = format!("/api/v1/tenants/{tenant}/gateways");
    let mut gateways: Page<Gateway> = client.get(&path).await.expect(200).json();
    let gateway = gateways.items.remove(0);
    let one: Gateway = client.get(&format!("{path}/{}", gateway.id)).await.expect(200).json();
    assert_eq!(one.health, gateway.health);
    gateway.health.unwrap()
}

#[tokio::test]
async fn the_memory_of_a_cache_is_shown_and_each_tenant_sees_its_own_apis_in_it_only() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let app = &served.app;
        let (own, other) = (app.tenant, app.another_tenant("other").await);
        hear(&served, &gateway, None).await;
        assert_eq!(health(&app.admin, own).await.cache, None, "a gateway of before does not say");

        let held = |tenant, bytes| CacheUse {
            api: ApiId::generate(),
            slug: "a".to_owned(),
            tenant,
            entries: 2,
            bytes,
            evictions: CacheEvictions { size: 1, ..CacheEvictions::default() },
        };
        let (theirs, ours) = (held(other, 900), held(own, 500));
        let whole = CacheHealth {
            capacity_bytes: 10_000,
            eviction: "tinylfu".to_owned(),
            api_share: 50,
            tenant_share: 75,
            evictions: CacheEvictions {
                size: 1,
                age: 2,
                api_share: 3,
                tenant_share: 4,
                replaced: 5,
                purged: 6,
            },
            arriving: CacheArriving { bytes: 7, max_bytes: 5_000, crowded_out: 8 },
            apis: vec![theirs.clone(), ours.clone()],
        };
        let with = |apis| Some(CacheHealth { apis, ..whole.clone() });
        hear(&served, &gateway, Some(whole.clone())).await;
        assert_eq!(health(&app.admin, own).await.cache, with(vec![ours.clone()]));
        let viewer = app.member(&[Role::Viewer]).await;
        assert_eq!(health(&viewer, own).await.cache, with(vec![ours]));
        let stranger = app.member_of(other, &[Role::Viewer]).await;
        assert_eq!(health(&stranger, other).await.cache, with(vec![theirs]));
    })
    .await;
}

#[tokio::test]
async fn what_gateways_say_of_their_memory_becomes_a_history_of_each_tenant() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let app = &served.app;
        let other = app.another_tenant("other").await;
        let evictions = CacheEvictions { size: 3, ..CacheEvictions::default() };
        let held = |tenant, bytes| CacheUse {
            api: ApiId::generate(),
            slug: "a".to_owned(),
            tenant,
            entries: 2,
            bytes,
            evictions,
        };
        let of_route = |route: &str, bytes| CacheRouteUse {
            route: route.to_owned(),
            entries: 1,
            bytes,
            evictions: CacheEvictions { size: 1, ..evictions },
        };
        let long = "long".repeat(1_000);
        let (ours, theirs) = (held(app.tenant, 500), held(other, 900));
        let cache_routes = BTreeMap::from([
            (
                ours.api,
                // One twice, as no gateway should tell it.
                vec![
                    of_route("prices", 50),
                    of_route(&long, 5),
                    of_route("two\nlines", 5),
                    of_route("", 5),
                    of_route("prices", 51),
                ],
            ),
            (theirs.api, vec![of_route("prices", 90)]),
            (ApiId::generate(), vec![of_route("prices", 7)]),
        ]);
        let cache = CacheHealth {
            capacity_bytes: 10_000,
            eviction: "tinylfu".to_owned(),
            api_share: 50,
            tenant_share: 75,
            evictions,
            arriving: CacheArriving::default(),
            apis: vec![theirs, ours.clone(), held(app.tenant, 40), CacheUse { bytes: 7, ..ours.clone() }],
        };
        let heartbeat = Heartbeat { cache: Some(cache), cache_routes, ..gateway.pulse(0) };
        gateway.post(HEARTBEAT_PATH, &heartbeat).await.unwrap();
        let seen = async |query: String| -> (Option<u64>, Option<u64>, u64) {
            let path = app.path(&format!("/analytics/cache?{query}"));
            let found: CacheAnalytics = app.admin.get(&path).await.expect(200).json();
            let newest = found.memory.iter().rev().find(|point| point.bytes.is_some());
            newest.map_or((None, None, 0), |point| (point.entries, point.bytes, point.evictions.size))
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while seen(String::new()).await.1.is_none() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(seen(String::new()).await, (Some(4), Some(540), 6), "of this tenant only");
        assert_eq!(seen(format!("api={}", ours.api)).await, (Some(2), Some(500), 3));
        assert_eq!(seen(format!("api={}", ApiId::generate())).await, (None, None, 0));
        assert_eq!(seen(format!("api={}&route=prices", ours.api)).await, (Some(1), Some(50), 1));
        assert_eq!(seen(format!("api={}&route=other", ours.api)).await, (None, None, 0));
        assert_eq!(seen(format!("api={}&route={long}", ours.api)).await, (None, None, 0), "too long");
        assert_eq!(seen("route=prices".to_owned()).await, (Some(1), Some(50), 1), "of this tenant only");
        let read = served.store().read();
        let written = Statement::from_string(read.get_database_backend(), "SELECT heartbeat FROM gateways");
        let written: String =
            read.query_one_raw(written).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert!(
            written.contains("capacity_bytes") && !written.contains("prices"),
            "only what is shown of it: {written}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_held_cannot_be_noted_and_the_second_level_still_is() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let app = &served.app;
        let (url, table) = match served.store().url() {
            DatabaseUrl::Sqlite(path) => {
                (format!("sqlite://{}", path.with_file_name("calls.db").display()), "cache_memory")
            }
            DatabaseUrl::Postgres(url) => (url.clone(), "telemetry.cache_memory"),
        };
        let telemetry = Database::connect(url).await.unwrap();
        telemetry.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
        telemetry.close().await.unwrap();
        let cache = CacheHealth {
            capacity_bytes: 10_000,
            eviction: "tinylfu".to_owned(),
            api_share: 50,
            tenant_share: 75,
            evictions: CacheEvictions::default(),
            arriving: CacheArriving::default(),
            apis: vec![CacheUse {
                api: ApiId::generate(),
                slug: "a".to_owned(),
                tenant: app.tenant,
                entries: 1,
                bytes: 1,
                evictions: CacheEvictions::default(),
            }],
        };
        let second_level = Some(tripped());
        let heartbeat = Heartbeat { cache: Some(cache), second_level, ..gateway.pulse(0) };
        gateway.post(HEARTBEAT_PATH, &heartbeat).await.unwrap();
        let path = app.path(&format!("/gateways/{}/second-level", gateway.id));
        let noted = async || {
            let found: SecondLevelHistory = app.admin.get(&path).await.expect(200).json();
            found.points.iter().any(|point| point.did.is_some())
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while !noted().await {
            assert!(tokio::time::Instant::now() < until, "it was not noted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// A second level that failed.
fn tripped() -> SecondLevelHealth {
    serde_json::from_value(serde_json::json!({
        "state": "tripped", "hits": 3, "misses": 4, "late": 5, "errors": 6, "damaged": 0, "outdated": 0,
        "written": 7, "dropped": 0, "refused": 0, "latency_us": 800, "answer_us": 7_000, "tripped_ms": 900,
        "server": null,
    }))
    .unwrap()
}

#[tokio::test]
async fn what_gateways_say_of_their_second_level_becomes_a_history_of_each_gateway() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let (gateway, other) = (served.gateway().await, served.gateway().await);
        let heartbeat = Heartbeat { second_level: Some(tripped()), ..gateway.pulse(0) };
        gateway.post(HEARTBEAT_PATH, &heartbeat).await.unwrap();
        other.post(HEARTBEAT_PATH, &other.pulse(0)).await.unwrap();
        let app = &served.app;
        let path = |gateway: &Simulated, query: &str| {
            app.path(&format!("/gateways/{}/second-level?{query}", gateway.id))
        };
        let told = async |gateway: &Simulated| -> Vec<SecondLevelDid> {
            let found: SecondLevelHistory = app.admin.get(&path(gateway, "")).await.expect(200).json();
            assert_eq!(found.step_s, 300);
            found.points.into_iter().filter_map(|point| point.did).collect()
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while told(&gateway).await.is_empty() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let did = SecondLevelDid { hits: 3, misses: 4, failed: 11, answer_us: 7_000, tripped_ms: 900 };
        assert_eq!(told(&gateway).await, [did]);
        assert_eq!(told(&other).await, [], "it has none");
        let upside_down = path(&gateway, "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z");
        app.admin.get(&upside_down).await.expect(422);
    })
    .await;
}
