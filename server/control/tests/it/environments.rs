//! Environments.

use serde_json::{Value, json};
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

#[tokio::test]
async fn a_dedicated_environment_is_there_for_its_tenant_only() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let new = json!({"slug": "theirs", "name": "Theirs", "dedicated_to": other});
        app.admin.post("/api/v1/environments", &new).await.expect(201);
        let slugs = async |tenant| -> Vec<String> {
            let path = format!("/api/v1/tenants/{tenant}/environments?sort=slug");
            let page: Page<Environment> = app.admin.get(&path).await.expect(200).json();
            page.items.into_iter().map(|environment| environment.slug).collect()
        };
        assert_eq!(slugs(app.tenant).await, ["production"]);
        assert_eq!(slugs(other).await, ["production", "theirs"]);
        let unknown = json!({"slug": "x", "name": "X", "dedicated_to": uuid::Uuid::new_v4()});
        let unknown = app.admin.post("/api/v1/environments", &unknown).await.expect_problem(422, "invalid");
        assert_eq!(unknown.fields[0].pointer, "/dedicated_to");
    })
    .await;
}

#[tokio::test]
async fn settings_are_changed_by_the_platform_and_checked() {
    each_database(|app| async move {
        let page: Value = app.admin.get(&app.path("/environments")).await.expect(200).json();
        let path = format!("/api/v1/environments/{}", page["items"][0]["id"].as_str().unwrap());
        let reply = app.admin.get(&path).await.expect(200);
        let environment: Value = reply.json();
        let mut change = json!({"name": "Live", "settings": environment["settings"]});
        change["settings"]["trusted_proxies"] = json!(["10.0.0.0/8", "no network"]);
        change["settings"]["limits"]["header_count"] = json!(1);
        change["settings"]["policies"] = json!([{"type": "rewrite", "settings": {"path": "/"}}]);
        let wrong = app.admin.put(&path, &reply.etag(), &change).await.expect_problem(422, "invalid");
        let pointers: Vec<_> = wrong.fields.iter().map(|field| field.pointer.as_str()).collect();
        let (networks, policies) = ("/settings/trusted_proxies/1", "/settings/policies/0/type");
        assert_eq!(pointers, [networks, policies, "/settings/limits/header_count"]);
        change["settings"]["policies"] = json!([]);
        change["settings"]["trusted_proxies"] = json!(["10.0.0.0/8"]);
        change["settings"]["limits"]["header_count"] = json!(50);
        let changed: Environment = app.admin.put(&path, &reply.etag(), &change).await.expect(200).json();
        assert_eq!((changed.name.as_str(), changed.version), ("Live", 2));
        assert_eq!(changed.settings.limits.header_count, 50);
        app.admin.put(&path, &reply.etag(), &change).await.expect_problem(412, "stale_version");

        let tenant_admin = app.member(&[Role::TenantAdmin]).await;
        tenant_admin.get(&path).await.expect_problem(403, "forbidden");
        let audit: Value = app.admin.get("/api/v1/audit?resource=environment").await.expect(200).json();
        let paths: Vec<_> = audit["items"][0]["changes"].as_array().unwrap().iter().collect();
        assert!(paths.iter().any(|change| change["path"] == "/settings/limits/header_count"), "{paths:?}");
    })
    .await;
}
