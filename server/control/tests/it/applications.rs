//! Applications, and who sees and changes which.

use serde_json::json;
use sluice_contract::journal::Change;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

use crate::publishing::{known_keys, make_application, make_key, told};

#[tokio::test]
async fn an_application_is_made_changed_and_removed_with_its_keys() {
    each_database(|app| async move {
        let made = make_application(&app, &app.admin, "shop").await;
        assert_eq!((&*made.owner_name, made.active_keys), ("Ada Admin", 0));
        let key = make_key(&app, &app.admin, made.id).await;
        let path = app.path(&format!("/applications/{}", made.id));
        let change =
            json!({"name": "Web shop", "policies": [{"type": "rate-limit", "settings": {"requests": 9}}]});
        let changed: Application = app.admin.put(&path, "\"1\"", &change).await.expect(200).json();
        assert_eq!((&*changed.name, changed.active_keys, changed.version), ("Web shop", 1, 2));
        let known = known_keys(&app).await;
        assert_eq!((&*known[0].application_name, known[0].policies.len()), ("Web shop", 1));
        app.admin.put(&path, "\"1\"", &change).await.expect_problem(412, "stale_version");
        app.admin.delete_if(&path, "\"2\"").await.expect(204);
        app.admin.get(&path).await.expect_problem(404, "not_found");
        assert!(known_keys(&app).await.is_empty());
        let hash = sluice_contract::part::Sha256Hash::of(key.key.as_bytes());
        let changes = told(&app).await;
        assert_eq!(changes.last(), Some(&Change::CredentialRemoved { hash }));
    })
    .await;
}

#[tokio::test]
async fn consumers_see_and_change_only_what_they_or_their_teams_own() {
    each_database(|app| async move {
        let (one, two) = (app.member(&[Role::Consumer]).await, app.member(&[Role::Consumer]).await);
        let me: Session = two.get("/api/v1/session").await.json();
        let team = json!({"name": "Shops", "members": [me.user]});
        let team: sluice_contract::rest::teams::Team =
            app.admin.post(&app.path("/teams"), &team).await.expect(201).json();
        let theirs = make_application(&app, &one, "theirs").await;
        let mine = make_application(&app, &two, "mine").await;
        let shared = json!({"name": "shared", "team": team.id});
        let shared: Application =
            app.admin.post(&app.path("/applications"), &shared).await.expect(201).json();

        let list: Page<Application> = two.get(&app.path("/applications")).await.expect(200).json();
        let seen: Vec<_> = list.items.iter().map(|application| application.id).collect();
        assert_eq!(seen, [mine.id, shared.id]);
        let all: Page<Application> = app.admin.get(&app.path("/applications")).await.expect(200).json();
        assert_eq!(all.items.len(), 3);

        let foreign = app.path(&format!("/applications/{}", theirs.id));
        two.get(&foreign).await.expect_problem(404, "not_found");
        two.put(&foreign, "\"1\"", &json!({"name": "x"})).await.expect_problem(404, "not_found");
        two.delete_if(&foreign, "\"1\"").await.expect_problem(404, "not_found");
        two.get(&format!("{foreign}/credentials")).await.expect_problem(404, "not_found");
        let not_mine = json!({"name": "mine", "team": uuid::Uuid::new_v4()});
        let path = app.path(&format!("/applications/{}", mine.id));
        two.put(&path, "\"1\"", &not_mine).await.expect_problem(422, "invalid");
        two.put(&path, "\"1\"", &json!({"name": "mine", "team": team.id})).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn who_is_limited_does_not_set_the_limit() {
    each_database(|app| async move {
        let consumer = app.member(&[Role::Consumer]).await;
        let with_policies =
            json!({"name": "shop", "policies": [{"type": "rate-limit", "settings": {"requests": 9}}]});
        consumer.post(&app.path("/applications"), &with_policies).await.expect_problem(403, "forbidden");
        let made = make_application(&app, &consumer, "shop").await;
        let path = app.path(&format!("/applications/{}", made.id));
        consumer.put(&path, "\"1\"", &with_policies).await.expect_problem(403, "forbidden");
        app.admin.put(&path, "\"1\"", &with_policies).await.expect(200);
        let renamed = json!({"name": "Shop", "policies": with_policies["policies"]});
        consumer.put(&path, "\"2\"", &renamed).await.expect(200);
        consumer.put(&path, "\"3\"", &json!({"name": "Shop"})).await.expect_problem(403, "forbidden");
    })
    .await;
}
