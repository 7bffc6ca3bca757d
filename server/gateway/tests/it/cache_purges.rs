//! Purges by everything that they can name, hard and soft, through the front door.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};
use sluice_contract::ids::{PurgeId, TenantId};
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::purges::PurgeAmount;
use sluice_gateway::questions::answer;

use crate::support::{Rig, Seen, Upstream, eventually, exchange, text};

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

fn purge(rig: &Rig, scope: PurgeScope, soft: bool) -> Change {
    Change::Purge(Purge { id: PurgeId::generate(), scope, tenant: Some(rig.tenant), soft, changed: false })
}

/// Counts in its body, and tags its answers as the query says: `?tags=a+b`, after `?list=a,b` in the other field.
async fn tagging() -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let query = request.uri().query().unwrap_or_default().to_owned();
        async move {
            let tags = query.strip_prefix("tags=").unwrap_or_default().replace('+', " ");
            let list = query.strip_prefix("list=").unwrap_or_default();
            let fields = [("cache-control", "max-age=60"), ("surrogate-key", &tags), ("cache-tag", list)];
            text(200, &fields, number.to_string())
        }
    })
    .await
}

/// What the preview of a purge says, once what earlier purges have covered has left the memory.
async fn would_go(rig: &Rig, scope: &PurgeScope, tenant: TenantId, expected: u64) -> PurgeAmount {
    let mut held = None;
    for _ in 0..1_000 {
        let reply = answer(&rig.shared, tenant, Ask::PurgeAmount { scope: scope.clone() }).await;
        let Reply::PurgeAmount(amount) = reply else { panic!("{reply:?}") };
        held = Some(amount);
        if amount.entries == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    held.unwrap()
}

fn is_hit(seen: &Seen) -> bool {
    seen.header("cache-status").starts_with("sluice; hit")
}

/// Which of these are answered from the store.
async fn hits(rig: &Rig, paths: &[&str]) -> Vec<bool> {
    let mut all = Vec::new();
    for path in paths {
        all.push(is_hit(&rig.get(path, &[("x-api-key", "one")]).await));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_covers_what_it_names_and_nothing_else() {
    let upstream = tagging().await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    rig.api("b", upstream.address, cached(json!({})));
    let paths = [
        "/acme/a/items?tags=x",
        "/acme/a/items/1?tags=x+y",
        "/acme/a/items/2/parts?list=y,z",
        "/acme/a/items-old",
        "/acme/b/items?list=x",
    ];
    let tag = |api, tag: &str| PurgeScope::Tag { api, tag: tag.to_owned() };
    let prefix = |path: &str| PurgeScope::Prefix { api: a, path: path.to_owned() };
    let url = |path: &str| PurgeScope::Url { api: a, path: path.to_owned() };
    for (scope, left) in [
        (url("/items/1?tags=x+y"), [true, false, true, true, true]),
        (prefix("/items"), [false, false, false, true, true]),
        (prefix("/items/"), [true, false, false, true, true]),
        (prefix("/%69tems/2"), [true, true, false, true, true]),
        (prefix("/"), [false, false, false, false, true]),
        (tag(Some(a), "x"), [false, false, true, true, true]),
        (tag(Some(a), "y"), [true, false, false, true, true]),
        (tag(None, "x"), [false, false, true, true, false]),
        (tag(None, "none"), [true; 5]),
        (PurgeScope::Api { api: a }, [false, false, false, false, true]),
        (PurgeScope::Everything, [false; 5]),
    ] {
        hits(&rig, &paths).await;
        assert_eq!(hits(&rig, &paths).await, [true; 5], "before {scope:?}");
        let covered = left.iter().filter(|left| !**left).count() as u64;
        let held = would_go(&rig, &scope, rig.tenant, covered).await;
        assert_eq!(held.entries, covered, "the preview of {scope:?}");
        assert_eq!(held.bytes > 0, covered > 0, "the preview of {scope:?}");
        let stranger = TenantId::generate();
        assert_eq!(would_go(&rig, &scope, stranger, 0).await.entries, 0, "{scope:?} of another tenant");
        let change = purge(&rig, scope.clone(), false);
        rig.apply(change);
        assert_eq!(hits(&rig, &paths).await, left, "{scope:?}");
    }
    hits(&rig, &paths).await;
    let elsewhere = Purge {
        id: PurgeId::generate(),
        scope: PurgeScope::Everything,
        tenant: Some(TenantId::generate()),
        soft: false,
        changed: false,
    };
    rig.apply(Change::Purge(elsewhere));
    assert_eq!(hits(&rig, &paths).await, [true; 5], "another tenant's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_an_application_covers_what_was_stored_for_it_alone() {
    let upstream = tagging().await;
    let mut rig = Rig::start();
    let definition = json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": {} }] });
    let api = rig.api("a", upstream.address, definition);
    let shared = json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": { "shared": true } }] });
    let open = rig.api("open", upstream.address, shared);
    let one = rig.key("one", &[api, open]);
    rig.key("two", &[api, open]);
    let get = async |rig: &Rig, path: &str, key: &str| is_hit(&rig.get(path, &[("x-api-key", key)]).await);
    for key in ["one", "two"] {
        get(&rig, "/acme/a/x", key).await;
        get(&rig, "/acme/open/x", key).await;
    }
    let change = purge(&rig, PurgeScope::Application { application: one.application }, false);
    rig.apply(change);
    assert!(!get(&rig, "/acme/a/x", "one").await, "its own copy is gone");
    assert!(get(&rig, "/acme/a/x", "two").await, "another's is not");
    assert!(get(&rig, "/acme/open/x", "one").await, "nor what is everybody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_validated_and_tagged_anew_is_still_covered_by_whose_it_is() {
    for shared in [false, true] {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::new(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                let stale = [("cache-control", "max-age=60"), ("age", "65"), ("etag", "\"e\"")];
                // What opens it to everybody comes too late for a copy of one caller.
                let anew = [("cache-control", "public, max-age=60"), ("surrogate-key", "new")];
                if first { text(200, &stale, "x") } else { text(304, &anew, "") }
            }
        })
        .await;
        let mut rig = Rig::start();
        let settings = json!({ "shared": shared });
        let policies = json!([{ "type": "cache", "settings": settings }]);
        let api = rig.api("a", upstream.address, json!({ "access": "subscription", "policies": policies }));
        let application = rig.key("one", &[api]).application;
        let get = async |rig: &Rig| is_hit(&rig.get("/acme/a/x", &[("x-api-key", "one")]).await);
        assert_eq!([get(&rig).await, get(&rig).await, get(&rig).await], [false, false, true]);
        let change = purge(&rig, PurgeScope::Application { application }, false);
        rig.apply(change);
        assert_eq!(get(&rig).await, shared, "shared: {shared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_stay_between_upstream_and_cache_unless_the_policy_passes_them_on() {
    let upstream = tagging().await;
    let mut rig = Rig::start();
    rig.api("a", upstream.address, cached(json!({})));
    rig.api("open", upstream.address, cached(json!({ "pass_tags": true })));
    for (path, expected) in [("/acme/a/x?tags=t", ""), ("/acme/open/x?tags=t", "t")] {
        for turn in ["miss", "hit"] {
            assert_eq!(rig.get(path, &[]).await.header("surrogate-key"), expected, "{path} {turn}");
        }
        let posted = rig.send(http::Method::POST, path, &[], "x").await;
        assert_eq!(posted.header("surrogate-key"), expected, "{path} by POST");
        let past = rig.get(path, &[("cache-control", "no-store")]).await;
        assert_eq!(past.header("surrogate-key"), expected, "{path} past the cache");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tags_are_covered_by_every_purge_by_tag() {
    let upstream = tagging().await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    let many = (0..200).map(|n| format!("t{n}")).collect::<Vec<_>>().join("+");
    let path = format!("/acme/a/x?tags={many}");
    rig.get(&path, &[]).await;
    assert!(is_hit(&rig.get(&path, &[]).await));
    let change = purge(&rig, PurgeScope::Tag { api: Some(a), tag: "t199".to_owned() }, false);
    rig.apply(change);
    assert!(!is_hit(&rig.get(&path, &[]).await));
}

/// Answers with its number, an ETag that stays the same and these fields; 304 to who has it; fails while told to.
async fn validating(fields: &'static [(&'static str, &'static str)], fails: &Arc<AtomicBool>) -> Upstream {
    let (count, fails) = (Arc::new(AtomicUsize::new(0)), Arc::clone(fails));
    Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = fails.load(Ordering::SeqCst);
        async move {
            if fails {
                return text(503, &[], "down");
            }
            let fields: Vec<_> = fields.iter().copied().chain([("etag", "\"e\"")]).collect();
            let has_it = request.headers().contains_key("if-none-match");
            if has_it { text(304, &fields, "") } else { text(200, &fields, number.to_string()) }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_softly_is_validated_and_not_fetched() {
    let upstream =
        validating(&[("cache-control", "max-age=60"), ("surrogate-key", "t")], &Arc::default()).await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/a/x", &[]).await.body, "1");
    let scope = PurgeScope::Tag { api: Some(a), tag: "t".to_owned() };
    let change = purge(&rig, scope.clone(), true);
    rig.apply(change);
    let validated = rig.get("/acme/a/x", &[]).await;
    let status = validated.header("cache-status");
    assert!(status.starts_with("sluice; fwd=stale; fwd-status=304; stored; key="), "{status}");
    assert_eq!(validated.body, "1");
    assert!(is_hit(&rig.get("/acme/a/x", &[]).await), "what was validated since is fresh");
    assert_eq!(upstream.count(), 2);
    let change = purge(&rig, scope, false);
    rig.apply(change);
    assert_eq!(
        rig.get("/acme/a/x", &[]).await.body,
        "3",
        "a hard purge leaves nothing to validate, and tags last"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_softly_is_served_while_it_is_fetched_anew() {
    let fields = &[("cache-control", "max-age=60, stale-while-revalidate=60")];
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { text(200, fields, number.to_string()) }
    })
    .await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/a/x", &[]).await.body, "1");
    let change = purge(&rig, PurgeScope::Prefix { api: a, path: "/".to_owned() }, true);
    rig.apply(change);
    let stale = rig.get("/acme/a/x", &[]).await;
    assert!(is_hit(&stale) && stale.body == "1", "{:?}", stale.headers);
    eventually("the next is there", || async { rig.get("/acme/a/x", &[]).await.body == "2" }).await;
    assert_eq!(upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_softly_stands_in_for_errors() {
    let fails = Arc::new(AtomicBool::new(false));
    let fields = &[("cache-control", "max-age=60, stale-if-error=60")];
    let upstream = validating(fields, &fails).await;
    let mut rig = Rig::start();
    rig.api("a", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/a/x", &[]).await.body, "1");
    let change = purge(&rig, PurgeScope::Everything, true);
    rig.apply(change);
    fails.store(true, Ordering::SeqCst);
    assert_eq!(rig.get("/acme/a/x", &[]).await.body, "1", "stale in place of the error");
    assert_eq!(upstream.count(), 2);
    let change = purge(&rig, PurgeScope::Everything, false);
    rig.apply(change);
    assert_eq!(rig.get("/acme/a/x", &[]).await.status, 503, "what is gone stands in for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_is_in_flight_is_covered_by_tags_and_prefixes_too() {
    let (release, _) = tokio::sync::watch::channel(false);
    let release = Arc::new(release);
    let gate = Arc::clone(&release);
    let upstream = Upstream::new(move |_| {
        let mut gate = gate.subscribe();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            text(200, &[("cache-control", "max-age=60"), ("surrogate-key", "t")], "old")
        }
    })
    .await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    for (turn, scope) in [
        PurgeScope::Tag { api: None, tag: "t".to_owned() },
        PurgeScope::Prefix { api: a, path: "/x".to_owned() },
        PurgeScope::Everything,
    ]
    .into_iter()
    .enumerate()
    {
        release.send_replace(false);
        let request = Request::get(format!("/acme/a/x/{turn}")).header("host", "gateway.test");
        let request = request.body(http_body_util::Full::default()).unwrap();
        let before = upstream.count();
        let address = rig.address();
        let fill = tokio::spawn(async move { exchange(address, request).await.status() });
        eventually("it is in flight", || async { upstream.count() > before }).await;
        let change = purge(&rig, scope.clone(), false);
        rig.apply(change);
        release.send_replace(true);
        assert_eq!(fill.await.unwrap(), 200);
        let after = rig.get(&format!("/acme/a/x/{turn}"), &[]).await;
        assert!(after.header("cache-status").contains("fwd="), "{scope:?}: {:?}", after.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_may_bring_other_tags() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            let tags = format!("t{number}");
            let fields = [("cache-control", "max-age=60"), ("etag", "\"e\""), ("surrogate-key", &*tags)];
            let has_it = request.headers().contains_key("if-none-match");
            if has_it { text(304, &fields, "") } else { text(200, &fields, number.to_string()) }
        }
    })
    .await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    rig.get("/acme/a/x", &[]).await;
    let change = purge(&rig, PurgeScope::Api { api: a }, true);
    rig.apply(change);
    rig.get("/acme/a/x", &[]).await;
    let tag = |tag: &str| PurgeScope::Tag { api: Some(a), tag: tag.to_owned() };
    let change = purge(&rig, tag("t1"), false);
    rig.apply(change);
    assert!(is_hit(&rig.get("/acme/a/x", &[]).await), "it is tagged t2 now");
    let change = purge(&rig, tag("t2"), false);
    rig.apply(change);
    assert!(!is_hit(&rig.get("/acme/a/x", &[]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_what_was_purged_by_tag_or_prefix_is_given_back_and_no_other() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let tag = if request.uri().path().ends_with('0') { "round" } else { "" };
        text(200, &[("cache-control", "max-age=60"), ("surrogate-key", tag)], vec![b'x'; 10_000])
    })
    .await;
    let mut rig = Rig::start();
    let a = rig.api("a", upstream.address, cached(json!({})));
    for n in 0..20 {
        rig.get(&format!("/acme/a/{}/{n}", if n < 10 { "low" } else { "high" }), &[]).await;
    }
    let cache = Arc::clone(&rig.shared.cache);
    let left = async |rig: &Rig, count: u64| {
        eventually(&format!("{count} are left"), || {
            let cache = &cache;
            async move {
                // The cache does its sums now and then.
                rig.get("/acme/a/low/1", &[]).await;
                cache.entries() == count
            }
        })
        .await;
    };
    left(&rig, 20).await;
    let change = purge(&rig, PurgeScope::Tag { api: Some(a), tag: "round".to_owned() }, false);
    rig.apply(change);
    left(&rig, 18).await;
    let change = purge(&rig, PurgeScope::Prefix { api: a, path: "/high".to_owned() }, false);
    rig.apply(change);
    left(&rig, 9).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(cache.bytes() < 9 * 12_000, "{}", cache.bytes());
}
