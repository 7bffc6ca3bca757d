//! What caching would bring: told from the calls of an API, for its routes.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sluice_contract::calls::{CacheOutcome, CacheSign, Call};
use sluice_contract::ids::{ApiId, ApplicationId, BootId, GatewayId};
use sluice_contract::link::CacheEvictions;
use sluice_contract::rest::apis::Api;
use sluice_contract::rest::cache_advice::{CacheAdvice, CacheRisk, RouteAdvice};
use sluice_contract::rest::users::Role;
use sluice_store::telemetry::MemorySample;
use sluice_testkit::calls::call;
use sluice_testkit::{TestApp, each_database};

use crate::calls::store;
use crate::publishing::make_api;

async fn advice(app: &TestApp, api: ApiId, query: &str) -> CacheAdvice {
    app.admin.get(&app.path(&format!("/apis/{api}/cache-advice?{query}"))).await.expect(200).json()
}

/// Calls of a route, so many each second, path after path.
fn calls(app: &TestApp, api: ApiId, route: &str, start: DateTime<Utc>, paths: &[String]) -> Vec<Call> {
    let one = |(i, path): (usize, &String)| {
        let mut call = call(app.tenant, api, start + TimeDelta::milliseconds(100 * i as i64));
        (call.route, call.path) = (Some(route.to_owned()), path.clone());
        (call.upstream_us, call.bytes_out, call.cache) = (Some(20_000), 9_000, CacheOutcome::Uncached);
        call
    };
    paths.iter().enumerate().map(one).collect()
}

fn of<'a>(advice: &'a CacheAdvice, route: &str) -> &'a RouteAdvice {
    advice.routes.iter().find(|it| it.route == route).unwrap()
}

#[tokio::test]
async fn a_route_that_would_gain_is_told_from_one_that_would_not() {
    each_database(|app| async move {
        let cache = json!([{ "type": "cache", "settings": { "ttl_s": 60 } }]);
        let draft = json!({
            "routes": [
                {"id": "prices", "methods": ["GET"], "path": "/prices/{id}"},
                {"id": "search", "methods": ["GET"], "path": "/search/{id}"},
                {"id": "covered", "methods": ["GET"], "path": "/covered/{id}", "policies": cache},
                {"id": "seldom", "methods": ["GET"], "path": "/seldom"}
            ],
            "upstreams": [{"name": "main", "targets": [{"url": "http://127.0.0.1:9"}]}]
        });
        let api = make_api(&app, "shop", draft).await.id;
        let start = Utc::now() - TimeDelta::minutes(10);
        // 400 calls over 40 s for four prices, and as many for what is never asked for again.
        let prices: Vec<_> = (0..400).map(|i| format!("/acme/shop/prices/{}", i % 4)).collect();
        let search: Vec<_> = (0..400).map(|i| format!("/acme/shop/search/{i}")).collect();
        let mut all = calls(&app, api, "prices", start, &prices);
        all.extend(calls(&app, api, "search", start, &search));
        all.extend(calls(&app, api, "seldom", start, &prices[..19]));
        let mut covered = calls(&app, api, "covered", start, &prices);
        covered.iter_mut().skip(4).for_each(|call| call.cache = CacheOutcome::Hit);
        covered[0].method = "POST".to_owned();
        all.extend(covered);
        store(&app, all).await;

        let found = advice(&app, api, "").await;
        assert_eq!((found.calls, found.truncated), (1_218, false));
        assert!(found.memory_bytes > 0);
        let names: Vec<_> = found.routes.iter().map(|route| route.route.as_str()).collect();
        assert_eq!(names, ["prices", "covered", "search"], "by what they would save, without the seldom one");
        let prices = of(&found, "prices");
        assert_eq!((prices.calls, prices.origin_us, prices.covered), (400, Some(20_000), false));
        let lifetimes: Vec<_> = prices.choices.iter().map(|choice| choice.ttl_s).collect();
        assert_eq!(lifetimes, [5, 15], "of a minute nothing is known");
        // Four prices, each fetched every 5 s: about 32 of 400; every 15 s: 12.
        let [five, fifteen] = &prices.choices[..] else { panic!("{prices:?}") };
        assert!((0.90..0.94).contains(&five.hit_ratio), "{five:?}");
        assert!((0.96..0.98).contains(&fifteen.hit_ratio), "{fifteen:?}");
        assert_eq!(prices.ttl_s, Some(5), "the shortest that is nearly as good");
        assert_eq!(five.memory_bytes, 4 * 10_500, "bodies and what is stored beside them");
        let saved = five.hit_ratio * 400.0 * 20_000.0;
        assert!((five.saved_us as f64 - saved).abs() < 1.0);
        assert_eq!((prices.achieved, prices.if_shared, &prices.risks[..]), (None, None, &[][..]));
        assert!(!prices.to_confirm && prices.predicted.is_none());
        let search = of(&found, "search");
        assert_eq!((search.ttl_s, search.choices[1].hit_ratio), (None, 0.0));
        let covered = of(&found, "covered");
        let achieved = covered.achieved.unwrap();
        assert!(covered.covered && achieved.hit_ratio > 0.98, "{covered:?}");
        assert_eq!(
            (achieved.calls, covered.predicted.is_none()),
            (396, true),
            "without those that no policy covered"
        );
        assert_eq!(covered.calls, 399, "only GET");

        let later = format!("from={}", (start + TimeDelta::minutes(5)).format("%Y-%m-%dT%H:%M:%SZ"));
        let none = advice(&app, api, &later).await;
        assert_eq!((none.calls, none.from), (0, None));
        let names: Vec<_> = none.routes.iter().map(|route| route.route.as_str()).collect();
        assert_eq!(names, ["covered"], "what has a policy is told of, without any call");
        let wrong =
            app.path(&format!("/apis/{api}/cache-advice?from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z"));
        assert_eq!(app.admin.get(&wrong).await.expect_problem(422, "invalid").fields[0].pointer, "from");
        app.admin.get(&app.path(&format!("/apis/{}/cache-advice", ApiId::generate()))).await.expect(404);
        let consumer = app.member(&[Role::Consumer]).await;
        consumer.get(&app.path(&format!("/apis/{api}/cache-advice"))).await.expect(403);
    })
    .await;
}

#[tokio::test]
async fn what_tells_against_caching_is_said() {
    each_database(|app| async move {
        let draft = json!({
            "routes": [{"id": "me", "methods": ["GET"], "path": "/users/{id}"}],
            "upstreams": [{"name": "main", "targets": [{"url": "http://127.0.0.1:9"}]}]
        });
        let api = make_api(&app, "shop", draft).await.id;
        let start = Utc::now() - TimeDelta::minutes(10);
        let paths = vec!["/acme/shop/users/7".to_owned(); 200];
        let mut all = calls(&app, api, "me", start, &paths);
        let applications = [ApplicationId::generate(), ApplicationId::generate()];
        for (i, call) in all.iter_mut().enumerate() {
            call.application = Some(applications[i % 2]);
            call.bytes_out = 100 + i as u64 % 2;
        }
        all[199].status = 500;
        let signs = [
            (0..10, CacheSign::SetsCookie),
            (10..30, CacheSign::Varies),
            (30..33, CacheSign::Forbids),
            (33..37, CacheSign::Lifetime),
        ];
        for (those, sign) in signs {
            all[those].iter_mut().for_each(|call| call.signs.add(sign));
        }
        store(&app, all).await;
        let found = advice(&app, api, "").await;
        let route = of(&found, "me");
        assert_eq!(
            route.risks,
            [
                CacheRisk::VariesByCaller { compared: 1, differ: 1 },
                CacheRisk::SetsCookies { calls: 10 },
                CacheRisk::PersonalData { example: "users".to_owned() },
                CacheRisk::Credentials { calls: 200 },
                CacheRisk::Varies { calls: 20 },
                CacheRisk::Forbidden { calls: 3 },
                CacheRisk::OwnLifetime { calls: 4 },
                CacheRisk::NotStored { calls: 1 },
            ]
        );
        assert!(route.to_confirm);
        let own = route.choices.iter().find(|choice| Some(choice.ttl_s) == route.ttl_s).unwrap().hit_ratio;
        let shared = route.if_shared.unwrap();
        assert!(shared > own, "one copy instead of two: {shared} and {own}");
    })
    .await;
}

/// An API with a route for prices and one for people, both called often enough.
async fn called(app: &TestApp) -> Api {
    let draft = json!({
        "routes": [
            {"id": "prices", "methods": ["GET"], "path": "/prices"},
            {"id": "people", "methods": ["GET"], "path": "/users"},
            {"id": "seldom", "methods": ["GET"], "path": "/seldom"},
            {"id": "off", "methods": ["GET"], "path": "/off", "policies": [{"type": "cache", "enabled": false}]},
        ],
        "upstreams": [{"name": "main", "targets": [{"url": "http://127.0.0.1:9"}]}]
    });
    let api = make_api(app, "shop", draft).await;
    let start = Utc::now() - TimeDelta::minutes(10);
    for (route, path) in [("prices", "prices"), ("people", "users"), ("off", "off")] {
        let paths = vec![format!("/acme/shop/{path}"); 300];
        store(app, calls(app, api.id, route, start, &paths)).await;
    }
    api
}

#[tokio::test]
async fn a_policy_that_is_advised_is_made_in_the_draft_and_shown_beside_what_it_achieves() {
    each_database(|app| async move {
        let api = called(&app).await;
        let path = app.path(&format!("/apis/{}/cache-advice", api.id));
        let found = advice(&app, api.id, "").await;
        let prices = of(&found, "prices");
        let ttl_s = prices.ttl_s.unwrap();
        let chosen = *prices.choices.iter().find(|choice| choice.ttl_s == ttl_s).unwrap();
        let wanted = json!({"route": "prices", "ttl_s": ttl_s});
        let etag = format!("\"{}\"", api.version);
        let made: Api = app.admin.post_if(&path, &etag, &wanted).await.expect(200).json();
        let route = made.draft.routes.iter().find(|route| route.id == "prices").unwrap();
        assert_eq!(route.policies[0].settings, json!({"ttl_s": ttl_s}));
        assert_eq!((made.version, made.live.len()), (api.version + 1, 0), "in the draft only");

        let found = advice(&app, api.id, "").await;
        let prices = of(&found, "prices");
        let predicted = prices.predicted.clone().unwrap();
        assert_eq!((predicted.ttl_s, predicted.hit_ratio, predicted.calls), (ttl_s, chosen.hit_ratio, 300));
        assert_eq!((predicted.memory_bytes, &*predicted.made_by), (chosen.memory_bytes, "ada@example.com"));
        assert!((predicted.saved_us_per_call as f64 - chosen.saved_us as f64 / 300.0).abs() < 1.0);
        assert!(prices.covered && prices.achieved.is_none(), "no call has met it: {prices:?}");

        // Calls after it: 6 of 10 did not reach the upstream, one was confirmed by it; and some no policy covered yet.
        let paths = vec!["/acme/shop/prices".to_owned(); 13];
        let mut after = calls(&app, api.id, "prices", Utc::now(), &paths);
        use CacheOutcome::{Bypass, Coalesced, Hit, Miss, Revalidated, Stale};
        let outcomes = [Hit, Hit, Hit, Hit, Stale, Coalesced, Revalidated, Miss, Miss, Bypass];
        after.iter_mut().zip(outcomes).for_each(|(call, outcome)| call.cache = outcome);
        store(&app, after).await;
        // They may be of the next minute.
        let later = format!("to={}", (Utc::now() + TimeDelta::minutes(2)).format("%Y-%m-%dT%H:%M:%SZ"));
        let found = advice(&app, api.id, &later).await;
        let achieved = of(&found, "prices").achieved.unwrap();
        assert_eq!((achieved.calls, achieved.since), (10, predicted.made_at));
        assert!((achieved.hit_ratio - 0.6).abs() < 1e-9, "{achieved:?}");
        assert_eq!(achieved.memory_bytes, None, "no gateway has said what it holds");

        let held = |gateway, route: &str, minutes: i64, bytes| MemorySample {
            at: predicted.made_at + TimeDelta::minutes(minutes),
            gateway,
            boot: BootId::generate(),
            tenant: app.tenant,
            api: api.id,
            route: Some(route.to_owned()),
            entries: 1,
            bytes,
            evictions: CacheEvictions::default(),
        };
        let (one, two) = (GatewayId::generate(), GatewayId::generate());
        let samples =
            [held(one, "prices", 0, 300), held(two, "prices", 0, 500), held(one, "search", 0, 9_000)];
        app.app.telemetry.note_memory(&samples).await.unwrap();
        app.app.telemetry.note_memory(&[held(one, "prices", 10, 100)]).await.unwrap();
        let later = format!("to={}", (Utc::now() + TimeDelta::minutes(12)).format("%Y-%m-%dT%H:%M:%SZ"));
        let found = advice(&app, api.id, &later).await;
        let most = of(&found, "prices").achieved.unwrap().memory_bytes;
        assert_eq!(most, Some(800), "of both together, at the time when they held most");
    })
    .await;
}

#[tokio::test]
async fn a_policy_is_not_made_unseen_nor_twice_nor_by_who_may_not() {
    each_database(|app| async move {
        let api = called(&app).await;
        let path = app.path(&format!("/apis/{}/cache-advice", api.id));
        let etag = format!("\"{}\"", api.version);
        let wanted = |route: &str, ttl_s: u64| json!({"route": route, "ttl_s": ttl_s});
        let post = async |body| app.admin.post_if(&path, &etag, &body).await;
        for (body, status, code) in [
            (wanted("people", 5), 409, "unconfirmed"),
            (wanted("off", 5), 409, "has_policy"),
            (wanted("seldom", 5), 422, "invalid"),
            (wanted("none", 5), 422, "invalid"),
            (wanted("prices", 7), 422, "invalid"),
        ] {
            post(body).await.expect_problem(status, code);
        }
        let viewer = app.member(&[Role::Viewer]).await;
        viewer.post_if(&path, &etag, &wanted("prices", 5)).await.expect(403);
        app.admin.post_if(&path, "\"9\"", &wanted("prices", 5)).await.expect(412);
        assert!(advice(&app, api.id, "").await.routes.iter().all(|route| !route.covered), "nothing was made");

        let confirmed = json!({"route": "people", "ttl_s": 5, "confirmed": true});
        let made: Api = post(confirmed.clone()).await.expect(200).json();
        post(confirmed.clone()).await.expect(412);
        let now = format!("\"{}\"", made.version);
        app.admin.post_if(&path, &now, &confirmed).await.expect_problem(409, "has_policy");
    })
    .await;
}
