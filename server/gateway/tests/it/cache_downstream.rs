//! What callers and caches downstream are told about stored responses: made ETags, and `Cache-Control` in the policy's words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_contract::ids::PurgeId;
use sluice_contract::journal::{Change, Purge, PurgeScope};

use crate::support::{Rig, Seen, Upstream, text};

type Fields = &'static [(&'static str, &'static str)];

/// A gateway with `/acme/c`, whose upstream says these fields and `0123456789` (of `/{status}` with that status; of `/other` turned
/// round), and the requests that reached it.
async fn rig(fields: Fields, settings: Value) -> (Rig, Upstream, Arc<Mutex<Vec<HeaderMap>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        seen.lock().push(request.headers().clone());
        let in_pieces = request.uri().path().starts_with("/pieces");
        let status = request.uri().path().trim_matches('/').parse().unwrap_or(200);
        let body = if request.uri().path() == "/other" { "9876543210" } else { "0123456789" };
        async move {
            let mut answer = text(status, fields, if status == 304 { "" } else { body });
            if in_pieces {
                let pieces =
                    ["0123", "456", "789"].map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
                let pieces = futures_util::stream::iter(pieces);
                let slow = futures_util::StreamExt::then(pieces, |piece| async move {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    piece
                });
                *answer.body_mut() = StreamBody::new(slow).boxed();
                answer.headers_mut().insert("content-length", "10".parse().unwrap());
            }
            answer
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(settings));
    (rig, upstream, asked)
}

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

/// Nothing made here is in any request that has reached the upstream.
fn assert_unseen(asked: &Mutex<Vec<HeaderMap>>) {
    for headers in asked.lock().iter() {
        assert!(!format!("{headers:?}").contains("sluice-"), "{headers:?}");
    }
}

const FRESH: Fields = &[("cache-control", "max-age=60")];

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_validator_gets_a_tag_that_conditions_and_ranges_understand() {
    for path in ["/acme/c/a", "/acme/c/pieces"] {
        let (rig, upstream, asked) = rig(FRESH, json!({ "make_etags": true })).await;
        rig.get(path, &[]).await;
        let stored = rig.get(path, &[]).await;
        let tag = stored.header("etag").to_owned();
        assert!(tag.starts_with("\"sluice-") && tag.len() == 41, "{tag}");
        let send = async |fields: &[(&str, &str)]| rig.get(path, fields).await;
        for condition in [tag.clone(), format!("\"x\", W/{tag}")] {
            let same = send(&[("if-none-match", &condition)]).await;
            assert_eq!((same.status.as_u16(), same.body.len(), same.header("etag")), (304, 0, &*tag));
        }
        assert_eq!(send(&[("if-none-match", "\"sluice-0\"")]).await.status, 200);
        let part = send(&[("range", "bytes=2-4"), ("if-range", &tag)]).await;
        assert_eq!((part.status.as_u16(), &part.body[..], part.header("etag")), (206, &b"234"[..], &*tag));
        let other = send(&[("range", "bytes=2-4"), ("if-range", "\"sluice-0\"")]).await;
        assert_eq!((other.status.as_u16(), &other.body[..]), (200, &b"0123456789"[..]));
        let head = rig.send(Method::HEAD, path, &[], "").await;
        assert_eq!(head.header("etag"), tag);
        assert_eq!(upstream.count(), 1);
        assert_unseen(&asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_tag_is_of_the_bytes_and_their_coding_and_the_same_wherever_it_is_made() {
    let encoded: Fields = &[("cache-control", "max-age=60"), ("content-encoding", "gzip")];
    let mut tags = Vec::new();
    for (fields, path) in
        [(FRESH, "/acme/c/a"), (FRESH, "/acme/c/pieces"), (encoded, "/acme/c/a"), (FRESH, "/acme/c/other")]
    {
        let (rig, _upstream, _) = rig(fields, json!({ "make_etags": true })).await;
        rig.get(path, &[]).await;
        tags.push(rig.get(path, &[]).await.header("etag").to_owned());
    }
    assert_eq!(tags[0], tags[1], "in one piece and in several");
    assert_ne!(tags[0], tags[2], "another coding is another representation");
    assert_ne!(tags[0], tags[3], "and so are other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tag_is_made_where_the_upstream_has_a_validator_or_the_policy_does_not_ask() {
    let on = json!({ "make_etags": true });
    for (fields, settings, expected) in [
        (FRESH, json!({}), ""),
        (&[("cache-control", "max-age=60"), ("etag", "\"own\"")], on.clone(), "\"own\""),
        (&[("cache-control", "max-age=60"), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], on, ""),
    ] {
        let (rig, _upstream, _) = rig(fields, settings).await;
        for _ in 0..2 {
            assert_eq!(rig.get("/acme/c/a", &[]).await.header("etag"), expected, "{fields:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_never_asked_about_a_tag_that_was_made() {
    let brief: Fields = &[("cache-control", "max-age=1")];
    let (rig, upstream, asked) = rig(brief, json!({ "make_etags": true })).await;
    let tag = rig.get("/acme/c/a", &[]).await.header("etag").to_owned();
    assert!(tag.starts_with("\"sluice-"), "a small response has it at once: {tag}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // Fetched whole, as without a tag; the caller has it already.
    let same = rig.get("/acme/c/a", &[("if-none-match", &tag)]).await;
    assert_eq!((same.status.as_u16(), upstream.count()), (304, 2));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let whole = rig.get("/acme/c/a", &[("range", "bytes=0-1"), ("if-range", &tag)]).await;
    assert_eq!((whole.status.as_u16(), whole.body.len(), upstream.count()), (200, 10, 3));
    let past =
        [("cache-control", "no-store"), ("if-none-match", &*tag), ("if-range", &tag), ("range", "bytes=0-1")];
    assert_eq!(rig.get("/acme/c/a", &past).await.status, 200);
    assert_eq!(upstream.count(), 4);
    assert_unseen(&asked);
    let other = [("cache-control", "no-store"), ("if-none-match", "\"sluice-1\", \"own\"")];
    rig.get("/acme/c/a", &other).await;
    assert_eq!(asked.lock()[4]["if-none-match"], "\"own\"", "the caller's other tags are its own matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_version_that_only_gateways_know_is_fetched_whole_and_another_s_is_the_upstream_s_matter()
{
    let part = |tag| [("range", "bytes=0-1"), ("if-range", tag)];
    for (make, tag, whole) in
        [(true, "\"sluice-1\"", true), (true, "\"own\"", false), (false, "\"sluice-1\"", false)]
    {
        let (rig, _upstream, asked) = rig(FRESH, json!({ "make_etags": make })).await;
        let answer = rig.get("/acme/c/a", &part(tag)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 10));
        assert_eq!(answer.header("cache-status").contains("; stored"), whole, "{make} {tag}");
        assert_eq!(asked.lock()[0].contains_key("if-range"), !whole, "{make} {tag}");
    }
    let (rig, _upstream, asked) = rig(FRESH, json!({})).await;
    rig.get("/acme/c/a", &[("cache-control", "no-store"), ("if-none-match", "\"sluice-1\"")]).await;
    assert_eq!(asked.lock()[0]["if-none-match"], "\"sluice-1\"", "nobody here makes such tags");
}

/// What browsers and CDNs are told, and how old the answer is.
fn told(answer: &Seen) -> [&str; 4] {
    ["cache-control", "expires", "cdn-cache-control", "surrogate-control"].map(|name| answer.header(name))
}

const LOUD: Fields = &[
    ("cache-control", "public, max-age=60"),
    ("expires", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("surrogate-control", "max-age=9"),
];

fn set(directives: &str, within_freshness: bool) -> Value {
    json!({ "mode": "set", "say": { "directives": directives, "within_freshness": within_freshness } })
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_and_cdns_are_told_what_the_policy_says_on_misses_and_hits_alike() {
    let as_said = ["public, max-age=60", "Sun, 06 Nov 1994 08:49:37 GMT", "", "max-age=9"];
    let (remove, keep) = (json!({ "mode": "remove" }), json!({ "mode": "keep" }));
    for (browsers, cdns, expected) in [
        (keep.clone(), keep.clone(), as_said),
        (remove.clone(), keep.clone(), ["", "", "", "max-age=9"]),
        (keep.clone(), remove.clone(), ["public, max-age=60", "Sun, 06 Nov 1994 08:49:37 GMT", "", ""]),
        (set("no-cache", false), set("max-age=600", false), ["no-cache", "", "max-age=600", "max-age=600"]),
        (set("max-age=300, immutable", true), remove, ["max-age=60, immutable", "", "", ""]),
    ] {
        for path in ["/acme/c/a", "/acme/c/pieces"] {
            let settings = json!({ "browsers": browsers, "cdns": cdns });
            let (rig, upstream, _) = rig(LOUD, settings.clone()).await;
            let head = rig.send(Method::HEAD, path, &[], "").await;
            assert_eq!(told(&head), expected, "HEAD before anything is stored: {settings}");
            for round in ["a miss", "a hit", "the block that was written for it"] {
                assert_eq!(told(&rig.get(path, &[]).await), expected, "{round}: {settings}");
            }
            let fields = [("if-none-match", "*")];
            assert_eq!(told(&rig.get(path, &fields).await), expected, "304: {settings}");
            let part = rig.get(path, &[("range", "bytes=0-1")]).await;
            assert_eq!((part.status.as_u16(), told(&part)), (206, expected), "{settings}");
            assert_eq!(upstream.count(), 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_validated_each_time_is_fresh_for_nobody() {
    let strict: Fields = &[("cache-control", "no-cache, max-age=60"), ("etag", "\"a\"")];
    let (rig, _upstream, _) = rig(strict, json!({ "browsers": set("max-age=300", true) })).await;
    assert_eq!(rig.get("/acme/c/a", &[]).await.header("cache-control"), "max-age=0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_past_the_store_is_told_the_same() {
    let (rig, _upstream, _) = rig(LOUD, json!({ "browsers": set("max-age=7", false) })).await;
    for (path, fields) in [
        ("/acme/c/a", [("cache-control", "no-store")]),
        ("/acme/c/206", [("range", "bytes=0-9")]),
        ("/acme/c/304", [("cache-control", "no-store")]),
    ] {
        let answer = rig.get(path, &fields).await;
        assert_eq!(answer.header("cache-status"), "sluice; fwd=bypass", "{path}");
        assert_eq!(told(&answer)[0], "max-age=7", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_the_same_response_are_told_the_same() {
    let settings = json!({ "browsers": set("max-age=7", true) });
    let (rig, upstream, _) = rig(LOUD, settings).await;
    let rig = Arc::new(rig);
    let ask = |_| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.get("/acme/c/pieces", &[]).await })
    };
    for caller in (0..20).map(ask).collect::<Vec<_>>() {
        assert_eq!(told(&caller.await.unwrap())[0], "max-age=7");
    }
    assert!(upstream.count() <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_for_a_stored_response_follows_the_policy_and_soft_purges() {
    let (mut rig, upstream, _) = rig(LOUD, json!({})).await;
    for _ in 0..3 {
        assert_eq!(rig.get("/acme/c/a", &[]).await.header("cache-control"), "public, max-age=60");
    }
    let within = json!({ "browsers": set("max-age=300", true), "stale_while_revalidate_s": 600 });
    let id = rig.api("c", upstream.address, cached(within));
    for _ in 0..2 {
        assert_eq!(rig.get("/acme/c/a", &[]).await.header("cache-control"), "max-age=60", "another release");
    }
    rig.api("c", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/c/a", &[]).await.header("cache-control"), "public, max-age=60", "and back");
    assert_eq!(upstream.count(), 1);

    let within = json!({ "browsers": set("max-age=300", true), "stale_while_revalidate_s": 600 });
    rig.api("c", upstream.address, cached(within));
    rig.get("/acme/c/b", &[]).await;
    rig.get("/acme/c/b", &[]).await;
    let scope = PurgeScope::Api { api: id };
    rig.apply(Change::Purge(Purge {
        id: PurgeId::generate(),
        scope,
        tenant: Some(rig.tenant),
        soft: true,
        changed: false,
    }));
    let stale = rig.get("/acme/c/b", &[]).await;
    let seconds: u64 = stale.header("cache-control").strip_prefix("max-age=").unwrap().parse().unwrap();
    let age: u64 = stale.header("age").parse().unwrap();
    assert!(seconds <= age, "stale here, and for everybody downstream: {seconds} {age}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_s_copy_and_what_may_not_be_stored_are_not_opened_to_others() {
    let settings = json!({ "browsers": set("public, max-age=30", true), "cdns": set("max-age=30", true) });
    let own = [("authorization", "Bearer a")];
    let (rig, _upstream, _) = rig(FRESH, settings.clone()).await;
    for _ in 0..3 {
        let expected = ["private, max-age=30", "", "no-store", "no-store"];
        assert_eq!(told(&rig.get("/acme/c/a", &own).await), expected);
    }
    for said in ["no-store", "private, max-age=60"] {
        let fields: Fields = Box::leak(Box::new([("cache-control", said)]));
        let (rig, _upstream, _) = self::rig(fields, settings.clone()).await;
        for _ in 0..2 {
            assert_eq!(told(&rig.get("/acme/c/a", &[]).await), [said, "", "", ""]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_is_judged_by_the_upstream_s_words_and_not_by_those_that_stand_in_their_place() {
    let revalidated = Arc::new(Mutex::new(0));
    let count = Arc::clone(&revalidated);
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let same = request.headers().contains_key("if-none-match");
        *count.lock() += usize::from(same);
        async move {
            // The 304 says nothing about how long: what was said before holds.
            if same {
                return text(304, &[("etag", "\"a\"")], "");
            }
            text(200, &[("cache-control", "max-age=1"), ("etag", "\"a\"")], "a")
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({ "browsers": set("max-age=600", false) })));
    for round in 0..3 {
        let answer = rig.get("/acme/c/a", &[]).await;
        assert_eq!((answer.header("cache-control"), *revalidated.lock()), ("max-age=600", round));
        tokio::time::sleep(Duration::from_millis(1_300)).await;
    }
}
