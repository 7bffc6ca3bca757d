//! What the tests of publishing start from: an API, its release, an application with a key, and what gateways learn.

use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, ApplicationId, EnvironmentId, PlanId};
use sluice_contract::journal::{Change, CredentialEntry};
use sluice_contract::rest::apis::Api;
use sluice_contract::rest::applications::{Application, CreatedCredential};
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::plans::Plan;
use sluice_contract::rest::releases::Release;
use sluice_contract::rest::revisions::Revision;
use sluice_contract::rest::subscriptions::Subscription;
use sluice_store::journal;
use sluice_testkit::{Client, Reply, TestApp};

/// One route to one upstream on this machine.
pub fn draft() -> Value {
    json!({
        "routes": [{"id": "listItems", "methods": ["GET"], "path": "/items"}],
        "upstreams": [{"name": "main", "targets": [{"url": "http://127.0.0.1:9"}]}]
    })
}

pub async fn make_api(app: &TestApp, slug: &str, draft: Value) -> Api {
    let new = json!({"slug": slug, "name": slug, "draft": draft});
    app.admin.post(&app.path("/apis"), &new).await.expect(201).json()
}

/// Saves a draft over the present one.
pub async fn save_draft(app: &TestApp, api: ApiId, draft: Value) -> Api {
    change_api(app, api, |body| body["draft"] = draft).await
}

pub async fn list_in_catalogue(app: &TestApp, api: ApiId) -> Api {
    change_api(app, api, |body| body["listed"] = json!(true)).await
}

async fn change_api(app: &TestApp, api: ApiId, change: impl FnOnce(&mut Value)) -> Api {
    let path = app.path(&format!("/apis/{api}"));
    let reply = app.admin.get(&path).await.expect(200);
    let now: Api = reply.json();
    let mut body = json!({
        "name": now.name, "description": now.description, "team": now.team, "listed": now.listed, "draft": now.draft
    });
    change(&mut body);
    app.admin.put(&path, &reply.etag(), &body).await.expect(200).json()
}

pub async fn make_revision(app: &TestApp, api: ApiId) -> u32 {
    let etag = app.admin.get(&app.path(&format!("/apis/{api}"))).await.expect(200).etag();
    let path = app.path(&format!("/apis/{api}/revisions"));
    app.admin.post_if(&path, &etag, &json!({})).await.expect(201).json::<Revision>().summary.number
}

pub async fn production(app: &TestApp) -> EnvironmentId {
    let page: Page<Environment> = app.admin.get(&app.path("/environments")).await.expect(200).json();
    page.items.first().expect("the first environment").id
}

pub async fn ask_release(app: &TestApp, api: ApiId, revision: Option<u32>) -> Reply {
    let environment = production(app).await;
    let body = json!({"environment": environment, "revision": revision});
    app.admin.post(&app.path(&format!("/apis/{api}/releases")), &body).await
}

pub async fn release(app: &TestApp, api: ApiId, revision: u32) -> Release {
    ask_release(app, api, Some(revision)).await.expect(201).json()
}

/// An API in the catalogue, released, with an open plan.
pub async fn published(app: &TestApp, slug: &str, approval: &str) -> (ApiId, PlanId) {
    let api = make_api(app, slug, draft()).await.id;
    let revision = make_revision(app, api).await;
    release(app, api, revision).await;
    list_in_catalogue(app, api).await;
    (api, make_plan(app, api, approval).await.id)
}

pub async fn make_plan(app: &TestApp, api: ApiId, approval: &str) -> Plan {
    let plan = json!({
        "name": format!("{approval} plan"), "approval": approval,
        "policies": [{"type": "rate-limit", "settings": {"requests": 100}}]
    });
    app.admin.post(&app.path(&format!("/apis/{api}/plans")), &plan).await.expect(201).json()
}

pub async fn make_application(app: &TestApp, client: &Client, name: &str) -> Application {
    client.post(&app.path("/applications"), &json!({"name": name})).await.expect(201).json()
}

pub async fn make_key(app: &TestApp, client: &Client, application: ApplicationId) -> CreatedCredential {
    let new = json!({"name": "key", "environment": production(app).await});
    let path = app.path(&format!("/applications/{application}/credentials"));
    client.post(&path, &new).await.expect(201).json()
}

pub async fn ask_subscription(
    app: &TestApp,
    client: &Client,
    application: ApplicationId,
    (api, plan): (ApiId, PlanId),
) -> Reply {
    let new = json!({"application": application, "api": api, "plan": plan, "message": "please"});
    client.post(&app.path("/subscriptions"), &new).await
}

/// Decides by the newest version of the subscription.
pub async fn decide(
    app: &TestApp,
    client: &Client,
    subscription: &Subscription,
    what: &str,
    reason: &str,
) -> Reply {
    let path = app.path(&format!("/subscriptions/{}", subscription.id));
    let etag = app.admin.get(&path).await.expect(200).etag();
    client.post_if(&format!("{path}/{what}"), &etag, &json!({"reason": reason})).await
}

/// Everything that gateways of the first environment have been told.
pub async fn told(app: &TestApp) -> Vec<Change> {
    let environment = production(app).await;
    let entries = journal::entries_after(app.database.store.read(), environment, 0, 1000).await.unwrap();
    entries.into_iter().map(|entry| serde_json::from_str(&entry.change).expect("a stored change")).collect()
}

/// What gateways know of keys, after everything that they have been told.
pub async fn known_keys(app: &TestApp) -> Vec<CredentialEntry> {
    let environment = production(app).await;
    let snapshot = journal::snapshot(&app.database.store, environment).await.unwrap();
    snapshot.credentials
}
