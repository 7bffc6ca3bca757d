//! Looking inside the cache of gateways through the admin API.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_contract::ids::ApplicationId;
use sluice_contract::link::ANSWERS_PATH;
use sluice_contract::questions::{Answer, Ask, Reply};
use sluice_contract::rest::asked::AskOutcome;
use sluice_contract::rest::cache::{AccessRefusal, CacheExplanation, CacheLookup, CopyState};
use sluice_contract::rest::users::Role;
use sluice_testkit::{TestApp, each_database};
use tokio::sync::watch;

use super::questions::listening;
use super::simulated::{Served, Simulated, Stream};
use crate::publishing::{draft, make_api, make_application, make_plan};

fn key(application: Option<ApplicationId>) -> Value {
    json!({ "environment": null, "tenant": "acme", "api": "items", "version": null, "epoch": 0, "method": "GET",
        "scheme": "http", "host": "h", "route": "list", "path": "/x", "query": null, "headers": [], "cookies": [],
        "caller": { "kind": "application", "application": application, "application_name": null }, "body": null })
}

fn entry(application: Option<ApplicationId>) -> Value {
    json!({ "level": "memory", "key_hash": "00", "key": key(application), "state": "fresh", "status": 200,
        "headers": [], "varies_by": [], "for_whom": "caller", "age_s": 1, "lifetime_s": 5, "fresh_for_s": 4,
        "stale_while_revalidate_s": 0, "stale_if_error_s": null, "no_cache": false, "must_revalidate": false,
        "tags": [], "bytes": 9, "body_bytes": 1, "hits": 3 })
}

/// Gives this answer to every question, and tells the newest of them.
fn answering(gateway: Simulated, mut asked: Stream, reply: Value) -> watch::Receiver<Ask> {
    let reply: Reply = serde_json::from_value(reply).unwrap();
    let (sender, newest) = watch::channel(Ask::Unknown);
    tokio::spawn(async move {
        loop {
            let question = asked.question().await;
            sender.send_replace(question.ask);
            let answer = Answer { question: question.id, took_us: 3, reply: reply.clone() };
            gateway.post(ANSWERS_PATH, &answer).await.unwrap();
        }
    });
    newest
}

/// What is answered, sooner or later: a machine that is slow may need longer than the patience.
async fn answered<T: DeserializeOwned>(app: &TestApp, path: &str, body: &Value) -> T {
    let mut told: Value = Value::Null;
    for _ in 0..20 {
        told = app.admin.post(path, body).await.expect(200).json();
        if told["gateways"][0]["outcome"] == "answered" {
            break;
        }
    }
    serde_json::from_value(told).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_has_of_a_url_is_told_with_the_names_of_applications_of_the_tenant() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let app = &served.app;
        let api = make_api(app, "items", draft()).await.id;
        let own = make_application(app, &app.admin, "shop").await.id;
        let foreign = ApplicationId::generate();
        let (gateway, asked) = listening(&served).await;
        let entries = json!([entry(Some(own)), entry(Some(foreign)), entry(None)]);
        let copy = json!({ "state": "fresh", "age_s": 1, "fresh_for_s": 4, "bytes": 9, "body_bytes": 1,
            "varies_by": ["accept"] });
        let reply = json!({ "reply": "cache_entries", "entries": entries, "more": 2, "second_level": "unknown",
            "asked": { "hash": "01", "key": key(Some(own)), "copy": copy } });
        let newest = answering(gateway, asked, reply);
        let body = json!({ "environment": served.environment, "path": "/x?a=1", "host": "h:1", "https": true });
        let path = app.path(&format!("/apis/{api}/cache/entries"));
        let told: CacheLookup = answered(app, &path, &body).await;
        let (path, host) = ("/x?a=1".to_owned(), "h:1".to_owned());
        assert_eq!(*newest.borrow(), Ask::CacheEntries { api, path, host, https: true });
        assert_eq!((told.gateways.len(), told.gateways[0].outcome), (1, AskOutcome::Answered));
        let answer = told.gateways[0].answer.as_ref().unwrap();
        let names: Vec<_> = answer
            .entries
            .iter()
            .map(|entry| entry.key.as_ref().unwrap().caller.application_name.as_deref())
            .collect();
        assert_eq!((names, answer.more), (vec![Some("shop"), None, None], 2));
        // Those of a gateway that knows nothing of copies have none.
        assert!(answer.entries.iter().all(|entry| entry.copy.is_none()));
        let asked = answer.asked.as_ref().unwrap();
        assert_eq!(asked.key.caller.application_name.as_deref(), Some("shop"));
        assert_eq!((asked.copy.state, &*asked.copy.varies_by[0]), (CopyState::Fresh, "accept"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_explained_by_a_gateway_and_what_cannot_be_one_is_refused() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let app = &served.app;
        let api = make_api(app, "items", draft()).await.id;
        let own = make_application(app, &app.admin, "shop").await.id;
        let (gateway, asked) = listening(&served).await;
        let keys =
            json!([{ "hash": "00", "key": key(Some(own)), "entry": entry(Some(own)), "usable": true }]);
        let plan = make_plan(app, api, "manual").await;
        let limit = json!({ "name": "plan", "requests": 5, "period_s": 60, "remaining": 0, "retry_s": 9 });
        let access = json!({ "access": "subscription", "refusal": "rate_limited", "plan": plan.id,
            "plan_name": null, "limits": [limit] });
        let reply = json!({ "reply": "cache_key", "route": "list", "access": access, "reasons": ["head"],
            "cached": true, "keys": keys, "stored": null });
        let newest = answering(gateway, asked, reply);
        let path = app.path(&format!("/apis/{api}/cache/explain"));
        let body = |request: Value| json!({ "environment": served.environment, "request": request });
        let request = json!({ "method": "HEAD", "path": "/x", "application": own });
        let told: CacheExplanation = answered(app, &path, &body(request)).await;
        let Ask::CacheKey { api: of, request } = newest.borrow().clone() else { panic!("another question") };
        assert_eq!((of, request.method.as_str(), request.response_status), (api, "HEAD", 200));
        let answer = told.gateways[0].answer.as_ref().unwrap();
        let access = answer.access.as_ref().unwrap();
        assert_eq!(access.plan_name.as_deref(), Some(&*plan.name));
        assert_eq!(access.refusal, Some(AccessRefusal::RateLimited));
        assert_eq!((access.limits[0].remaining, access.limits[0].retry_s), (Some(0), Some(9)));
        let key = &answer.keys[0];
        assert_eq!(key.key.caller.application_name.as_deref(), Some("shop"));
        let of_entry = key.entry.as_ref().and_then(|entry| entry.key.as_ref()).unwrap();
        assert_eq!(of_entry.caller.application_name.as_deref(), Some("shop"));

        for (request, pointer) in [
            (json!({ "path": "x" }), "/request/path"),
            (json!({ "path": "/x", "method": "G T" }), "/request/method"),
            (json!({ "path": "/x", "host": "a b" }), "/request/host"),
            (json!({ "path": "/x", "body": "x".repeat(17 << 10) }), "/request/body"),
            (json!({ "path": "/x", "response_status": 99 }), "/request/response_status"),
            (json!({ "path": "/x", "headers": [{ "name": "a b", "value": "" }] }), "/request/headers/0/name"),
            (
                json!({ "path": "/x", "headers": [{ "name": "a", "value": "\n" }] }),
                "/request/headers/0/value",
            ),
            (
                json!({ "path": "/x", "response_headers": [{ "name": "", "value": "" }] }),
                "/request/response_headers/0/name",
            ),
            (
                json!({ "path": "/x", "headers": vec![json!({ "name": "a", "value": "" }); 65] }),
                "/request/headers",
            ),
            (json!({ "path": "/x", "application": ApplicationId::generate() }), "/request/application"),
        ] {
            let wrong = app.admin.post(&path, &body(request.clone())).await;
            assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, pointer, "{request}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_who_may_purge_looks_inside_and_only_into_apis_and_environments_that_are_there() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let environment = crate::publishing::production(&app).await;
        for (what, rest) in
            [("entries", json!({ "path": "/x" })), ("explain", json!({ "request": { "path": "/x" } }))]
        {
            let body = |environment: Value| {
                let mut body = rest.clone();
                body["environment"] = environment;
                body
            };
            let path = app.path(&format!("/apis/{api}/cache/{what}"));
            for role in [Role::Viewer, Role::Approver, Role::Consumer] {
                let refused = app.member(&[role]).await.post(&path, &body(json!(environment))).await;
                refused.expect_problem(403, "forbidden");
            }
            let publisher = app.member(&[Role::Publisher]).await;
            publisher.post(&path, &body(json!(environment))).await.expect(200);
            let nowhere = publisher.post(&path, &body(json!(uuid::Uuid::new_v4()))).await;
            assert_eq!(nowhere.expect_problem(422, "invalid").fields[0].pointer, "/environment");
            let missing = app.path(&format!("/apis/{}/cache/{what}", uuid::Uuid::new_v4()));
            publisher.post(&missing, &body(json!(environment))).await.expect_problem(404, "not_found");
        }
        let path = app.path(&format!("/apis/{api}/cache/entries"));
        let wrong = app.admin.post(&path, &json!({ "environment": environment, "path": "x y" })).await;
        assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, "/path");
        let body = json!({ "environment": environment, "path": "/x", "host": "a b" });
        let wrong = app.admin.post(&path, &body).await;
        assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, "/host");
    })
    .await;
}
