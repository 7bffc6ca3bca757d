//! What the command line does on the database directly.

use serde_json::json;
use sluice_contract::rest::session::{Permission, Session};
use sluice_contract::rest::users::Role;
use sluice_control::operator;
use sluice_testkit::{PASSWORD, each_database};

#[tokio::test]
async fn who_runs_the_installation_can_always_let_somebody_in() {
    each_database(|app| async move {
        let store = &app.app.store;
        let roles = [Role::TenantAdmin];
        let (user, link) =
            operator::create_user(store, "acme", "ops@example.com", "Ops", &roles, true).await.unwrap();
        assert!(user.platform_admin);
        let token = |link: &str| link.split_once("token=").unwrap().1.to_owned();
        let client = app.stranger();
        let accept = json!({"token": token(&link.unwrap()), "password": PASSWORD});
        let session: Session = client.post("/api/v1/invitations", &accept).await.expect(201).json();
        assert!(session.platform_admin);

        let link = operator::password_link(store, "OPS@example.com").await.unwrap();
        let accept = json!({"token": token(&link), "password": "another long password"});
        app.stranger().post("/api/v1/invitations", &accept).await.expect(201);
        assert!(operator::password_link(store, "nobody@example.com").await.is_err());
        assert!(operator::create_user(store, "nowhere", "x@example.com", "X", &roles, false).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_token_from_the_command_line_works() {
    each_database(|app| async move {
        let permissions = [Permission::ManageTenant, Permission::ManagePlatform];
        let made = operator::create_api_token(&app.app.store, "acme", "ci", &permissions).await.unwrap();
        let program = app.with_token(&made.secret);
        program.get(&app.path("/teams")).await.expect(200);
        program.get("/api/v1/tenants").await.expect(200);
    })
    .await;
}
