//! Warmings, with gateways that say what they are asked to warm.

mod arrivals;
mod jobs;
mod several;
mod sitemaps;
mod warmer;

use std::sync::atomic::Ordering;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use sluice_contract::calls::{Call, CallBatch};
use sluice_contract::ids::{ApiId, BootId, CallId};
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_contract::rest::warmings::{
    GatewayWarmingState, KeptWarmingPlan, Warming, WarmingCause, WarmingPlan, WarmingState,
};
use sluice_contract::warming::{WarmAnswer, WarmReport};
use sluice_store::gateways;
use sluice_store::warmings::{self, Urls, What};
use sluice_testkit::each_database;

use super::simulated::Served;
use crate::publishing::{self, draft, make_api, make_revision};
use warmer::{Warmer, report};

fn cached(settings: Value) -> Value {
    let mut draft = draft();
    draft["policies"] = json!([{"type": "cache", "settings": settings}]);
    draft
}

/// An API that anybody may call and whose responses are stored, released.
async fn released(served: &Served, slug: &str) -> ApiId {
    let mut draft = cached(json!({}));
    draft["access"] = "public".into();
    release(served, slug, draft).await
}

async fn release(served: &Served, slug: &str, draft: Value) -> ApiId {
    let api = make_api(&served.app, slug, draft).await.id;
    let revision = make_revision(&served.app, api).await;
    publishing::release(&served.app, api, revision).await;
    api
}

async fn warm(served: &Served, api: ApiId, paths: &[String]) -> Warming {
    let body = json!({"environment": served.environment, "sources": [{"from": "list", "paths": paths}]});
    served.app.admin.post(&path(served, api, ""), &body).await.expect(201).json()
}

fn path(served: &Served, api: ApiId, rest: &str) -> String {
    served.app.path(&format!("/apis/{api}/warmings{rest}"))
}

fn plan_path(served: &Served, api: ApiId) -> String {
    served.app.path(&format!("/apis/{api}/environments/{}/warming-plan", served.environment))
}

/// The newest warming, once it is as wanted.
async fn newest(served: &Served, api: ApiId, wanted: impl Fn(&Warming) -> bool) -> Warming {
    let begun = std::time::Instant::now();
    loop {
        let page: Page<Warming> = served.app.admin.get(&path(served, api, "")).await.expect(200).json();
        match page.items.into_iter().next() {
            Some(warming) if wanted(&warming) => return warming,
            other => assert!(begun.elapsed().as_secs() < 60, "not so after a minute: {other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn is_done(warming: &Warming) -> bool {
    warming.state == WarmingState::Done
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_is_given_all_urls_a_handful_at_a_time() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let (one, two) =
            (Warmer::start(&served, false, false).await, Warmer::start(&served, false, false).await);
        let api = released(&served, "items").await;
        let paths: Vec<String> = (0..450).map(|number| format!("/items?page={number}")).collect();
        let begun = warm(&served, api, &paths).await;
        assert_eq!((begun.urls, begun.cause, begun.gateways.len()), (450, WarmingCause::Demand, 2));
        let done = newest(&served, api, is_done).await;
        assert_eq!(done.id, begun.id);
        for gateway in &done.gateways {
            assert_eq!((gateway.state, gateway.report.stored), (GatewayWarmingState::Done, 450));
        }
        for warmer in [&one, &two] {
            assert_eq!(warmer.urls(), paths, "each once, in their order");
            assert!(
                warmer.jobs.lock().unwrap().iter().all(|job| job.targets.len() <= 200 && job.position > 0)
            );
        }
        let log: Page<AuditEntry> =
            served.app.admin.get(&served.app.path("/audit?q=create_warming")).await.expect(200).json();
        assert!(log.items.iter().any(|entry| entry.action == "create_warming"), "{log:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gateway_fills_the_second_level_before_the_others_take_from_there() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmers = [Warmer::start(&served, true, true).await, Warmer::start(&served, true, true).await];
        let api = released(&served, "items").await;
        warm(&served, api, &["/a".to_owned(), "/b".to_owned()]).await;
        let goes_on = newest(&served, api, |warming| warming.gateways[0].report.stored == 1).await;
        assert_eq!(goes_on.gateways[1].state, GatewayWarmingState::Waiting);
        let of = |gateway| warmers.iter().find(|warmer| warmer.gateway.id == gateway).unwrap();
        let (first, second) = (of(goes_on.gateways[0].gateway), of(goes_on.gateways[1].gateway));
        assert_eq!((first.urls().len(), second.urls().len()), (2, 0), "the first has not ended");
        first.holds.store(false, Ordering::SeqCst);
        second.holds.store(false, Ordering::SeqCst);
        newest(&served, api, is_done).await;
        assert_eq!(second.urls(), ["/a", "/b"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warming_that_is_cancelled_ends_and_what_was_not_begun_has_not_failed() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let _warmer = Warmer::start(&served, false, true).await;
        let api = released(&served, "items").await;
        // All are one job: what is left of that is not done either.
        let paths: Vec<String> = (0..150).map(|number| format!("/{number}")).collect();
        let begun = warm(&served, api, &paths).await;
        newest(&served, api, |warming| warming.gateways[0].report.stored == 1).await;
        let list = json!([{"from": "list", "paths": ["/a"]}]);
        let again = json!({"environment": served.environment, "sources": list});
        let refused = served.app.admin.post(&path(&served, api, ""), &again).await;
        refused.expect_problem(409, "already_warming");
        let cancel = path(&served, api, &format!("/{}/cancel", begun.id));
        served.app.admin.post(&cancel, &json!({})).await.expect(200);
        let ended = newest(&served, api, |warming| warming.ended_at.is_some()).await;
        assert_eq!(ended.state, WarmingState::Cancelled);
        let gateway = &ended.gateways[0];
        assert_eq!((gateway.state, gateway.report.clone()), (GatewayWarmingState::Cancelled, report(1, 0)));
        served.app.admin.post(&cancel, &json!({})).await.expect_problem(409, "already_ended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warming_that_would_be_of_no_use_is_refused_and_says_why() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let ask = async |api: ApiId, sources: Value| {
            let body = json!({"environment": served.environment, "sources": sources});
            served.app.admin.post(&path(&served, api, ""), &body).await
        };
        let list = || json!([{"from": "list", "paths": ["/items"]}]);
        let fresh = make_api(&served.app, "fresh", cached(json!({}))).await.id;
        ask(fresh, list()).await.expect_problem(409, "not_live");
        let plain = release(&served, "plain", draft()).await;
        ask(plain, list()).await.expect_problem(409, "not_cached");
        let apart = release(&served, "apart", cached(json!({}))).await;
        ask(apart, list()).await.expect_problem(409, "not_shared");
        let sharing = cached(json!({"shared": true, "confirmed": ["shared"]}));
        let shared = release(&served, "shared", sharing).await;
        ask(shared, list()).await.expect_problem(409, "no_gateway");
        ask(shared, json!([])).await.expect_problem(409, "no_urls");
        for paths in [json!([]), json!(["items"]), json!(["/a b"]), json!(["/a#b"])] {
            let wrong = ask(shared, json!([{"from": "list", "paths": paths}])).await;
            assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, "/sources/0/paths");
        }
        let viewer = served.app.member(&[Role::Viewer]).await;
        let body = json!({"environment": served.environment, "sources": list()});
        viewer.post(&path(&served, shared, ""), &body).await.expect_problem(403, "forbidden");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_carried_out_after_a_release_and_when_its_time_has_come() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let reply = served.app.admin.get(&plan_path(&served, api)).await.expect(200);
        assert_eq!(reply.json::<KeptWarmingPlan>().version, 0);
        let mut plan = json!({"sources": [{"from": "list", "paths": ["/items"]}], "on_release": true});
        let saved = served.app.admin.put(&plan_path(&served, api), &reply.etag(), &plan).await.expect(200);
        assert_eq!(saved.json::<KeptWarmingPlan>().next_run_at, None);
        publishing::release(&served.app, api, 1).await;
        let done = newest(&served, api, is_done).await;
        assert_eq!((done.cause, done.created_by.as_str()), (WarmingCause::Release, "system"));
        assert_eq!(warmer.urls(), ["/items"], "once for one release, and none for what was live before");
        plan["on_release"] = false.into();
        plan["schedule"] = json!({"at": "every", "minutes": 5});
        let saved = served.app.admin.put(&plan_path(&served, api), &saved.etag(), &plan).await.expect(200);
        let next = saved.json::<KeptWarmingPlan>().next_run_at.unwrap();
        assert!(next > sluice_store::now(), "{next}");
        // As if no control plane had run for some time.
        make_due(&served).await;
        let scheduled = |warming: &Warming| warming.cause == WarmingCause::Schedule && is_done(warming);
        newest(&served, api, scheduled).await;
        let kept: KeptWarmingPlan = served.app.admin.get(&plan_path(&served, api)).await.expect(200).json();
        assert!(kept.next_run_at.unwrap() > sluice_store::now(), "what was missed is made up for once");
        assert_eq!(warmer.urls(), ["/items", "/items"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_deleted_is_carried_out_no_more_and_its_versions_count_on() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let path = plan_path(&served, api);
        let admin = &served.app.admin;
        admin.delete_if(&path, "\"0\"").await.expect_problem(404, "not_found");
        let fresh = admin.get(&path).await.expect(200).etag();
        let list = json!([{"from": "list", "paths": ["/items"]}]);
        let plan = json!({"sources": list, "on_release": true, "schedule": {"at": "every", "minutes": 5}});
        let saved = admin.put(&path, &fresh, &plan).await.expect(200).etag();
        let viewer = served.app.member(&[Role::Viewer]).await;
        viewer.delete_if(&path, &saved).await.expect_problem(403, "forbidden");
        admin.delete_if(&path, &fresh).await.expect_problem(412, "stale_version");
        admin.delete_if(&path, &saved).await.expect(204);
        let kept: KeptWarmingPlan = admin.get(&path).await.expect(200).json();
        assert_eq!((kept.plan, kept.next_run_at, kept.version), (WarmingPlan::default(), None, 2));
        admin.put(&path, &saved, &plan).await.expect_problem(412, "stale_version");
        publishing::release(&served.app, api, 1).await;
        // One that is asked for later comes after one that the release would have begun.
        warm(&served, api, &["/later".to_owned()]).await;
        newest(&served, api, is_done).await;
        assert_eq!(warmer.urls(), ["/later"]);
        let log: Page<AuditEntry> =
            admin.get(&served.app.path("/audit?q=delete_warming_plan")).await.expect(200).json();
        assert!(log.items.iter().any(|entry| entry.action == "delete_warming_plan"), "{log:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_too_long_for_any_gateway_fails_and_the_rest_is_warmed() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let long = format!("/{}", "a".repeat(50 << 10));
        let what = What {
            tenant: served.app.tenant,
            api,
            environment: served.environment,
            cause: WarmingCause::Demand,
            only: None,
        };
        let urls = Urls { paths: vec!["/first".to_owned(), long, "/last".to_owned()], ..Urls::default() };
        let tx = served.store().begin().await.unwrap();
        let plan = WarmingPlan::default();
        warmings::create(&tx, &sluice_store::audit::Actor::system(), what, &plan, &urls).await.unwrap();
        tx.commit().await.unwrap();
        let done = newest(&served, api, is_done).await;
        let report = &done.gateways[0].report;
        assert_eq!((report.stored, report.failed, report.done()), (2, 1, 3), "{report:?}");
        assert_eq!(report.reasons.get("too_long"), Some(&1));
        assert_eq!(warmer.urls(), ["/first", "/last"]);
    })
    .await;
}

async fn make_due(served: &Served) {
    let tx = served.store().begin().await.unwrap();
    let past = "UPDATE warming_plans SET next_run_at = '2026-01-01 00:00:00+00:00'";
    tx.execute_unprepared(past).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_most_is_warmed_first() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let call = |path: &str, query: Option<&str>, method: &str, status: u16, hours: i64| -> Call {
            serde_json::from_value(json!({
                "id": CallId::generate(), "at": sluice_store::now() - chrono::TimeDelta::hours(hours),
                "tenant": served.app.tenant, "api": api, "route": "listItems", "method": method, "host": "x",
                "path": path, "query": query, "status": status, "application": null, "credential": null,
                "subscription": null, "plan": null, "cache": "miss", "duration_us": 1, "bytes_in": 0,
                "bytes_out": 0, "client_ip": "192.0.2.1", "request_id": "r",
            }))
            .unwrap()
        };
        let tenant: Value = served.app.admin.get(&served.app.path("")).await.expect(200).json();
        let base = format!("/{}/items", tenant["slug"].as_str().unwrap());
        let items = format!("{base}/items");
        let mut calls = Vec::new();
        calls.extend((0..3).map(|_| call(&items, Some("page=1"), "GET", 200, 1)));
        calls.extend((0..2).map(|_| call(&items, None, "GET", 204, 1)));
        calls.extend((0..9).map(|_| call(&format!("{base}/gone"), None, "GET", 404, 1)));
        calls.extend((0..9).map(|_| call(&format!("{base}/made"), None, "POST", 200, 1)));
        calls.extend((0..9).map(|_| call(&format!("{base}/old"), None, "GET", 200, 30)));
        calls.push(call(&format!("{base}/seldom"), None, "GET", 200, 1));
        let batch =
            CallBatch { boot: BootId::generate(), sequence: 1, calls, rollups: Vec::new(), dropped: 0 };
        let telemetry = &served.app.app.telemetry;
        telemetry.store_batch(warmer.gateway.id, served.environment, &batch).await.unwrap();
        let body = json!({"environment": served.environment, "sources": [{"from": "top", "count": 2}]});
        served.app.admin.post(&path(&served, api, ""), &body).await.expect(201);
        newest(&served, api, is_done).await;
        assert_eq!(warmer.urls(), ["/items?page=1", "/items"]);
    })
    .await;
}
