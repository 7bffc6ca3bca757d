//! Warming: what a gateway asks of itself is what its callers find.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, TenantId, WarmJobId};
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::warming::{AsCallers, Pace, WarmAnswer, WarmAsk, WarmHeader, WarmJob, WarmReport};
use sluice_gateway::questions::answer;

use crate::support::{Rig, Upstream, eventually, text};

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

fn with_key(settings: Value) -> Value {
    let mut definition = cached(settings);
    definition["access"] = "subscription".into();
    definition
}

fn job(api: ApiId, targets: &[&str]) -> WarmJob {
    WarmJob {
        api,
        position: 0,
        targets: targets.iter().map(ToString::to_string).collect(),
        as_callers: as_callers("http://gateway.test"),
        renew_s: 0,
        pace: Pace { per_second: 1_000, concurrency: 8 },
        within_ms: 20_000,
    }
}

fn as_callers(address: &str) -> AsCallers {
    AsCallers { address: Some(address.to_owned()), headers: Vec::new() }
}

async fn ask(rig: &Rig, job: WarmJobId, what: WarmAsk) -> WarmAnswer {
    match answer(&rig.shared, rig.tenant, Ask::Warm { job, what }).await {
        Reply::Warm { answer } => answer,
        other => panic!("another answer: {other:?}"),
    }
}

async fn begin(rig: &Rig, job: WarmJob) -> (WarmJobId, WarmAnswer) {
    let id = WarmJobId::generate();
    (id, ask(rig, id, WarmAsk::Begin(Box::new(job))).await)
}

async fn ended(rig: &Rig, id: WarmJobId) -> WarmReport {
    loop {
        match ask(rig, id, WarmAsk::Look).await {
            WarmAnswer::Done(report) => return report,
            WarmAnswer::Running(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            other => panic!("not warmed: {other:?}"),
        }
    }
}

async fn warm(rig: &Rig, job: WarmJob) -> WarmReport {
    let (id, begun) = begin(rig, job).await;
    assert!(matches!(begun, WarmAnswer::Running(_) | WarmAnswer::Done(_)), "{begun:?}");
    ended(rig, id).await
}

fn reasons(report: &WarmReport) -> Vec<(&str, u64)> {
    report.reasons.iter().map(|(reason, count)| (&**reason, *count)).collect()
}

async fn fresh() -> Upstream {
    Upstream::new(async |_| text(200, &[("cache-control", "max-age=60")], "body")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_call_of_a_caller_is_a_hit_once_its_url_was_warmed() {
    let upstream = fresh().await;
    let mut rig = Rig::start();
    let api = rig.api("warm", upstream.address, cached(json!({})));
    let report = warm(&rig, job(api, &["/a", "/b?x=1"])).await;
    assert_eq!((report.stored, report.done()), (2, 2), "{report:?}");
    for path in ["/acme/warm/a", "/acme/warm/b?x=1"] {
        let seen = rig.get(path, &[]).await;
        assert!(seen.header("cache-status").contains("hit"), "{path}: {}", seen.header("cache-status"));
    }
    assert_eq!(upstream.count(), 2);
    let again = warm(&rig, job(api, &["/a"])).await;
    assert_eq!((again.held, upstream.count()), (1, 2), "what is fresh is not fetched anew");
    let told = crate::cache_inside::look_up(&rig, api, "/a", rig.tenant).await;
    assert_eq!(told.entries[0].hits, Some(1), "what warms is nobody's call");
}

#[tokio::test(flavor = "multi_thread")]
async fn warming_is_neither_recorded_nor_charged() {
    let upstream = fresh().await;
    let mut rig = Rig::start();
    let limited = json!({ "policies": [
        { "type": "cache", "settings": {} },
        { "type": "rate-limit", "settings": { "requests": 1, "period_s": 3600 } },
    ] });
    let api = rig.api("warm", upstream.address, limited);
    let report = warm(&rig, job(api, &["/a", "/b", "/c"])).await;
    assert_eq!(report.stored, 3, "{report:?}");
    let seen = rig.get("/acme/warm/a", &[]).await;
    assert_eq!(seen.status, 200, "the only call that the limit allows is left");
    assert_eq!(rig.calls(1).await.len(), 1, "the caller's");
    assert_eq!(rig.shared.recorders.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_needs_keys_is_warmed_only_where_its_policy_shares() {
    let upstream = fresh().await;
    let mut rig = Rig::start();
    let apart = rig.api("apart", upstream.address, with_key(json!({})));
    let shared = rig.api("shared", upstream.address, with_key(json!({ "shared": true })));
    rig.key("k1", &[apart, shared]);
    let report = warm(&rig, job(apart, &["/a"])).await;
    assert_eq!((report.skipped, reasons(&report)), (1, vec![("not_shared", 1)]));
    assert_eq!(upstream.count(), 0, "what would be of no use is not asked for");
    let report = warm(&rig, job(shared, &["/a"])).await;
    assert_eq!(report.stored, 1, "{report:?}");
    let seen = rig.get("/acme/shared/a", &[("x-api-key", "k1")]).await;
    assert!(seen.header("cache-status").contains("hit"), "{}", seen.header("cache-status"));
    let refused = rig.get("/acme/shared/a", &[]).await;
    assert_eq!(refused.status, 401, "callers need their keys as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_warmed_is_counted_with_its_reason() {
    let upstream = Upstream::new(async |request| match request.uri().path() {
        "/broken" => text(500, &[], "no"),
        "/private" => text(200, &[("cache-control", "private, max-age=60")], "mine"),
        _ => text(200, &[("cache-control", "max-age=60")], "body"),
    })
    .await;
    let mut rig = Rig::start();
    let api = rig.api("warm", upstream.address, cached(json!({})));
    let plain = rig.api("plain", upstream.address, json!({}));
    let strong = rig.api("strong", upstream.address, cached(json!({ "strong_consistency": true })));
    let gone = rig.api("gone", ([127, 0, 0, 1], 1).into(), cached(json!({})));
    let report = warm(&rig, job(api, &["/broken", "/private", "/%zz", "/a"])).await;
    assert_eq!((report.stored, report.failed, report.skipped), (1, 2, 1), "{report:?}");
    assert_eq!(reasons(&report), [("invalid_path", 1), ("not_storable", 1), ("status_500", 1)]);
    assert_eq!(reasons(&warm(&rig, job(plain, &["/a"])).await), [("not_cached", 1)]);
    assert_eq!(reasons(&warm(&rig, job(strong, &["/a"])).await), [("never_stored", 1)]);
    assert_eq!(reasons(&warm(&rig, job(gone, &["/a"])).await), [("upstream_refused", 1)]);
    assert_eq!(begin(&rig, job(ApiId::generate(), &["/a"])).await.1, WarmAnswer::UnknownApi);
    rig.tenant = TenantId::generate();
    assert_eq!(begin(&rig, job(api, &["/a"])).await.1, WarmAnswer::UnknownApi, "it is another tenant's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_cannot_lead_to_another_api() {
    let (upstream, other) = (fresh().await, fresh().await);
    let mut rig = Rig::start();
    let api = rig.api("warm", upstream.address, cached(json!({})));
    rig.api("other", other.address, cached(json!({})));
    let report = warm(&rig, job(api, &["/../other/a", "/%2e%2e/other/b", "/x/../../other/c"])).await;
    assert_eq!(report.done(), 3);
    assert_eq!(other.count(), 0);
    assert_eq!(rig.get("/acme/warm/other/a", &[]).await.status, 200);
    assert_eq!(upstream.count(), 3, "they were paths of the API itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_to_the_pace_and_to_the_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, seen) = (Arc::clone(&now), Arc::clone(&most));
    let upstream = Upstream::new(move |request| {
        let (inside, seen) = (Arc::clone(&inside), Arc::clone(&seen));
        async move {
            seen.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let pause = if request.uri().path() == "/never" { 60_000 } else { 30 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            text(200, &[("cache-control", "max-age=60")], "body")
        }
    })
    .await;
    let mut rig = Rig::start();
    let api = rig.api("warm", upstream.address, cached(json!({})));
    let begun = Instant::now();
    let targets = ["/1", "/2", "/3", "/4", "/5", "/6"];
    let slowly = WarmJob { pace: Pace { per_second: 20, concurrency: 8 }, ..job(api, &targets) };
    assert_eq!(warm(&rig, slowly).await.stored, 6);
    assert!(begun.elapsed() >= Duration::from_millis(250), "20 a second: the sixth begins after 250 ms");
    let targets: Vec<String> = (10..30).map(|number| format!("/{number}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    most.store(0, Ordering::SeqCst);
    let two = WarmJob { pace: Pace { per_second: 10_000, concurrency: 2 }, ..job(api, &targets) };
    assert_eq!(warm(&rig, two).await.stored, 20);
    assert_eq!(most.load(Ordering::SeqCst), 2, "two at a time, and no fewer when there is time");
    let pace = Pace { per_second: 1_000, concurrency: 1 };
    let late = WarmJob { pace, within_ms: 300, ..job(api, &["/never", "/31", "/32"]) };
    let report = warm(&rig, late).await;
    assert_eq!(reasons(&report), [("timed_out", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_callers_send_tells_stored_responses_apart() {
    let upstream =
        Upstream::new(async |_| text(200, &[("cache-control", "max-age=60"), ("vary", "accept")], "body"))
            .await;
    let mut rig = Rig::start();
    rig.settings(json!({ "trusted_proxies": ["127.0.0.0/8"] }));
    let api = rig.api("warm", upstream.address, cached(json!({})));
    let header = WarmHeader { name: "accept".to_owned(), value: "text/html".to_owned() };
    let html = AsCallers { headers: vec![header], ..as_callers("https://gateway.test") };
    let report = warm(&rig, WarmJob { as_callers: html, ..job(api, &["/a"]) }).await;
    assert_eq!(report.stored, 1, "{report:?}");
    let over_https = ("x-forwarded-proto", "https");
    for (headers, hit) in [
        (&[("accept", "text/html"), over_https][..], true),
        (&[("accept", "text/plain"), over_https], false),
        (&[("accept", "text/html")], false),
        (&[("accept", "text/html"), ("host", "other.test"), over_https], false),
    ] {
        let seen = rig.get("/acme/warm/a", headers).await;
        assert_eq!(seen.header("cache-status").contains("hit"), hit, "{headers:?}");
    }
    let mut own = cached(json!({}));
    own["hosts"] = json!(["own.test"]);
    let api = rig.api("own", upstream.address, own);
    let report = warm(&rig, WarmJob { as_callers: AsCallers::default(), ..job(api, &["/a"]) }).await;
    assert_eq!(report.stored, 1, "{report:?}");
    let seen = rig.get("/a", &[("host", "own.test")]).await;
    assert!(seen.header("cache-status").contains("hit"), "{}", seen.header("cache-status"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_be_stale_too_soon_is_fetched_anew_whatever_callers_may_ask_for() {
    for settings in [json!({}), json!({ "caller_directives": "ignore" })] {
        let upstream = fresh().await;
        let mut rig = Rig::start();
        let api = rig.api("warm", upstream.address, cached(settings));
        assert_eq!(warm(&rig, job(api, &["/a"])).await.stored, 1);
        assert_eq!(warm(&rig, WarmJob { renew_s: 10, ..job(api, &["/a"]) }).await.held, 1);
        let renewed = warm(&rig, WarmJob { renew_s: 600, ..job(api, &["/a"]) }).await;
        assert_eq!((renewed.stored, upstream.count()), (1, 2), "{renewed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_behind_says_so() {
    let upstream = fresh().await;
    let mut rig = Rig::start();
    let api = rig.api("warm", upstream.address, cached(json!({})));
    let ahead = WarmJob { position: 1_000, ..job(api, &["/a"]) };
    assert_eq!(begin(&rig, ahead).await.1, WarmAnswer::Behind);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_stopped_begins_no_more_requests() {
    let upstream = fresh().await;
    let mut rig = Rig::start();
    let api = rig.api("warm", upstream.address, cached(json!({})));
    let targets: Vec<String> = (0..100).map(|number| format!("/{number}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let slowly = WarmJob { pace: Pace { per_second: 10, concurrency: 1 }, ..job(api, &targets) };
    let (id, _) = begin(&rig, slowly.clone()).await;
    eventually("the first is stored", async || match ask(&rig, id, WarmAsk::Look).await {
        WarmAnswer::Running(report) => report.stored > 0,
        other => panic!("it goes on: {other:?}"),
    })
    .await;
    ask(&rig, id, WarmAsk::Begin(Box::new(slowly))).await;
    ask(&rig, id, WarmAsk::Stop).await;
    let report = ended(&rig, id).await;
    assert_eq!(report.done(), 100, "{report:?}");
    assert!(report.reasons["stopped"] > 0, "{report:?}");
    // One may have been under way.
    let most = report.stored + 1;
    assert!(upstream.count() as u64 <= most, "it was begun once, and nothing after its end: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_warmed_for_callers_over_https_is_found_by_them_alone() {
    let upstream = fresh().await;
    let mut rig = Rig::start();
    let api = rig.api("w", upstream.address, cached(json!({})));
    let report =
        warm(&rig, WarmJob { as_callers: as_callers("https://gateway.test"), ..job(api, &["/a"]) }).await;
    for https in [true, false] {
        let request = json!({ "host": "gateway.test", "path": "/a", "https": https });
        let explained = crate::cache_explained::explain(&rig, api, rig.tenant, request).await;
        assert_eq!(explained.keys[0].entry.is_some(), https, "{report:?}");
    }
}
