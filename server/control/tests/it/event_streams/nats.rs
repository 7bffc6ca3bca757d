//! Streams of NATS JetStream.

use std::time::Duration;

use async_nats::{ConnectOptions, jetstream};
use futures_util::StreamExt;
use nkeys::KeyPair;
use serde_json::json;
use sluice_contract::rest::event_sources::DeliveryOutcome;
use sluice_control::ControlSettings;
use sluice_testkit::{TestApp, TestDatabase, each_database};

use super::nats_operator::Operator;
use super::nats_server::{NatsServer, make_stream};
use super::support::{
    Control, Source, eventually, goes_on_after_a_kill, is_carried_out_when_the_database_is_back, products,
    saved,
};
use crate::publishing::make_api;

async fn make<'a>(app: &'a TestApp, nats: &NatsServer) -> Source<'a> {
    Source::make(app, "items", &saved(app, &nats.stream()).await).await
}

/// Nothing waits, and nothing was given out that is not acknowledged.
async fn until_acknowledged(source: &Source<'_>) {
    eventually("all is acknowledged", async || {
        let reading = source.reading().await;
        (reading.waiting == Some(0) && reading.unacknowledged == Some(0)).then_some(())
    })
    .await;
}

/// The same when nobody says so any more.
async fn until_empty(nats: &NatsServer) {
    eventually("all is acknowledged", async || (nats.given_out().await == 0).then_some(())).await;
}

#[tokio::test]
async fn messages_of_its_subject_purge_and_one_that_does_not_fit_is_listed_and_blocks_nothing() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        let control = Control::start(&app).await;
        nats.product(1).await;
        nats.add("shop.orders", r#"{"products": [{"id": 9}]}"#).await;
        nats.add("shop.products", "{").await;
        nats.add("shop.products", r#"{"products": [{}]}"#).await;
        let large = json!({"products": [{"id": 8}], "more": "x".repeat(300 << 10)}).to_string();
        nats.add("shop.products", &large).await;
        nats.add("shop.products", "").await;
        nats.product(2).await;
        let log = source.until_logged(6).await;
        assert_eq!((log[0].outcome, &log[0].message[..2]), (DeliveryOutcome::Purged, "1-"));
        for (entry, code) in log[1..5].iter().zip(["not_json", "required", "too_large", "not_json"]) {
            assert_eq!((entry.outcome, &*entry.fields[0].code), (DeliveryOutcome::Invalid, code));
        }
        until_acknowledged(&source).await;
        assert_eq!(source.purged().await, products([1, 2]));
        assert!(source.reading().await.since.is_some());
        // A subject that none of its messages has is told, and another is read from where the consumer is.
        let mut new = saved(&app, &nats.stream()).await;
        new["stream"]["subject"] = json!("store.>");
        app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
        let error = eventually("it is told", async || source.reading().await.error).await;
        assert_eq!(error, "the stream `CHANGES` has no messages of `store.>`, only of shop.>");
        nats.add("shop.orders", r#"{"products": [{"id": 3}]}"#).await;
        new["stream"]["subject"] = json!("shop.>");
        app.admin.put(&source.path(""), "\"2\"", &new).await.expect(200);
        source.until_purged(1..=3).await;
        until_acknowledged(&source).await;
        assert_eq!(source.log().await.len(), 7, "what it has done does not come again");
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_given_out_and_never_acknowledged_is_carried_out_once() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        let stream = nats.context().await.get_stream("CHANGES").await.unwrap();
        let consumer = nats.impatient_consumer().await;
        for id in 0..10 {
            nats.product(id).await;
        }
        let control = Control::start(&app).await;
        source.until_logged(2).await;
        control.stop().await;
        for id in 10..15 {
            nats.product(id).await;
        }
        let given = consumer.fetch().max_messages(3).messages().await.unwrap().count().await;
        assert!(given > 0, "some are given out to one that never does them");
        let control = Control::start(&app).await;
        source.until_purged(0..15).await;
        until_acknowledged(&source).await;
        // As a server is that lost the acknowledgements.
        control.stop().await;
        stream.delete_consumer("sluice").await.unwrap();
        let control = Control::start(&app).await;
        nats.product(15).await;
        source.until_purged(0..16).await;
        until_acknowledged(&source).await;
        let log = source.log().await;
        assert!(log.iter().filter(|entry| entry.outcome == DeliveryOutcome::Repeated).count() >= 15);
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_one_too_many_in_its_minute_is_kept_in_the_stream_and_done_after_a_restart() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let mut new = saved(&app, &nats.stream()).await;
        new["per_minute"] = json!(2);
        let source = Source::make(&app, "items", &new).await;
        nats.impatient_consumer().await;
        for id in 0..5 {
            nats.product(id).await;
        }
        let control = Control::start(&app).await;
        eventually("the third is held and two wait", async || {
            let reading = source.reading().await;
            (reading.unacknowledged == Some(1) && reading.waiting == Some(2)).then_some(())
        })
        .await;
        control.stop().await;
        assert_eq!(source.purged().await, products([0, 1]));
        assert_eq!(nats.given_out().await, 1, "it is nobody's but the stream's");
        new["per_minute"] = json!(600);
        app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
        let control = Control::start(&app).await;
        source.until_purged(0..5).await;
        until_acknowledged(&source).await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_control_planes_one_asks_for_messages_and_the_other_goes_on_when_it_stops() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        let first = Control::start(&app).await;
        source.until_read().await;
        let second = Control::start(&app).await;
        for id in 0..10 {
            nats.product(id).await;
        }
        source.until_purged(0..10).await;
        until_acknowledged(&source).await;
        // The other has looked for what nobody reads several times by then.
        for _ in 0..40 {
            assert!(nats.asking().await <= 1, "two read");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        first.stop().await;
        nats.product(10).await;
        source.until_purged(0..=10).await;
        eventually("the other asks", async || (nats.asking().await == 1).then_some(())).await;
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn when_the_control_plane_that_reads_is_killed_the_other_loses_nothing_and_does_nothing_twice() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        nats.impatient_consumer().await;
        goes_on_after_a_kill(&app, &source, async |id| nats.product(id).await).await;
        until_empty(&nats).await;
    })
    .await;
}

#[tokio::test]
async fn what_the_database_did_not_take_is_given_out_again_and_carried_out_once() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        nats.impatient_consumer().await;
        let control = Control::start(&app).await;
        let add = async |id| nats.product(id).await;
        is_carried_out_when_the_database_is_back(&app, &source, add).await;
        until_acknowledged(&source).await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_consumer_that_vanishes_is_made_anew_and_what_it_had_done_is_not_done_again() {
    each_database(|app| async move {
        let nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        let control = Control::start(&app).await;
        nats.product(1).await;
        nats.product(2).await;
        source.until_purged([1, 2]).await;
        let stream = nats.context().await.get_stream("CHANGES").await.unwrap();
        stream.delete_consumer("sluice").await.unwrap();
        nats.product(3).await;
        source.until_purged([1, 2, 3]).await;
        until_acknowledged(&source).await;
        let log = source.log().await;
        let again = log.iter().filter(|entry| entry.outcome == DeliveryOutcome::Repeated).count();
        assert_eq!((again, log.len()), (2, 5), "{log:?}");
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_or_a_subject_that_is_not_there_is_told_and_read_once_it_is() {
    let app = TestApp::sqlite().await;
    let nats = NatsServer::with("").await;
    let source = make(&app, &nats).await;
    let control = Control::start(&app).await;
    source.until_told("there is no stream `CHANGES`").await;
    let context = nats.context().await;
    let mut config = jetstream::stream::Config {
        name: "CHANGES".to_owned(),
        subjects: vec!["store.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(config.clone()).await.unwrap();
    source.until_told("the stream `CHANGES` has no messages of `shop.products`, only of store.>").await;
    assert_eq!(source.reading().await.since, None);
    config.subjects.push("shop.*".to_owned());
    context.update_stream(config).await.unwrap();
    nats.product(1).await;
    source.until_purged([1]).await;
    let reading = source.reading().await;
    assert_eq!((reading.since.is_some(), reading.error), (true, None));
    control.stop().await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_a_stream_that_vanishes_are_read_on_when_they_are_back() {
    each_database(|app| async move {
        let mut nats = NatsServer::start().await;
        let source = make(&app, &nats).await;
        let control = Control::start(&app).await;
        nats.product(1).await;
        source.until_purged([1]).await;
        nats.kill();
        eventually("it is told", async || source.reading().await.error).await;
        assert_eq!(source.reading().await.since, None);
        nats.come_back().await;
        nats.product(2).await;
        source.until_purged([1, 2]).await;
        source.until_read().await;
        nats.context().await.delete_stream("CHANGES").await.unwrap();
        let error = eventually("it is told", async || source.reading().await.error).await;
        assert!(!error.is_empty());
        source.until_told("there is no stream `CHANGES`").await;
        // Its numbers begin anew, and what has them is new.
        nats.make_stream().await;
        nats.product(3).await;
        source.until_purged([1, 2, 3]).await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_with_tls_is_read_as_a_user_and_one_with_a_token_by_who_has_it() {
    let app = TestApp::sqlite().await;
    let control = Control::start(&app).await;
    let user =
        "authorization { user: shop, password: s3cret }\ntls { cert_file: \"{cert}\", key_file: \"{key}\" }";
    let nats = NatsServer::with(user).await;
    let options = ConnectOptions::with_user_and_password("shop".to_owned(), "s3cret".to_owned());
    let context = nats.context_of(options.add_root_certificates(nats.certified.certificate.clone())).await;
    make_stream(&context).await;
    let mut new = saved(&app, &nats.stream()).await;
    // A second one, of which nobody is there, is in the way of nothing.
    new["stream"]["url"] = json!(format!("tls://127.0.0.1:1, tls://{}", nats.address));
    new["stream"]["user"] = json!("shop");
    new["stream_password"] = json!("wr0ng");
    let source = Source::make(&app, "items", &new).await;
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.contains("certificate"), "{error}");
    new["stream"]["ca"] = json!(nats.certified.pem);
    app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.to_lowercase().contains("authorization") && !error.contains("wr0ng"), "{error}");
    new["stream_password"] = json!("s3cret");
    app.admin.put(&source.path(""), "\"2\"", &new).await.expect(200);
    let event = json!({"products": [{"id": 1}]}).to_string();
    context.publish("shop.products", event.into()).await.unwrap().await.unwrap();
    source.until_purged([1]).await;
    // The certificate is of 127.0.0.1, wherever its name leads.
    new["stream"]["url"] = json!(format!("tls://localhost:{}", nats.address.port()));
    app.admin.put(&source.path(""), "\"3\"", &new).await.expect(200);
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.contains("certificate"), "{error}");

    let nats = NatsServer::with("authorization { token: t0ken }").await;
    make_stream(&nats.context_of(ConnectOptions::with_token("t0ken".to_owned())).await).await;
    let mut new = saved(&app, &nats.stream()).await;
    new["stream_password"] = json!("wrong");
    let source = Source::make(&app, "others", &new).await;
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.to_lowercase().contains("authorization") && !error.contains("wrong"), "{error}");
    new["stream_password"] = json!("t0ken");
    app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
    source.until_read().await;
    control.stop().await;
}

#[tokio::test]
async fn a_server_of_operators_is_read_with_credentials_and_one_of_nkeys_with_a_seed() {
    let app = TestApp::sqlite().await;
    let control = Control::start(&app).await;
    let operator = Operator::new();
    let nats = NatsServer::with(&operator.settings()).await;
    let options = ConnectOptions::new().credentials(&operator.credentials).unwrap();
    make_stream(&nats.context_of(options).await).await;
    let mut new = saved(&app, &nats.stream()).await;
    new["stream_password"] = json!(Operator::new().credentials);
    let source = Source::make(&app, "items", &new).await;
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.to_lowercase().contains("authorization") && !error.contains("SEED"), "{error}");
    // As a field of one line takes them.
    new["stream_password"] = json!(operator.credentials.replace('\n', ""));
    app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
    source.until_read().await;

    let user = KeyPair::new_user();
    let seed = user.seed().unwrap();
    let users = format!("authorization {{ users: [{{ nkey: {} }}] }}", user.public_key());
    let nats = NatsServer::with(&users).await;
    make_stream(&nats.context_of(ConnectOptions::with_nkey(seed.clone())).await).await;
    let mut new = saved(&app, &nats.stream()).await;
    let stranger = KeyPair::new_user().seed().unwrap();
    new["stream_password"] = json!(stranger);
    let source = Source::make(&app, "others", &new).await;
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.to_lowercase().contains("authorization") && !error.contains(&stranger), "{error}");
    new["stream_password"] = json!(seed);
    app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
    source.until_read().await;
    control.stop().await;
}

#[tokio::test]
async fn a_server_in_a_forbidden_network_is_refused_when_it_is_saved_and_again_when_it_is_read() {
    let mut settings = TestApp::settings();
    settings.loopback_allowed = false;
    let nats = NatsServer::start().await;
    let strict = TestApp::with(TestDatabase::sqlite().await, settings).await;
    let api = make_api(&strict, "items", json!({})).await.id;
    let path = strict.path(&format!("/apis/{api}/event-sources"));
    for (change, pointer, code) in [
        (json!({"url": "nats://127.0.0.1:4222"}), "/stream/url", "forbidden_network"),
        (json!({"url": "nats://nats.invalid, tls://localhost"}), "/stream/url", "forbidden_network"),
        (json!({"url": "nats://user:password@example.com"}), "/stream/url", "invalid_url"),
        (json!({"url": "nats://nats.invalid", "stream": "a.b"}), "/stream/stream", "invalid_name"),
        (json!({"url": "nats://nats.invalid", "subject": "a..b"}), "/stream/subject", "invalid_subject"),
        (json!({"url": "nats://nats.invalid", "field": "event"}), "/stream/field", "not_of_nats"),
        (json!({"kind": "redis", "url": "redis://redis.invalid"}), "/stream/subject", "not_of_redis"),
    ] {
        let mut new = saved(&strict, &nats.stream()).await;
        for (name, value) in change.as_object().unwrap() {
            new["stream"][name] = value.clone();
        }
        let problem = strict.admin.post(&path, &new).await.expect_problem(422, "invalid");
        assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), (pointer, code), "{change}");
    }

    let app = TestApp::sqlite().await;
    let source = make(&app, &nats).await;
    let settings = ControlSettings { loopback_allowed: false, ..app.app.settings.clone() };
    let control = Control::with(&app, settings).await;
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.contains("loopback network"), "{error}");
    control.stop().await;
    let consumers = nats.context().await.get_stream("CHANGES").await.unwrap().consumer_names().count().await;
    assert_eq!(consumers, 0, "nobody was there");
}
