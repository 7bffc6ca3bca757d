//! Gateways that come up with an empty memory.

use super::*;

async fn plan(served: &Served, api: ApiId) {
    let path = plan_path(served, api);
    let fresh = served.app.admin.get(&path).await.expect(200).etag();
    let plan = json!({"sources": [{"from": "list", "paths": ["/items"]}], "on_gateway": true});
    served.app.admin.put(&path, &fresh, &plan).await.expect(200);
}

/// The newest warming, once it is as wanted; until then the gateway is heard of.
async fn of_gateway(served: &Served, api: ApiId, warmer: &Warmer, is: impl Fn(&Warming) -> bool) -> Warming {
    let begun = std::time::Instant::now();
    loop {
        warmer.live(served, false).await;
        let page: Page<Warming> = served.app.admin.get(&path(served, api, "")).await.expect(200).json();
        let gateway = warmer.gateway.id;
        let meant = |warming: &Warming| warming.gateways.iter().all(|one| one.gateway == gateway);
        match page.items.into_iter().find(|warming| meant(warming) && is(warming)) {
            Some(warming) => return warming,
            None => assert!(begun.elapsed().as_secs() < 60, "not so after a minute"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_comes_up_is_warmed_by_the_plans_that_say_so_and_no_other_is() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let (api, other) = (released(&served, "items").await, released(&served, "other").await);
        plan(&served, api).await;
        let mut one = Warmer::start(&served, false, false).await;
        let done = of_gateway(&served, api, &one, is_done).await;
        assert_eq!((done.cause, done.created_by.as_str()), (WarmingCause::Gateway, "system"));
        assert_eq!((done.gateways.len(), one.urls()), (1, vec!["/items".to_owned()]));
        let two = Warmer::start(&served, false, false).await;
        of_gateway(&served, api, &two, is_done).await;
        assert_eq!((two.urls().len(), one.urls().len()), (1, 1), "once for each");
        one.restart(&served).await;
        of_gateway(&served, api, &one, |again| is_done(again) && again.id != done.id).await;
        assert_eq!((one.urls().len(), two.urls().len()), (2, 1), "its memory was empty again");
        let page: Page<Warming> = served.app.admin.get(&path(&served, other, "")).await.expect(200).json();
        assert!(page.items.is_empty(), "an API without such a plan: {page:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn warming_one_gateway_keeps_nobody_from_warming_all_and_ends_with_its_life() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let api = released(&served, "items").await;
        plan(&served, api).await;
        let mut warmer = Warmer::start(&served, false, true).await;
        let first = of_gateway(&served, api, &warmer, |warming| warming.state == WarmingState::Running).await;
        warmer.restart(&served).await;
        let again = |warming: &Warming| {
            warming.cause == WarmingCause::Gateway
                && warming.state == WarmingState::Running
                && warming.id != first.id
        };
        of_gateway(&served, api, &warmer, again).await;
        let ended = |warming: &Warming| warming.id == first.id && warming.ended_at.is_some();
        assert_eq!(of_gateway(&served, api, &warmer, ended).await.state, WarmingState::Cancelled);
        warmer.live(&served, false).await;
        let all = warm(&served, api, &["/all".to_owned()]).await;
        assert_eq!(all.cause, WarmingCause::Demand);
    })
    .await;
}
