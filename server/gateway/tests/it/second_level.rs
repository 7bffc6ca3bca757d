//! The cache's second level through the front door: gateways that share a real Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Commands as _;
use serde_json::json;
use sluice_contract::ids::IncarnationId;
use sluice_contract::journal::PurgeScope;
use sluice_contract::link::{SecondLevelHealth, SecondLevelState};
use sluice_gateway::cache::SecondLevelSettings;
use tempfile::TempDir;

use crate::shared_cache::{Fleet, Server, cached, counting, health, is_shared, purge, written};
use crate::support::{Rig, Upstream, eventually, text};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_fetched_another_serves_until_a_purge() {
    let redis = Server::redis(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings = Fleet::patient(redis.url());
    let (mut a, mut b) = (fleet.gateway(&settings), fleet.gateway(&settings));
    let api = a.api("s", upstream.address, cached(json!({})));
    b.adopt(&a, "s", api);
    b.api("s", upstream.address, cached(json!({})));

    assert_eq!(a.get("/acme/s/a?x=1", &[]).await.body, "1");
    written(&a, 1).await;
    let shared = b.get("/acme/s/a?x=1", &[]).await;
    assert!(is_shared(&shared) && shared.body == "1", "{:?}", shared.headers);
    assert_eq!(shared.headers["x-own"].as_bytes(), "\u{fc}".as_bytes());
    let again = b.get("/acme/s/a?x=1", &[]).await;
    assert!(
        again.header("cache-status").starts_with("sluice; hit") && !is_shared(&again),
        "it was taken over"
    );
    assert_eq!(b.get("/acme/s/a?x=2", &[]).await.body, "2", "another URL");
    assert_eq!((health(&b).hits, health(&b).misses, upstream.count()), (1, 1, 2));
    assert!(health(&b).answer_us > 0, "{:?}", health(&b));
    written(&b, 1).await;

    // A purge: the copy in Redis is older, whether it is deleted or not.
    let mut connection = redis.client();
    let locations: Vec<Vec<u8>> = connection.keys("sluice:*").unwrap();
    assert_eq!(locations.len(), 2);
    let dumps: Vec<_> = locations
        .iter()
        .map(|location| {
            (location, redis::cmd("DUMP").arg(location).query::<Vec<u8>>(&mut connection).unwrap())
        })
        .collect();
    for rig in [&mut a, &mut b] {
        rig.apply(purge(PurgeScope::Url { api, path: "/a?x=1".to_owned() }));
    }
    let mut second = redis.client();
    eventually("both have deleted the copy", || {
        let said: String = redis::cmd("INFO").arg("commandstats").query(&mut second).unwrap();
        async move { said.contains("cmdstat_unlink:calls=2,") }
    })
    .await;
    assert_eq!(second.keys::<_, Vec<Vec<u8>>>("sluice:*").unwrap().len(), 1);
    for (location, dump) in &dumps {
        // As if the deletion had been lost.
        redis::cmd("RESTORE")
            .arg(location)
            .arg(60_000)
            .arg(dump)
            .arg("REPLACE")
            .exec(&mut connection)
            .unwrap();
    }
    assert_eq!(b.get("/acme/s/a?x=1", &[]).await.body, "3");
    assert_eq!(health(&b).outdated, 1);
    assert_eq!(a.get("/acme/s/a?x=2", &[]).await.body, "2", "what was not purged is shared still");
    written(&b, 2).await;
    let after = a.get("/acme/s/a?x=1", &[]).await;
    assert!(is_shared(&after) && after.body == "3", "what was fetched after the purge is shared again");

    for rig in [&mut a, &mut b] {
        rig.apply(purge(PurgeScope::Api { api }));
    }
    assert_eq!(b.get("/acme/s/a?x=2", &[]).await.body, "4");
    written(&b, 3).await;
    assert_eq!(a.get("/acme/s/a?x=2", &[]).await.body, "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_method_and_purges_of_another_life_keep_old_copies_from_being_served() {
    let redis = Server::redis(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings = Fleet::patient(redis.url());
    let mut a = fleet.gateway(&settings);
    let api = a.api("s", upstream.address, cached(json!({})));
    assert_eq!(a.get("/acme/s/a", &[]).await.body, "1");
    written(&a, 1).await;
    let mut connection = redis.client();
    let location: Vec<Vec<u8>> = connection.keys("sluice:*").unwrap();
    let dump: Vec<u8> = redis::cmd("DUMP").arg(&location[0]).query(&mut connection).unwrap();
    let restore = |connection: &mut redis::Connection| {
        redis::cmd("RESTORE")
            .arg(&location[0])
            .arg(60_000)
            .arg(&dump)
            .arg("REPLACE")
            .exec(connection)
            .unwrap();
    };
    a.send(http::Method::POST, "/acme/s/a", &[], "x").await;
    let mut second = redis.client();
    eventually("the copy is deleted", || {
        let left: Vec<Vec<u8>> = second.keys("sluice:*").unwrap();
        async move { left.is_empty() }
    })
    .await;
    restore(&mut connection);
    assert_eq!(a.get("/acme/s/a", &[]).await.body, "3", "the method is newer than the copy");
    written(&a, 2).await;
    // From here on nothing tells that the URL has changed.
    let eras: Vec<Vec<u8>> = connection.keys("changed:*").unwrap();
    assert_eq!(connection.del(eras), Ok(1));

    // A gateway that has just begun knows of no purge before: what is older is not believed.
    restore(&mut connection);
    let mut late = fleet.gateway(&settings);
    late.adopt(&a, "s", api);
    late.api("s", upstream.address, cached(json!({})));
    late.shared.know_purges_from(100);
    assert_eq!(late.get("/acme/s/a", &[]).await.body, "4");
    assert_eq!(health(&late).outdated, 1);
    written(&late, 1).await;
    // Nor is what belongs to another journal, or another environment.
    restore(&mut connection);
    let mut restored = Fleet { incarnation: IncarnationId::generate(), ..Fleet::new() };
    restored.environment = fleet.environment;
    let mut other = restored.gateway(&settings);
    other.adopt(&a, "s", api);
    other.api("s", upstream.address, cached(json!({})));
    assert_eq!(other.get("/acme/s/a", &[]).await.body, "5");
    written(&other, 1).await;
    let mut elsewhere = Fleet { incarnation: fleet.incarnation, ..Fleet::new() }.gateway(&settings);
    elsewhere.adopt(&a, "s", api);
    elsewhere.api("s", upstream.address, cached(json!({})));
    restore(&mut connection);
    assert_eq!(elsewhere.get("/acme/s/a", &[]).await.body, "6");
    assert_eq!((health(&other).outdated, health(&elsewhere).misses), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_and_callers_have_copies_of_their_own_there_too() {
    let redis = Server::redis(&[]).await;
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        async move { text(200, &[("cache-control", "max-age=60"), ("vary", "accept")], number.to_string()) }
    })
    .await;
    let fleet = Fleet::new();
    let settings = SecondLevelSettings { key: Some([7; 32]), ..Fleet::patient(redis.url()) };
    let (mut a, mut b) = (fleet.gateway(&settings), fleet.gateway(&settings));
    let api = a.api("v", upstream.address, cached(json!({})));
    b.adopt(&a, "v", api);
    b.api("v", upstream.address, cached(json!({})));
    let requests: [&[(&str, &str)]; 4] = [
        &[("accept", "a")],
        &[("accept", "b")],
        &[("accept", "a"), ("authorization", "ann")],
        &[("accept", "a"), ("authorization", "bob")],
    ];
    for (number, headers) in requests.iter().enumerate() {
        assert_eq!(a.get("/acme/v/a", headers).await.body, (number + 1).to_string());
        written(&a, number as u64 + 1).await;
    }
    for (number, headers) in requests.iter().enumerate() {
        let seen = b.get("/acme/v/a", headers).await;
        assert!(is_shared(&seen) && seen.body == (number + 1).to_string(), "{headers:?}: {:?}", seen.headers);
    }
    assert_eq!(b.get("/acme/v/a", &[("accept", "c")]).await.body, "5");
    // Encrypted: nothing of a response shows.
    let mut connection = redis.client();
    let location: Vec<Vec<u8>> = connection.keys("sluice:*").unwrap();
    let values: Vec<Vec<u8>> = connection.hvals(&location[0]).unwrap();
    assert!(values.len() >= 5);
    assert!(!values.iter().any(|value| value.windows(7).any(|window| window == b"max-age")));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_data_is_a_miss_and_is_counted() {
    let redis = Server::redis(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings = Fleet::patient(redis.url());
    let mut a = fleet.gateway(&settings);
    let api = a.api("w", upstream.address, cached(json!({})));
    let mut connection = redis.client();
    type Spoil = fn(&mut Vec<u8>);
    let spoils: [Spoil; 4] = [
        |value| value.truncate(40),
        |value| *value.last_mut().unwrap() ^= 1,
        |value| value[0] = 9,
        |value| *value = b"nonsense".to_vec(),
    ];
    for (round, spoil) in spoils.into_iter().enumerate() {
        let path = format!("/acme/w/{round}");
        let first = a.get(&path, &[]).await.body;
        written(&a, round as u64 + 1).await;
        // All there are: a write of the round before may have come late.
        let locations: Vec<Vec<u8>> = connection.keys("sluice:*").unwrap();
        for location in &locations {
            let fields: Vec<(Vec<u8>, Vec<u8>)> = connection.hgetall(location).unwrap();
            for (field, mut value) in fields {
                spoil(&mut value);
                let _: () = connection.hset(location, field, value).unwrap();
            }
        }
        let mut b = fleet.gateway(&settings);
        b.adopt(&a, "w", api);
        b.api("w", upstream.address, cached(json!({})));
        let seen = b.get(&path, &[]).await;
        assert_ne!(seen.body, first);
        assert_eq!((seen.status.as_u16(), health(&b).damaged), (200, 1), "round {round}");
        // Of another type altogether.
        for location in &locations {
            let _: () = connection.set(location, "nonsense").unwrap();
        }
        let mut c = fleet.gateway(&settings);
        c.adopt(&a, "w", api);
        c.api("w", upstream.address, cached(json!({})));
        assert_eq!(c.get(&path, &[]).await.status.as_u16(), 200);
        assert_eq!((health(&c).errors, health(&c).state), (1, SecondLevelState::Up));
        let _: () = connection.flushall().unwrap();
    }

    // Something says when the URL has changed that cannot be read: nothing of it is believed.
    let first = a.get("/acme/w/era", &[]).await.body;
    written(&a, 5).await;
    for location in connection.keys::<_, Vec<String>>("sluice:*").unwrap() {
        let _: () = connection.set(format!("changed:{{{location}}}"), "nonsense").unwrap();
    }
    let mut b = fleet.gateway(&settings);
    b.adopt(&a, "w", api);
    b.api("w", upstream.address, cached(json!({})));
    assert_ne!(b.get("/acme/w/era", &[]).await.body, first);
    assert_eq!((health(&b).misses, health(&b).damaged), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_url_expire_and_past_the_most_of_them_all_go() {
    let redis = Server::redis(&[]).await;
    let upstream = counting().await;
    let mut a = Fleet::new().gateway(&Fleet::patient(redis.url()));
    a.api("s", upstream.address, cached(json!({})));
    a.get("/acme/s/a", &[]).await;
    written(&a, 1).await;
    let mut connection = redis.client();
    let locations: Vec<Vec<u8>> = connection.keys("sluice:*").unwrap();
    let [location] = &locations[..] else { panic!("one URL") };
    let seconds: i64 = connection.ttl(location).unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");
    // One short of the most.
    for number in 1..255 {
        let _: () = connection.hset(location, number, "x").unwrap();
    }
    a.get("/acme/s/a", &[("authorization", "ann")]).await;
    written(&a, 2).await;
    assert_eq!(connection.hlen(location), Ok(256));
    a.get("/acme/s/a", &[("authorization", "bob")]).await;
    written(&a, 3).await;
    assert_eq!(connection.exists(location), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_frozen_full_or_gone_fails_no_call_and_comes_back() {
    let redis = Server::redis(&["--maxmemory-policy", "noeviction"]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings = SecondLevelSettings::new(vec![redis.url()]);
    let mut rig = fleet.gateway(&settings);
    rig.api("f", upstream.address, cached(json!({})));
    let mut number = 0;
    let mut ask = async |rig: &Rig, count: usize| {
        for _ in 0..count {
            number += 1;
            let begun = Instant::now();
            let seen = rig.get(&format!("/acme/f/{number}"), &[]).await;
            assert_eq!(seen.status.as_u16(), 200);
            // The budget is 5 ms; what is measured here is that nobody waits for the server's own second.
            assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
        }
    };
    ask(&rig, 3).await;
    eventually("it answers", || async { health(&rig).state == SecondLevelState::Up }).await;

    let mut connection = redis.client();
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query(&mut connection).unwrap();
    ask(&rig, 3).await;
    eventually("writes are refused", || async { health(&rig).refused > 0 }).await;
    // It may have been late for a moment, but not because it is full.
    eventually("it answers still", || async { health(&rig).state == SecondLevelState::Up }).await;
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("0").query(&mut connection).unwrap();

    redis.signal("-STOP");
    ask(&rig, 20).await;
    assert_eq!(health(&rig).state, SecondLevelState::Tripped);
    let late = health(&rig).late;
    let tripped = health(&rig).tripped_ms;
    ask(&rig, 20).await;
    eventually("it is told how long", || async { health(&rig).tripped_ms > tripped }).await;
    assert_eq!(health(&rig).late, late, "nobody waits any more");
    redis.signal("-CONT");
    eventually("it is asked again", || async { health(&rig).state == SecondLevelState::Up }).await;
    assert!(health(&rig).tripped_ms > 0, "which is told after it, too");
    let before = health(&rig).written;
    ask(&rig, 3).await;
    eventually("responses are written again", || async { health(&rig).written > before }).await;

    let address = redis.address;
    drop(redis);
    ask(&rig, 20).await;
    eventually("it trips", || async { health(&rig).state == SecondLevelState::Tripped }).await;
    let _again = Server::redis_on(address, &[]).await;
    eventually("it is asked again", || async { health(&rig).state == SecondLevelState::Up }).await;
    assert_eq!(upstream.count(), number, "every call was answered by the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_among_what_waits_is_not_written_and_counted() {
    let redis = Server::redis(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let full = SecondLevelSettings { queue_max_bytes: 10, ..Fleet::patient(redis.url()) };
    let mut rig = fleet.gateway(&full);
    rig.api("f", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/f/a", &[]).await.body, "1");
    assert_eq!((health(&rig).dropped, health(&rig).written, health(&rig).queued_bytes), (1, 0, 0));
    assert_eq!(redis.client().keys::<_, Vec<Vec<u8>>>("sluice:*").unwrap().len(), 0);
    assert_eq!(rig.get("/acme/f/a", &[]).await.body, "1", "it is in memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_without_its_redis_and_uses_it_when_it_comes() {
    let address = crate::support::nobody().await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings = Fleet::patient(format!("redis://{address}"));
    let mut a = fleet.gateway(&settings);
    a.api("l", upstream.address, cached(json!({})));
    assert_eq!(a.get("/acme/l/first", &[]).await.status.as_u16(), 200);
    let _redis = Server::redis_on(address, &[]).await;
    let number = std::sync::atomic::AtomicUsize::new(0);
    eventually("responses are written", || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(a.get(&format!("/acme/l/{number}"), &[]).await.status.as_u16(), 200);
        health(&a).written > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_where_each_url_stands() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = [(&folders[0], "64mb"), (&folders[1], "32mb")]
        .map(|(folder, memory)| Server::redis_node(folder.path(), memory));
    let (one, other) = (one.await, other.await);
    let command = |node: &Server, words: &[&str]| {
        redis::cmd("CLUSTER").arg(words).query::<redis::Value>(&mut node.client()).unwrap()
    };
    command(&one, &["ADDSLOTSRANGE", "0", "8191"]);
    command(&other, &["ADDSLOTSRANGE", "8192", "16383"]);
    command(&one, &["MEET", "127.0.0.1", &other.address.port().to_string()]);
    eventually("both know of each other", || async {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut one.client()).unwrap();
        info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
    })
    .await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings =
        SecondLevelSettings { urls: vec![one.url(), other.url()], ..Fleet::patient(String::new()) };
    let (mut a, mut b) = (fleet.gateway(&settings), fleet.gateway(&settings));
    let api = a.api("c", upstream.address, cached(json!({})));
    b.adopt(&a, "c", api);
    b.api("c", upstream.address, cached(json!({})));
    let number = std::sync::atomic::AtomicUsize::new(0);
    let holds = |node: &Server| !node.client().keys::<_, Vec<Vec<u8>>>("sluice:*").unwrap().is_empty();
    eventually("responses are shared by way of both nodes", || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let path = format!("/acme/c/{number}");
        let before = health(&a).written;
        a.get(&path, &[]).await;
        for _ in 0..50 {
            if health(&a).written > before {
                return is_shared(&b.get(&path, &[]).await) && holds(&one) && holds(&other);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    })
    .await;
    eventually("what both say of themselves is added up", || async {
        let said = health(&a).server;
        said.is_some_and(|said| said.max_memory_bytes == 96 << 20 && said.memory_bytes > 0)
    })
    .await;
}

/// A certificate of a test's servers.
struct Certified {
    folder: TempDir,
    pem: String,
}

impl Certified {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        Self { folder, pem: cert.pem() }
    }

    /// A Redis that speaks nothing else.
    async fn redis(&self, arguments: &[&str]) -> Server {
        let address = crate::support::nobody().await;
        let port = address.port().to_string();
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let (certificate, key) = (file("cert.pem"), file("key.pem"));
        let tls = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"];
        let files =
            ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &certificate];
        Server::redis_on(address, &[&tls[..], &files, arguments].concat()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_tls_is_used_by_who_trusts_its_certificate() {
    let certified = Certified::new();
    let folder = certified.folder.path().to_str().unwrap();
    let redis = certified.redis(&["--cluster-enabled", "yes", "--tls-cluster", "yes", "--dir", folder]).await;
    let url = format!("rediss://{}", redis.address);
    let root_cert = Some(certified.pem.clone().into_bytes());
    let trusting = redis::TlsCertificates { client_tls: None, root_cert: root_cert.clone() };
    let mut connection = redis::Client::build_with_tls(&*url, trusting).unwrap().get_connection().unwrap();
    redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).exec(&mut connection).unwrap();
    eventually("all slots are served", || {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection).unwrap();
        async move { info.contains("cluster_state:ok") }
    })
    .await;
    let upstream = counting().await;
    // Two names make it a cluster.
    let settings =
        SecondLevelSettings { urls: vec![url.clone(), url], ca: root_cert, ..Fleet::patient(String::new()) };
    let mut a = Fleet::new().gateway(&settings);
    a.api("c", upstream.address, cached(json!({})));
    let number = std::sync::atomic::AtomicUsize::new(0);
    eventually("responses are written", || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        a.get(&format!("/acme/c/{number}"), &[]).await;
        health(&a).written > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_password_and_tls_is_used_by_who_knows_both_and_by_nobody_else() {
    let certified = Certified::new();
    let redis = certified.redis(&["--requirepass", "secret"]).await;
    let with = |user: &str, ca: bool| SecondLevelSettings {
        ca: ca.then(|| certified.pem.clone().into_bytes()),
        ..Fleet::patient(format!("rediss://{user}@{}", redis.address))
    };
    let upstream = counting().await;
    let fleet = Fleet::new();
    let (mut a, mut b) = (fleet.gateway(&with(":secret", true)), fleet.gateway(&with(":secret", true)));
    let api = a.api("c", upstream.address, cached(json!({})));
    b.adopt(&a, "c", api);
    b.api("c", upstream.address, cached(json!({})));
    a.get("/acme/c/a", &[]).await;
    written(&a, 1).await;
    assert!(is_shared(&b.get("/acme/c/a", &[]).await));
    for (why, settings) in [("password", with(":guess", true)), ("certificate", with(":secret", false))] {
        let mut other = fleet.gateway(&settings);
        other.adopt(&a, "c", api);
        other.api("c", upstream.address, cached(json!({})));
        let seen = other.get("/acme/c/a", &[]).await;
        assert_eq!((seen.status.as_u16(), is_shared(&seen)), (200, false), "{why}");
        let SecondLevelHealth { state, hits, written, server, .. } = health(&other);
        assert_ne!(state, SecondLevelState::Up, "{why}");
        assert_eq!((hits, written, server), (0, 0, None), "{why}");
    }
}
