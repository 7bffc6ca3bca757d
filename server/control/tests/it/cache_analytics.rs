//! What the cache did, by time, API and route.

use chrono::{TimeDelta, Utc};
use sluice_contract::calls::{CacheOutcome, SecondLevelAnswer, SecondLevelAsked};
use sluice_contract::ids::ApiId;
use sluice_contract::rest::cache_analytics::{CacheAnalytics, CacheRow, SecondLevelTotals};
use sluice_contract::rest::users::Role;
use sluice_testkit::calls::call;
use sluice_testkit::{TestApp, each_database};

use crate::calls::{api, store};

async fn cache(app: &TestApp, query: &str) -> CacheAnalytics {
    app.admin.get(&app.path(&format!("/analytics/cache?{query}"))).await.expect(200).json()
}

fn shown<'r>(rows: &'r [CacheRow]) -> Vec<(&'r str, u64, u64, u64)> {
    let row = |row: &'r CacheRow| (&*row.name, row.totals.calls, row.totals.hits, row.totals.saved_us);
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn what_the_cache_did_and_saved_is_told_for_apis_and_routes() {
    each_database(|app| async move {
        let shop = api(&app, "shop").await;
        let (gone, now) = (ApiId::generate(), Utc::now());
        let call = |route: &str, cache, upstream_us, minutes| {
            let mut call = call(app.tenant, shop.id, now - TimeDelta::minutes(minutes));
            (call.route, call.cache, call.upstream_us) = (Some(route.to_owned()), cache, upstream_us);
            call.bytes_out = 100;
            call
        };
        use CacheOutcome::{Bypass, Expired, Hit, Miss, Revalidated, Uncached};
        let mut calls = vec![
            call("slow", Miss, Some(9_000), 3),
            call("slow", Hit, None, 3),
            call("slow", Hit, None, 2),
            call("fast", Expired, Some(1_000), 2),
            call("fast", Hit, None, 2),
            call("fast", Revalidated, Some(500), 2),
            call("fast", Bypass, Some(7_000), 2),
            call("other", Uncached, Some(7_000), 2),
        ];
        calls[7].api = Some(gone);
        use SecondLevelAnswer::{Failed, Found, Nothing};
        for (index, answer, took_us) in [(0, Nothing, 400), (1, Found, 600), (3, Failed, 5_000)] {
            calls[index].second_level = Some(SecondLevelAsked { answer, took_us });
        }
        store(&app, calls).await;

        for _ in 0..2 {
            let found = cache(&app, "").await;
            assert_eq!((found.step_s, found.points.len(), found.memory_step_s), (60, 61, 300));
            let total = &found.total;
            assert_eq!((total.calls, total.cacheable, total.hits), (8, 6, 4));
            assert_eq!((total.cacheable_bytes, total.hit_bytes, total.saved_bytes), (600, 400, 400));
            assert_eq!((total.saved_calls, total.origin_us), (3, Some(5_000)));
            let outcomes: Vec<_> = total.outcomes.iter().map(|count| (count.outcome, count.calls)).collect();
            assert_eq!(
                outcomes,
                [(Uncached, 1), (Bypass, 1), (Hit, 3), (Revalidated, 1), (Miss, 1), (Expired, 1)]
            );
            let sum = |of: fn(&sluice_contract::rest::cache_analytics::CacheTotals) -> u64| -> u64 {
                found.points.iter().map(|point| of(&point.totals)).sum()
            };
            assert_eq!((sum(|it| it.calls), sum(|it| it.hits)), (8, 4));
            let asked =
                |asked, found, failed, mean_us| Some(SecondLevelTotals { asked, found, failed, mean_us });
            assert_eq!(total.second_level, asked(3, 1, 1, 2_000));
            let by_point: Vec<_> =
                found.points.iter().filter_map(|point| point.totals.second_level).collect();
            assert_eq!(
                by_point.iter().copied().map(Some).collect::<Vec<_>>(),
                [asked(2, 1, 0, 500), asked(1, 0, 1, 5_000)]
            );
            assert_eq!(found.rows[1].totals.second_level, None, "nobody asked it");
            // By API: of the older minute 9 ms, of the newer 1 ms for two hits.
            assert_eq!((sum(|it| it.saved_us), total.saved_us), (11_000, 11_000));
            assert_eq!(shown(&found.rows), [("The shop", 7, 4, 11_000), ("Deleted API", 1, 0, 0)]);
            assert_eq!(found.rows[0].id, shop.id.to_string());

            // By route: the slow one's hits saved 9 ms each, whenever they came.
            let routes = cache(&app, &format!("api={}", shop.id)).await;
            assert_eq!((routes.total.calls, routes.total.saved_us), (7, 19_000));
            let rows = [("The shop · fast", 4, 2, 1_000), ("The shop · slow", 3, 2, 18_000)];
            assert_eq!(shown(&routes.rows), rows);
            assert_eq!((routes.rows[1].id.as_str(), routes.rows[1].api), ("slow", Some(shop.id)));
            assert_eq!(routes.rows[0].totals.second_level, asked(1, 0, 1, 5_000));
            assert_eq!(routes.rows[1].totals.second_level, asked(2, 1, 0, 500));
            let slow = cache(&app, &format!("api={}&route=slow", shop.id)).await;
            assert_eq!((slow.total.calls, slow.total.saved_us, slow.rows.len()), (3, 18_000, 1));
            while app.app.telemetry.compact().await.unwrap() > 0 {}
        }
        assert_eq!(cache(&app, "route=none").await.total.calls, 0);
        let other = app.another_tenant("other").await;
        let stranger = app.member_of(other, &[Role::Viewer]).await;
        let theirs: CacheAnalytics =
            stranger.get(&format!("/api/v1/tenants/{other}/analytics/cache")).await.expect(200).json();
        assert_eq!((theirs.total.calls, theirs.rows.len()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_question_about_the_cache_that_cannot_be_answered_is_refused() {
    each_database(|app| async move {
        for (query, field) in [
            ("from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z", "from"),
            ("points=0", "points"),
            ("points=501", "points"),
            ("route=", "route"),
            ("from=yesterday", "from"),
        ] {
            let reply = app.admin.get(&app.path(&format!("/analytics/cache?{query}"))).await;
            assert_eq!(reply.expect_problem(422, "invalid").fields[0].pointer, field, "{query}");
        }
    })
    .await;
}
