//! What must hold whatever server gateways share: each test runs with Redis and with Memcached.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use sluice_contract::calls::{CacheOutcome, SecondLevelAnswer, SecondLevelAsked};
use sluice_contract::ids::ApiId;
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::link::SecondLevelState;
use sluice_gateway::cache::SecondLevelSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::shared_cache::{Fleet, Server, cached, counting, health, is_shared, purge, written};
use crate::support::{Rig, Upstream, eventually, nobody, text};

pub async fn each_kind() -> [Server; 2] {
    [Server::redis(&[]).await, Server::memcached(&[]).await]
}

/// A gateway with the API that others of the fleet have, which is cached.
pub fn join(
    fleet: &Fleet,
    settings: &SecondLevelSettings,
    with: Option<(&Rig, ApiId)>,
    upstream: &Upstream,
) -> (Rig, ApiId) {
    let mut rig = fleet.gateway(settings);
    if let Some((other, api)) = with {
        rig.adopt(other, "k", api);
    }
    let api = rig.api("k", upstream.address, cached(json!({})));
    (rig, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_and_callers_have_copies_of_their_own_and_nothing_of_them_shows() {
    for server in each_kind().await {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream =
            Upstream::new(move |_| {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                async move {
                    text(200, &[("cache-control", "max-age=60"), ("vary", "accept")], number.to_string())
                }
            })
            .await;
        let fleet = Fleet::new();
        let settings = SecondLevelSettings { key: Some([7; 32]), ..Fleet::patient(server.url()) };
        let (a, api) = join(&fleet, &settings, None, &upstream);
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let requests: [&[(&str, &str)]; 4] = [
            &[("accept", "a")],
            &[("accept", "b")],
            &[("accept", "a"), ("authorization", "ann")],
            &[("accept", "a"), ("authorization", "bob")],
        ];
        for (number, headers) in requests.iter().enumerate() {
            assert_eq!(a.get("/acme/k/a", headers).await.body, (number + 1).to_string());
            written(&a, number as u64 + 1).await;
        }
        for (number, headers) in requests.iter().enumerate() {
            let seen = b.get("/acme/k/a", headers).await;
            assert!(is_shared(&seen) && seen.body == (number + 1).to_string(), "{headers:?}: {seen:?}");
        }
        assert_eq!(b.get("/acme/k/a", &[("accept", "c")]).await.body, "5");
        assert_eq!(health(&b).hit_bytes, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_by_tag_or_prefix_never_comes_back() {
    for server in each_kind().await {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::new(move |request| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let tags = if request.uri().path().starts_with("/red") { "red all" } else { "blue all" };
            let headers = [("cache-control", "max-age=60"), ("surrogate-key", tags)];
            async move { text(200, &headers, number.to_string()) }
        })
        .await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (mut a, api) = join(&fleet, &settings, None, &upstream);
        let paths = ["/red/1", "/red/2", "/blue/1", "/blue/2/x"];
        let read = async |rig: &Rig| {
            let mut bodies = Vec::new();
            for path in paths {
                let before = health(rig).written;
                let seen = rig.get(&format!("/acme/k{path}"), &[]).await;
                if seen.header("cache-status").contains("stored") {
                    eventually("it is written", || async { health(rig).written > before }).await;
                }
                bodies.push(seen.body);
            }
            bodies
        };
        let first = read(&a).await;
        // Another takes all of it over, the tags with it.
        let (mut b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        assert_eq!((read(&b).await, health(&b).hits), (first.clone(), 4));
        let tag = PurgeScope::Tag { api: Some(api), tag: "red".to_owned() };
        let prefix = PurgeScope::Prefix { api, path: "/blue/2".to_owned() };
        let mut before = first;
        for (scope, purged) in [(tag, [true, true, false, false]), (prefix, [false, false, false, true])] {
            a.apply(purge(scope.clone()));
            b.apply(purge(scope.clone()));
            // Nothing in memory, as after a restart: all that it could serve is from the second level.
            let (mut late, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
            while late.shared.snapshot().position + 1 < a.shared.snapshot().position {
                late.settings(json!({}));
            }
            late.apply(purge(scope));
            let after = read(&late).await;
            for (number, purged) in purged.into_iter().enumerate() {
                assert_eq!(before[number] != after[number], purged, "{}", paths[number]);
            }
            let came_back = purged.iter().filter(|purged| **purged).count() as u64;
            assert_eq!(health(&late).outdated, came_back, "it stood there still");
            for rig in [&a, &b] {
                assert_eq!(read(rig).await, after, "who had it in memory takes the new one over");
            }
            before = after;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_has_changed_is_there_for_others_as_soon_as_they_know_of_the_change() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let policies = || cached(json!({ "write_through": "always" }));
        let (mut a, mut b) = (fleet.gateway(&settings), fleet.gateway(&settings));
        let api = a.api("k", upstream.address, policies());
        b.adopt(&a, "k", api);
        b.api("k", upstream.address, policies());
        a.settings(json!({}));
        while b.shared.snapshot().position < a.shared.snapshot().position {
            b.settings(json!({}));
        }
        for a_is_first in [true, false] {
            let path = format!("/{a_is_first}");
            let url = format!("/acme/k{path}");
            let mut wrote = health(&a).written;
            a.get(&url, &[]).await;
            written(&a, wrote + 1).await;
            assert!(is_shared(&b.get(&url, &[]).await));
            let changed = a.send(Method::PUT, &url, &[], "x").await.body;
            // Nobody else can use it yet.
            wrote += 2;
            written(&a, wrote).await;
            let id = a.shared.changes.own;
            let known =
                Purge { id, scope: PurgeScope::Url { api, path }, tenant: None, soft: false, changed: true };
            if !a_is_first {
                b.apply(Change::Purge(known.clone()));
            }
            a.apply(Change::Purge(known.clone()));
            written(&a, wrote + 1).await;
            if a_is_first {
                b.apply(Change::Purge(known));
            }
            for gateway in [&b, &a] {
                let seen = gateway.get(&url, &[]).await;
                assert_eq!(seen.body, changed, "{}: {}", server.url(), seen.header("cache-status"));
            }
        }
        assert_eq!((upstream.count(), health(&b).hits), (4, 4), "{}", server.url());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_restarted_or_came_later_starts_with_what_is_shared_but_not_with_what_was_purged()
{
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (mut a, api) = join(&fleet, &settings, None, &upstream);
        for (number, path) in ["/old", "/new"].iter().enumerate() {
            if number == 1 {
                a.apply(purge(PurgeScope::Prefix { api, path: "/old".to_owned() }));
            }
            a.get(&format!("/acme/k{path}"), &[]).await;
            written(&a, number as u64 + 1).await;
        }
        let purged_at = a.shared.snapshot().position;
        // As `Applier` does with a snapshot of the journal: its purges, then where knowledge begins.
        let (mut late, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        while late.shared.snapshot().position < purged_at {
            late.settings(json!({}));
        }
        let sluice_contract::journal::Change::Purge(known) =
            purge(PurgeScope::Prefix { api, path: "/old".to_owned() })
        else {
            panic!("it is a purge")
        };
        late.shared.purge_unseen(&known, purged_at);
        late.shared.know_purges_from(1);
        assert!(is_shared(&late.get("/acme/k/new", &[]).await), "it begins warm");
        assert_eq!(late.get("/acme/k/old", &[]).await.body, "3");
        assert_eq!((health(&late).hits, health(&late).outdated), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_parts_and_conditions_are_answered_from_what_another_gateway_has_fetched() {
    for server in each_kind().await {
        let upstream = Upstream::new(|_| async {
            text(200, &[("cache-control", "max-age=60"), ("etag", "\"e\"")], "0123456789")
        })
        .await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        a.get("/acme/k/a", &[]).await;
        written(&a, 1).await;
        type Asked<'a> = (Method, &'a [(&'a str, &'a str)], u16, &'a str);
        let requests: [Asked<'_>; 6] = [
            (Method::HEAD, &[], 200, ""),
            (Method::GET, &[("range", "bytes=2-4")], 206, "234"),
            (Method::GET, &[("range", "bytes=7-")], 206, "789"),
            (Method::GET, &[("cache-control", "only-if-cached")], 200, "0123456789"),
            (Method::GET, &[("if-none-match", "\"e\"")], 304, ""),
            (Method::GET, &[("cache-control", "only-if-cached"), ("if-none-match", "\"e\"")], 304, ""),
        ];
        for (method, headers, status, body) in requests {
            // One that has nothing in memory.
            let (rig, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
            let seen = rig.send(method, "/acme/k/a", headers, "").await;
            assert_eq!((seen.status.as_u16(), &seen.body[..]), (status, body.as_bytes()), "{headers:?}");
            assert!(is_shared(&seen), "{headers:?}: {:?}", seen.headers);
            let again = rig.get("/acme/k/a", &[]).await;
            assert!(!is_shared(&again) && again.body == "0123456789", "it was taken over whole");
        }
        assert_eq!(upstream.count(), 1);
        // What is not there goes its usual way.
        let (rig, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let only = rig.get("/acme/k/b", &[("cache-control", "only-if-cached")]).await;
        assert_eq!((only.status.as_u16(), upstream.count()), (504, 1));
        let part = rig.get("/acme/k/b", &[("range", "bytes=2-4")]).await;
        assert!(part.header("cache-status").contains("fwd=bypass") && upstream.count() == 2);
        assert_eq!(rig.send(Method::HEAD, "/acme/k/b", &[], "").await.status.as_u16(), 200);
        assert_eq!(upstream.count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_has_confirmed_is_handed_on_anew() {
    for server in each_kind().await {
        let upstream = Upstream::new(|request| async move {
            match request.headers().contains_key("if-none-match") {
                false => text(200, &[("cache-control", "max-age=60"), ("etag", "\"e\"")], "x"),
                true => text(304, &[("cache-control", "max-age=600"), ("etag", "\"e\"")], ""),
            }
        })
        .await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        a.get("/acme/k/a", &[]).await;
        written(&a, 1).await;
        assert_eq!(a.get("/acme/k/a", &[("cache-control", "no-cache")]).await.body, "x");
        written(&a, 2).await;
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let seen = b.get("/acme/k/a", &[]).await;
        assert!(is_shared(&seen) && seen.body == "x", "{seen:?}");
        assert_eq!((seen.header("cache-control"), upstream.count()), ("max-age=600", 2));
    }
}

fn soft(scope: PurgeScope) -> Change {
    let Change::Purge(hard) = purge(scope) else { panic!("no purge") };
    Change::Purge(Purge { soft: true, ..hard })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_copy_of_another_gateway_answers_is_recorded_as_a_hit_or_as_stale() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        a.get("/acme/k/a", &[]).await;
        written(&a, 1).await;
        for (purged, outcome) in [(false, CacheOutcome::Hit), (true, CacheOutcome::Stale)] {
            let (mut rig, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
            if purged {
                rig.apply(soft(PurgeScope::Api { api }));
            }
            assert!(is_shared(&rig.get("/acme/k/a", &[("cache-control", "max-stale")]).await));
            assert_eq!(rig.calls(1).await[0].cache, outcome);
        }
        assert_eq!(upstream.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_says_what_the_second_level_did_for_it_and_how_long_that_took() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let asked = async |rig: &Rig| {
            rig.get("/acme/k/a", &[]).await;
            rig.calls(1).await[0].second_level
        };
        let answer = async |rig: &Rig| {
            let SecondLevelAsked { answer, took_us } = asked(rig).await.unwrap();
            assert!(took_us > 0);
            answer
        };
        assert_eq!(answer(&a).await, SecondLevelAnswer::Nothing);
        written(&a, 1).await;
        assert_eq!(answer(&b).await, SecondLevelAnswer::Found);
        assert_eq!((asked(&a).await, asked(&b).await), (None, None), "from memory");
        // One that a purge has made unusable is none.
        let (mut c, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        c.apply(purge(PurgeScope::Api { api }));
        assert_eq!(answer(&c).await, SecondLevelAnswer::Nothing);

        let url = server.url().replace(&server.address.to_string(), &nobody().await.to_string());
        let (alone, _) = join(&fleet, &Fleet::patient(url), Some((&a, api)), &upstream);
        for _ in 0..5 {
            alone.get("/acme/k/a", &[("cache-control", "no-store")]).await;
        }
        alone.calls(5).await;
        assert_eq!(answer(&alone).await, SecondLevelAnswer::Failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_behind_a_stale_answer_takes_what_another_gateway_has_fetched_meanwhile() {
    for server in each_kind().await {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::new(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let fields = [("cache-control", "max-age=60, stale-while-revalidate=60")];
            async move { text(200, &fields, number.to_string()) }
        })
        .await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (mut a, api) = join(&fleet, &settings, None, &upstream);
        let (mut b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        assert_eq!(a.get("/acme/k/a", &[]).await.body, "1");
        // Or it could come after the next.
        written(&a, 1).await;
        let purge = soft(PurgeScope::Api { api });
        a.apply(purge.clone());
        b.apply(purge);
        assert_eq!(b.get("/acme/k/a", &[("cache-control", "no-cache")]).await.body, "2");
        written(&b, 1).await;
        let stale = a.get("/acme/k/a", &[]).await;
        assert!(stale.body == "1" && stale.header("cache-status").contains("hit"), "{stale:?}");
        eventually("the next is there", || async { a.get("/acme/k/a", &[]).await.body == "2" }).await;
        assert_eq!(upstream.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_made_of_what_another_gateway_has_fetched_where_the_policy_asks_and_a_url_names_it() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let [with, without] = [true, false]
            .map(|make_etags| cached(json!({ "make_etags": make_etags, "post_max_body_bytes": 10 })));
        let mut a = fleet.gateway(&settings);
        let api = a.api("k", upstream.address, with.clone());
        a.get("/acme/k/a", &[]).await;
        a.send(Method::POST, "/acme/k/a", &[], "question").await;
        written(&a, 2).await;
        let tag = a.get("/acme/k/a", &[]).await.header("etag").to_owned();
        assert!(tag.starts_with("\"sluice-"), "{tag}");
        for (definition, expected) in [(with, &*tag), (without, "")] {
            let mut rig = fleet.gateway(&settings);
            rig.adopt(&a, "k", api);
            rig.api("k", upstream.address, definition);
            let seen = rig.get("/acme/k/a", &[]).await;
            assert_eq!((is_shared(&seen), seen.header("etag")), (true, expected));
            let answer = rig.send(Method::POST, "/acme/k/a", &[], "question").await;
            assert_eq!((is_shared(&answer), answer.header("etag")), (true, ""));
        }
        assert_eq!(upstream.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_was_under_way_when_another_gateway_changed_the_url_is_not_shared() {
    for server in each_kind().await {
        let (gate, hold) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(true)));
        let (asked, state) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let upstream = {
            let (gate, hold, asked) = (Arc::clone(&gate), Arc::clone(&hold), Arc::clone(&asked));
            Upstream::new(move |request| {
                let (gate, hold, state) = (Arc::clone(&gate), Arc::clone(&hold), Arc::clone(&state));
                if request.method() == Method::PUT {
                    state.fetch_add(1, Ordering::SeqCst);
                }
                // What a GET will say is settled when it arrives.
                let now = state.load(Ordering::SeqCst).to_string();
                asked.fetch_add(1, Ordering::SeqCst);
                async move {
                    if request.method() == Method::GET && hold.load(Ordering::SeqCst) {
                        gate.acquire().await.unwrap().forget();
                    }
                    text(200, &[("cache-control", "max-age=60")], now)
                }
            })
            .await
        };
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let (c, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        let slow = a.get("/acme/k/a", &[]);
        let changing = async {
            eventually("it is under way", || async { asked.load(Ordering::SeqCst) == 1 }).await;
            assert_eq!(b.send(Method::PUT, "/acme/k/a", &[], "x").await.status.as_u16(), 200);
            hold.store(false, Ordering::SeqCst);
            // The change is told in the second level before the fetch ends: gateways have no queue in front of it.
            tokio::time::sleep(Duration::from_millis(300)).await;
            gate.add_permits(1);
        };
        let (old, ()) = tokio::join!(slow, changing);
        assert_eq!(old.body, "0", "it began before");
        eventually("its end has been dealt with", || async { health(&a).written + health(&a).outdated == 1 })
            .await;
        let is_redis = server.url().starts_with("redis");
        assert_eq!(health(&a).written, u64::from(is_redis), "only Redis takes it, for nobody");
        let seen = c.get("/acme/k/a", &[]).await;
        assert_eq!((&seen.body[..], is_shared(&seen)), (&b"1"[..], false));
        // Who has changed it knows when by its own clock, and what it fetches now is shared with itself at once.
        assert_eq!(b.get("/acme/k/a", &[]).await.body, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_an_unsafe_method_is_gone_for_all_who_ask_and_shared_again_later() {
    for server in each_kind().await {
        let upstream = counting().await;
        let fleet = Fleet::new();
        let settings = Fleet::patient(server.url());
        let (a, api) = join(&fleet, &settings, None, &upstream);
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        assert_eq!(a.get("/acme/k/a", &[]).await.body, "1");
        written(&a, 1).await;
        b.send(Method::DELETE, "/acme/k/a", &[], "").await;
        eventually("nobody who asks gets it", || async {
            let (c, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
            !is_shared(&c.get("/acme/k/a", &[]).await)
        })
        .await;
        eventually("what is fetched after it is shared again", || async {
            let (c, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
            let (d, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
            let seen = c.get("/acme/k/a", &[]).await;
            for _ in 0..20 {
                if health(&c).written + health(&c).outdated > 0 || is_shared(&seen) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            is_shared(&d.get("/acme/k/a", &[]).await)
        })
        .await;
    }
}

/// Stands before a server and passes on what it says after a while.
async fn slowed(server: SocketAddr, by: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind(nobody().await).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server).await else { continue };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let by = Arc::clone(&by);
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 << 10];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    tokio::time::sleep(Duration::from_millis(by.load(Ordering::SeqCst) as u64)).await;
                    if to_client.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Stands before a server and takes no more than half a mebibyte a second for it on each connection.
async fn narrow(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(nobody().await).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server).await else { continue };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 << 10];
                while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                    if to_server.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis((count / 512) as u64)).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_holds_up_nobody_who_asks() {
    for server in each_kind().await {
        let upstream = Upstream::new(|request: http::Request<hyper::body::Incoming>| async move {
            let size = if request.uri().path().ends_with("large") { 900 << 10 } else { 1 };
            // Nothing that could be compressed.
            let body: Vec<u8> = (0..size).map(|_: usize| uuid::Uuid::new_v4().as_bytes()[0]).collect();
            text(200, &[("cache-control", "max-age=60")], body)
        })
        .await;
        let fleet = Fleet::new();
        let (a, api) = join(&fleet, &Fleet::patient(server.url()), None, &upstream);
        for number in 0..8 {
            a.get(&format!("/acme/k/{number}"), &[]).await;
        }
        written(&a, 8).await;
        let url =
            server.url().replace(&server.address.to_string(), &narrow(server.address).await.to_string());
        let settings =
            SecondLevelSettings { budget: Duration::from_millis(900), ..SecondLevelSettings::new(vec![url]) };
        let (b, _) = join(&fleet, &settings, Some((&a, api)), &upstream);
        eventually("it is asked", || async { health(&b).state == SecondLevelState::Up }).await;
        // On its way for some two seconds.
        assert_eq!(b.get("/acme/k/large", &[]).await.status.as_u16(), 200);
        for number in 0..8 {
            let seen = b.get(&format!("/acme/k/{number}"), &[]).await;
            assert!(is_shared(&seen), "{}: {}", server.url(), seen.header("cache-status"));
        }
        assert_eq!(health(&b).written, 0, "the large one was in nobody's way because it had arrived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_frozen_or_gone_fails_no_call_and_comes_back() {
    for server in each_kind().await {
        let upstream = counting().await;
        let delay = Arc::new(AtomicUsize::new(0));
        let address = slowed(server.address, Arc::clone(&delay)).await;
        let url = server.url().replace(&server.address.to_string(), &address.to_string());
        let budget = Duration::from_millis(20);
        let settings = SecondLevelSettings { budget, ..SecondLevelSettings::new(vec![url]) };
        let (rig, _) = join(&Fleet::new(), &settings, None, &upstream);
        let asked = AtomicUsize::new(0);
        let ask = async |count: usize| {
            for _ in 0..count {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                let begun = Instant::now();
                let seen = rig.get(&format!("/acme/k/{number}"), &[]).await;
                assert_eq!(seen.status.as_u16(), 200);
                // The budget is much less; what is measured here is that nobody waits for the server's own second.
                assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
            }
        };
        // The quickest of the calls that had to do without an answer: a slow machine makes none of them quicker.
        let quickest = Cell::new(Duration::MAX);
        let ask_late = async || {
            let (late, begun) = (health(&rig).late, Instant::now());
            ask(1).await;
            if health(&rig).late > late {
                quickest.set(quickest.get().min(begun.elapsed()));
            }
        };
        let up = async || {
            eventually("it is asked", || async { health(&rig).state == SecondLevelState::Up }).await;
            let before = health(&rig).written;
            eventually("responses are written", || async {
                ask(1).await;
                health(&rig).written > before
            })
            .await;
        };
        let tripped = async || {
            eventually("it trips", || async {
                ask_late().await;
                health(&rig).state == SecondLevelState::Tripped
            })
            .await;
            let late = health(&rig).late;
            ask(20).await;
            assert_eq!(health(&rig).late, late, "nobody waits any more");
        };
        up().await;
        delay.store(200, Ordering::SeqCst);
        tripped().await;
        assert!(quickest.replace(Duration::MAX) < Duration::from_millis(150), "no more than the budget");
        // It is looked several times meanwhile whether it answers in time.
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(health(&rig).state, SecondLevelState::Tripped, "it does answer, but too late");
        delay.store(0, Ordering::SeqCst);
        up().await;
        server.signal("-STOP");
        tripped().await;
        assert!(quickest.get() < Duration::from_millis(150), "no more than the budget");
        server.signal("-CONT");
        up().await;
        let (address, is_redis) = (server.address, server.url().starts_with("redis"));
        drop(server);
        tripped().await;
        let _again = match is_redis {
            true => Server::redis_on(address, &[]).await,
            false => Server::memcached_on(address, &[]).await,
        };
        up().await;
        assert_eq!(upstream.count(), asked.load(Ordering::SeqCst), "every call was answered by the upstream");
    }
}
