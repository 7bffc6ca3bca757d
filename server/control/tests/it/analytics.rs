//! Analytics and the front page.

use chrono::{TimeDelta, Utc};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::ids::{ApiId, ApplicationId, PlanId};
use sluice_contract::rest::analytics::{Analytics, Overview, StatusCount, TopRow};
use sluice_testkit::calls::call;
use sluice_testkit::{TestApp, each_database};

use crate::calls::{api, application, store};
use crate::publishing::make_plan;

async fn analytics(app: &TestApp, query: &str) -> Analytics {
    app.admin.get(&app.path(&format!("/analytics?{query}"))).await.expect(200).json()
}

#[tokio::test]
async fn traffic_is_counted_ranked_and_named() {
    each_database(|app| async move {
        let (shop, mobile) = (api(&app, "shop").await, application(&app, "Mobile").await);
        let (gone, plan) = (ApiId::generate(), make_plan(&app, shop.id, "automatic").await.id);
        let now = Utc::now();
        let calls = (0..20_u16).map(|i| {
            let mut call = call(app.tenant, if i < 15 { shop.id } else { gone }, now - TimeDelta::minutes(2));
            call.application = Some(if i < 15 { mobile.id } else { ApplicationId::generate() });
            (call.status, call.cache) = match i {
                0..=9 => (200, CacheOutcome::Hit),
                10..=13 => (404, CacheOutcome::Miss),
                _ => (500, CacheOutcome::Bypass),
            };
            call.plan = Some(if i < 15 { plan } else { PlanId::generate() });
            call.target = Some(format!("http://10.0.0.{}", 1 + u8::from(i < 8)));
            call.duration_us = 1_000 * (u64::from(i) + 1);
            call
        });
        store(&app, calls.collect()).await;

        let found = analytics(&app, "").await;
        assert_eq!(found.step_s, 60);
        assert_eq!(found.points.len(), 61);
        assert_eq!(found.points.iter().map(|point| point.totals.calls).sum::<u64>(), 20);
        let total = &found.total;
        assert_eq!((total.calls, total.client_errors, total.server_errors), (20, 4, 6));
        assert_eq!((total.cache_hits, total.cacheable), (10, 14));
        let near = |found: Option<u64>, exact: f64| (found.unwrap() as f64 / exact - 1.0).abs() < 0.07;
        assert!(near(total.p50_us, 10_000.0) && near(total.p95_us, 19_000.0) && near(total.p99_us, 20_000.0));
        let count = |status, calls| StatusCount { status, calls };
        assert_eq!(found.statuses, [count(200, 10), count(404, 4), count(500, 6)]);

        let names: Vec<_> =
            found.top_apis.iter().map(|row| (row.name.as_str(), row.calls, row.errors)).collect();
        assert_eq!(names, [("The shop", 15, 5), ("Deleted API", 5, 5)]);
        assert_eq!(found.top_apis[0].id, shop.id.to_string());
        assert_eq!(found.top_applications[0].name, "Mobile");
        assert_eq!((found.top_routes[0].id.as_str(), found.top_routes[0].api), ("listItems", Some(shop.id)));
        assert_eq!(found.top_routes[0].name, "The shop · listItems");

        let rows = |rows: &[TopRow]| -> Vec<_> {
            rows.iter().map(|row| (row.name.clone(), row.calls, row.errors)).collect()
        };
        let row = |name: &str, calls, errors| (name.to_owned(), calls, errors);
        assert_eq!(
            rows(&found.top_plans)[..2],
            [row("The shop · automatic plan", 15, 5), row("Deleted plan", 1, 1)]
        );
        assert_eq!(found.top_plans.len(), 6);
        let targets = [row("http://10.0.0.1", 12, 10), row("http://10.0.0.2", 8, 0)];
        assert_eq!(rows(&found.top_targets), targets);
        assert!(found.top_targets[0].p95_us > found.top_targets[1].p95_us);
        while app.app.telemetry.compact().await.unwrap() > 0 {}
        let folded = analytics(&app, "").await;
        assert_eq!((&folded.top_plans, &folded.top_targets), (&found.top_plans, &found.top_targets));

        let of_api = analytics(&app, &format!("api={}", shop.id)).await;
        assert_eq!((of_api.total.calls, of_api.top_apis.len(), of_api.top_applications.len()), (15, 1, 1));
        let of_mobile = analytics(&app, &format!("application={}", mobile.id)).await;
        assert_eq!((of_mobile.total.calls, of_mobile.total.client_errors), (15, 4));
        assert_eq!(rows(&of_mobile.top_plans), [row("The shop · automatic plan", 15, 5)]);
        assert_eq!((of_api.top_plans, of_mobile.top_targets), (Vec::new(), Vec::new()));
        assert_eq!(analytics(&app, "route=listItems&points=10").await.total.calls, 20);
        assert_eq!(analytics(&app, "route=other").await.total.calls, 0);
    })
    .await;
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_refused() {
    each_database(|app| async move {
        let cases = [
            ("from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z".to_owned(), "from"),
            ("points=0".to_owned(), "points"),
            ("points=501".to_owned(), "points"),
            ("route=".to_owned(), "route"),
            (format!("route=x&application={}", ApplicationId::generate()), "route"),
            ("from=yesterday".to_owned(), "from"),
        ];
        for (query, field) in cases {
            let reply = app.admin.get(&app.path(&format!("/analytics?{query}"))).await;
            assert_eq!(reply.expect_problem(422, "invalid").fields[0].pointer, field, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_front_page_counts_what_there_is() {
    each_database(|app| async move {
        let path = app.path("/overview");
        let empty: Overview = app.admin.get(&path).await.expect(200).json();
        assert_eq!((empty.apis, empty.applications, empty.gateways, empty.pending_approvals), (0, 0, 0, 0));
        assert_eq!((empty.traffic.total.calls, empty.traffic.total.p95_us), (0, None));

        let shop = api(&app, "shop").await;
        api(&app, "pay").await;
        application(&app, "Mobile").await;
        store(&app, vec![call(app.tenant, shop.id, Utc::now())]).await;
        let found: Overview = app.admin.get(&path).await.expect(200).json();
        assert_eq!((found.apis, found.applications), (2, 1));
        assert_eq!(found.traffic.total.calls, 1);
        assert_eq!(found.traffic.top_apis[0].name, "The shop");
    })
    .await;
}
