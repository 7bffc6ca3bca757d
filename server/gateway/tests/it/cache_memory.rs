//! Who may have how much of the cache's memory, and why responses leave it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use sluice_contract::ids::{PurgeId, TenantId};
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::link::CacheEvictions;
use sluice_gateway::cache::{CacheLimits, Eviction, Shares};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use crate::support::{Rig, Start, Upstream, eventually, exchange, text};

const SIZE: usize = 20_000;
/// Responses that have room, about.
const ROOM: u64 = 50;

fn limits(eviction: Eviction, api: u64, tenant: u64) -> CacheLimits {
    CacheLimits { max_bytes: ROOM * SIZE as u64, eviction, shares: Shares { api, tenant } }
}

async fn large() -> Upstream {
    Upstream::new(|_| async { text(200, &[("cache-control", "max-age=600")], vec![b'x'; SIZE]) }).await
}

fn cached() -> Value {
    json!({ "policies": [{ "type": "cache", "settings": {} }] })
}

fn rig(limits: CacheLimits) -> Rig {
    Rig::with(Start { cache: limits, threads: 1, ..Start::default() })
}

fn evicted(rig: &Rig) -> CacheEvictions {
    rig.shared.cache.health().evictions
}

async fn is_hit(rig: &Rig, path: &str) -> bool {
    rig.get(path, &[]).await.header("cache-status").contains("hit")
}

async fn fill(rig: &Rig, api: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        rig.get(&format!("/acme/{api}/{number}"), &[]).await;
    }
}

async fn hits(rig: &Rig, api: &str, numbers: std::ops::Range<usize>) -> usize {
    let mut hits = 0;
    for number in numbers {
        hits += usize::from(is_hit(rig, &format!("/acme/{api}/{number}")).await);
    }
    hits
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_wants_everything_does_not_push_out_another() {
    let upstream = large().await;
    // By recency alone the greedy one would win.
    let mut rig = rig(limits(Eviction::Lru, 50, 100));
    let greedy = rig.api("greedy", upstream.address, cached());
    let modest = rig.api("modest", upstream.address, cached());
    fill(&rig, "modest", 0..10).await;
    fill(&rig, "greedy", 0..300).await;
    assert_eq!(hits(&rig, "modest", 0..10).await, 10, "{:?}", evicted(&rig));
    assert!(is_hit(&rig, "/acme/greedy/299").await, "its newest are there");
    assert!(!is_hit(&rig, "/acme/greedy/0").await);
    let CacheEvictions { api_share, size, .. } = evicted(&rig);
    assert!(api_share >= 200 && size == 0, "{:?}", evicted(&rig));
    let held = rig.shared.cache.health().apis;
    assert_eq!(held.iter().map(|held| held.api).collect::<Vec<_>>(), [greedy, modest], "the largest first");
    assert_eq!(held[1].entries, 10);
    let of_greedy = CacheEvictions { api_share, ..CacheEvictions::default() };
    assert_eq!((held[0].evictions, held[1].evictions), (of_greedy, CacheEvictions::default()));
    assert!((200_000..250_000).contains(&held[1].bytes), "{held:?}");
    assert_eq!(rig.shared.cache.bytes(), held.iter().map(|held| held.bytes).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_over_its_share_keeps_what_it_uses() {
    let upstream = large().await;
    let mut rig = rig(limits(Eviction::Lru, 50, 100));
    rig.api("greedy", upstream.address, cached());
    rig.api("modest", upstream.address, cached());
    fill(&rig, "modest", 0..10).await;
    fill(&rig, "greedy", 0..5).await;
    for number in 5..200 {
        rig.get(&format!("/acme/greedy/{number}"), &[]).await;
        assert_eq!(hits(&rig, "greedy", 0..5).await, 5, "after {number}");
    }
    assert!(evicted(&rig).api_share >= 100, "{:?}", evicted(&rig));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_apis_of_one_tenant_do_not_push_out_another_tenant() {
    let upstream = large().await;
    let mut rig = rig(limits(Eviction::Lru, 100, 60));
    let own = rig.tenant;
    rig.tenant = TenantId::generate();
    rig.api("other", upstream.address, cached());
    rig.tenant = own;
    for api in ["a", "b", "c"] {
        rig.api(api, upstream.address, cached());
    }
    fill(&rig, "other", 0..10).await;
    for api in ["a", "b", "c"] {
        fill(&rig, api, 0..60).await;
    }
    assert_eq!(hits(&rig, "other", 0..10).await, 10, "{:?}", evicted(&rig));
    assert!(is_hit(&rig, "/acme/c/59").await, "what is idle gives way to what comes");
    let CacheEvictions { tenant_share, api_share, .. } = evicted(&rig);
    assert!(tenant_share >= 100 && api_share == 0, "{:?}", evicted(&rig));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_alone_has_the_whole_memory_and_what_leaves_is_counted() {
    let upstream = large().await;
    let mut rig = rig(limits(Eviction::Lru, 50, 75));
    let api = rig.api("alone", upstream.address, cached());
    fill(&rig, "alone", 0..45).await;
    assert_eq!(hits(&rig, "alone", 0..45).await, 45);
    assert_eq!(upstream.count(), 45);
    fill(&rig, "alone", 45..200).await;
    let done = async || {
        // The cache does its sums now and then.
        rig.get("/acme/alone/199", &[]).await;
        evicted(&rig).size >= 100
    };
    eventually("room is made", done).await;
    assert_eq!((evicted(&rig).api_share, evicted(&rig).tenant_share), (0, 0));
    let before = evicted(&rig).replaced;
    rig.get("/acme/alone/199", &[("cache-control", "no-cache")]).await;
    assert_eq!(evicted(&rig).replaced, before + 1);

    rig.apply(Change::Purge(Purge {
        id: PurgeId::generate(),
        scope: PurgeScope::Api { api },
        tenant: None,
        soft: false,
        changed: false,
    }));
    eventually("purged ones leave", async || rig.shared.cache.entries() == 0).await;
    assert_eq!((rig.shared.cache.entries(), rig.shared.cache.bytes()), (0, 0));
    let health = rig.shared.cache.health();
    let [held] = &health.apis[..] else { panic!("{health:?}") };
    assert_eq!(
        (held.entries, held.bytes, held.evictions),
        (0, 0, health.evictions),
        "told of what left still"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_route_of_an_api_holds_and_what_left_it_is_told() {
    let upstream = large().await;
    let mut rig = rig(limits(Eviction::Lru, 100, 100));
    let routes = json!([
        { "id": "a", "path": "/a/{id}" }, { "id": "b", "path": "/b/{id}" }, { "id": "unused", "path": "/c/{id}" },
    ]);
    let api = rig.api(
        "r",
        upstream.address,
        json!({ "routes": routes, "policies": [{ "type": "cache", "settings": {} }] }),
    );
    fill(&rig, "r/a", 0..3).await;
    fill(&rig, "r/b", 0..5).await;
    rig.get("/acme/r/b/0", &[("cache-control", "no-cache")]).await;
    let told = |rig: &Rig| rig.shared.cache.held_by_route().remove(&api).unwrap();
    let of = |rig: &Rig| -> Vec<(String, u64, CacheEvictions)> {
        told(rig).into_iter().map(|held| (held.route, held.entries, held.evictions)).collect()
    };
    let replaced = CacheEvictions { replaced: 1, ..CacheEvictions::default() };
    let wanted = [("b".to_owned(), 5, replaced), ("a".to_owned(), 3, CacheEvictions::default())];
    assert_eq!(of(&rig), wanted, "the largest first, and none that has nothing");
    assert_eq!(told(&rig).iter().map(|held| held.bytes).sum::<u64>(), rig.shared.cache.bytes());

    let scope = PurgeScope::Url { api, path: "/a/1".to_owned() };
    rig.apply(Change::Purge(Purge {
        id: PurgeId::generate(),
        scope,
        tenant: None,
        soft: false,
        changed: false,
    }));
    eventually("it leaves", async || rig.shared.cache.entries() == 7).await;
    let purged = CacheEvictions { purged: 1, ..CacheEvictions::default() };
    assert_eq!(of(&rig), [("b".to_owned(), 5, replaced), ("a".to_owned(), 2, purged)]);

    fill(&rig, "r/a", 10..200).await;
    let done = async || {
        rig.get("/acme/r/a/199", &[]).await;
        told(&rig).iter().all(|held| held.evictions.size > 0)
    };
    eventually("room is made", done).await;
    let left = told(&rig).iter().fold(CacheEvictions::default(), |all, held| all.and(held.evictions));
    assert_eq!(left, evicted(&rig), "all that left the API left one of its routes");

    // A route that the API has no more is told of for as long as something of it is there.
    rig.api("r", upstream.address, cached());
    assert!(told(&rig).iter().any(|held| held.route == "a" && held.entries > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_what_leaves_is_counted_whichever_way_it_is_chosen() {
    let upstream = large().await;
    for eviction in Eviction::ALL {
        let asked = upstream.count();
        let mut rig = rig(limits(eviction, 100, 100));
        rig.api("many", upstream.address, cached());
        fill(&rig, "many", 0..120).await;
        let most = ROOM * SIZE as u64;
        let done = async || {
            // The cache does its sums now and then.
            rig.get("/acme/many/119", &[]).await;
            evicted(&rig).size >= 60 && rig.shared.cache.bytes() <= most
        };
        eventually(eviction.name(), done).await;
        let (entries, left) = (rig.shared.cache.entries(), evicted(&rig));
        assert!(entries >= 30, "{}: {entries}", eviction.name());
        assert_eq!(entries + left.size + left.replaced, (upstream.count() - asked) as u64, "{left:?}");
    }
}

/// Sends the first half of such a body, and the second once it is let.
async fn in_halves(length: usize, announced: bool) -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |_| {
        let gate = Arc::clone(&opened);
        let pieces = futures_util::stream::unfold(0, move |number| {
            let gate = Arc::clone(&gate);
            async move {
                if number == 1 {
                    gate.acquire().await.unwrap().forget();
                }
                let piece = Frame::data(Bytes::from(vec![b'x'; length / 2]));
                (number < 2).then_some((Ok::<_, std::io::Error>(piece), number + 1))
            }
        });
        let pieces = Box::pin(pieces) as std::pin::Pin<Box<dyn futures_core::Stream<Item = _> + Send + Sync>>;
        let mut response = http::Response::builder().header("cache-control", "max-age=600");
        if announced {
            response = response.header("content-length", length);
        }
        let response = response.body(StreamBody::new(pieces).boxed()).unwrap();
        async move { response }
    })
    .await;
    (upstream, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_on_their_way_in_are_bounded_together_and_what_is_too_much_is_passed_on() {
    const BODY: usize = 200_000;
    for announced in [true, false] {
        let (upstream, gate) = in_halves(BODY, announced).await;
        let mut rig = rig(limits(Eviction::Lru, 100, 100));
        rig.api("a", upstream.address, cached());
        let rig = Arc::new(rig);
        let arriving = || rig.shared.cache.health().arriving;
        assert_eq!(arriving().max_bytes, 500_000);
        let ask = |number: usize| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.get(&format!("/acme/a/{number}"), &[]).await.body.len() })
        };
        let callers: Vec<_> = (0..6).map(ask).collect();
        eventually("there is no more room", async || arriving().crowded_out > 0).await;
        eventually("all have come", async || upstream.count() == 6).await;
        let bytes = arriving().bytes;
        assert!(if announced { bytes == 400_000 } else { bytes <= 500_000 }, "{bytes}");
        gate.add_permits(6);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), BODY, "nobody lacks anything");
        }
        eventually("all room is given back", async || arriving().bytes == 0).await;
        let stored = rig.shared.cache.entries();
        assert!(if announced { stored == 2 } else { stored < 6 }, "{stored}");
        assert_eq!(arriving().crowded_out, 6 - stored, "{:?}", arriving());
        gate.add_permits(1);
        assert_eq!(ask(7).await.unwrap(), BODY);
        assert_eq!(rig.shared.cache.entries(), stored + 1, "there is room again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_up_nothing_once_the_response_is_stored() {
    const BODY: usize = 24 << 20;
    let (upstream, gate) = in_halves(BODY, true).await;
    let limits = CacheLimits { max_bytes: 64 << 20, ..limits(Eviction::Lru, 100, 100) };
    let mut rig = rig(limits);
    let settings = json!({ "max_body_bytes": 32 << 20 });
    rig.api("a", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    let mut client = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    client
        .write_all(b"GET /acme/a/x HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let arriving = || rig.shared.cache.health().arriving.bytes;
    eventually("it arrives", async || arriving() == BODY as u64).await;
    gate.add_permits(1);
    eventually("it is stored", async || rig.shared.cache.entries() == 1).await;
    eventually("the room is given back", async || arriving() == 0).await;
    let mut read = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), client.read_to_end(&mut read)).await.unwrap().unwrap();
    let head = read.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(read.len() - head == BODY && read[head..].iter().all(|byte| *byte == b'x'), "{}", read.len());
}

/// Sends pieces of 64 KiB without end, and counts them. Whoever sends has the counter, too.
async fn endless() -> (Upstream, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::downgrade(&sent);
    let upstream = Upstream::new(move |_| {
        let count = count.upgrade().unwrap();
        let pieces = futures_util::stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(&[b'x'; PIECE])))
        });
        let response = http::Response::builder().header("cache-control", "max-age=600");
        let response = response.body(StreamBody::new(pieces).boxed()).unwrap();
        async move { response }
    })
    .await;
    (upstream, sent)
}

const PIECE: usize = 64 << 10;
const LONG: usize = 4 << 20;
const LARGE: usize = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_comes_as_fast_as_it_is_read_and_ends_with_its_reader() {
    let (upstream, sent) = endless().await;
    let mut rig = rig(CacheLimits { max_bytes: 64 << 20, ..limits(Eviction::Lru, 100, 100) });
    let settings = json!({ "max_body_bytes": 2 * PIECE });
    rig.api("a", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    let rests = async || {
        let before = sent.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        before > 0 && sent.load(Ordering::SeqCst) == before
    };
    let mut client = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    client.write_all(b"GET /acme/a/x HTTP/1.1\r\nhost: gateway.test\r\n\r\n").await.unwrap();
    eventually("the upstream is held back", rests).await;
    let held = sent.load(Ordering::SeqCst);
    assert!(held * PIECE < LARGE, "what is held is in the buffers of connections: {held}");
    let mut some = vec![0; held * PIECE + LARGE];
    let read = tokio::time::timeout(Duration::from_secs(30), client.read_exact(&mut some));
    read.await.expect("it goes on as it is read").unwrap();
    eventually("the upstream is held back again", rests).await;
    let arriving = || rig.shared.cache.health().arriving.bytes;
    assert_eq!(arriving(), 0, "what goes by takes no room of what is stored");
    assert_eq!(Arc::strong_count(&sent), 2);
    drop(client);
    eventually("the upstream is let go", async || Arc::strong_count(&sent) == 1).await;
    assert_eq!((rig.shared.cache.entries(), arriving()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_readers_of_what_is_too_large_each_gets_all_of_it_however_far_apart_they_read() {
    const PIECES: usize = 10;
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |_| {
        let gate = Arc::clone(&opened);
        let pieces = futures_util::StreamExt::then(futures_util::stream::iter(0..PIECES), move |number| {
            let gate = Arc::clone(&gate);
            async move {
                if number == 1 {
                    gate.acquire().await.unwrap().forget();
                }
                Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![number as u8; LONG])))
            }
        });
        let response = http::Response::builder().header("cache-control", "max-age=600");
        let response = response.body(StreamBody::new(Box::pin(pieces)).boxed()).unwrap();
        async move { response }
    })
    .await;
    let mut rig = rig(CacheLimits { max_bytes: 256 << 20, ..limits(Eviction::Lru, 100, 100) });
    // More than the buffers of a connection take that nobody reads.
    let settings = json!({ "max_body_bytes": 6 * LONG });
    rig.api("a", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    let ask = async || {
        let request = http::Request::get("/acme/a/x").header("host", "gateway.test");
        exchange(rig.address(), request.body(http_body_util::Full::default()).unwrap()).await.into_body()
    };
    let (mut quick, slow) = (ask().await, ask().await);
    gate.add_permits(1);
    let mut read = Vec::new();
    while read.len() < 6 * LONG {
        read.extend_from_slice(&quick.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    let (rest, all) = tokio::join!(quick.collect(), slow.collect());
    read.extend_from_slice(&rest.unwrap().to_bytes());
    for body in [read.into(), all.unwrap().to_bytes()] {
        assert_eq!(body.len(), PIECES * LONG);
        assert!(body.iter().enumerate().all(|(at, byte)| *byte as usize == at / LONG));
    }
    assert_eq!((upstream.count(), rig.shared.cache.entries()), (1, 0));
}
