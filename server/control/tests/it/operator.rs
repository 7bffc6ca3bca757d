//! What the command line does on the database directly.

use serde_json::{Value, json};
use sluice_contract::rest::api_tokens::CreateApiToken;
use sluice_contract::rest::session::{Permission, Session};
use sluice_contract::rest::users::{CreateUser, Role};
use sluice_control::operator;
use sluice_testkit::{PASSWORD, each_database};

#[tokio::test]
async fn who_runs_the_installation_can_always_let_somebody_in() {
    each_database(|app| async move {
        let store = &app.app.store;
        let new = |email: &str| CreateUser {
            email: email.to_owned(),
            name: "Ops".to_owned(),
            roles: vec![Role::TenantAdmin],
        };
        let (user, link) = operator::create_user(store, "acme", &new("ops@example.com"), true).await.unwrap();
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
        assert!(operator::create_user(store, "nowhere", &new("x@example.com"), false).await.is_err());

        let audit: Value = app.admin.get("/api/v1/audit?resource=account&sort=at").await.expect(200).json();
        let changes = audit["items"].as_array().unwrap().iter();
        let seen: Vec<_> =
            changes.map(|change| (change["action"].clone(), change["actor"].clone())).collect();
        let by_system = |action: &str| (json!(action), json!("system"));
        assert_eq!(seen, [by_system("grant_platform_admin"), by_system("create_invitation")]);
    })
    .await;
}

#[tokio::test]
async fn a_token_from_the_command_line_works() {
    each_database(|app| async move {
        let permissions = [Permission::ManageTenant, Permission::ManagePlatform];
        let new =
            CreateApiToken { name: "ci".to_owned(), permissions: permissions.to_vec(), expires_at: None };
        let made = operator::create_api_token(&app.app.store, "acme", &new).await.unwrap();
        let program = app.with_token(&made.secret);
        program.get(&app.path("/teams")).await.expect(200);
        program.get("/api/v1/tenants").await.expect(200);
    })
    .await;
}
