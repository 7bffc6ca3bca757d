//! What gateways say of the memory of their caches.

use std::time::Duration;

use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::link::{
    CacheArriving, CacheEvictions, CacheHealth, CacheUse, HEARTBEAT_PATH, Heartbeat,
};
use sluice_contract::rest::cache_analytics::CacheAnalytics;
use sluice_contract::rest::gateways::{Gateway, GatewayHealth};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
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
        let (ours, theirs) = (held(app.tenant, 500), held(other, 900));
        let cache = CacheHealth {
            capacity_bytes: 10_000,
            eviction: "tinylfu".to_owned(),
            api_share: 50,
            tenant_share: 75,
            evictions,
            arriving: CacheArriving::default(),
            apis: vec![theirs, ours.clone(), held(app.tenant, 40)],
        };
        let heartbeat = Heartbeat { cache: Some(cache), ..gateway.pulse(0) };
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
    })
    .await;
}
