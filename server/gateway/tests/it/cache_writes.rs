//! Responses to changes that take the place of what is stored, where the policy says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sluice_contract::ids::PurgeId;
use sluice_contract::journal::{Change, Purge, PurgeScope};
use tokio::sync::Semaphore;

use crate::support::{Rig, Upstream, eventually, exchange, text};

/// A gateway with `/acme/c`, whose upstream counts in its body and answers changes as the path says: `/{status}/{named}`.
async fn rig(settings: Value) -> (Rig, Upstream) {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let path = request.uri().path().to_owned();
        let changes = request.method() != Method::GET;
        async move {
            let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
            let status = if changes { parts[0].parse().unwrap() } else { 200 };
            let named = match parts[1] {
                "own" => path.as_str(),
                "other" => "/200/elsewhere",
                _ => "",
            };
            let mut fields = vec![("cache-control", "max-age=60"), ("vary", "accept")];
            if changes && !named.is_empty() {
                fields.push(("content-location", named));
            }
            if status == 201 {
                fields.push(("location", &path));
            }
            let body = if parts[1] == "empty" { String::new() } else { number.to_string() };
            text(status, &fields, body)
        }
    })
    .await;
    let mut rig = Rig::start();
    let policies = json!({ "policies": [{ "type": "cache", "settings": settings }] });
    rig.api("c", upstream.address, policies);
    (rig, upstream)
}

/// Whether a GET that was stored is answered by the response to the change afterwards; if not it is fetched anew.
async fn replaces(mode: &str, method: Method, path: &str) -> bool {
    let (rig, upstream) = rig(json!({ "write_through": mode })).await;
    let path = format!("/acme/c{path}");
    assert_eq!(rig.get(&path, &[]).await.body.len(), usize::from(!path.contains("empty")));
    let change = rig.send(method, &path, &[], "x").await;
    assert_eq!(change.status.as_str(), &path[8..11], "the caller sees the status of the change");
    let location = if change.status == 201 { path.strip_prefix("/acme/c").unwrap() } else { "" };
    assert_eq!(change.header("location"), location, "the caller sees what was created");
    let stored = change.header("cache-status").contains("; stored;");
    let after = rig.get(&path, &[]).await;
    assert_eq!(after.status, 200);
    assert_eq!(after.header("location"), "", "a GET has not created anything");
    assert_eq!(upstream.count(), if stored { 2 } else { 3 });
    assert_eq!(after.body == change.body && after.header("cache-status").contains("hit"), stored);
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_change_replaces_what_is_stored_where_the_policy_says_so() {
    use Method as M;
    for (method, path, explicit, named, always) in [
        (M::PUT, "/200/own", false, true, true),
        (M::PUT, "/200/unnamed", false, false, true),
        (M::PUT, "/200/other", false, false, false),
        (M::PUT, "/201/own", false, true, true),
        (M::PUT, "/201/unnamed", false, false, true),
        (M::PUT, "/202/own", false, false, false),
        (M::PUT, "/200/empty", false, false, false),
        (M::POST, "/200/own", true, true, true),
        (M::POST, "/200/unnamed", false, false, true),
        (M::POST, "/201/own", false, true, false),
        (M::POST, "/201/unnamed", false, false, false),
        (M::PUT, "/200/own?x=1", false, false, false),
        (M::POST, "/500/own", false, false, false),
        (M::PATCH, "/200/own", false, true, true),
        (M::DELETE, "/200/own", false, false, false),
    ] {
        if path.starts_with("/500") {
            let (rig, upstream) = rig(json!({ "write_through": "always" })).await;
            rig.get("/acme/c/500/own", &[]).await;
            rig.send(method, "/acme/c/500/own", &[], "x").await;
            rig.get("/acme/c/500/own", &[]).await;
            assert_eq!(upstream.count(), 2, "what failed has changed nothing");
            continue;
        }
        for (mode, expected) in [("explicit", explicit), ("named", named), ("always", always)] {
            assert_eq!(replaces(mode, method.clone(), path).await, expected, "{mode} {method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_change_is_for_those_who_would_have_got_it() {
    let (rig, upstream) = rig(json!({ "write_through": "always" })).await;
    let json_wanted = ("accept", "application/json");
    let one = [("authorization", "Bearer one"), json_wanted];
    rig.send(Method::PUT, "/acme/c/200/own", &one, "x").await;
    assert_eq!(rig.get("/acme/c/200/own", &one).await.body, "1", "their own copy");
    assert_eq!(rig.get("/acme/c/200/own", &[("authorization", "Bearer two"), json_wanted]).await.body, "2");
    let other = [("authorization", "Bearer one"), ("accept", "text/html")];
    assert_eq!(rig.get("/acme/c/200/own", &other).await.body, "3", "another variant");
    assert_eq!(upstream.count(), 3);
    // Two's change forgets the copies of everybody.
    rig.send(Method::PUT, "/acme/c/200/own", &[("authorization", "Bearer two")], "x").await;
    assert_eq!(rig.get("/acme/c/200/own", &one).await.body, "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_post_is_stored_without_the_policy_s_word_only_for_a_lifetime_of_its_own() {
    const LONG: &str = "Thu, 31 Dec 2099 23:59:59 GMT";
    for (field, targeted, expected) in [
        (("x-none", ""), "", false),
        (("cache-control", "max-age=60"), "", true),
        (("cache-control", "s-maxage=60"), "", true),
        (("cache-control", "public"), "", false),
        (("expires", LONG), "", true),
        // Where there is a targeted field `Expires` does not count.
        (("expires", LONG), "public", false),
        (("expires", LONG), "max-age=60", true),
    ] {
        let upstream = Upstream::new(move |_| async move {
            let fields = [field, ("content-location", "/own"), ("cdn-cache-control", targeted)];
            text(200, if targeted.is_empty() { &fields[..2] } else { &fields }, "x")
        })
        .await;
        let mut rig = Rig::start();
        let settings = json!({ "ttl_s": 60 });
        rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
        let change = rig.send(Method::POST, "/acme/c/own", &[], "x").await;
        assert_eq!(change.header("cache-status").contains("; stored;"), expected, "{field:?} {targeted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_the_upstream_gives_a_change_stays() {
    let upstream = Upstream::new(|_| async {
        let fields = [("cache-control", "max-age=60"), ("etag", "\"own\""), ("content-location", "/a")];
        text(200, &fields, "x")
    })
    .await;
    let mut rig = Rig::start();
    let settings = json!({ "write_through": "named" });
    rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    let change = rig.send(Method::PUT, "/acme/c/a", &[], "x").await;
    assert!(change.header("cache-status").contains("; stored;"), "{change:?}");
    assert_eq!(change.header("etag"), "\"own\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_tag_is_said_of_what_a_change_left_and_not_of_the_change() {
    let (rig, upstream) = rig(json!({ "write_through": "named", "make_etags": true })).await;
    assert_eq!(rig.send(Method::PUT, "/acme/c/201/own", &[], "x").await.header("etag"), "");
    assert!(rig.get("/acme/c/201/own", &[]).await.header("etag").starts_with("\"sluice-"));
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_stored_is_not_stored_of_a_change_either() {
    let settings =
        json!({ "write_through": "always", "forbidden": [{ "what": "pattern", "expression": "[0-9]" }] });
    let (rig, _upstream) = rig(settings).await;
    let change = rig.send(Method::PUT, "/acme/c/200/own", &[], "x").await;
    assert_eq!(change.header("cache-status"), "sluice; fwd=method; detail=forbidden:pattern");
    assert_eq!(rig.shared.cache.entries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_change_is_not_stored_where_the_request_forbids_it_or_nothing_is_heard() {
    const NO_STORE: (&str, &str) = ("cache-control", "no-store");
    for (settings, field, heard, expected) in [
        (json!({}), ("x-own", "1"), true, true),
        (json!({}), NO_STORE, true, false),
        (json!({ "strong_consistency": true }), ("x-own", "1"), true, false),
        (json!({}), ("x-own", "1"), false, false),
    ] {
        let mut whole = json!({ "write_through": "always" });
        whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let (rig, _upstream) = rig(whole).await;
        rig.shared.switches.link_stale.store(!heard, Ordering::Relaxed);
        let change = rig.send(Method::PUT, "/acme/c/200/own", &[field], "x").await;
        let stored = change.header("cache-status").contains("; stored");
        assert_eq!(stored, expected, "{settings} {field:?}, heard: {heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_change_that_was_purged_while_it_was_made_is_not_stored() {
    for purged in [false, true] {
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let upstream = Upstream::new(move |_| {
            let gate = Arc::clone(&opened);
            async move {
                gate.acquire().await.unwrap().forget();
                text(200, &[("cache-control", "max-age=60")], "x")
            }
        })
        .await;
        let mut rig = Rig::start();
        let settings = json!({ "write_through": "always" });
        let api = rig.api(
            "c",
            upstream.address,
            json!({ "policies": [{ "type": "cache", "settings": settings }] }),
        );
        let request = http::Request::put("/acme/c/a").header("host", "gateway.test");
        let request = request.body(http_body_util::Full::from("x")).unwrap();
        let change = tokio::spawn(exchange(rig.address(), request));
        eventually("the change is on its way", async || upstream.count() == 1).await;
        if purged {
            let scope = PurgeScope::Api { api };
            let tenant = Some(rig.tenant);
            rig.apply(Change::Purge(Purge {
                id: PurgeId::generate(),
                scope,
                tenant,
                soft: false,
                changed: false,
            }));
        }
        gate.add_permits(1);
        let status = change.await.unwrap().headers()["cache-status"].to_str().unwrap().to_owned();
        assert_eq!(status.contains("; stored"), !purged, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_change_that_created_nothing_points_to_is_stored_with_it() {
    let upstream = Upstream::new(|_| async {
        text(200, &[("cache-control", "max-age=60"), ("location", "/elsewhere")], "x")
    })
    .await;
    let mut rig = Rig::start();
    let settings = json!({ "write_through": "always" });
    rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    let change = rig.send(Method::PUT, "/acme/c/a", &[], "x").await;
    let stored = rig.get("/acme/c/a", &[]).await;
    assert!(stored.header("cache-status").contains("hit"), "{stored:?}");
    assert_eq!([change.header("location"), stored.header("location")], ["/elsewhere"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_question_in_a_body_gets_no_tag() {
    let (rig, _) = rig(json!({ "make_etags": true, "post_max_body_bytes": 100 })).await;
    for (method, body, tagged) in [(Method::GET, "", true), (Method::POST, "what?", false)] {
        for how in ["fetched", "stored"] {
            let seen = rig.send(method.clone(), "/acme/c/200/unnamed", &[], body).await;
            assert_eq!(!seen.header("etag").is_empty(), tagged, "{method}, {how}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_forgets_what_was_stored_of_its_url_while_the_policy_chose_queries_otherwise() {
    let (mut rig, upstream) = rig(json!({})).await;
    let release = |rig: &mut Rig, settings: Value| {
        rig.revision += 1;
        rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    };
    let path = "/acme/c/200/unnamed?x=1";
    assert_eq!(rig.get(path, &[]).await.body, "1");
    release(&mut rig, json!({ "query": { "mode": "only", "names": ["y"] } }));
    rig.send(Method::PUT, path, &[], "x").await;
    release(&mut rig, json!({}));
    assert_eq!(rig.get(path, &[]).await.body, "3");
}
