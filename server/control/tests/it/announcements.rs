//! Many people change at once what goes into the entries of keys. Whatever the order, what gateways know in the end is
//! what the admin API says.

use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, ApplicationId, PlanId};
use sluice_contract::rest::applications::{Application, Credential};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::plans::Plan;
use sluice_contract::rest::subscriptions::{Subscription, SubscriptionState};
use sluice_testkit::{Reply, TestApp, each_database};

use crate::publishing::{ask_subscription, known_keys, make_application, make_key, published};

const ROUNDS: usize = 12;

struct Scene<'a> {
    app: &'a TestApp,
    target: (ApiId, PlanId),
    application: ApplicationId,
}

impl Scene<'_> {
    async fn change_plan(&self, round: usize) {
        let path = self.app.path(&format!("/apis/{}/plans/{}", self.target.0, self.target.1));
        let policies = json!([{"type": "rate-limit", "settings": {"requests": round + 1}}]);
        self.edit(
            &path,
            json!({"name": format!("plan {round}"), "approval": "automatic", "policies": policies}),
        )
        .await;
    }

    async fn rename(&self, round: usize) {
        let path = self.app.path(&format!("/applications/{}", self.application));
        self.edit(&path, json!({"name": format!("shop {round}")})).await;
    }

    async fn edit(&self, path: &str, body: Value) {
        let etag = self.app.admin.get(path).await.expect(200).etag();
        tolerated(self.app.admin.put(path, &etag, &body).await);
    }

    /// Suspends what is approved, resumes or ends what is suspended, asks again after the end.
    async fn decide(&self, round: usize) {
        let subscription = self.subscriptions().await.into_iter().next().expect("there is always one");
        let what = match (subscription.state, round % 3) {
            (SubscriptionState::Approved, _) => "suspend",
            (SubscriptionState::Suspended, 0) => "end",
            (SubscriptionState::Suspended, _) => "resume",
            _ => {
                tolerated(ask_subscription(self.app, &self.app.admin, self.application, self.target).await);
                return;
            }
        };
        let path = self.app.path(&format!("/subscriptions/{}", subscription.id));
        let etag = self.app.admin.get(&path).await.expect(200).etag();
        let reason = json!({"reason": "because"});
        tolerated(self.app.admin.post_if(&format!("{path}/{what}"), &etag, &reason).await);
    }

    async fn change_keys(&self) {
        make_key(self.app, &self.app.admin, self.application).await;
        let oldest = self.active_keys().await.pop().expect("there is one now");
        let path = self.app.path(&format!("/applications/{}/credentials/{}", self.application, oldest.id));
        self.app.admin.delete(&path).await.expect(200);
    }

    async fn subscriptions(&self) -> Vec<Subscription> {
        let path = self.app.path(&format!("/subscriptions?application={}", self.application));
        self.app.admin.get(&path).await.expect(200).json::<Page<Subscription>>().items
    }

    async fn active_keys(&self) -> Vec<Credential> {
        let path = self.app.path(&format!("/applications/{}/credentials?limit=200", self.application));
        let keys: Page<Credential> = self.app.admin.get(&path).await.expect(200).json();
        keys.items.into_iter().filter(|key| key.revoked_at.is_none()).collect()
    }

    async fn assert_gateways_know_what_is_true(&self) {
        let path = self.app.path(&format!("/applications/{}", self.application));
        let application: Application = self.app.admin.get(&path).await.expect(200).json();
        let path = self.app.path(&format!("/apis/{}/plans/{}", self.target.0, self.target.1));
        let plan: Plan = self.app.admin.get(&path).await.expect(200).json();
        let in_force: Vec<_> = self
            .subscriptions()
            .await
            .into_iter()
            .filter(|one| matches!(one.state, SubscriptionState::Approved | SubscriptionState::Suspended))
            .map(|one| {
                (one.id, one.state == SubscriptionState::Suspended, plan.name.clone(), plan.policies.clone())
            })
            .collect();
        let mut keys: Vec<_> = self.active_keys().await.into_iter().map(|key| key.id).collect();
        let known = known_keys(self.app).await;
        let mut known_ids: Vec<_> = known.iter().map(|entry| entry.credential).collect();
        keys.sort_unstable();
        known_ids.sort_unstable();
        assert_eq!(known_ids, keys);
        for entry in known {
            assert_eq!(entry.application_name, application.name);
            let granted: Vec<_> = entry
                .subscriptions
                .into_iter()
                .map(|one| (one.subscription, one.suspended, one.plan_name, one.policies))
                .collect();
            assert_eq!(granted, in_force);
        }
    }
}

/// Somebody else may have been faster: nothing else may go wrong.
#[track_caller]
fn tolerated(reply: Reply) {
    let status = reply.status.as_u16();
    assert!([200, 201, 409, 412].contains(&status), "{}: {status} {}", reply.line, reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_at_once_gateways_end_up_with_what_is_true() {
    each_database(|app| async move {
        let target = published(&app, "items", "automatic").await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        make_key(&app, &app.admin, application).await;
        ask_subscription(&app, &app.admin, application, target).await.expect(201);
        let scene = Scene { app: &app, target, application };
        for round in 0..ROUNDS {
            tokio::join!(
                scene.change_plan(round),
                scene.rename(round),
                scene.decide(round),
                scene.change_keys(),
                scene.decide(round + 1),
                scene.change_plan(round + 100),
            );
            scene.assert_gateways_know_what_is_true().await;
        }
    })
    .await;
}
