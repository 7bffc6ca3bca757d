//! What CDNs are told of purges: by a real server that plays the CDN, until it has taken it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sluice_contract::ids::ApiId;
use sluice_contract::rest::cdn_hooks::{CdnCall, CdnCallState, CdnHook};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_control::{App, ControlSettings};
use sluice_testkit::{TestApp, TestDatabase, each_database};
use tokio::net::{TcpListener, TcpSocket};

use crate::publishing::{draft, make_api, make_application, production};

/// Nothing here takes long; a test that waits for longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as the CDN got it.
#[derive(Clone)]
pub(crate) struct Got {
    line: String,
    headers: HeaderMap,
    body: String,
}

/// Keeps what it gets; answers with these statuses, then with 200.
#[derive(Clone, Default)]
pub(crate) struct Cdn {
    got: Arc<Mutex<Vec<Got>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Cdn {
    /// Starts it; returns its address.
    pub(crate) async fn start(statuses: &[u16]) -> (Self, String) {
        let cdn = Self { statuses: Arc::new(Mutex::new(statuses.to_vec())), ..Self::default() };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(cdn.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (cdn, base)
    }

    pub(crate) fn all(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) async fn until(&self, count: usize) -> Vec<Got> {
        let enough = async {
            while self.all().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("the CDN is told");
        self.all()
    }
}

async fn take(State(cdn): State<Cdn>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let line = format!("{} {}", parts.method, parts.uri);
    let body = String::from_utf8(body.to_vec()).unwrap();
    cdn.got.lock().unwrap().push(Got { line, headers: parts.headers, body });
    let mut statuses = cdn.statuses.lock().unwrap();
    let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
    StatusCode::from_u16(status).unwrap()
}

/// The control plane with its jobs.
async fn serve(app: &TestApp) {
    serve_as(&app.app).await;
}

async fn serve_as(app: &App) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (app, stopping) = (app.clone(), app.stopping.clone());
    let stopped = async move { stopping.cancelled().await };
    tokio::spawn(sluice_control::serve(app, listener, stopped));
}

pub(crate) async fn save(app: &TestApp, base: &str) -> Value {
    json!({
        "name": "CDN", "environment": production(app).await, "kinds": ["tag", "url"], "method": "POST",
        "url": format!("{base}/{{api}}/purge/{{value}}"), "body": r#"{"{kind}": ["{value}"], "soft": {soft}}"#,
        "headers": [{"name": "authorization", "value": "Bearer {secret}"}], "secret": "s3cret",
    })
}

pub(crate) async fn make(app: &TestApp, api: ApiId, new: &Value) -> CdnHook {
    app.admin.post(&app.path(&format!("/apis/{api}/cdn-hooks")), new).await.expect(201).json()
}

pub(crate) async fn purge(app: &TestApp, scope: Value) {
    let new = json!({"environment": production(app).await, "scope": scope});
    app.admin.post(&app.path("/purges"), &new).await.expect(201);
}

async fn calls(app: &TestApp, hook: &CdnHook) -> Vec<CdnCall> {
    let path = app.path(&format!("/apis/{}/cdn-hooks/{}/calls", hook.api, hook.id));
    app.admin.get(&path).await.expect(200).json::<Page<CdnCall>>().items
}

/// As is done with what is older than is kept.
async fn forget_settled(app: &TestApp) {
    let tx = app.app.store.begin().await.unwrap();
    let later = sluice_store::now() + TimeDelta::seconds(1);
    sluice_store::cdn_hooks::delete_old(&tx, later).await.unwrap();
    tx.commit().await.unwrap();
}

async fn staging(app: &TestApp) -> Value {
    let made: Value = app
        .admin
        .post("/api/v1/environments", &json!({"slug": "staging", "name": "Staging"}))
        .await
        .expect(201)
        .json();
    made["id"].clone()
}

async fn until_settled(app: &TestApp, hook: &CdnHook, count: usize) -> Vec<CdnCall> {
    let settled = |calls: &[CdnCall]| {
        calls.len() == count && calls.iter().all(|call| call.state != CdnCallState::Waiting)
    };
    until(app, hook, settled).await
}

/// The requests of a hook, once they are as wanted.
pub(crate) async fn until(app: &TestApp, hook: &CdnHook, are: impl Fn(&[CdnCall]) -> bool) -> Vec<CdnCall> {
    let wanted = async {
        loop {
            let calls = calls(app, hook).await;
            if are(&calls) {
                return calls;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.expect("the requests are as wanted")
}

#[tokio::test]
async fn a_cdn_is_told_of_each_purge_of_its_kinds_in_its_own_words() {
    each_database(|app| async move {
        serve(&app).await;
        let (cdn, base) = Cdn::start(&[]).await;
        let api = make_api(&app, "items", draft()).await.id;
        let other = make_api(&app, "others", draft()).await.id;
        let hook = make(&app, api, &save(&app, &base).await).await;
        assert!(hook.has_secret);
        let mut off = save(&app, &base).await;
        (off["name"], off["enabled"]) = (json!("Off"), json!(false));
        let mut elsewhere = save(&app, &base).await;
        (elsewhere["name"], elsewhere["environment"]) = (json!("Elsewhere"), staging(&app).await);
        let others = [make(&app, api, &off).await, make(&app, api, &elsewhere).await];
        let application = make_application(&app, &app.admin, "shop").await.id;
        // Of these it is not told.
        purge(&app, json!({"by": "prefix", "api": api, "path": "/a"})).await;
        purge(&app, json!({"by": "tag", "api": other, "tag": "x"})).await;
        purge(&app, json!({"by": "application", "application": application})).await;
        purge(&app, json!({"by": "tag", "tag": "a b\"c"})).await;
        purge(&app, json!({"by": "url", "api": api, "path": "/items?page=2"})).await;
        let calls = until_settled(&app, &hook, 2).await;
        assert!(
            calls
                .iter()
                .all(|it| it.state == CdnCallState::Done && it.attempts == 1 && it.status == Some(200))
        );
        for other in others {
            assert!(self::calls(&app, &other).await.is_empty(), "{}", other.name);
        }
        let mut got = cdn.all();
        got.sort_by(|a, b| b.line.cmp(&a.line));
        let lines: Vec<_> = got.iter().map(|got| got.line.as_str()).collect();
        assert_eq!(lines, ["POST /items/purge/a%20b%22c", "POST /items/purge/%2Fitems%3Fpage%3D2"]);
        let body: Value = serde_json::from_str(&got[0].body).unwrap();
        assert_eq!(body, json!({"tag": ["a b\"c"], "soft": false}));
        assert!(got.iter().all(|got| got.headers["authorization"] == "Bearer s3cret"));
        assert!(!got[0].headers.contains_key("webhook-signature"));
        let seen: CdnHook =
            app.admin.get(&app.path(&format!("/apis/{api}/cdn-hooks/{}", hook.id))).await.expect(200).json();
        assert_eq!(seen.last.unwrap().state, CdnCallState::Done);
        for path in [format!("/apis/{api}/cdn-hooks"), "/audit".to_owned()] {
            assert!(!app.admin.get(&app.path(&path)).await.expect(200).text().contains("s3cret"), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_cdn_that_fails_is_told_again_signed_anew_under_the_same_id_until_it_refuses() {
    each_database(|app| async move {
        serve(&app).await;
        let (cdn, base) = Cdn::start(&[503, 200, 403]).await;
        let api = make_api(&app, "items", draft()).await.id;
        let key = [7; 32];
        let mut new = save(&app, &base).await;
        new["secret"] = json!(format!("whsec_{}", STANDARD.encode(key)));
        new["headers"] = json!([]);
        let hook = make(&app, api, &new).await;
        purge(&app, json!({"by": "tag", "api": api, "tag": "red"})).await;
        let got = cdn.until(2).await;
        let ids: Vec<_> = got.iter().map(|got| got.headers["webhook-id"].clone()).collect();
        assert_eq!(ids[0], ids[1]);
        for got in &got {
            let text = |name: &str| got.headers[name].to_str().unwrap().to_owned();
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(
                format!("{}.{}.{}", text("webhook-id"), text("webhook-timestamp"), got.body).as_bytes(),
            );
            let right = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            assert_eq!(text("webhook-signature"), right);
        }
        let calls = until_settled(&app, &hook, 1).await;
        assert_eq!((calls[0].state, calls[0].attempts), (CdnCallState::Done, 2));
        purge(&app, json!({"by": "tag", "api": api, "tag": "blue"})).await;
        let calls = until_settled(&app, &hook, 2).await;
        assert_eq!(
            (calls[0].state, calls[0].attempts, calls[0].status),
            (CdnCallState::Failed, 1, Some(403))
        );
        assert!(calls[0].error.as_deref().unwrap().contains("403"));
    })
    .await;
}

#[tokio::test]
async fn a_cdn_that_is_busy_or_cannot_be_reached_is_told_again() {
    each_database(|app| async move {
        serve(&app).await;
        let (_cdn, base) = Cdn::start(&[429, 503]).await;
        let api = make_api(&app, "items", draft()).await.id;
        let busy = make(&app, api, &save(&app, &base).await).await;
        // Taken, so that nobody else listens there, either.
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let mut new = save(&app, &format!("http://{}", deaf.local_addr().unwrap())).await;
        new["name"] = json!("Gone");
        let gone = make(&app, api, &new).await;
        purge(&app, json!({"by": "tag", "api": api, "tag": "red"})).await;
        let tried = &until(&app, &busy, |calls| calls[0].status == Some(503)).await[0];
        assert_eq!((tried.state, tried.attempts), (CdnCallState::Waiting, 2));
        let patience = tried.next_at.unwrap() - tried.at;
        assert!(patience >= TimeDelta::seconds(2 + 10), "longer after each try: {patience}");
        let tried = until(&app, &gone, |calls| calls.iter().any(|call| call.error.is_some())).await;
        assert_eq!((tried[0].state, tried[0].status), (CdnCallState::Waiting, None));
        assert!(tried[0].attempts > 0 && tried[0].next_at.is_some(), "{tried:?}");
    })
    .await;
}

#[tokio::test]
async fn what_one_control_plane_has_taken_to_send_no_other_sends() {
    each_database(|app| async move {
        let (_cdn, base) = Cdn::start(&[]).await;
        let api = make_api(&app, "items", draft()).await.id;
        make(&app, api, &save(&app, &base).await).await;
        purge(&app, json!({"by": "tag", "api": api, "tag": "red"})).await;
        let take = async || {
            let tx = app.app.store.begin().await.unwrap();
            let due = sluice_store::cdn_hooks::due(&tx).await.unwrap();
            tx.commit().await.unwrap();
            due.len()
        };
        assert_eq!(take().await, 1);
        assert_eq!(take().await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_was_purged_while_nobody_could_send_is_sent_later() {
    each_database(|app| async move {
        let (cdn, base) = Cdn::start(&[]).await;
        let api = make_api(&app, "items", draft()).await.id;
        let hook = make(&app, api, &save(&app, &base).await).await;
        purge(&app, json!({"by": "tag", "api": api, "tag": "red"})).await;
        forget_settled(&app).await;
        let waiting = calls(&app, &hook).await;
        assert_eq!((waiting[0].state, waiting[0].attempts), (CdnCallState::Waiting, 0));
        // The control plane starts, as after a restart.
        serve(&app).await;
        cdn.until(1).await;
        until_settled(&app, &hook, 1).await;
        forget_settled(&app).await;
        assert!(calls(&app, &hook).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_cdn_in_a_forbidden_network_is_refused_when_it_is_saved_and_again_when_it_is_told() {
    let mut settings = TestApp::settings();
    settings.loopback_allowed = false;
    let strict = TestApp::with(TestDatabase::sqlite().await, settings).await;
    let api = make_api(&strict, "items", json!({})).await.id;
    let path = strict.path(&format!("/apis/{api}/cdn-hooks"));
    for base in ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "http://169.254.169.254"] {
        let problem =
            strict.admin.post(&path, &save(&strict, base).await).await.expect_problem(422, "invalid");
        assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/url", "forbidden_network"));
    }

    // Saved where it was allowed; sent where it no longer is, to an address and to a name that leads there.
    let app = TestApp::sqlite().await;
    let (cdn, base) = Cdn::start(&[]).await;
    let api = make_api(&app, "items", draft()).await.id;
    let mut new = save(&app, &base).await;
    for field in ["headers", "secret"] {
        new.as_object_mut().unwrap().remove(field);
    }
    let by_address = make(&app, api, &new).await;
    new["name"] = json!("By name");
    new["url"] = json!(format!("{}/{{value}}", base.replace("127.0.0.1", "localhost")));
    let by_name = make(&app, api, &new).await;
    purge(&app, json!({"by": "tag", "api": api, "tag": "red"})).await;
    let settings = ControlSettings { loopback_allowed: false, ..app.app.settings.clone() };
    let sender = App::new(settings, app.database.store.clone()).await.unwrap();
    serve_as(&sender).await;
    for hook in [by_address, by_name] {
        let calls = until_settled(&app, &hook, 1).await;
        assert_eq!((calls[0].state, calls[0].status), (CdnCallState::Failed, None));
        assert!(calls[0].error.as_deref().unwrap().contains("loopback network"), "{calls:?}");
    }
    assert!(cdn.all().is_empty());
    sender.stopping.cancel();
}

#[tokio::test]
async fn a_hook_is_checked_keeps_its_secret_and_is_managed_by_who_may_purge() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let path = app.path(&format!("/apis/{api}/cdn-hooks"));
        let good = save(&app, "http://127.0.0.1:9").await;
        for (field, value, pointer) in [
            ("name", json!(""), "/name"),
            ("environment", json!(uuid::Uuid::new_v4()), "/environment"),
            ("kinds", json!([]), "/kinds"),
            ("method", json!("TRACE"), "/method"),
            ("url", json!("https://{value}/"), "/url"),
            ("body", json!("{secret}"), "/body"),
            ("headers", json!([{"name": "host", "value": "x"}]), "/headers/0/name"),
            ("secret", json!("two words"), "/secret"),
            ("secret", json!("whsec_?"), "/secret"),
        ] {
            let mut new = good.clone();
            new[field] = value;
            let problem = app.admin.post(&path, &new).await.expect_problem(422, "invalid");
            assert_eq!(problem.fields[0].pointer, pointer, "{new}");
        }
        for role in [Role::Viewer, Role::Approver, Role::Consumer] {
            app.member(&[role]).await.post(&path, &good).await.expect_problem(403, "forbidden");
        }
        let publisher = app.member(&[Role::Publisher]).await;
        let hook: CdnHook = publisher.post(&path, &good).await.expect(201).json();
        let one = format!("{path}/{}", hook.id);
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove("secret");
        publisher.put(&one, "\"7\"", &changed).await.expect_problem(412, "stale_version");
        let kept: CdnHook = publisher.put(&one, "\"1\"", &changed).await.expect(200).json();
        assert!(kept.has_secret);
        changed["secret"] = json!("");
        let without: CdnHook = publisher.put(&one, "\"2\"", &changed).await.expect(200).json();
        assert!(!without.has_secret);
        publisher.delete_if(&one, "\"3\"").await.expect(204);
        publisher.get(&one).await.expect_problem(404, "not_found");
    })
    .await;
}
