//! Many people change at once what goes into the entries of keys. Whatever the order, what gateways know in the end is
//! what the admin API says.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, ApplicationId, PlanId};
use sluice_contract::rest::applications::{Application, CreateCredential, Credential};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::plans::Plan;
use sluice_contract::rest::setup::DatabaseKind;
use sluice_contract::rest::subscriptions::{DecideSubscription, Subscription, SubscriptionState};
use sluice_store::applications::{self, Reach};
use sluice_store::audit::Actor;
use sluice_store::subscriptions::{self, Decision};
use sluice_store::{Store, Tx, credentials, plans};
use sluice_testkit::{Reply, TestApp, each_database};

use crate::publishing::{ask_subscription, known_keys, make_application, make_key, production, published};

const ROUNDS: usize = 4;

/// A change of what goes into the entries of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Plan,
    Name,
    Decision,
    Key,
}

const EVERYTHING: [What; 4] = [What::Plan, What::Name, What::Decision, What::Key];

struct Scene<'a> {
    app: &'a TestApp,
    target: (ApiId, PlanId),
    application: ApplicationId,
}

impl<'a> Scene<'a> {
    /// One application with a key and a subscription that is approved.
    async fn set(app: &'a TestApp) -> Self {
        let target = published(app, "items", "automatic").await;
        let application = make_application(app, &app.admin, "shop").await.id;
        make_key(app, &app.admin, application).await;
        ask_subscription(app, &app.admin, application, target).await.expect(201);
        Self { app, target, application }
    }

    async fn change_plan(&self, round: usize) {
        let path = self.app.path(&format!("/apis/{}/plans/{}", self.target.0, self.target.1));
        self.edit(&path, plan_body(round)).await;
    }

    async fn rename(&self, round: usize) {
        let path = self.app.path(&format!("/applications/{}", self.application));
        self.edit(&path, json!({"name": format!("shop {round}")})).await;
    }

    /// Makes a change without committing it.
    async fn begin(&self, what: What, round: usize) -> Tx {
        let (tenant, actor) = (self.app.tenant, Actor::system());
        let get = async |path: String| self.app.admin.get(&self.app.path(&path)).await.expect(200);
        let (api, plan) = self.target;
        match what {
            What::Plan => {
                let seen: Plan = get(format!("/apis/{api}/plans/{plan}")).await.json();
                let new = serde_json::from_value(plan_body(round)).unwrap();
                let tx = self.app.database.store.begin().await.unwrap();
                plans::update(&tx, &actor, tenant, self.target, seen.version, &new).await.unwrap();
                tx
            }
            What::Name => {
                let seen: Application = get(format!("/applications/{}", self.application)).await.json();
                let new = serde_json::from_value(json!({"name": format!("shop {round}")})).unwrap();
                let tx = self.app.database.store.begin().await.unwrap();
                let reach = Reach::Tenant;
                applications::update(&tx, &actor, tenant, &reach, self.application, seen.version, &new)
                    .await
                    .unwrap();
                tx
            }
            What::Decision => {
                let seen = self.subscriptions().await.into_iter().next().expect("there is always one");
                let suspended = seen.state == SubscriptionState::Suspended;
                let decision = if suspended { Decision::Resume } else { Decision::Suspend };
                let new = DecideSubscription { reason: "because".to_owned() };
                let tx = self.app.database.store.begin().await.unwrap();
                let (whose, which) = ((tenant, &Reach::Tenant), (seen.id, seen.version));
                subscriptions::decide(&tx, &actor, whose, which, decision, &new).await.unwrap();
                tx
            }
            What::Key => {
                let environment = production(self.app).await;
                let new = CreateCredential { name: "key".to_owned(), environment, expires_at: None };
                let tx = self.app.database.store.begin().await.unwrap();
                let secret = format!("slk_{}", uuid::Uuid::new_v4());
                let reach = Reach::Tenant;
                credentials::create(&tx, &actor, tenant, &reach, self.application, &new, &secret)
                    .await
                    .unwrap();
                tx
            }
        }
    }

    /// The same through the front door.
    async fn make(&self, what: What, round: usize) {
        match what {
            What::Plan => self.change_plan(round).await,
            What::Name => self.rename(round).await,
            What::Decision => self.decide(1).await,
            What::Key => drop(make_key(self.app, &self.app.admin, self.application).await),
        }
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

fn plan_body(round: usize) -> Value {
    let policies = json!([{"type": "rate-limit", "settings": {"requests": round + 1}}]);
    json!({"name": format!("plan {round}"), "approval": "automatic", "policies": policies})
}

/// Until a request waits for what a transaction holds; on SQLite, where nobody can see that, for long enough.
async fn until_it_waits(store: &Store) {
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if store.kind() == DatabaseKind::Sqlite {
            return tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let row = store.read().query_one_raw(Statement::from_string(DbBackend::Postgres, waits)).await;
        let waiting: i64 = row.unwrap().unwrap().try_get_by_index(0).unwrap();
        if waiting > 0 {
            return;
        }
    }
    panic!("the second change did not wait for the first");
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
        let scene = Scene::set(&app).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_begins_before_another_is_committed_is_announced_with_it() {
    each_database(|app| async move {
        let scene = Scene::set(&app).await;
        let pairs = EVERYTHING.into_iter().flat_map(|first| EVERYTHING.map(|second| (first, second)));
        for (round, (first, second)) in pairs.filter(|(first, second)| first != second).enumerate() {
            let held = scene.begin(first, 2 * round).await;
            let commit = async {
                until_it_waits(&app.database.store).await;
                held.commit().await.unwrap();
            };
            tokio::join!(scene.make(second, 2 * round + 1), commit);
            scene.assert_gateways_know_what_is_true().await;
        }
    })
    .await;
}
