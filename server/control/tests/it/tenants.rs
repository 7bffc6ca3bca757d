//! Tenants.

use serde_json::json;
use sluice_contract::rest::tenants::Tenant;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

#[tokio::test]
async fn the_platform_makes_tenants_and_their_admins_rename_them() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let path = format!("/api/v1/tenants/{other}");
        let admin = app.member_of(other, &[Role::TenantAdmin]).await;
        let etag = admin.get(&path).await.expect(200).etag();
        let tenant: Tenant = admin.put(&path, &etag, &json!({"name": "Other Ltd"})).await.expect(200).json();
        assert_eq!((tenant.slug.as_str(), tenant.name.as_str()), ("other", "Other Ltd"));
        admin.put(&path, &etag, &json!({"name": "x"})).await.expect_problem(412, "stale_version");
        admin.get("/api/v1/tenants").await.expect_problem(403, "forbidden");
        let new = json!({"slug": "third", "name": "Third"});
        admin.post("/api/v1/tenants", &new).await.expect_problem(403, "forbidden");

        let taken = json!({"slug": "other", "name": "x"});
        let taken = app.admin.post("/api/v1/tenants", &taken).await.expect_problem(409, "not_unique");
        assert_eq!(taken.fields[0].pointer, "/slug");
        let wrong = json!({"slug": "No Slug", "name": ""});
        let wrong = app.admin.post("/api/v1/tenants", &wrong).await.expect_problem(422, "invalid");
        assert_eq!(wrong.fields.len(), 2);
    })
    .await;
}
