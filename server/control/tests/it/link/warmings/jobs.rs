//! What a gateway is asked to do, and what it may say of it.

use sluice_testkit::TestApp;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_as_the_plan_says() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let fresh = served.app.admin.get(&plan_path(&served, api)).await.expect(200).etag();
        let plan = json!({
            "sources": [{"from": "list", "paths": ["/items"]}],
            "pace": {"per_second": 7, "concurrency": 2}, "renew_s": 30,
            "address": "https://api.example.com", "headers": [{"name": "accept-encoding", "value": "br"}],
        });
        served.app.admin.put(&plan_path(&served, api), &fresh, &plan).await.expect(200);
        let body = json!({"environment": served.environment});
        served.app.admin.post(&path(&served, api, ""), &body).await.expect(201);
        newest(&served, api, is_done).await;
        let job = serde_json::to_value(&warmer.jobs.lock().unwrap()[0]).unwrap();
        for field in ["pace", "renew_s"] {
            assert_eq!(job[field], plan[field], "{field}");
        }
        for field in ["address", "headers"] {
            assert_eq!(job["as_callers"][field], plan[field], "{field}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_gateway_forgets_is_begun_again_and_one_that_is_behind_is_waited_for() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let running = || WarmAnswer::Running(WarmReport::default());
        warmer.first.lock().unwrap().extend([WarmAnswer::Behind, running(), WarmAnswer::UnknownJob]);
        warm(&served, api, &["/items".to_owned()]).await;
        let ended = newest(&served, api, |warming| warming.ended_at.is_some()).await;
        assert_eq!((ended.state, ended.gateways[0].state), (WarmingState::Done, GatewayWarmingState::Done));
        assert_eq!(warmer.urls().len(), 3, "behind, begun, and begun again");
        assert_eq!(ended.gateways[0].report.stored, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_be_asked_is_waited_for_until_nobody_wants_it_or_it_is_gone() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        // It lives, and holds no stream open.
        let _gateway = served.gateway().await;
        let api = released(&served, "items").await;
        let unwanted = warm(&served, api, &["/items".to_owned()]).await;
        let cancel = path(&served, api, &format!("/{}/cancel", unwanted.id));
        served.app.admin.post(&cancel, &json!({})).await.expect(200);
        let ended = newest(&served, api, |warming| warming.ended_at.is_some()).await;
        assert_eq!(ended.gateways[0].state, GatewayWarmingState::Cancelled);
        let in_vain = warm(&served, api, &["/items".to_owned()]).await;
        let tx = served.store().begin().await.unwrap();
        let past = "UPDATE gateways SET last_seen_at = '2026-01-01 00:00:00+00:00'";
        tx.execute_unprepared(past).await.unwrap();
        tx.commit().await.unwrap();
        let gone = |warming: &Warming| warming.id == in_vain.id && warming.ended_at.is_some();
        let ended = newest(&served, api, gone).await;
        assert_eq!(
            (ended.state, ended.gateways[0].state),
            (WarmingState::Failed, GatewayWarmingState::NotReached)
        );
    })
    .await;
}

/// On one database: it takes the twenty seconds for which a gateway may be silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_hangs_is_given_up() {
    let served = Served::start(TestApp::sqlite().await).await;
    let warmer = Warmer::start(&served, false, true).await;
    let api = released(&served, "items").await;
    warm(&served, api, &["/a".to_owned(), "/b".to_owned()]).await;
    newest(&served, api, |warming| warming.gateways[0].report.stored == 1).await;
    warmer.hangs.store(true, Ordering::SeqCst);
    let ended = newest(&served, api, |warming| warming.ended_at.is_some()).await;
    assert_eq!(
        (ended.state, ended.gateways[0].state),
        (WarmingState::Failed, GatewayWarmingState::NotReached)
    );
}
