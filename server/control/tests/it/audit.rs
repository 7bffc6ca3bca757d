//! The audit log.

use serde_json::{Value, json};
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

#[tokio::test]
async fn every_change_tells_who_when_and_under_which_request() {
    each_database(|app| async move {
        let made =
            app.admin.post(&app.path("/teams"), &json!({"name": "x", "members": []})).await.expect(201);
        let page: Page<AuditEntry> =
            app.admin.get(&app.path("/audit?action=create_team")).await.expect(200).json();
        let entry = &page.items[0];
        assert_eq!(entry.request_id.as_deref(), Some(made.header("x-request-id")));
        assert_eq!(entry.actor, "ada@example.com");
        assert!(entry.address.is_some());
        assert_eq!(entry.resource_name, "x");
    })
    .await;
}

#[tokio::test]
async fn the_log_is_filtered_and_paged_and_the_platforms_is_its_own() {
    each_database(|app| async move {
        for n in 0..5 {
            let team = json!({"name": format!("team {n}"), "members": []});
            app.admin.post(&app.path("/teams"), &team).await.expect(201);
        }
        let first: Value = app.admin.get(&app.path("/audit?resource=team&limit=3")).await.expect(200).json();
        assert_eq!(first["items"].as_array().unwrap().len(), 3);
        assert_eq!(first["items"][0]["resource_name"], "team 4");
        let next = first["next"].as_str().unwrap();
        let path = app.path(&format!("/audit?resource=team&limit=3&after={next}"));
        let second: Value = app.admin.get(&path).await.expect(200).json();
        assert_eq!(second["items"].as_array().unwrap().len(), 2);
        assert_eq!(second["next"], Value::Null);
        let nothing = app.path("/audit?to=2020-01-01T00:00:00Z");
        let nothing: Value = app.admin.get(&nothing).await.expect(200).json();
        assert_eq!(nothing["items"], json!([]));
        app.admin.get(&app.path("/audit?from=yesterday")).await.expect_problem(422, "invalid");

        let platform: Value = app.admin.get("/api/v1/audit").await.expect(200).json();
        assert!(platform["items"].as_array().unwrap().iter().all(|entry| entry["resource"] != "team"));
        let viewer = app.member(&[Role::Viewer]).await;
        viewer.get(&app.path("/audit")).await.expect_problem(403, "forbidden");
    })
    .await;
}
