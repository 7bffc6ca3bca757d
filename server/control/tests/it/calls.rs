//! The call log.

use chrono::{TimeDelta, Utc};
use serde_json::json;
use sluice_contract::calls::Call;
use sluice_contract::ids::{ApiId, BootId, CallId, EnvironmentId, GatewayId, TenantId};
use sluice_contract::rest::apis::Api;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::calls::CallRow;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_testkit::calls::{batch, call};
use sluice_testkit::{TestApp, each_database};

/// Stores calls as one batch of a gateway that nobody knows.
pub async fn store(app: &TestApp, calls: Vec<Call>) -> GatewayId {
    let gateway = GatewayId::generate();
    let batch = batch(BootId::generate(), 1, calls);
    app.app.telemetry.store_batch(gateway, EnvironmentId::generate(), &batch).await.unwrap();
    gateway
}

/// A new API of the first tenant.
pub async fn api(app: &TestApp, slug: &str) -> Api {
    let new = json!({"slug": slug, "name": format!("The {slug}")});
    app.admin.post(&app.path("/apis"), &new).await.expect(201).json()
}

/// A new application of the first tenant.
pub async fn application(app: &TestApp, name: &str) -> Application {
    app.admin.post(&app.path("/applications"), &json!({"name": name})).await.expect(201).json()
}

async fn list(app: &TestApp, query: &str) -> Page<CallRow> {
    app.admin.get(&app.path(&format!("/calls?{query}"))).await.expect(200).json()
}

#[tokio::test]
async fn calls_are_listed_newest_first_with_names_and_one_can_be_opened() {
    each_database(|app| async move {
        let (api, application) = (api(&app, "shop").await, application(&app, "Mobile").await);
        let now = Utc::now();
        let mut known = call(app.tenant, api.id, now);
        known.application = Some(application.id);
        let unknown = call(app.tenant, ApiId::generate(), now - TimeDelta::seconds(1));
        let gateway = store(&app, vec![unknown.clone(), known.clone()]).await;

        let page = list(&app, "").await;
        assert!(page.next.is_none());
        let ids: Vec<_> = page.items.iter().map(|row| row.call.id).collect();
        assert_eq!(ids, [known.id, unknown.id]);
        let names = |row: &CallRow| (row.api_name.clone(), row.application_name.clone());
        assert_eq!(names(&page.items[0]), (Some("The shop".to_owned()), Some("Mobile".to_owned())));
        assert_eq!(names(&page.items[1]), (None, None));
        assert_eq!(page.items[0].gateway, gateway);

        let one = app.path(&format!("/calls/{}", known.id));
        let one: CallRow = app.admin.get(&one).await.expect(200).json();
        assert_eq!(one, page.items[0]);
    })
    .await;
}

#[tokio::test]
async fn calls_are_filtered_and_paged_on_the_server() {
    each_database(|app| async move {
        let (one, other) = (ApiId::generate(), ApiId::generate());
        let now = Utc::now();
        let calls = (0..30_i32).map(|i| {
            let api = if i % 2 == 0 { one } else { other };
            let mut call = call(app.tenant, api, now - TimeDelta::seconds(i.into()));
            call.status = if i % 3 == 0 { 502 } else { 200 };
            call
        });
        store(&app, calls.collect()).await;
        assert_eq!(list(&app, &format!("api={one}&limit=200")).await.items.len(), 15);
        assert_eq!(list(&app, "status=5xx&limit=200").await.items.len(), 10);
        let from =
            (now - TimeDelta::milliseconds(9_500)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!(list(&app, &format!("status=502&api={one}&from={from}")).await.items.len(), 2);

        let (mut seen, mut after) = (Vec::<CallId>::new(), String::new());
        loop {
            let page = list(&app, &format!("limit=7{after}")).await;
            seen.extend(page.items.iter().map(|row| row.call.id));
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let newest_first: Vec<_> =
            list(&app, "limit=200&sort=-at").await.items.iter().map(|r| r.call.id).collect();
        assert_eq!(seen, newest_first);
        assert_eq!(seen.len(), 30);
    })
    .await;
}

#[tokio::test]
async fn what_the_log_cannot_do_is_refused_with_the_parameter_at_fault() {
    each_database(|app| async move {
        let cases = [
            ("status=many", "status"),
            ("after=x", "after"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("sort=path", "sort"),
            ("q=text", "q"),
            ("api=none", "api"),
        ];
        for (query, field) in cases {
            let reply = app.admin.get(&app.path(&format!("/calls?{query}"))).await;
            assert_eq!(reply.expect_problem(422, "invalid").fields[0].pointer, field, "{query}");
        }
        let tail = app.admin.get(&app.path("/calls/tail?status=many")).await;
        assert_eq!(tail.expect_problem(422, "invalid").fields[0].pointer, "status");
    })
    .await;
}

#[tokio::test]
async fn calls_stay_within_their_tenant_and_with_those_who_may_read_them() {
    each_database(|app| async move {
        let foreign = call(TenantId(app.another_tenant("other").await.0), ApiId::generate(), Utc::now());
        store(&app, vec![foreign.clone()]).await;
        assert!(list(&app, "").await.items.is_empty());
        app.admin.get(&app.path(&format!("/calls/{}", foreign.id))).await.expect_problem(404, "not_found");

        let viewer = app.member(&[Role::Viewer]).await;
        viewer.get(&app.path("/calls")).await.expect(200);
        viewer.get(&app.path("/analytics")).await.expect(200);
        viewer.get(&app.path("/overview")).await.expect(200);
        let consumer = app.member(&[Role::Consumer]).await;
        for path in ["/calls", "/calls/tail", "/analytics", "/overview"] {
            consumer.get(&app.path(path)).await.expect_problem(403, "forbidden");
        }
        consumer.get(&app.path(&format!("/calls/{}", foreign.id))).await.expect_problem(403, "forbidden");
    })
    .await;
}

#[tokio::test]
async fn calls_older_than_the_settings_say_are_removed() {
    each_database(|app| async move {
        let etag = app.admin.get("/api/v1/settings").await.expect(200).etag();
        let settings = json!({
            "call_retention_days": 3, "rollup_retention_days": 400, "audit_retention_days": 400,
            "session_idle_minutes": 60, "session_absolute_hours": 12,
        });
        app.admin.put("/api/v1/settings", &etag, &settings).await.expect(200);
        let api = ApiId::generate();
        let (old, young) = (Utc::now() - TimeDelta::days(5), Utc::now() - TimeDelta::days(2));
        let kept = call(app.tenant, api, young);
        store(&app, vec![call(app.tenant, api, old), kept.clone()]).await;
        assert_eq!(list(&app, "").await.items.len(), 2);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stopping = app.app.stopping.clone();
        tokio::spawn(sluice_control::serve(app.app.clone(), listener, stopping.clone().cancelled_owned()));
        let gone = async {
            while list(&app, "").await.items.len() > 1 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("the old call goes");
        assert_eq!(list(&app, "").await.items[0].call.id, kept.id);
        stopping.cancel();
    })
    .await;
}
