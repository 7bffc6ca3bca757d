//! Enrolment and sessions.

use chrono::TimeDelta;
use serde_json::json;
use sluice_contract::ids::BootId;
use sluice_contract::link::LostCalls;
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::gateways::{EnrolmentTokenInfo, Gateway, GatewayState};
use sluice_contract::rest::page::Page;
use sluice_store::enrolment_tokens::{self, NewEnrolmentToken};
use sluice_testkit::each_database;

use super::simulated::{Served, Simulated, secret_of};

#[tokio::test]
async fn gateways_enrol_with_one_token_and_get_names_of_their_own() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let token = served.token().await;
        for _ in 0..3 {
            let mut gateway = Simulated::enrol(&served.base, &secret_of(&token), "worker").await.unwrap();
            gateway.open_session(Vec::new()).await.unwrap();
        }
        let path = served.app.path("/gateways");
        let gateways: Page<Gateway> = served.app.admin.get(&path).await.expect(200).json();
        let names: Vec<_> = gateways.items.iter().map(|gateway| gateway.name.as_str()).collect();
        assert_eq!(names, ["worker", "worker-2", "worker-3"]);
        let first = &gateways.items[0];
        assert_eq!((first.region.as_deref(), first.version.as_str()), (Some("test"), "0.1.0"));
        assert_eq!((first.state, first.applied, first.head), (GatewayState::Behind, 0, 1));

        let path = format!("/api/v1/environments/{}/enrolment-tokens", served.environment);
        let tokens: Page<EnrolmentTokenInfo> = served.app.admin.get(&path).await.expect(200).json();
        assert_eq!(tokens.items[0].used, 3);
    })
    .await;
}

#[tokio::test]
async fn an_environment_says_where_its_gateways_are_reached_until_they_are_removed() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let list = async || -> Vec<Environment> {
            let path = served.app.path("/environments");
            served.app.admin.get(&path).await.expect(200).json::<Page<Environment>>().items
        };
        assert!(list().await[0].gateway_urls.is_empty());
        served
            .app
            .admin
            .post("/api/v1/environments", &json!({"slug": "test", "name": "Test"}))
            .await
            .expect(201);
        let (gateway, second) = (served.gateway().await, served.gateway().await);
        let urls: Vec<_> = list().await.into_iter().map(|it| (it.slug, it.gateway_urls)).collect();
        let reached = vec!["http://127.0.0.1:8000".to_owned()];
        assert_eq!(urls, [("production".to_owned(), reached.clone()), ("test".to_owned(), Vec::new())]);
        let path = format!("/api/v1/environments/{}", served.environment);
        let one: Environment = served.app.admin.get(&path).await.expect(200).json();
        assert_eq!(one.gateway_urls, reached);

        for id in [gateway.id, second.id] {
            served.app.admin.delete(&format!("/api/v1/gateways/{id}")).await.expect(204);
        }
        assert!(list().await[0].gateway_urls.is_empty());
    })
    .await;
}

#[tokio::test]
async fn tokens_that_are_unknown_expired_or_revoked_are_refused_and_say_so_to_their_holder_only() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let refused =
            async |secret: &str| Simulated::enrol(&served.base, secret, "worker").await.err().unwrap();
        let unknown = refused("made up").await;
        assert_eq!((unknown.status, unknown.code.as_str()), (401, "unknown_enrolment_token"));

        let token = served.token().await;
        let path = format!("/api/v1/environments/{}/enrolment-tokens/{}", served.environment, token.info.id);
        served.app.admin.delete(&path).await.expect(204);
        served.app.admin.delete(&path).await.expect_problem(404, "not_found");
        assert_eq!(refused(&secret_of(&token)).await.code, "enrolment_token_revoked");

        let tx = served.store().begin().await.unwrap();
        let expired = NewEnrolmentToken {
            environment: served.environment,
            name: "old".to_owned(),
            secret: sluice_contract::part::Sha256Hash::of(b"old secret"),
            created_by: "test".to_owned(),
            expires_at: sluice_store::now() - TimeDelta::seconds(1),
        };
        enrolment_tokens::create(&tx, expired).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(refused("old secret").await.code, "enrolment_token_expired");
    })
    .await;
}

#[tokio::test]
async fn who_is_refused_too_often_is_held_back() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        for _ in 0..30 {
            let refused = Simulated::enrol(&served.base, "guess", "worker").await.err().unwrap();
            assert_eq!(refused.status, 401);
        }
        let token = served.token().await;
        let held_back = Simulated::enrol(&served.base, &secret_of(&token), "worker").await.err().unwrap();
        assert_eq!((held_back.status, held_back.code.as_str()), (429, "throttled"));
    })
    .await;
}

#[tokio::test]
async fn strangers_cannot_send_much() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let refused = Simulated::enrol(&served.base, &"x".repeat(32 << 10), "worker").await.err().unwrap();
        assert_eq!((refused.status, refused.code.as_str()), (413, "body_too_large"));
    })
    .await;
}

#[tokio::test]
async fn a_session_needs_the_gateways_own_secret_and_every_path_needs_a_session() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let refused = gateway.clone().with_secret("guess").open_session(Vec::new()).await.unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (401, "unknown_gateway"));

        let token = served.token().await;
        let stranger = Simulated::enrol(&served.base, &secret_of(&token), "stranger").await.unwrap();
        let refused = stranger.get::<serde_json::Value>("/gateway/v1/snapshot").await.unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (401, "no_session"));
        assert_eq!(stranger.follow(0).await.err().unwrap().code, "no_session");
        assert_eq!(stranger.heartbeat(0).await.unwrap_err().code, "no_session");
        assert_eq!(stranger.acknowledge(1, Vec::new()).await.unwrap_err().code, "no_session");
    })
    .await;
}

#[tokio::test]
async fn calls_lost_and_dropped_are_counted_once_and_shown() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let mut gateway = served.gateway().await;
        gateway.heartbeat(7).await.unwrap();
        let killed = gateway.boot;
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;

        gateway.boot = BootId::generate();
        let lost = vec![LostCalls { boot: killed, count: 11 }];
        gateway.open_session(lost.clone()).await.unwrap();
        gateway.open_session(lost).await.unwrap();
        // More lives than are kept one by one.
        for _ in 0..30 {
            gateway.boot = BootId::generate();
            gateway.open_session(vec![LostCalls { boot: BootId::generate(), count: 1 }]).await.unwrap();
        }
        let path = served.app.path(&format!("/gateways/{}", gateway.id));
        let seen: Gateway = served.app.admin.get(&path).await.expect(200).json();
        assert_eq!((seen.lost_calls, seen.dropped_calls), (41, 7));
        assert_eq!(seen.health.unwrap().memory_bytes, 30 << 20);
    })
    .await;
}

#[tokio::test]
async fn a_token_lasts_a_day_unless_said_and_a_year_at_most() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let created = served.token().await;
        let hours = (created.info.expires_at - created.info.created_at).as_seconds_f64() / 3600.0;
        assert!((23.9..=24.0).contains(&hours), "{hours}");
        assert!(created.command.contains(&created.token));
        let path = format!("/api/v1/environments/{}/enrolment-tokens", served.environment);
        let long = json!({"name": "fleet", "valid_hours": 365 * 24 + 1});
        let problem = served.app.admin.post(&path, &long).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].pointer, "/valid_hours");
        let nowhere = format!("/api/v1/environments/{}/enrolment-tokens", uuid::Uuid::now_v7());
        served.app.admin.post(&nowhere, &json!({"name": "fleet"})).await.expect_problem(404, "not_found");
        let nobody = served.app.stranger().post(&path, &json!({"name": "fleet"})).await;
        nobody.expect_problem(401, "unauthenticated");
    })
    .await;
}
