//! Settings of the platform, and what runs here.

use serde_json::json;
use sluice_contract::rest::settings::{About, PlatformSettings};
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

#[tokio::test]
async fn settings_are_changed_by_platform_admins_one_at_a_time() {
    each_database(|app| async move {
        let reply = app.admin.get("/api/v1/settings").await.expect(200);
        let mut settings: PlatformSettings = reply.json();
        settings.session_idle_minutes = 1;
        settings.audit_retention_days = 1;
        let wrong = app.admin.put("/api/v1/settings", &reply.etag(), &settings).await;
        assert_eq!(wrong.expect_problem(422, "invalid").fields.len(), 2);
        settings.session_idle_minutes = 30;
        settings.audit_retention_days = 60;
        let changed = app.admin.put("/api/v1/settings", &reply.etag(), &settings).await.expect(200);
        let stale = app.admin.put("/api/v1/settings", &reply.etag(), &settings).await;
        stale.expect_problem(412, "stale_version");
        settings.call_retention_days = 7;
        app.admin.put("/api/v1/settings", &changed.etag(), &settings).await.expect(200);
        let now: PlatformSettings = app.admin.get("/api/v1/settings").await.expect(200).json();
        assert_eq!(now, settings);
    })
    .await;
}

#[tokio::test]
async fn tenant_admins_do_not_see_the_platforms_settings() {
    each_database(|app| async move {
        let tenant_admin = app.member(&[Role::TenantAdmin]).await;
        tenant_admin.get("/api/v1/settings").await.expect_problem(403, "forbidden");
        let about: About = tenant_admin.get("/api/v1/about").await.expect(200).json();
        assert_eq!(about.database, app.app.store.kind());
        let unknown = json!({"anything": 1});
        let refused = app.admin.put("/api/v1/settings", "\"0\"", &unknown).await;
        assert_eq!(refused.expect_problem(422, "invalid").fields[0].code, "unknown_field");
    })
    .await;
}
