//! Users of a tenant.

use serde_json::json;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::users::{CreatedUser, Role, User};
use sluice_testkit::{PASSWORD, TestApp, each_database};

use crate::publishing::{known_keys, make_application, make_key};

async fn invite(app: &TestApp, email: &str, roles: &[Role]) -> CreatedUser {
    let new = json!({"email": email, "name": "Bob", "roles": roles});
    app.admin.post(&app.path("/users"), &new).await.expect(201).json()
}

fn token(created: &CreatedUser) -> String {
    created.invitation.as_deref().unwrap().split_once("/welcome?token=").unwrap().1.to_owned()
}

#[tokio::test]
async fn an_invited_person_chooses_a_password_once_and_is_signed_in() {
    each_database(|app| async move {
        let created = invite(&app, "Bob@Example.com", &[Role::Publisher]).await;
        assert_eq!(created.user.email, "bob@example.com");
        let bob = app.stranger();
        let accept = |token: &str, password: &str| json!({"token": token, "password": password});
        let short = bob.post("/api/v1/invitations", &accept(&token(&created), "short")).await;
        short.expect_problem(422, "invalid");
        let accepted = bob.post("/api/v1/invitations", &accept(&token(&created), PASSWORD)).await;
        let session: Session = accepted.expect(201).json();
        assert_eq!(session.tenants[0].roles, [Role::Publisher]);
        let again = app.stranger().post("/api/v1/invitations", &accept(&token(&created), PASSWORD)).await;
        assert_eq!(again.expect_problem(422, "invalid").fields[0].code, "spent");
    })
    .await;
}

#[tokio::test]
async fn who_has_forgotten_a_password_gets_a_new_link_that_ends_their_sessions() {
    each_database(|app| async move {
        let member = app.member(&[Role::Viewer]).await;
        let session: Session = member.get("/api/v1/session").await.expect(200).json();
        let path = app.path(&format!("/users/{}/invitation", session.user));
        let link: CreatedUser = app.admin.post(&path, &json!({})).await.expect(201).json();
        let accept = json!({"token": token(&link), "password": "another long password"});
        app.stranger().post("/api/v1/invitations", &accept).await.expect(201);
        member.get("/api/v1/session").await.expect_problem(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn an_account_that_tenants_share_cannot_be_taken_over_by_one_of_them() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let shared = app.member(&[Role::Viewer]).await;
        let shared: Session = shared.get("/api/v1/session").await.expect(200).json();
        let their_admin = app.member_of(other, &[Role::TenantAdmin]).await;
        let users = format!("/api/v1/tenants/{other}/users");
        let join = json!({"email": shared.email, "name": "Mallory's name", "roles": ["viewer"]});
        let joined: CreatedUser = their_admin.post(&users, &join).await.expect(201).json();
        assert_eq!(joined.invitation, None);
        assert_eq!(joined.user.name, "Test Member");

        let path = format!("{users}/{}", shared.user);
        let invitation = format!("{path}/invitation");
        their_admin.post(&invitation, &json!({})).await.expect_problem(409, "shared_account");
        let etag = their_admin.get(&path).await.expect(200).etag();
        let rename = json!({"name": "Mallory's name", "roles": ["viewer"], "disabled": false});
        their_admin.put(&path, &etag, &rename).await.expect_problem(409, "shared_account");
        their_admin.delete_if(&path, &etag).await.expect(204);
        app.admin.get(&app.path(&format!("/users/{}", shared.user))).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn the_last_admin_of_a_tenant_stays() {
    each_database(|app| async move {
        let me: Session = app.admin.get("/api/v1/session").await.expect(200).json();
        let path = app.path(&format!("/users/{}", me.user));
        let etag = app.admin.get(&path).await.expect(200).etag();
        let demote = json!({"name": "Ada Admin", "roles": ["viewer"], "disabled": false});
        app.admin.put(&path, &etag, &demote).await.expect_problem(409, "last_admin");
        app.admin.delete_if(&path, &etag).await.expect_problem(409, "last_admin");
        app.member(&[Role::TenantAdmin]).await;
        app.admin.put(&path, &etag, &demote).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn who_leaves_their_last_tenant_is_gone_with_their_session() {
    each_database(|app| async move {
        let member = app.member(&[Role::Viewer]).await;
        let session: Session = member.get("/api/v1/session").await.expect(200).json();
        let team = json!({"name": "x", "members": [session.user]});
        app.admin.post(&app.path("/teams"), &team).await.expect(201);
        let path = app.path(&format!("/users/{}", session.user));
        let etag = app.admin.get(&path).await.expect(200).etag();
        app.admin.delete_if(&path, &etag).await.expect(204);
        member.get("/api/v1/session").await.expect_problem(401, "unauthenticated");
        app.admin.get(&path).await.expect_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn applications_of_who_leaves_go_on_calling_and_have_no_owner() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let leaver = app.member(&[Role::Consumer]).await;
        let session: Session = leaver.get("/api/v1/session").await.expect(200).json();
        // The account stays, because it is in another tenant, too.
        let join = json!({"email": session.email, "name": "Lea", "roles": ["consumer"]});
        app.admin.post(&format!("/api/v1/tenants/{other}/users"), &join).await.expect(201);
        let made = make_application(&app, &leaver, "shop").await;
        assert_eq!(made.owner, Some(session.user));
        make_key(&app, &leaver, made.id).await;

        let user = app.path(&format!("/users/{}", session.user));
        let etag = app.admin.get(&user).await.expect(200).etag();
        app.admin.delete_if(&user, &etag).await.expect(204);
        let path = app.path(&format!("/applications/{}", made.id));
        let left: Application = app.admin.get(&path).await.expect(200).json();
        assert_eq!((left.owner, &*left.owner_name, left.active_keys), (None, "", 1));
        assert_eq!(known_keys(&app).await.len(), 1, "its key still opens");
        let audit = app.path(&format!("/audit?resource=application&resource_id={}", made.id));
        let audit: Page<AuditEntry> = app.admin.get(&audit).await.expect(200).json();
        assert_eq!(audit.items[0].action, "update_application");
        assert!(audit.items[0].changes.iter().any(|change| change.path == "/owner"), "{audit:?}");

        // Who comes back begins anew.
        let back = json!({"email": session.email, "name": "Lea", "roles": ["consumer"]});
        app.admin.post(&app.path("/users"), &back).await.expect(201);
        leaver.get(&path).await.expect_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_platform_admin_owns_nothing_in_a_tenant_of_others() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let path = format!("/api/v1/tenants/{other}/applications");
        let made: Application = app.admin.post(&path, &json!({"name": "shop"})).await.expect(201).json();
        assert_eq!(made.owner, None);
    })
    .await;
}

#[tokio::test]
async fn users_are_found_sorted_and_refused_by_field() {
    each_database(|app| async move {
        invite(&app, "bob@example.com", &[Role::Viewer]).await;
        let users: Page<User> = app.admin.get(&app.path("/users?sort=-email")).await.expect(200).json();
        let emails: Vec<_> = users.items.iter().map(|user| user.email.as_str()).collect();
        assert_eq!(emails, ["bob@example.com", "ada@example.com"]);
        let users: Page<User> = app.admin.get(&app.path("/users?q=BOB")).await.expect(200).json();
        assert_eq!(users.items.len(), 1);
        let again = json!({"email": "bob@example.com", "name": "Bob", "roles": ["viewer"]});
        let again = app.admin.post(&app.path("/users"), &again).await.expect_problem(409, "not_unique");
        assert_eq!(again.fields[0].pointer, "/email");
        let wrong = json!({"email": "x", "name": "", "roles": []});
        let wrong = app.admin.post(&app.path("/users"), &wrong).await.expect_problem(422, "invalid");
        assert_eq!(wrong.fields.len(), 2);
    })
    .await;
}
