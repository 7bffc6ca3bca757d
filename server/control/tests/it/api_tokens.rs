//! Tokens for automation.

use serde_json::{Value, json};
use sluice_contract::rest::api_tokens::{ApiToken, CreatedApiToken};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_testkit::{Client, TestApp, each_database};

async fn create(app: &TestApp, client: &Client, permissions: Value) -> CreatedApiToken {
    let new = json!({"name": "ci", "permissions": permissions});
    client.post(&app.path("/tokens"), &new).await.expect(201).json()
}

#[tokio::test]
async fn a_token_does_what_it_was_given_and_nothing_else() {
    each_database(|app| async move {
        let created = create(&app, &app.admin, json!(["read_audit"])).await;
        assert!(created.secret.starts_with("slt_"));
        assert!(created.secret.starts_with(&created.token.prefix));
        let program = app.with_token(&created.secret);
        program.get(&app.path("/audit")).await.expect(200);
        program.get(&app.path("/tokens")).await.expect_problem(403, "forbidden");
        program.get("/api/v1/tenants").await.expect_problem(403, "forbidden");
        let other = app.another_tenant("other").await;
        program.get(&format!("/api/v1/tenants/{other}/audit")).await.expect_problem(404, "not_found");

        let tokens: Page<ApiToken> = app.admin.get(&app.path("/tokens")).await.expect(200).json();
        assert!(tokens.items[0].last_used_at.is_some());
        assert!(!app.admin.get(&app.path("/tokens")).await.text().contains(&created.secret));
    })
    .await;
}

#[tokio::test]
async fn a_token_is_worth_nothing_once_it_is_deleted() {
    each_database(|app| async move {
        let created = create(&app, &app.admin, json!(["manage_tenant"])).await;
        let program = app.with_token(&created.secret);
        let team = json!({"name": "by token", "members": []});
        program.post(&app.path("/teams"), &team).await.expect(201);
        let audit: Value = app.admin.get(&app.path("/audit?action=create_team")).await.expect(200).json();
        assert_eq!(audit["items"][0]["actor"], "token:ci");
        app.admin.delete(&app.path(&format!("/tokens/{}", created.token.id))).await.expect(204);
        program.get(&app.path("/teams")).await.expect_problem(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn nobody_grants_what_they_may_not_do_themselves() {
    each_database(|app| async move {
        let tenant_admin = app.member(&[Role::TenantAdmin]).await;
        let new = json!({"name": "x", "permissions": ["read_audit", "manage_platform"]});
        let refused = tenant_admin.post(&app.path("/tokens"), &new).await.expect_problem(422, "invalid");
        assert_eq!(refused.fields[0].pointer, "/permissions/1");
        let created = create(&app, &tenant_admin, json!(["manage_tenant"])).await;
        let program = app.with_token(&created.secret);
        program
            .post(&app.path("/tokens"), &json!({"name": "y", "permissions": ["manage_apis"]}))
            .await
            .expect_problem(422, "invalid");
    })
    .await;
}

#[tokio::test]
async fn a_token_of_the_past_is_refused() {
    each_database(|app| async move {
        let new = json!({"name": "x", "permissions": ["read_audit"], "expires_at": "2020-01-01T00:00:00Z"});
        let refused = app.admin.post(&app.path("/tokens"), &new).await.expect_problem(422, "invalid");
        assert_eq!(refused.fields[0].pointer, "/expires_at");
        app.with_token("slt_unknown").get(&app.path("/audit")).await.expect_problem(401, "unauthenticated");
    })
    .await;
}
