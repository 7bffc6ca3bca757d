//! Batches of calls over the link, and who watches them arrive.

use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use sluice_contract::calls::{BatchReceipt, Call, CallBatch};
use sluice_contract::ids::{ApiId, EnvironmentId, TenantId};
use sluice_contract::link::CALL_BATCH_MAX;
use sluice_contract::rest::analytics::Analytics;
use sluice_contract::rest::api_tokens::CreatedApiToken;
use sluice_contract::rest::calls::CallRow;
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::gateways::CreatedEnrolmentToken;
use sluice_contract::rest::page::Page;
use sluice_control::App;
use sluice_testkit::calls::{batch, call};
use sluice_testkit::{TestApp, each_database};

use super::simulated::{Served, Simulated, secret_of, serve};

/// Nothing here takes long; a test that waits for longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn send(gateway: &Simulated, batch: &CallBatch) -> BatchReceipt {
    gateway.send_calls("identity", batch.to_wire().unwrap()).await.unwrap()
}

async fn log(served: &Served) -> Vec<CallRow> {
    let page: Page<CallRow> = served.app.admin.get(&served.app.path("/calls")).await.expect(200).json();
    page.items
}

async fn counted(served: &Served, tenant: TenantId) -> u64 {
    let path = format!("/api/v1/tenants/{tenant}/analytics");
    served.app.admin.get(&path).await.expect(200).json::<Analytics>().total.calls
}

#[tokio::test]
async fn a_batch_counts_once_and_says_who_served_it() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let tenant = served.app.tenant;
        let calls = vec![call(tenant, ApiId::generate(), Utc::now())];
        let batch = batch(gateway.boot, 1, calls);
        let receipt = BatchReceipt { boot: gateway.boot, stored: 1 };
        assert_eq!(send(&gateway, &batch).await, receipt);
        assert_eq!(send(&gateway, &batch).await, receipt);
        let rows = log(&served).await;
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].gateway, rows[0].gateway_name.as_deref()), (gateway.id, Some("worker")));
        assert_eq!(counted(&served, tenant).await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_batch_is_refused_for_good() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let refused = async |encoding: &str, body: Vec<u8>| {
            let problem = gateway.send_calls(encoding, body).await.unwrap_err();
            ((problem.status, problem.code), problem.detail)
        };
        let good = batch(gateway.boot, 1, vec![]).to_wire().unwrap();
        assert_eq!(refused("zstd", good.clone()).await.0, (415, "unsupported_media_type".to_owned()));
        let bad_request = (400, "bad_request".to_owned());
        assert_eq!(refused("identity", good[..good.len() - 1].to_vec()).await.0, bad_request);
        let (problem, detail) = refused("identity", b"{\"boot\": 1}".to_vec()).await;
        assert_eq!(problem, bad_request);
        assert_eq!(
            detail,
            "no batch of calls: it has version 123 of the layout; versions 2 to 4 can be read",
        );
        // Small on the wire, large once each call has the text that was sent once.
        let long = Call {
            user_agent: Some("a".repeat(2_000)),
            ..call(served.app.tenant, ApiId::generate(), Utc::now())
        };
        let large =
            CallBatch { calls: vec![long; 9_000], ..batch(gateway.boot, 1, vec![]) }.to_wire().unwrap();
        assert!(large.len() < CALL_BATCH_MAX / 10);
        assert_eq!(refused("identity", large).await.0, (413, "batch_too_large".to_owned()));
        let stranger = gateway.clone().without_session();
        assert_eq!(stranger.send_calls("identity", vec![]).await.unwrap_err().status, 401);
        assert!(log(&served).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_gateway_of_one_tenants_environment_cannot_write_into_another_tenants_log() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let other = served.app.another_tenant("other").await;
        let gateway = gateway_of_environment_for(&served, other).await;
        let (own, foreign) = (ApiId::generate(), ApiId::generate());
        let calls = vec![call(other, own, Utc::now()), call(served.app.tenant, foreign, Utc::now())];
        send(&gateway, &batch(gateway.boot, 1, calls)).await;
        assert!(log(&served).await.is_empty());
        assert_eq!(counted(&served, served.app.tenant).await, 0);
        assert_eq!(counted(&served, other).await, 1);
    })
    .await;
}

async fn gateway_of_environment_for(served: &Served, tenant: TenantId) -> Simulated {
    let new = json!({"slug": "private", "name": "Private", "dedicated_to": tenant});
    let private: Environment = served.app.admin.post("/api/v1/environments", &new).await.expect(201).json();
    let EnvironmentId(id) = private.id;
    let path = format!("/api/v1/environments/{id}/enrolment-tokens");
    let token: CreatedEnrolmentToken =
        served.app.admin.post(&path, &json!({"name": "fleet"})).await.expect(201).json();
    let mut gateway = Simulated::enrol(&served.base, &secret_of(&token), "private").await.unwrap();
    gateway.open_session(Vec::new()).await.unwrap();
    gateway
}

/// Somebody who watches calls arrive, as a browser does.
struct Watching {
    reply: reqwest::Response,
    read: String,
}

impl Watching {
    async fn open(app: &TestApp, base: &str, filter: &str) -> Self {
        let new = json!({"name": format!("tail {filter}"), "permissions": ["read_calls"]});
        let token: CreatedApiToken = app.admin.post(&app.path("/tokens"), &new).await.expect(201).json();
        let url = format!("{base}{}?{filter}", app.path("/calls/tail"));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let reply = http.get(url).bearer_auth(token.secret).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        Self { reply, read: String::new() }
    }

    /// Name and data of the next event.
    async fn event(&mut self) -> (String, String) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                };
                let found = (field("event:"), field("data:"));
                self.read = rest.to_owned();
                if !found.0.is_empty() {
                    return found;
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.reply.chunk()).await.expect("an event");
            self.read.push_str(std::str::from_utf8(&chunk.unwrap().expect("more events")).unwrap());
        }
    }

    async fn call(&mut self) -> CallRow {
        let (event, data) = self.event().await;
        assert_eq!(event, "call", "{data}");
        serde_json::from_str(&data).unwrap()
    }
}

#[tokio::test]
async fn a_watcher_sees_the_calls_of_their_tenant_that_the_filter_keeps() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let (tenant, api) = (served.app.tenant, ApiId::generate());
        let before = vec![call(tenant, api, Utc::now())];
        send(&gateway, &batch(gateway.boot, 1, before)).await;

        let mut all = Watching::open(&served.app, &served.base, "").await;
        let mut errors = Watching::open(&served.app, &served.base, "status=5xx").await;
        let foreign = call(served.app.another_tenant("other").await, api, Utc::now());
        let fine = call(tenant, api, Utc::now());
        let mut failed = call(tenant, api, Utc::now());
        failed.status = 502;
        let sent = batch(gateway.boot, 2, vec![foreign, fine.clone(), failed.clone()]);
        send(&gateway, &sent).await;
        // Sent twice, shown once.
        send(&gateway, &sent).await;
        let last = call(tenant, api, Utc::now());
        send(&gateway, &batch(gateway.boot, 3, vec![last.clone()])).await;

        let seen = all.call().await;
        assert_eq!((seen.call.id, seen.gateway_name.as_deref()), (fine.id, Some("worker")));
        assert_eq!(all.call().await.call.id, failed.id);
        assert_eq!(all.call().await.call.id, last.id);
        assert_eq!(errors.call().await.call.id, failed.id);
    })
    .await;
}

#[tokio::test]
async fn a_watcher_who_gets_too_much_at_once_is_told_how_much_was_left_out() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let mut watching = Watching::open(&served.app, &served.base, "").await;
        let calls: Vec<_> =
            (0..2_000).map(|_| call(served.app.tenant, ApiId::generate(), Utc::now())).collect();
        let newest = calls[calls.len() - 1].id;
        let mut last = None;
        send(&gateway, &batch(gateway.boot, 1, calls)).await;
        let mut shown = 0;
        let left_out = loop {
            match watching.event().await {
                (event, data) if event == "skipped" => {
                    break serde_json::from_str::<serde_json::Value>(&data).unwrap()["at_least"]
                        .as_u64()
                        .unwrap();
                }
                (_, data) => {
                    shown += 1;
                    last = Some(serde_json::from_str::<CallRow>(&data).unwrap().call.id);
                }
            }
        };
        assert_eq!(shown + left_out, 2_000);
        assert_eq!(last, Some(newest), "the newest are shown");
    })
    .await;
}

#[tokio::test]
async fn a_watcher_sees_calls_that_another_control_plane_stored() {
    each_database(|app| async move {
        if !app.app.telemetry.is_shared() {
            // SQLite has one control plane.
            return;
        }
        let served = Served::start(app).await;
        let second =
            App::new(served.app.app.settings.clone(), served.app.database.store.clone()).await.unwrap();
        let gateway = served.gateway().await.at(&serve(&second).await);
        let mut watching = Watching::open(&served.app, &served.base, "").await;
        let one = call(served.app.tenant, ApiId::generate(), Utc::now());
        send(&gateway, &batch(gateway.boot, 1, vec![one.clone()])).await;
        assert_eq!(watching.call().await.call.id, one.id);
        let other = call(served.app.tenant, ApiId::generate(), Utc::now());
        send(&gateway, &batch(gateway.boot, 2, vec![other.clone()])).await;
        assert_eq!(watching.call().await.call.id, other.id, "the first one is not shown again");
        second.stopping.cancel();
    })
    .await;
}
