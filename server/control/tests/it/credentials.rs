//! Keys: shown once, known to gateways by their hash, revoked for good.

use serde_json::json;
use sluice_contract::journal::Change;
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::applications::{Credential, RevokedCredential};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::releases::ProgressState;
use sluice_testkit::each_database;

use crate::publishing::{
    ask_subscription, known_keys, make_application, make_key, production, published, told,
};

#[tokio::test]
async fn a_key_is_shown_once_and_known_to_gateways_by_its_hash() {
    each_database(|app| async move {
        let application = make_application(&app, &app.admin, "shop").await.id;
        let made = make_key(&app, &app.admin, application).await;
        assert!(made.key.starts_with("slk_") && made.key.len() == 4 + 43, "{}", made.key);
        assert!(made.key.starts_with(&made.credential.prefix) && made.credential.prefix.len() < 12);
        let known = known_keys(&app).await;
        assert_eq!(known[0].hash, Sha256Hash::of(made.key.as_bytes()));
        assert_eq!((known[0].credential, known[0].application), (made.credential.id, application));
        let path = app.path(&format!("/applications/{application}/credentials"));
        let list = app.admin.get(&path).await.expect(200);
        assert!(!list.text().contains(&made.key));
        assert_eq!(list.json::<Page<Credential>>().items, [made.credential]);
        let audit = app.admin.get(&app.path("/audit?resource=credential")).await.expect(200).text();
        assert!(audit.contains("create_credential") && !audit.contains(&made.key));
        assert!(!audit.contains(&known[0].hash.to_string()));
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_is_removed_in_the_journal_and_never_comes_back() {
    each_database(|app| async move {
        let (api, plan) = published(&app, "items", "automatic").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        let (key, kept) =
            (make_key(&app, &app.admin, application).await, make_key(&app, &app.admin, application).await);
        let path = app.path(&format!("/applications/{application}/credentials/{}", key.credential.id));
        let revoked: RevokedCredential = app.admin.delete(&path).await.expect(200).json();
        assert!(revoked.credential.revoked_at.is_some());
        assert_eq!(revoked.progress.state, ProgressState::Waiting);
        let hash = Sha256Hash::of(key.key.as_bytes());
        assert_eq!(told(&app).await.last(), Some(&Change::CredentialRemoved { hash }));
        // Again changes nothing.
        let before = told(&app).await.len();
        let again: RevokedCredential = app.admin.delete(&path).await.expect(200).json();
        assert_eq!((again.credential, told(&app).await.len()), (revoked.credential, before));
        // What is announced later is about the other key only.
        ask_subscription(&app, &app.admin, application, (api, plan)).await.expect(201);
        let known = known_keys(&app).await;
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].hash, Sha256Hash::of(kept.key.as_bytes()));
        assert_eq!(known[0].subscriptions.len(), 1);
        app.admin.get(&path).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_of_an_environment_that_is_there_and_ends_in_the_future() {
    each_database(|app| async move {
        let application = make_application(&app, &app.admin, "shop").await.id;
        let path = app.path(&format!("/applications/{application}/credentials"));
        let nowhere = json!({"name": "key", "environment": uuid::Uuid::new_v4()});
        let problem = app.admin.post(&path, &nowhere).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].pointer, "/environment");
        let past = json!({"name": "key", "environment": production(&app).await, "expires_at": "2020-01-01T00:00:00Z"});
        let problem = app.admin.post(&path, &past).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].pointer, "/expires_at");
        let later = json!({"name": "key", "environment": production(&app).await, "expires_at": "2999-01-01T00:00:00Z"});
        app.admin.post(&path, &later).await.expect(201);
        assert!(known_keys(&app).await[0].expires_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_decision_and_a_revocation_at_once_never_leave_a_revoked_key_alive() {
    each_database(|app| async move {
        let (api, plan) = published(&app, "items", "automatic").await;
        for round in 0..5 {
            let application = make_application(&app, &app.admin, &format!("shop {round}")).await.id;
            let key = make_key(&app, &app.admin, application).await;
            let path = app.path(&format!("/applications/{application}/credentials/{}", key.credential.id));
            let (subscribed, revoked) = tokio::join!(
                ask_subscription(&app, &app.admin, application, (api, plan)),
                app.admin.delete(&path),
            );
            subscribed.expect(201);
            revoked.expect(200);
            assert!(known_keys(&app).await.is_empty(), "round {round}");
        }
    })
    .await;
}
