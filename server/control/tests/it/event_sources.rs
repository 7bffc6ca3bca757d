//! Sources of events: signed webhooks, what they purge, and whom they refuse.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use sluice_contract::ids::ApiId;
use sluice_contract::journal::{Change, PurgeScope};
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::event_sources::{
    DeliveryOutcome, EventDelivery, EventReceipt, EventSource, EventSourceSecret,
};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::purges::PurgeRecord;
use sluice_contract::rest::users::Role;
use sluice_testkit::{Reply, TestApp, each_database};

use crate::publishing::{draft, make_api, production, told};

/// A source, and who knows its secret.
struct Sender<'a> {
    app: &'a TestApp,
    source: EventSource,
    secret: Vec<u8>,
}

/// A webhook before it is sent.
struct Message {
    id: &'static str,
    at: i64,
    body: String,
}

fn bytes(secret: &str) -> Vec<u8> {
    STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap()
}

fn of_now(id: &'static str, event: &Value) -> Message {
    Message { id, at: sluice_store::now().timestamp(), body: event.to_string() }
}

fn rules() -> Value {
    json!([
        {"pointer": "/data/products/*/id", "purge": "tag", "template": "product-{value}"},
        {"pointer": "/data/page", "purge": "path", "template": "{value}", "optional": true},
    ])
}

async fn save(app: &TestApp, name: &str) -> Value {
    json!({"name": name, "environment": production(app).await, "rules": rules()})
}

impl<'a> Sender<'a> {
    async fn new(app: &'a TestApp, api: ApiId, change: impl FnOnce(&mut Value)) -> Self {
        let mut new = save(app, "Shop").await;
        change(&mut new);
        let path = app.path(&format!("/apis/{api}/event-sources"));
        let EventSourceSecret { source, secret } = app.admin.post(&path, &new).await.expect(201).json();
        Self { app, source, secret: bytes(&secret.unwrap()) }
    }

    fn path(&self, rest: &str) -> String {
        self.app.path(&format!("/apis/{}/event-sources/{}{rest}", self.source.api, self.source.id))
    }

    fn signature(&self, message: &Message) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).unwrap();
        mac.update(format!("{}.{}.{}", message.id, message.at, message.body).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    async fn send(&self, message: &Message) -> Reply {
        self.send_signed(message, &self.signature(message)).await
    }

    /// Sent by somebody without cookie, token or header against forgery.
    async fn send_signed(&self, message: &Message, signature: &str) -> Reply {
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(&self.source.path)
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.at.to_string())
            .header("webhook-signature", signature);
        self.app.stranger().send(request, Body::from(message.body.clone())).await
    }

    async fn deliveries(&self) -> Vec<EventDelivery> {
        let list: Page<EventDelivery> =
            self.app.admin.get(&self.path("/deliveries")).await.expect(200).json();
        list.items
    }

    async fn outcomes(&self) -> Vec<(DeliveryOutcome, Option<String>)> {
        self.deliveries().await.into_iter().map(|it| (it.outcome, it.code)).collect()
    }
}

async fn purges(app: &TestApp) -> Vec<PurgeRecord> {
    app.admin.get(&app.path("/purges")).await.expect(200).json::<Page<PurgeRecord>>().items
}

#[tokio::test]
async fn a_signed_event_purges_what_its_payload_names_once() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |new| new["soft"] = json!(true)).await;
        let event = json!({"data": {"products": [{"id": 7}, {"id": "b"}], "page": "/items?page=2"}});
        let message = of_now("msg_1", &event);
        let receipt: EventReceipt = sender.send(&message).await.expect(202).json();
        assert_eq!((receipt.outcome, receipt.purges.len()), (DeliveryOutcome::Purged, 3));

        let tag = |tag: &str| PurgeScope::Tag { api: Some(api), tag: tag.to_owned() };
        let path = PurgeScope::Url { api, path: "/items?page=2".to_owned() };
        let expected = [tag("product-7"), tag("product-b"), path];
        let told: Vec<_> = told(&app)
            .await
            .into_iter()
            .filter_map(|change| {
                if let Change::Purge(purge) = change { Some((purge.scope, purge.soft)) } else { None }
            })
            .collect();
        assert_eq!(told, expected.clone().map(|scope| (scope, true)));
        let made = purges(&app).await;
        assert!(
            made.iter().all(|purge| purge.created_by == "webhook:Shop" && receipt.purges.contains(&purge.id))
        );
        let audit: Page<AuditEntry> =
            app.admin.get(&app.path("/audit?actor=webhook:Shop")).await.expect(200).json();
        assert_eq!(audit.items.len(), 3);
        assert!(audit.items.iter().all(|entry| entry.action == "create_purge" && entry.request_id.is_some()));

        let again: EventReceipt = sender.send(&message).await.expect(200).json();
        assert_eq!((again.outcome, again.purges.len()), (DeliveryOutcome::Repeated, 0));
        assert_eq!(purges(&app).await.len(), 3, "nothing is purged again");
        let none = of_now("msg_2", &json!({"data": {"products": []}}));
        let receipt: EventReceipt = sender.send(&none).await.expect(200).json();
        assert_eq!(receipt.outcome, DeliveryOutcome::Nothing);

        let log = sender.deliveries().await;
        let seen: Vec<_> = log.iter().map(|it| (it.message.as_str(), it.outcome)).collect();
        let (nothing, repeated) = (DeliveryOutcome::Nothing, DeliveryOutcome::Repeated);
        assert_eq!(seen, [("msg_2", nothing), ("msg_1", repeated), ("msg_1", DeliveryOutcome::Purged)]);
        assert_eq!(log[2].scopes, expected);
        let source: EventSource = app.admin.get(&sender.path("")).await.expect(200).json();
        assert_eq!(source.last.unwrap().outcome, nothing);
    })
    .await;
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_answered_with_the_place_and_taken_when_the_rules_fit_it() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |_| ()).await;
        let event = json!({"data": {"products": [{"id": 1}, {"sku": "x"}], "page": "no path"}});
        let message = of_now("msg_1", &event);
        let problem = sender.send(&message).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].pointer, "/data/products/1/id");
        let of_path = of_now("msg_2", &json!({"data": {"products": [], "page": "no path"}}));
        let problem = sender.send(&of_path).await.expect_problem(422, "invalid");
        assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/data/page", "invalid_path"));
        let broken = Message { body: "{".to_owned(), ..of_now("msg_3", &json!({})) };
        let problem = sender.send(&broken).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].code, "not_json");
        let big = Message { body: "x".repeat((256 << 10) + 1), ..of_now("msg_4", &json!({})) };
        sender.send(&big).await.expect_problem(413, "body_too_large");
        assert!(purges(&app).await.is_empty());
        let log = sender.deliveries().await;
        assert_eq!(log.len(), 3);
        assert!(log.iter().all(|it| it.outcome == DeliveryOutcome::Invalid));
        assert_eq!(log[2].fields[0].pointer, "/data/products/1/id");

        let mut saved = save(&app, "Shop").await;
        saved["rules"] =
            json!([{"pointer": "/data/products/0/id", "purge": "prefix", "template": "/items/{value}"}]);
        let stale = app.admin.put(&sender.path(""), "\"7\"", &saved).await;
        stale.expect_problem(412, "stale_version");
        app.admin.put(&sender.path(""), "\"1\"", &saved).await.expect(200);
        // Its sender sends it again by itself.
        sender.send(&message).await.expect(202);
        let scope = PurgeScope::Prefix { api, path: "/items/1".to_owned() };
        assert_eq!(purges(&app).await[0].scope, scope);
    })
    .await;
}

#[tokio::test]
async fn only_what_the_secret_has_signed_a_short_while_ago_is_taken() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |_| ()).await;
        let event = json!({"data": {"products": [{"id": 1}]}});
        let message = of_now("msg_1", &event);
        let wrong = sender.send_signed(&message, "v1,AAAA").await;
        wrong.expect_problem(401, "wrong_signature");
        let signature = sender.signature(&message);
        let other = Message { body: event.to_string().replace('1', "2"), ..of_now("msg_1", &event) };
        sender.send_signed(&other, &signature).await.expect_problem(401, "wrong_signature");
        for shift in [-600, 600] {
            let stale = of_now("msg_2", &event);
            let stale = Message { at: stale.at + shift, ..stale };
            sender.send(&stale).await.expect_problem(401, "stale_timestamp");
        }
        let unsigned = http::Request::builder().method(Method::POST).uri(&sender.source.path);
        let unsigned = app.stranger().send(unsigned, Body::from("{}")).await;
        unsigned.expect_problem(401, "unsigned");
        let nowhere = format!("/hooks/v1/cache/{}", uuid::Uuid::new_v4());
        app.stranger().post(&nowhere, &json!({})).await.expect_problem(404, "not_found");
        app.stranger().post("/hooks/v1/cache/none", &json!({})).await.expect_problem(404, "not_found");
        app.stranger().get(&sender.source.path).await.expect_problem(405, "method_not_allowed");
        assert!(purges(&app).await.is_empty());
        let codes: Vec<_> = sender.outcomes().await.into_iter().map(|(_, code)| code.unwrap()).collect();
        let expected =
            ["unsigned", "stale_timestamp", "stale_timestamp", "wrong_signature", "wrong_signature"];
        assert_eq!(codes, expected);
        sender.send(&message).await.expect(202);
    })
    .await;
}

#[tokio::test]
async fn who_guesses_signatures_is_slowed_down_and_does_not_fill_the_log() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |_| ()).await;
        let message = of_now("msg_1", &json!({"data": {"products": []}}));
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            sender.send_signed(&message, "v1,AAAA").await.expect_problem(401, "wrong_signature");
        }
        sender.send_signed(&message, "v1,AAAA").await.expect_problem(429, "throttled");
        let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap() + 2;
        assert!(sender.deliveries().await.len() <= 10 * minutes, "ten in a minute");
        let other = Sender::new(&app, api, |new| new["name"] = json!("Other")).await;
        other.send(&message).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_source_takes_as_many_events_in_a_minute_as_it_may() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |new| new["per_minute"] = json!(2)).await;
        let event = json!({"data": {"products": [{"id": 1}]}});
        sender.send_signed(&of_now("msg_0", &event), "v1,AAAA").await.expect_problem(401, "wrong_signature");
        sender.send(&of_now("msg_1", &event)).await.expect(202);
        sender.send(&of_now("msg_2", &event)).await.expect(202);
        let refused = sender.send(&of_now("msg_3", &event)).await;
        assert_eq!(refused.header("retry-after"), "60");
        refused.expect_problem(429, "rate_limited");
        assert_eq!(purges(&app).await.len(), 2);
        let limited = (DeliveryOutcome::Refused, Some("rate_limited".to_owned()));
        assert_eq!(sender.outcomes().await[0], limited);
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_shown_once_kept_sealed_and_taken_for_a_day_after_it_was_changed() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |_| ()).await;
        let event = json!({"data": {"products": []}});
        let rotated = app.admin.post(&sender.path("/secret"), &json!({})).await.expect(200);
        let EventSourceSecret { source, secret } = rotated.json();
        let secret = secret.unwrap();
        let until = source.old_secret_until.unwrap() - sluice_store::now();
        assert!(until.num_hours() == 23 || until.num_hours() == 24, "{until}");
        sender.send(&of_now("by_old", &event)).await.expect(200);
        let newer = Sender { app: &app, source, secret: bytes(&secret) };
        newer.send(&of_now("by_new", &event)).await.expect(200);
        // Only one before the last is taken.
        app.admin.post(&sender.path("/secret"), &json!({})).await.expect(200);
        newer.send(&of_now("by_newer", &event)).await.expect(200);
        sender.send(&of_now("by_oldest", &event)).await.expect_problem(401, "wrong_signature");

        let read = |path: String| {
            let app = &app;
            async move { app.admin.get(&path).await.expect(200).text() }
        };
        let list = app.path(&format!("/apis/{api}/event-sources"));
        for text in [read(sender.path("")).await, read(list).await, read(app.path("/audit")).await] {
            assert!(!text.contains("whsec_") && !text.contains(&secret[6..]), "{text}");
        }
        let stored = sluice_store::event_sources::receiver(app.app.store.read(), sender.source.id).await;
        let stored = stored.unwrap().secrets;
        assert_eq!(stored.len(), 2);
        assert!(stored.iter().all(|sealed| sealed.starts_with("v1.") && !sealed.contains(&secret[6..20])));
    })
    .await;
}

#[tokio::test]
async fn a_source_that_is_switched_off_or_gone_takes_nothing() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let sender = Sender::new(&app, api, |new| new["enabled"] = json!(false)).await;
        let message = of_now("msg_1", &json!({"data": {"products": [{"id": 1}]}}));
        sender.send(&message).await.expect_problem(409, "disabled");
        assert_eq!(sender.outcomes().await, [(DeliveryOutcome::Refused, Some("disabled".to_owned()))]);
        app.admin.delete_if(&sender.path(""), "\"1\"").await.expect(204);
        sender.send(&message).await.expect_problem(404, "not_found");
        assert!(purges(&app).await.is_empty());
        let gone = Sender::new(&app, api, |_| ()).await;
        let etag = app.admin.get(&app.path(&format!("/apis/{api}"))).await.expect(200).etag();
        app.admin.delete_if(&app.path(&format!("/apis/{api}")), &etag).await.expect(204);
        gone.send(&message).await.expect_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_source_is_checked_before_it_is_kept_and_managed_by_who_may_purge() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let path = app.path(&format!("/apis/{api}/event-sources"));
        let good = save(&app, "Shop").await;
        for (field, value, pointer) in [
            ("name", json!(" "), "/name"),
            ("environment", json!(uuid::Uuid::new_v4()), "/environment"),
            ("rules", json!([]), "/rules"),
            ("rules", json!([{"pointer": "x", "purge": "tag", "template": "{value}"}]), "/rules/0/pointer"),
            ("rules", json!([{"pointer": "/x", "purge": "tag", "template": "x"}]), "/rules/0/template"),
            ("per_minute", json!(0), "/per_minute"),
            ("per_minute", json!(601), "/per_minute"),
        ] {
            let mut new = good.clone();
            new[field] = value;
            let problem = app.admin.post(&path, &new).await.expect_problem(422, "invalid");
            assert_eq!(problem.fields[0].pointer, pointer, "{new}");
        }
        for role in [Role::Viewer, Role::Approver, Role::Consumer] {
            let refused = app.member(&[role]).await.post(&path, &good).await;
            refused.expect_problem(403, "forbidden");
        }
        let publisher = app.member(&[Role::Publisher]).await;
        let made: EventSourceSecret = publisher.post(&path, &good).await.expect(201).json();
        app.admin.post(&path, &good).await.expect_problem(409, "not_unique");
        let list: Page<EventSource> = publisher.get(&path).await.expect(200).json();
        assert_eq!(list.items, [made.source]);
    })
    .await;
}
