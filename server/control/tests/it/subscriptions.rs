//! Subscriptions: asked for, decided, and what keys may do after each decision.

use serde_json::json;
use sluice_contract::ids::{ApiId, PlanId};
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::subscriptions::{Subscription, SubscriptionState};
use sluice_contract::rest::users::Role;
use sluice_testkit::{TestApp, each_database};

use crate::publishing::{
    ask_release, ask_subscription, decide, draft, known_keys, make_api, make_application, make_key,
    make_plan, published,
};

/// Whether each subscription of the only key is suspended.
async fn suspended(app: &TestApp) -> Vec<bool> {
    known_keys(app).await[0].subscriptions.iter().map(|subscription| subscription.suspended).collect()
}

#[tokio::test]
async fn keys_may_call_from_approval_to_the_end_and_gateways_learn_each_step() {
    each_database(|app| async move {
        let target = published(&app, "items", "manual").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        make_key(&app, &app.admin, application).await;
        let asked: Subscription =
            ask_subscription(&app, &app.admin, application, target).await.expect(201).json();
        assert_eq!((asked.state, &*asked.message), (SubscriptionState::Pending, "please"));
        assert_eq!((&*asked.application_name, &*asked.api_name), ("shop", "items"));
        assert!(suspended(&app).await.is_empty());

        let step = async |what: &str, reason: &str| -> SubscriptionState {
            decide(&app, &app.admin, &asked, what, reason).await.expect(200).json::<Subscription>().state
        };
        assert_eq!(step("approve", "").await, SubscriptionState::Approved);
        assert_eq!(suspended(&app).await, [false]);
        assert_eq!(step("suspend", "abuse").await, SubscriptionState::Suspended);
        assert_eq!(suspended(&app).await, [true]);
        assert_eq!(step("resume", "").await, SubscriptionState::Approved);
        assert_eq!(suspended(&app).await, [false]);
        assert_eq!(step("end", "").await, SubscriptionState::Ended);
        assert!(suspended(&app).await.is_empty());

        let audit: Page<AuditEntry> =
            app.admin.get(&app.path("/audit?resource=subscription")).await.expect(200).json();
        let actions: Vec<_> = audit.items.iter().rev().map(|entry| entry.action.clone()).collect();
        let expected =
            ["create", "approve", "suspend", "resume", "end"].map(|what| format!("{what}_subscription"));
        assert_eq!(actions, expected);
    })
    .await;
}

#[tokio::test]
async fn a_decision_needs_a_fitting_state_a_reason_where_one_is_read_and_the_newest_version() {
    each_database(|app| async move {
        let target = published(&app, "items", "manual").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        let asked: Subscription =
            ask_subscription(&app, &app.admin, application, target).await.expect(201).json();
        let refused = async |what: &str, reason: &str| decide(&app, &app.admin, &asked, what, reason).await;
        refused("suspend", "x").await.expect_problem(409, "wrong_state");
        refused("resume", "").await.expect_problem(409, "wrong_state");
        let problem = refused("reject", " ").await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].pointer, "/reason");
        let path = app.path(&format!("/subscriptions/{}/approve", asked.id));
        app.admin.post(&path, &json!({})).await.expect_problem(428, "precondition_required");
        app.admin.post_if(&path, "\"7\"", &json!({})).await.expect_problem(412, "stale_version");
        let rejected: Subscription = refused("reject", "not yet").await.expect(200).json();
        assert_eq!((rejected.state, &*rejected.reason), (SubscriptionState::Rejected, "not yet"));
        assert_eq!(rejected.decided_by.as_deref(), Some("ada@example.com"));
        refused("approve", "").await.expect_problem(409, "wrong_state");
        // A rejected one is history: the application may ask again, once.
        ask_subscription(&app, &app.admin, application, target).await.expect(201);
        let twice = ask_subscription(&app, &app.admin, application, target).await;
        twice.expect_problem(409, "already_subscribed");
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_approves_by_itself_does_so_and_a_closed_one_takes_nobody() {
    each_database(|app| async move {
        let (api, plan) = published(&app, "items", "automatic").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        make_key(&app, &app.admin, application).await;
        let asked: Subscription =
            ask_subscription(&app, &app.admin, application, (api, plan)).await.expect(201).json();
        assert_eq!(asked.state, SubscriptionState::Approved);
        assert_eq!(suspended(&app).await, [false]);
        let close = json!({"name": "closed", "approval": "automatic", "closed": true});
        let path = app.path(&format!("/apis/{api}/plans/{plan}"));
        app.admin.put(&path, "\"1\"", &close).await.expect(200);
        let other = make_application(&app, &app.admin, "other").await.id;
        ask_subscription(&app, &app.admin, other, (api, plan)).await.expect_problem(409, "plan_closed");
    })
    .await;
}

#[tokio::test]
async fn consumers_ask_for_what_the_catalogue_shows_and_end_what_is_theirs() {
    each_database(|app| async move {
        let consumer = app.member(&[Role::Consumer]).await;
        let other = app.member(&[Role::Consumer]).await;
        let approver = app.member(&[Role::Approver]).await;
        let target = published(&app, "items", "manual").await;
        let hidden = make_api(&app, "hidden", draft()).await.id;
        let hidden_plan = make_plan(&app, hidden, "automatic").await.id;
        let mine = make_application(&app, &consumer, "mine").await.id;
        let theirs = make_application(&app, &other, "theirs").await.id;

        let field = |problem: sluice_contract::problem::Problem| problem.fields[0].pointer.clone();
        let unlisted = ask_subscription(&app, &consumer, mine, (hidden, hidden_plan)).await;
        assert_eq!(field(unlisted.expect_problem(422, "invalid")), "/api");
        let foreign = ask_subscription(&app, &consumer, theirs, target).await;
        assert_eq!(field(foreign.expect_problem(422, "invalid")), "/application");
        let wrong_plan: (ApiId, PlanId) = (target.0, hidden_plan);
        let wrong = ask_subscription(&app, &consumer, mine, wrong_plan).await;
        assert_eq!(field(wrong.expect_problem(422, "invalid")), "/plan");

        let asked: Subscription = ask_subscription(&app, &consumer, mine, target).await.expect(201).json();
        decide(&app, &consumer, &asked, "approve", "").await.expect_problem(403, "forbidden");
        decide(&app, &approver, &asked, "approve", "").await.expect(200);
        let path = app.path(&format!("/subscriptions/{}", asked.id));
        other.get(&path).await.expect_problem(404, "not_found");
        decide(&app, &other, &asked, "end", "").await.expect_problem(404, "not_found");
        let seen = async |client: &sluice_testkit::Client| {
            let page: Page<Subscription> =
                client.get(&app.path("/subscriptions?state=approved&q=item")).await.expect(200).json();
            page.items.len()
        };
        assert_eq!((seen(&consumer).await, seen(&other).await, seen(&approver).await), (1, 0, 1));
        decide(&app, &consumer, &asked, "end", "").await.expect(200);
        assert_eq!(seen(&consumer).await, 0);
    })
    .await;
}

#[tokio::test]
async fn removing_an_api_takes_it_from_every_key() {
    each_database(|app| async move {
        let (api, plan) = published(&app, "items", "automatic").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        make_key(&app, &app.admin, application).await;
        ask_subscription(&app, &app.admin, application, (api, plan)).await.expect(201);
        assert_eq!(suspended(&app).await, [false]);
        ask_release(&app, api, None).await.expect(201);
        let path = app.path(&format!("/apis/{api}"));
        let etag = app.admin.get(&path).await.expect(200).etag();
        app.admin.delete_if(&path, &etag).await.expect(204);
        assert!(suspended(&app).await.is_empty());
    })
    .await;
}
