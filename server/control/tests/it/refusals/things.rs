//! One of each thing in the first tenant, by the name of its path parameter: what another tenant must not reach.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::Method;
use serde_json::{Value, json};
use sluice_contract::calls::{Call, CallBatch};
use sluice_contract::ids::{ApiId, BootId, CallId, EnvironmentId, GatewayId, WarmingId};
use sluice_contract::link::{ENROL_PATH, EnrolRequest, EnrolResponse, EnrolmentToken, PROTOCOL};
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::gateways::CreatedEnrolmentToken;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::subscriptions::Subscription;
use sluice_contract::rest::users::Role;
use sluice_contract::rest::warmings::{WarmingCause, WarmingPlan};
use sluice_store::warmings::{self, What};
use sluice_testkit::TestApp;

use crate::publishing;

/// Makes one of each.
pub async fn make(app: &TestApp) -> BTreeMap<&'static str, String> {
    let mut things = people(app).await;
    things.extend(published(app).await);
    let (environment, gateway) = gateway(app).await;
    let call = call(app, environment, gateway).await;
    things.extend([
        ("environment", environment.to_string()),
        ("gateway", gateway.to_string()),
        ("call", call.to_string()),
    ]);
    things
}

async fn people(app: &TestApp) -> BTreeMap<&'static str, String> {
    let team = make_one(app, "/teams", json!({"name": "Payments", "members": []})).await;
    let token = make_one(app, "/tokens", json!({"name": "ci", "permissions": ["read_audit"]})).await;
    let member = app.member(&[Role::Viewer]).await;
    let user: Session = member.get("/api/v1/session").await.expect(200).json();
    BTreeMap::from([
        ("team", id(&team["id"])),
        ("token", id(&token["token"]["id"])),
        ("user", user.user.to_string()),
    ])
}

async fn published(app: &TestApp) -> BTreeMap<&'static str, String> {
    let (api, plan) = publishing::published(app, "items", "manual").await;
    let release = publishing::release(app, api, 1).await;
    let application = publishing::make_application(app, &app.admin, "shop").await;
    let key = publishing::make_key(app, &app.admin, application.id).await;
    let asked = publishing::ask_subscription(app, &app.admin, application.id, (api, plan)).await;
    let subscription: Subscription = asked.expect(201).json();
    let scope = json!({"environment": publishing::production(app).await, "scope": {"by": "api", "api": api}});
    let purge = make_one(app, "/purges", scope).await;
    let rules = json!([{"pointer": "/id", "purge": "tag", "template": "{value}"}]);
    let source = json!({"name": "shop", "environment": publishing::production(app).await, "rules": rules});
    let source = make_one(app, &format!("/apis/{api}/event-sources"), source).await;
    let cdn = json!({
        "name": "cdn", "environment": publishing::production(app).await, "kinds": ["tag"], "method": "POST",
        "url": "http://127.0.0.1:9/{value}",
    });
    let hook = make_one(app, &format!("/apis/{api}/cdn-hooks"), cdn).await;
    BTreeMap::from([
        ("hook", id(&hook["id"])),
        ("source", id(&source["source"]["id"])),
        ("api", api.to_string()),
        ("plan", plan.to_string()),
        ("number", "1".to_owned()),
        ("release", release.id.to_string()),
        ("application", application.id.to_string()),
        ("credential", key.credential.id.to_string()),
        ("subscription", subscription.id.to_string()),
        ("purge", id(&purge["id"])),
        ("warming", warming(app, api).await.to_string()),
    ])
}

/// A warming that could not begin.
async fn warming(app: &TestApp, api: ApiId) -> WarmingId {
    let environment = publishing::production(app).await;
    let what = What { tenant: app.tenant, api, environment, cause: WarmingCause::Schedule, only: None };
    let tx = app.database.store.begin().await.unwrap();
    let id = warmings::create_failed(&tx, what, &WarmingPlan::default(), "nobody is up".to_owned()).await;
    tx.commit().await.unwrap();
    id.unwrap()
}

/// A gateway of an environment that is the first tenant's own.
async fn gateway(app: &TestApp) -> (EnvironmentId, GatewayId) {
    let own = json!({"slug": "own", "name": "Own", "dedicated_to": app.tenant});
    let own: Environment = app.admin.post("/api/v1/environments", &own).await.expect(201).json();
    let path = format!("/api/v1/environments/{}/enrolment-tokens", own.id);
    let token: CreatedEnrolmentToken =
        app.admin.post(&path, &json!({"name": "fleet"})).await.expect(201).json();
    let secret = EnrolmentToken::decode(&token.token).unwrap().secret;
    let enrol = EnrolRequest { secret, name: "one".to_owned(), region: None, protocol: PROTOCOL };
    let here: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let client = app.stranger();
    let request = client.request(Method::POST, ENROL_PATH).extension(ConnectInfo(here));
    let reply = client.send_json(request, &enrol).await;
    assert!(reply.status.is_success(), "{}", reply.text());
    (own.id, reply.json::<EnrolResponse>().gateway)
}

async fn call(app: &TestApp, environment: EnvironmentId, gateway: GatewayId) -> CallId {
    let call: Call = serde_json::from_value(json!({
        "id": CallId::generate(), "at": sluice_store::now(), "tenant": app.tenant, "api": null, "route": null,
        "method": "GET", "host": "x", "path": "/acme/items", "status": 200, "application": null,
        "credential": null, "subscription": null, "plan": null, "cache": "bypass", "duration_us": 1,
        "bytes_in": 0, "bytes_out": 0, "client_ip": "192.0.2.1", "request_id": "r",
    }))
    .unwrap();
    let id = call.id;
    let boot = BootId::generate();
    let batch = CallBatch { boot, sequence: 1, calls: vec![call], rollups: Vec::new(), dropped: 0 };
    app.app.telemetry.store_batch(gateway, environment, &batch).await.unwrap();
    app.admin.get(&app.path(&format!("/calls/{id}"))).await.expect(200);
    id
}

async fn make_one(app: &TestApp, path: &str, body: Value) -> Value {
    app.admin.post(&app.path(path), &body).await.expect(201).json()
}

fn id(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
