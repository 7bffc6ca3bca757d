//! What people are told of the second level, against what it serves: each test runs with Redis and with Memcached.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use sluice_contract::ids::{ApiId, WarmJobId};
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::link::SecondLevelState;
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::cache::{CopyState, SecondLevelCopy};
use sluice_contract::warming::{AsCallers, Pace, WarmAnswer, WarmAsk, WarmJob};
use sluice_gateway::cache::SecondLevelSettings;
use sluice_gateway::questions::answer;

use crate::cache_explained::explain;
use crate::cache_inside::look_up;
use crate::second_level_kinds::{each_kind, join};
use crate::shared_cache::{Fleet, Server, cached, counting, health, is_shared, purge, written};
use crate::support::{Rig, Upstream, eventually, text};

/// What is told of the key that the URL has without credentials.
async fn asked(rig: &Rig, api: ApiId, path: &str) -> SecondLevelCopy {
    look_up(rig, api, path, rig.tenant).await.asked.unwrap().copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_told_and_neither_taken_over_nor_counted() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        assert_eq!(asked(&b, api, "/a?x=1").await.state, CopyState::Absent);
        assert_eq!(a.get("/acme/k/a?x=1", &[]).await.body, "1");
        written(&a, 1).await;

        let told = look_up(&b, api, "/a?x=1", b.tenant).await;
        assert!(told.entries.is_empty(), "nothing is in memory");
        let key = told.asked.unwrap();
        assert_eq!((key.key.host.as_str(), key.key.query.as_deref()), ("gateway.test", Some("x=1")));
        let SecondLevelCopy { state, age_s, fresh_for_s, bytes, body_bytes, varies_by } = key.copy;
        assert_eq!((state, body_bytes, varies_by), (CopyState::Fresh, Some(1), vec![]));
        assert_eq!(fresh_for_s.unwrap() + i64::try_from(age_s.unwrap()).unwrap(), 60);
        assert!(bytes.unwrap() > 100, "with its fields: {bytes:?}");
        let request = json!({ "host": "gateway.test", "path": "/a?x=1" });
        let explained = explain(&b, api, b.tenant, request).await;
        assert_eq!(explained.keys[0].hash, key.hash);
        assert_eq!(explained.keys[0].copy.as_ref().unwrap().state, CopyState::Fresh);
        // Nothing was taken over, and nothing counted.
        assert!(look_up(&b, api, "/a?x=1", b.tenant).await.entries.is_empty());
        assert_eq!((health(&b).hits, health(&b).misses, health(&b).latency_us), (0, 0, 0));
        assert!(is_shared(&b.get("/acme/k/a?x=1", &[]).await));

        // What is in memory is told with its copy; another URL has none.
        let told = look_up(&b, api, "/a?x=1", b.tenant).await;
        assert_eq!(told.entries[0].copy.as_ref().unwrap().state, CopyState::Fresh);
        assert_eq!(told.entries[0].key_hash, key.hash);
        assert_eq!(asked(&b, api, "/a?x=2").await.state, CopyState::Absent);
        assert_eq!((health(&b).hits, upstream.count()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_variant_and_each_caller_has_a_copy_of_its_own() {
    for server in each_kind().await {
        let fields = [("cache-control", "max-age=60"), ("vary", "accept")];
        let upstream = Upstream::new(move |_| async move { text(200, &fields, "x") }).await;
        let fleet = Fleet::new();
        let settings = SecondLevelSettings { key: Some([7; 32]), ..Fleet::patient(server.url()) };
        let (a, api) = join(&fleet, &settings, None, &upstream);
        let requests: [&[(&str, &str)]; 2] =
            [&[("accept", "a, b")], &[("accept", "c"), ("authorization", "ann")]];
        for (number, headers) in requests.iter().enumerate() {
            a.get("/acme/k/a", headers).await;
            written(&a, number as u64 + 1).await;
        }
        let told = look_up(&a, api, "/a", a.tenant).await;
        assert_eq!(told.entries.len(), 2);
        for entry in &told.entries {
            let copy = entry.copy.as_ref().unwrap();
            assert_eq!((copy.state, &copy.varies_by[..]), (CopyState::Fresh, &["accept".to_owned()][..]));
        }
        // Without `Accept` nobody has asked yet.
        let copy = told.asked.unwrap().copy;
        assert_eq!((copy.state, &copy.varies_by[..]), (CopyState::Absent, &["accept".to_owned()][..]));
        let request = |accept: &str, authorization: &str| {
            let field = |name: &str, value: &str| json!({ "name": name, "value": value });
            json!({ "host": "gateway.test", "path": "/a",
                "headers": [field("accept", accept), field("authorization", authorization)] })
        };
        for (accept, authorization, state) in [
            ("c", "ann", CopyState::Fresh),
            ("c", "bob", CopyState::Absent),
            ("a,b", "ann", CopyState::Absent),
        ] {
            let explained = explain(&a, api, a.tenant, request(accept, authorization)).await;
            assert_eq!(explained.keys[0].copy.as_ref().unwrap().state, state, "{accept} {authorization}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_purges_have_made_of_a_copy_is_told() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (mut a, api) = join(&fleet, &settings, None, &upstream);
        for (number, path) in ["/soft", "/hard", "/own"].into_iter().enumerate() {
            a.get(&format!("/acme/k{path}"), &[]).await;
            written(&a, number as u64 + 1).await;
        }
        let of = |path: &str| PurgeScope::Prefix { api, path: path.to_owned() };
        let Change::Purge(hard) = purge(of("/hard")) else { panic!("no purge") };
        let Change::Purge(soft) = purge(of("/soft")) else { panic!("no purge") };
        for purge in [hard, Purge { soft: true, ..soft }] {
            a.apply(Change::Purge(purge));
        }
        let soft = asked(&a, api, "/soft").await;
        assert_eq!(soft.state, CopyState::SoftlyPurged);
        assert!(soft.fresh_for_s.unwrap() <= 0, "{soft:?}");
        let hard = asked(&a, api, "/hard").await;
        assert_eq!((hard.state, hard.fresh_for_s, hard.body_bytes), (CopyState::Outdated, None, Some(1)));
        assert!(hard.age_s.is_some() && hard.bytes.is_some());
        assert_eq!(asked(&a, api, "/own").await.state, CopyState::Fresh);

        // A gateway that does not know of all purges since does not believe it.
        let (rig, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        assert_eq!(asked(&rig, api, "/own").await.state, CopyState::Fresh);
        rig.shared.know_purges_from(100);
        assert_eq!(asked(&rig, api, "/own").await.state, CopyState::Outdated);
        // A method that may change things takes it out.
        a.send(Method::POST, "/acme/k/own", &[], "x").await;
        eventually("it is gone", || async { asked(&a, api, "/own").await.state == CopyState::Absent }).await;
        assert_eq!(health(&a).outdated, 0, "people are not counted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_another_encryption_key_is_damaged() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        a.get("/acme/k/a", &[]).await;
        written(&a, 1).await;
        let other = SecondLevelSettings { key: Some([7; 32]), ..settings };
        let (b, _) = join(&fleet, &other, Some((&a, api)), &upstream);
        let copy = asked(&b, api, "/a").await;
        assert_eq!((copy.state, copy.age_s, copy.bytes.is_some()), (CopyState::Damaged, None, true));
        assert_eq!(health(&b).damaged, 0, "people are not counted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_keeps_nobody_waiting_and_nothing_is_told_of_it() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let budget = Duration::from_millis(300);
        let settings = SecondLevelSettings { budget, ..Fleet::patient(server.url()) };
        let (a, api) = join(&fleet, &settings, None, &upstream);
        for number in 0..5 {
            a.get("/acme/k/a", &[("authorization", &number.to_string())]).await;
        }
        server.signal("-STOP");
        let begun = Instant::now();
        let told = look_up(&a, api, "/a", a.tenant).await;
        assert!(begun.elapsed() < budget * 2, "it is given up after the first: {:?}", begun.elapsed());
        let states = told.entries.iter().map(|entry| entry.copy.as_ref().unwrap().state);
        assert_eq!(states.collect::<Vec<_>>(), [CopyState::NoAnswer; 5]);
        assert_eq!(told.asked.unwrap().copy.state, CopyState::NoAnswer);
        assert_ne!(health(&a).state, SecondLevelState::Tripped, "calls are not kept from it by that");
        server.signal("-CONT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_copies_the_first_are_looked_at_and_without_a_second_level_none() {
    let server = Server::redis(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let (a, api) = join(&fleet, &Fleet::patient(server.url()), None, &upstream);
    for number in 0..20 {
        a.get("/acme/k/a", &[("authorization", &number.to_string())]).await;
    }
    let told = look_up(&a, api, "/a", a.tenant).await;
    let looked_at = told.entries.iter().filter(|entry| entry.copy.is_some()).count();
    assert_eq!((told.entries.len(), looked_at), (20, 16));

    // What goes past the cache has no key to be asked for.
    let mut past = fleet.gateway(&Fleet::patient(server.url()));
    let api = past.api("k", upstream.address, cached(json!({ "strong_consistency": true })));
    assert_eq!(look_up(&past, api, "/a", past.tenant).await.asked, None);

    let mut alone = Rig::start();
    let api = alone.api("k", upstream.address, cached(json!({})));
    alone.get("/acme/k/a", &[]).await;
    let told = look_up(&alone, api, "/a", alone.tenant).await;
    assert_eq!((told.entries.len(), told.asked, &told.entries[0].copy), (1, None, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_warming_takes_from_another_gateways_copies_is_told_as_taken_over() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        a.get("/acme/k/a", &[]).await;
        written(&a, 1).await;
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let address = Some("http://gateway.test".to_owned());
        let warm = WarmJob {
            api,
            position: 0,
            targets: vec!["/a".to_owned()],
            as_callers: AsCallers { address, headers: Vec::new() },
            renew_s: 0,
            pace: Pace { per_second: 1_000, concurrency: 1 },
            within_ms: 20_000,
        };
        let job = WarmJobId::generate();
        let ask = |what| answer(&b.shared, b.tenant, Ask::Warm { job, what });
        ask(WarmAsk::Begin(Box::new(warm))).await;
        eventually("it is taken over", || async {
            let Reply::Warm { answer: WarmAnswer::Done(report) } = ask(WarmAsk::Look).await else {
                return false;
            };
            assert_eq!((report.taken_over, report.done()), (1, 1), "{report:?}");
            true
        })
        .await;
        assert_eq!(upstream.count(), 1);
    }
}
