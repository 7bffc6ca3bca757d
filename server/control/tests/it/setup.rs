//! First-run setup.

use serde_json::{Value, json};
use sluice_contract::rest::session::{Permission, Session};
use sluice_contract::rest::setup::SetupStatus;
use sluice_control::{App, setup};
use sluice_testkit::{Client, PASSWORD, TestApp, each_database, each_store};

fn body(token: &str) -> Value {
    json!({
        "token": token, "organisation": "Örtliche Bank", "name": "Ada", "email": "Ada@Example.com",
        "password": PASSWORD,
    })
}

fn token(link: &str) -> &str {
    link.split_once("/setup?token=").unwrap().1
}

#[tokio::test]
async fn the_one_time_link_makes_the_first_admin_and_then_is_worth_nothing() {
    each_store(|database| async move {
        let app = App::new(TestApp::settings(), database.store.clone()).await.unwrap();
        let client = Client::new(sluice_control::router(&app));
        let status: SetupStatus = client.get("/api/v1/setup").await.expect(200).json();
        assert!(status.needed);

        let older = setup::issue_link(&app.store).await.unwrap().unwrap();
        let link = setup::issue_link(&app.store).await.unwrap().unwrap();
        let spent = client.post("/api/v1/setup", &body(token(&older))).await.expect_problem(422, "invalid");
        assert_eq!((spent.fields[0].pointer.as_str(), spent.fields[0].code.as_str()), ("/token", "spent"));

        let reply = client.post("/api/v1/setup", &body(token(&link))).await.expect(201);
        let session: Session = reply.json();
        assert!(session.platform_admin);
        assert_eq!(session.email, "ada@example.com");
        assert_eq!(session.tenants[0].slug, "rtliche-bank");
        assert!(session.tenants[0].permissions.contains(&Permission::ManagePlatform));
        client.get("/api/v1/session").await.expect(200);

        let again = Client::new(sluice_control::router(&app));
        again.post("/api/v1/setup", &body(token(&link))).await.expect_problem(422, "invalid");
        let status: SetupStatus = again.get("/api/v1/setup").await.expect(200).json();
        assert!(!status.needed);
        assert_eq!(setup::issue_link(&app.store).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn wrong_input_does_not_use_the_link_up() {
    each_store(|database| async move {
        let app = App::new(TestApp::settings(), database.store.clone()).await.unwrap();
        let client = Client::new(sluice_control::router(&app));
        let link = setup::issue_link(&app.store).await.unwrap().unwrap();
        let mut wrong = body(token(&link));
        wrong["email"] = json!("nobody");
        wrong["organisation"] = json!("");
        let problem = client.post("/api/v1/setup", &wrong).await.expect_problem(422, "invalid");
        let pointers: Vec<_> = problem.fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/organisation", "/email"]);
        let mut short = body(token(&link));
        short["password"] = json!("too short");
        let problem = client.post("/api/v1/setup", &short).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].code, "too_short");
        client.post("/api/v1/setup", &body(token(&link))).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn of_two_who_use_the_link_at_once_one_wins() {
    each_store(|database| async move {
        let app = App::new(TestApp::settings(), database.store.clone()).await.unwrap();
        let link = setup::issue_link(&app.store).await.unwrap().unwrap();
        let client = || Client::new(sluice_control::router(&app));
        let (one, two) = (client(), client());
        let body = body(token(&link));
        let (one, two) = tokio::join!(one.post("/api/v1/setup", &body), two.post("/api/v1/setup", &body));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422]);
    })
    .await;
}

#[tokio::test]
async fn the_first_environment_is_there_from_the_start() {
    each_database(|app| async move {
        let reply = app.admin.get(&app.path("/environments")).await.expect(200);
        let environments: Value = reply.json();
        assert_eq!(environments["items"][0]["slug"], "production");
        assert_eq!(environments["items"][0]["settings"]["allowed_networks"][0], "127.0.0.0/8");
    })
    .await;
}
