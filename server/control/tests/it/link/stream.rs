//! The journal as it reaches gateways.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sluice_contract::journal::Frame;
use sluice_contract::part::Sha256Hash;
use sluice_control::App;
use sluice_store::Store;
use sluice_store::journal::{self, Keep};
use sluice_testkit::{TestApp, TestDatabase, each_database};

use super::simulated::{Served, append, credential, serve};

#[tokio::test(flavor = "multi_thread")]
async fn ten_gateways_get_every_change_in_order_while_changes_are_made_concurrently() {
    const GATEWAYS: usize = 10;
    const WRITERS: u64 = 4;
    const CHANGES: u64 = 50;
    each_database(|app| async move {
        let served = Served::start(app).await;
        let start = journal::head(served.store().read(), served.environment).await.unwrap();
        let mut followers = Vec::new();
        for _ in 0..GATEWAYS {
            let mut stream = served.gateway().await.follow(start).await.unwrap();
            assert!(matches!(stream.frame().await, Some(Frame::Hello { head, .. }) if head == start));
            followers.push(tokio::spawn(async move {
                for expected in start + 1..=start + WRITERS * CHANGES {
                    assert_eq!(stream.entry().await, expected);
                }
            }));
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, environment) = (served.store().clone(), served.environment);
                tokio::spawn(async move {
                    for n in 0..CHANGES {
                        append(&store, environment, credential(&format!("{writer}-{n}"))).await;
                    }
                })
            })
            .collect();
        for task in writers.into_iter().chain(followers) {
            task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_ten_gateways_and_how_long_it_took_is_shown() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let start = journal::head(served.store().read(), served.environment).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..10 {
            let mut stream = served.gateway().await.follow(start).await.unwrap();
            stream.frame().await.unwrap();
            streams.push(stream);
        }
        let mut took = Vec::new();
        for n in 0..100 {
            let begun = Instant::now();
            let position = served.append(credential(&n.to_string())).await;
            for stream in &mut streams {
                assert_eq!(stream.entry().await, position);
            }
            took.push(begun.elapsed());
        }
        took.sort();
        println!(
            "change to ten gateways on {}: p50 {:?}, p99 {:?}",
            served.store().url(),
            took[50],
            took[98]
        );
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_never_silent_for_long() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let mut stream = served.gateway().await.follow(0).await.unwrap();
        assert!(matches!(stream.frame().await, Some(Frame::Hello { .. })));
        assert_eq!(stream.entry().await, 1);
        let begun = Instant::now();
        assert!(matches!(stream.frame().await, Some(Frame::Heartbeat { head: 1 })));
        assert!(begun.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_too_late_takes_a_snapshot_and_goes_on_from_there() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        for n in 0..10 {
            served.append(credential(&n.to_string())).await;
        }
        let keep = Keep { entries: 2, age: TimeDelta::seconds(-1) };
        journal::compact_all(served.store(), keep).await.unwrap();

        let mut late = gateway.follow(3).await.unwrap();
        assert!(matches!(late.frame().await, Some(Frame::Hello { .. })));
        assert!(matches!(late.frame().await, Some(Frame::SnapshotRequired { .. })));
        assert!(late.frame().await.is_none());

        let snapshot = gateway.snapshot().await;
        assert_eq!((snapshot.incarnation, snapshot.credentials.len()), (gateway.incarnation, 10));
        let mut stream = gateway.follow(snapshot.position).await.unwrap();
        stream.frame().await.unwrap();
        let next = served.append(credential("next")).await;
        assert_eq!(next, snapshot.position + 1);
        assert_eq!(stream.entry().await, next);

        // The newest entries are still there for who is only a little late.
        let mut stream = gateway.follow(snapshot.position - 2).await.unwrap();
        stream.frame().await.unwrap();
        assert_eq!(stream.entry().await, snapshot.position - 1);
    })
    .await;
}

#[tokio::test]
async fn a_long_backlog_arrives_whole() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let tx = served.store().begin().await.unwrap();
        let changes = (0..3000).map(|n| credential(&n.to_string())).collect();
        let head = journal::append_all(&tx, served.environment, changes).await.unwrap();
        tx.commit().await.unwrap();
        let mut stream = served.gateway().await.follow(0).await.unwrap();
        stream.frame().await.unwrap();
        for expected in 1..=head {
            assert_eq!(stream.entry().await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn parts_are_for_gateways_of_the_environment_that_names_them() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let (part, _) = served.release(sluice_contract::ids::ApiId::generate(), br#"{"a":1}"#).await;
        let bytes: serde_json::Value = gateway.get(&format!("/gateway/v1/parts/{part}")).await.unwrap();
        assert_eq!(bytes, serde_json::json!({"a": 1}));

        let tx = served.store().begin().await.unwrap();
        let unnamed = sluice_store::parts::put(&tx, b"{}".to_vec()).await.unwrap();
        tx.commit().await.unwrap();
        for hash in [unnamed, Sha256Hash::of(b"nowhere")] {
            let path = format!("/gateway/v1/parts/{hash}");
            let refused = gateway.get::<serde_json::Value>(&path).await.unwrap_err();
            assert_eq!(refused.code, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_made_by_one_control_plane_reaches_gateways_of_another() {
    // SQLite has one control plane.
    let Some(database) = TestDatabase::postgres().await else { return };
    let settings = TestApp::settings();
    let served = Served::start(TestApp::with(database, settings.clone()).await).await;
    let gateway = served.gateway().await;
    let store = Store::connect(served.store().url()).await.unwrap();
    let other = App::new(settings, store.clone()).await.unwrap();
    let base = serve(&other).await;

    let mut stream = gateway.clone().at(&base).follow(1).await.unwrap();
    stream.frame().await.unwrap();
    let mut took = Vec::new();
    for n in 0..20 {
        let begun = Instant::now();
        let position = served.append(credential(&n.to_string())).await;
        assert_eq!(stream.entry().await, position);
        took.push(begun.elapsed());
    }
    took.sort();
    println!("change to a gateway of another control plane: p50 {:?}, at most {:?}", took[10], took[19]);

    // What one of them is told is known to both.
    gateway.at(&base).acknowledge(21, Vec::new()).await.unwrap();
    let path = served.app.path("/gateways");
    let seen: sluice_contract::rest::page::Page<sluice_contract::rest::gateways::Gateway> =
        served.app.admin.get(&path).await.expect(200).json();
    assert_eq!((seen.items[0].applied, seen.items[0].head), (21, 21));
    other.stopping.cancel();
}
