//! How far a change has got, as acknowledgements tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::ids::ApiId;
use sluice_contract::link::FailedPart;
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::gateways::{Gateway, GatewayState};
use sluice_contract::rest::releases::{Progress, ProgressState};
use sluice_store::progress::{Awaited, progress, progress_of_all};
use sluice_testkit::each_database;

use super::simulated::{Served, Simulated, credential};

async fn asked(
    served: &Served,
    position: u64,
    at: DateTime<Utc>,
    part: Option<(ApiId, Sha256Hash)>,
) -> Progress {
    let awaited = Awaited { environment: served.environment, position, at, part };
    progress(served.store().read(), &awaited).await.unwrap()
}

async fn seen(served: &Served, gateway: &Simulated) -> Gateway {
    let path = served.app.path(&format!("/gateways/{}", gateway.id));
    served.app.admin.get(&path).await.expect(200).json()
}

#[tokio::test]
async fn a_change_waits_while_no_gateway_is_up() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let position = served.append(credential("a")).await;
        let progress = asked(&served, position, sluice_store::now(), None).await;
        assert_eq!((progress.state, progress.gateways.len()), (ProgressState::Waiting, 0));
    })
    .await;
}

#[tokio::test]
async fn a_change_is_done_when_every_live_gateway_has_acknowledged_and_the_laggard_is_named() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let (quick, slow) = (served.gateway().await, served.gateway().await);
        let at = sluice_store::now();
        let position = served.append(credential("a")).await;
        assert_eq!(asked(&served, position, at, None).await.state, ProgressState::Running);
        quick.acknowledge(position, Vec::new()).await.unwrap();
        let running = asked(&served, position, at, None).await;
        assert_eq!(running.state, ProgressState::Running);
        let [first, second] = running.gateways.as_slice() else { panic!("{running:?}") };
        assert_eq!((first.gateway, first.live, first.applied), (quick.id, true, true));
        assert!(first.took_ms.unwrap() < 10_000);
        assert_eq!((second.gateway, second.applied, second.laggard), (slow.id, false, false));

        // Half a minute later.
        let lagging = asked(&served, position, at - TimeDelta::seconds(31), None).await;
        assert_eq!(lagging.state, ProgressState::Lagging);
        assert_eq!(lagging.gateways.iter().map(|g| g.laggard).collect::<Vec<_>>(), [false, true]);
        assert_eq!(seen(&served, &slow).await.state, GatewayState::Behind);

        slow.acknowledge(position, Vec::new()).await.unwrap();
        assert_eq!(asked(&served, position, at, None).await.state, ProgressState::Done);
        assert_eq!(seen(&served, &slow).await.state, GatewayState::Live);

        // A later position covers it, an older acknowledgement that comes late takes nothing back.
        let next = served.append(credential("b")).await;
        quick.acknowledge(next, Vec::new()).await.unwrap();
        quick.acknowledge(position, Vec::new()).await.unwrap();
        assert_eq!(seen(&served, &quick).await.applied, next);
        assert_eq!(quick.acknowledge(next + 1, Vec::new()).await.unwrap_err().code, "incarnation_changed");
    })
    .await;
}

#[tokio::test]
async fn of_each_change_of_a_page_is_said_what_is_said_of_it_alone_with_no_more_queries() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let (quick, slow) = (served.gateway().await, served.gateway().await);
        let api = ApiId::generate();
        let mut page = Vec::new();
        for n in 0..4 {
            let at = sluice_store::now();
            let (part, position) = served.release(api, format!("{{\"n\":{n}}}").as_bytes()).await;
            page.push(Awaited { environment: served.environment, position, at, part: Some((api, part)) });
            if n == 1 {
                let failed = FailedPart { api, part, reason: "no such policy".to_owned() };
                slow.acknowledge(position, vec![failed]).await.unwrap();
            } else if n != 2 {
                quick.acknowledge(position, Vec::new()).await.unwrap();
            }
        }

        let queries = Arc::new(AtomicUsize::new(0));
        let mut db = served.store().read().clone();
        let counted = Arc::clone(&queries);
        db.set_metric_callback(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let mut alone = Vec::new();
        for awaited in &page {
            queries.store(0, Ordering::Relaxed);
            alone.push(progress(&db, awaited).await.unwrap());
        }
        let for_one = queries.swap(0, Ordering::Relaxed);
        assert!(for_one > 0);
        assert_eq!(progress_of_all(&db, &page).await.unwrap(), alone);
        assert_eq!(queries.swap(0, Ordering::Relaxed), for_one);
        let states: Vec<_> = alone.iter().map(|progress| progress.state).collect();
        assert_eq!(states[1..], [ProgressState::Failed, ProgressState::Running, ProgressState::Running]);
        assert_eq!(progress_of_all(&db, &[]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_fleet_acknowledges_at_once_and_one_that_is_wrong_holds_nobody_up() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let mut fleet = Vec::new();
        for _ in 0..10 {
            fleet.push(served.gateway().await);
        }
        let at = sluice_store::now();
        let position = served.append(credential("a")).await;
        let all = fleet.iter().enumerate().map(|(n, gateway)| {
            // One is ahead of the database, which cannot be.
            gateway.acknowledge(if n == 3 { position + 1 } else { position }, Vec::new())
        });
        let results = futures_util::future::join_all(all).await;
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(()) => assert_ne!(n, 3),
                Err(problem) => assert_eq!((n, &*problem.code), (3, "incarnation_changed")),
            }
        }
        let progress = asked(&served, position, at, None).await;
        let applied: Vec<_> =
            progress.gateways.iter().filter(|one| one.applied).map(|one| one.gateway).collect();
        assert_eq!((applied.len(), applied.contains(&fleet[3].id)), (9, false));
        fleet[3].acknowledge(position, Vec::new()).await.unwrap();
        assert_eq!(asked(&served, position, at, None).await.state, ProgressState::Done);
    })
    .await;
}

#[tokio::test]
async fn a_silent_gateway_holds_nothing_up_and_is_a_laggard() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let (live, stopped) = (served.gateway().await, served.gateway().await);
        let at = sluice_store::now();
        let position = served.append(credential("a")).await;
        live.acknowledge(position, Vec::new()).await.unwrap();
        let heard = sluice_store::gateways::Heard {
            gateway: stopped.id,
            at: at - TimeDelta::seconds(11),
            heartbeat: sluice_contract::link::Heartbeat {
                boot: stopped.boot,
                position: 0,
                uptime_s: 0,
                memory_bytes: 0,
                cpu_ms: 0,
                connections: 0,
                calls: 0,
                cache_entries: 0,
                cache_bytes: 0,
                spooled_batches: 0,
                spooled_bytes: 0,
                dropped_calls: 0,
                cache: None,
                cache_routes: BTreeMap::new(),
                second_level: None,
            },
        };
        let tx = served.store().begin().await.unwrap();
        sluice_store::gateways::hear(&tx, &[heard]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(seen(&served, &stopped).await.state, GatewayState::Silent);

        let progress = asked(&served, position, at - TimeDelta::seconds(31), None).await;
        assert_eq!(progress.state, ProgressState::Done);
        let laggards: Vec<_> = progress.gateways.iter().filter(|g| g.laggard).map(|g| g.gateway).collect();
        assert_eq!(laggards, [stopped.id]);

        // It comes back and heals.
        stopped.heartbeat(0).await.unwrap();
        stopped.acknowledge(position, Vec::new()).await.unwrap();
        let healed = asked(&served, position, at - TimeDelta::seconds(31), None).await;
        assert!(healed.gateways.iter().all(|gateway| gateway.applied && !gateway.laggard));
    })
    .await;
}

#[tokio::test]
async fn a_part_that_does_not_compile_fails_its_release_and_nothing_else() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let at = sluice_store::now();
        let api = ApiId::generate();
        let (good, first) = served.release(api, b"{}").await;
        gateway.acknowledge(first, Vec::new()).await.unwrap();
        let (bad, second) = served.release(api, b"{\"bad\":1}").await;
        let failed = vec![FailedPart { api, part: bad, reason: "no such policy: magic".to_owned() }];
        gateway.acknowledge(second, failed.clone()).await.unwrap();

        assert_eq!(asked(&served, first, at, Some((api, good))).await.state, ProgressState::Done);
        let progress = asked(&served, second, at, Some((api, bad))).await;
        assert_eq!(progress.state, ProgressState::Failed);
        assert_eq!(progress.gateways[0].failure.as_deref(), Some("no such policy: magic"));
        assert_eq!(seen(&served, &gateway).await.failed_parts[0].part, bad.to_string());

        // A revocation meanwhile is done all the same, and the gateway still reports the part.
        let revoked = served.append(credential("a")).await;
        gateway.acknowledge(revoked, failed).await.unwrap();
        assert_eq!(asked(&served, revoked, at, None).await.state, ProgressState::Done);

        // A release that replaces it does not make the failed one look well.
        let (_, third) = served.release(api, b"{\"good\":1}").await;
        gateway.acknowledge(third, Vec::new()).await.unwrap();
        assert_eq!(asked(&served, second, at, Some((api, bad))).await.state, ProgressState::Failed);
        assert!(seen(&served, &gateway).await.failed_parts.is_empty());
    })
    .await;
}
