//! Plans, and what a change of one does to its subscribers.

use serde_json::json;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::plans::Plan;
use sluice_testkit::each_database;

use crate::publishing::{
    ask_subscription, draft, known_keys, make_api, make_application, make_key, make_plan, published,
};

#[tokio::test]
async fn a_plan_is_made_changed_and_removed() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let plan = make_plan(&app, api, "manual").await;
        let path = app.path(&format!("/apis/{api}/plans/{}", plan.id));
        let etag = app.admin.get(&path).await.expect(200).etag();
        let change = json!({"name": "Gold", "approval": "automatic", "closed": true});
        let changed: Plan = app.admin.put(&path, &etag, &change).await.expect(200).json();
        assert_eq!((&*changed.name, changed.closed, changed.policies.len()), ("Gold", true, 0));
        app.admin.put(&path, &etag, &change).await.expect_problem(412, "stale_version");
        let list: Page<Plan> =
            app.admin.get(&app.path(&format!("/apis/{api}/plans"))).await.expect(200).json();
        assert_eq!(list.items, [changed]);
        app.admin.delete_if(&path, "\"2\"").await.expect(204);
        app.admin.get(&path).await.expect_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn policies_that_a_plan_cannot_have_are_refused() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let path = app.path(&format!("/apis/{api}/plans"));
        let plan = |policies| json!({"name": "Gold", "approval": "manual", "policies": policies});
        let cors = app.admin.post(&path, &plan(json!([{"type": "cors", "settings": {}}]))).await;
        assert_eq!(cors.expect_problem(422, "invalid").fields[0].pointer, "/policies/0/type");
        let zero = json!([{"type": "rate-limit", "settings": {"requests": 0}}]);
        let zero = app.admin.post(&path, &plan(zero)).await.expect_problem(422, "invalid");
        assert!(zero.fields[0].pointer.starts_with("/policies/0/settings"), "{zero:?}");
    })
    .await;
}

#[tokio::test]
async fn a_changed_plan_reaches_the_keys_of_its_subscribers() {
    each_database(|app| async move {
        let (api, plan) = published(&app, "items", "automatic").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        make_key(&app, &app.admin, application).await;
        ask_subscription(&app, &app.admin, application, (api, plan)).await.expect(201);
        let path = app.path(&format!("/apis/{api}/plans/{plan}"));
        let change = json!({
            "name": "Slower", "approval": "automatic",
            "policies": [{"type": "rate-limit", "settings": {"requests": 1}}]
        });
        app.admin.put(&path, "\"1\"", &change).await.expect(200);
        let keys = known_keys(&app).await;
        let subscription = &keys[0].subscriptions[0];
        assert_eq!(&*subscription.plan_name, "Slower");
        assert_eq!(subscription.policies[0].settings["requests"], 1);
        app.admin.delete_if(&path, "\"2\"").await.expect_problem(409, "in_use");
    })
    .await;
}
