//! Signing in and out.

use http::{Method, header};
use sea_orm::ConnectionTrait;
use serde_json::json;
use sluice_contract::rest::session::{Permission, Session};
use sluice_contract::rest::users::{Role, User};
use sluice_control::App;
use sluice_testkit::{Client, PASSWORD, Reply, TestApp, each_database};

async fn sign_in(client: &Client, email: &str, password: &str) -> Reply {
    client.post("/api/v1/session", &json!({"email": email, "password": password})).await
}

async fn signed_in(app: &TestApp) -> Client {
    let client = app.stranger();
    sign_in(&client, "ada@example.com", PASSWORD).await.expect(200);
    client
}

async fn execute(app: &TestApp, sql: &str) {
    app.app.store.read().execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn the_cookie_is_bound_to_this_host_and_out_of_scripts_reach() {
    each_database(|app| async move {
        let client = app.stranger();
        let reply = sign_in(&client, " ADA@example.com", PASSWORD).await.expect(200);
        let cookie = reply.header("set-cookie");
        assert!(cookie.starts_with("__Host-sluice="), "{cookie}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let session: Session = client.get("/api/v1/session").await.expect(200).json();
        assert_eq!(session.name, "Ada Admin");
    })
    .await;
}

#[tokio::test]
async fn signing_in_changes_the_session_id_and_signing_out_ends_it() {
    each_database(|app| async move {
        let client = signed_in(&app).await;
        let first = client.cookie();
        sign_in(&client, "ada@example.com", PASSWORD).await.expect(200);
        assert_ne!(client.cookie(), first);
        let old = app.stranger();
        old.set_cookie(first);
        old.get("/api/v1/session").await.expect_problem(401, "unauthenticated");

        let second = client.cookie();
        let reply = client.delete("/api/v1/session").await.expect(204);
        let removals: Vec<_> = reply.headers.get_all(header::SET_COOKIE).iter().collect();
        assert!(removals.iter().any(|removal| removal.to_str().unwrap().contains("Secure")), "{removals:?}");
        assert_eq!(client.cookie(), None);
        client.set_cookie(second);
        client.get("/api/v1/session").await.expect_problem(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn an_id_that_somebody_else_chose_is_never_used() {
    each_database(|app| async move {
        let client = app.stranger();
        let chosen = "__Host-sluice=AAAAAAAAAAAAAAAAAAAAAA".to_owned();
        client.set_cookie(Some(chosen.clone()));
        sign_in(&client, "ada@example.com", PASSWORD).await.expect(200);
        assert_ne!(client.cookie(), Some(chosen));
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_when_idle_and_whatever_happens_after_its_longest_time() {
    each_database(|app| async move {
        let idle = signed_in(&app).await;
        execute(&app, "UPDATE sessions SET last_seen_at = '2020-01-01T00:00:00+00:00'").await;
        idle.get("/api/v1/session").await.expect_problem(401, "unauthenticated");
        let old = signed_in(&app).await;
        execute(&app, "UPDATE sessions SET created_at = '2020-01-01T00:00:00+00:00'").await;
        old.get("/api/v1/session").await.expect_problem(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn wrong_passwords_and_unknown_accounts_look_the_same_and_are_throttled() {
    each_database(|app| async move {
        let client = app.stranger();
        let unknown = sign_in(&client, "nobody@example.com", PASSWORD).await;
        let unknown = unknown.expect_problem(401, "wrong_credentials");
        for _ in 0..10 {
            let wrong = sign_in(&client, "ada@example.com", "not my password").await;
            let wrong = wrong.expect_problem(401, "wrong_credentials");
            assert_eq!((wrong.title, wrong.detail), (unknown.title.clone(), unknown.detail.clone()));
        }
        let throttled = sign_in(&client, "ada@example.com", PASSWORD).await;
        assert_eq!(throttled.header("retry-after"), "900");
        throttled.expect_problem(429, "throttled");
    })
    .await;
}

#[tokio::test]
async fn attempts_at_once_and_at_several_control_planes_count_together() {
    each_database(|app| async move {
        let other = App::new(app.app.settings.clone(), app.database.store.clone()).await.unwrap();
        let clients = [app.router(), sluice_control::router(&other)].map(Client::new);
        let attempts = (0..30).map(|n| sign_in(&clients[n % 2], "ada@example.com", "not my password"));
        let replies = futures_util::future::join_all(attempts).await;
        let refused = replies.iter().filter(|reply| reply.status == 429).count();
        assert_eq!(refused, 20, "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
        sign_in(&clients[0], "ada@example.com", PASSWORD).await.expect_problem(429, "throttled");

        // After the window, and after a success, it begins anew.
        let at = sluice_store::now() - chrono::TimeDelta::minutes(16);
        let old = format!("UPDATE sign_in_failures SET since = '{}'", at.to_rfc3339());
        execute(&app, &old).await;
        sign_in(&clients[1], "ada@example.com", "not my password").await.expect(401);
        for _ in 0..20 {
            sign_in(&clients[0], "ada@example.com", PASSWORD).await.expect(200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    each_database(|app| async move {
        let (here, elsewhere) = (signed_in(&app).await, signed_in(&app).await);
        let change = |current: &str| json!({"current": current, "new": "a new long password"});
        let path = "/api/v1/session/password";
        let wrong = here.request(Method::PUT, path);
        let wrong = here.send_json(wrong, &change("wrong")).await.expect_problem(422, "invalid");
        assert_eq!(wrong.fields[0].pointer, "/current");
        here.send_json(here.request(Method::PUT, path), &change(PASSWORD)).await.expect(204);
        here.get("/api/v1/session").await.expect(200);
        elsewhere.get("/api/v1/session").await.expect_problem(401, "unauthenticated");
        sign_in(&elsewhere, "ada@example.com", PASSWORD).await.expect_problem(401, "wrong_credentials");
        sign_in(&elsewhere, "ada@example.com", "a new long password").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_change_that_another_site_sends_is_refused() {
    each_database(|app| async move {
        let client = signed_in(&app).await;
        let body = json!({"name": "x", "members": []});
        let cookie = client.cookie().unwrap();
        let request = || {
            let request = http::Request::post(app.path("/teams"));
            request.header(header::COOKIE, &cookie).header(header::HOST, "console.test")
        };
        client.send_json(request(), &body).await.expect_problem(403, "csrf");
        let foreign = request().header("x-sluice-csrf", "1").header(header::ORIGIN, "https://evil.test");
        client.send_json(foreign, &body).await.expect_problem(403, "csrf");
        let ours = request().header("x-sluice-csrf", "1").header(header::ORIGIN, "https://console.test");
        client.send_json(ours, &body).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_member_sees_their_tenants_and_what_they_may_do_there() {
    each_database(|app| async move {
        let consumer = app.member(&[Role::Consumer]).await;
        let session: Session = consumer.get("/api/v1/session").await.expect(200).json();
        assert_eq!(session.tenants.len(), 1);
        let expected = [Permission::ManageApplications, Permission::ReadCatalogue];
        assert_eq!(session.tenants[0].permissions, expected);
        app.another_tenant("other").await;
        let admin: Session = app.admin.get("/api/v1/session").await.expect(200).json();
        assert_eq!(admin.tenants.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_cannot_come_back() {
    each_database(|app| async move {
        let member = app.member(&[Role::Viewer]).await;
        let session: Session = member.get("/api/v1/session").await.expect(200).json();
        let path = app.path(&format!("/users/{}", session.user));
        let reply = app.admin.get(&path).await.expect(200);
        let disable = json!({"name": "Test Member", "roles": ["viewer"], "disabled": true});
        let user: User = app.admin.put(&path, &reply.etag(), &disable).await.expect(200).json();
        assert!(user.disabled);
        member.get(&app.path("/teams")).await.expect_problem(404, "not_found");
        sign_in(&app.stranger(), &session.email, PASSWORD).await.expect_problem(403, "disabled");
    })
    .await;
}
