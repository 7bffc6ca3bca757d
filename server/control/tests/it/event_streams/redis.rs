//! Streams of Redis.

use serde_json::{Value, json};
use sluice_contract::rest::event_sources::DeliveryOutcome;
use sluice_control::ControlSettings;
use sluice_testkit::{TestApp, TestDatabase, each_database};

use super::redis_server::Redis;
use super::support::{
    Control, Source, eventually, goes_on_after_a_kill, is_carried_out_when_the_database_is_back, products,
    saved,
};
use crate::publishing::make_api;

async fn make<'a>(app: &'a TestApp, redis: &Redis) -> Source<'a> {
    Source::make(app, "items", &saved(app, &redis.stream()).await).await
}

#[tokio::test]
async fn events_of_a_stream_purge_and_one_that_does_not_fit_is_listed_and_blocks_nothing() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let control = Control::start(&app).await;
        let first = redis.product(1);
        let large = json!({"products": [], "more": "x".repeat(300 << 10)}).to_string();
        let bad = [
            (redis.add("{"), "not_json"),
            (redis.add_as("other", "{}"), "no_field"),
            (redis.add(r#"{"products": [{}]}"#), "required"),
            (redis.add(r#"{"products": [{"id": "a\u0000b"}]}"#), "invalid_tag"),
            (redis.add(&large), "too_large"),
        ];
        redis.product(2);
        let log = source.until_logged(7).await;
        assert_eq!((log[0].message.as_str(), log[0].outcome), (first.as_str(), DeliveryOutcome::Purged));
        for (entry, (id, code)) in log[1..6].iter().zip(&bad) {
            assert_eq!((&entry.message, entry.outcome), (id, DeliveryOutcome::Invalid));
            assert_eq!(entry.fields[0].code, *code);
        }
        assert_eq!(source.purged().await, products([1, 2]));
        redis.until_acknowledged().await;
        // It has an address, which nobody answers at.
        app.stranger().post(&source.it.path, &json!({})).await.expect_problem(404, "not_found");
        app.admin.post(&source.path("/secret"), &json!({})).await.expect_problem(409, "reads_a_stream");
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_control_plane_that_stops_loses_nothing_and_does_nothing_twice() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let control = Control::start(&app).await;
        for id in 0..30 {
            redis.product(id);
        }
        source.until_logged(3).await;
        control.stop().await;
        let done = source.log().await.len();
        for id in 30..40 {
            redis.product(id);
        }
        // This one was given out to the consumer that stopped before it did anything with it.
        redis.ask::<redis::Value>("XREADGROUP GROUP sluice sluice COUNT 1 STREAMS changes >");
        assert!(redis.pending() > 0);
        assert_eq!(source.log().await.len(), done, "nothing is read while none runs");

        let control = Control::start(&app).await;
        source.until_purged(0..40).await;
        redis.until_acknowledged().await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_done_and_never_acknowledged_comes_again_and_is_not_done_again() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let control = Control::start(&app).await;
        let given: Vec<String> = (0..3).map(|id| redis.product(id)).collect();
        source.until_purged(0..3).await;
        control.stop().await;
        // As Redis is when it lost the acknowledgements.
        redis.ask::<()>("XGROUP SETID changes sluice 0");
        redis.product(3);
        let control = Control::start(&app).await;
        source.until_purged(0..4).await;
        redis.until_acknowledged().await;
        let log = source.log().await;
        let again = log.iter().filter(|entry| entry.outcome == DeliveryOutcome::Repeated);
        assert_eq!(again.map(|entry| entry.message.clone()).collect::<Vec<_>>(), given);
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_consumer_that_is_no_more_was_given_is_taken_over() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        redis.ask::<()>("XGROUP CREATE changes sluice 0 MKSTREAM");
        let left: Vec<String> = (0..25).map(|id| redis.product(id)).collect();
        redis.ask::<redis::Value>("XREADGROUP GROUP sluice another COUNT 25 STREAMS changes >");
        // One of them is still at work with its last entry.
        for id in &left[..24] {
            redis.ask::<redis::Value>(&format!("XCLAIM changes sluice another 0 {id} IDLE 60000"));
        }
        // One is gone from the stream before anybody has done it.
        redis.ask::<()>(&format!("XDEL changes {}", left[3]));
        let control = Control::start(&app).await;
        redis.product(25);
        source.until_purged((0..24).filter(|id| *id != 3).chain([25])).await;
        eventually("one is left", async || (redis.pending() == 1).then_some(())).await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_killed_and_returns_is_read_on_and_why_it_was_not_read_is_told() {
    each_database(|app| async move {
        let mut redis = Redis::with(&["--requirepass", "s3cret"]).await;
        let mut new = saved(&app, &redis.stream()).await;
        let source = Source::make(&app, "items", &new).await;
        let control = Control::start(&app).await;
        let error = eventually("it is told", async || source.reading().await.error).await;
        assert!(error.contains("NOAUTH"), "{error}");
        new["stream_password"] = json!("s3cret");
        app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
        redis.product(1);
        source.until_purged([1]).await;
        source.until_read().await;
        assert_eq!(source.reading().await.error, None);
        redis.kill();
        let error = eventually("it is told", async || source.reading().await.error).await;
        assert!(!error.contains("s3cret"), "{error}");
        assert_eq!(source.reading().await.since, None);
        redis.come_back().await;
        redis.product(2);
        source.until_purged([1, 2]).await;
        source.until_read().await;
        // A Redis that forgot everything, the group too, is read from the beginning of what it has now.
        redis.ask::<()>("FLUSHALL");
        redis.product(3);
        source.until_purged([1, 2, 3]).await;
        for path in [source.path(""), app.path("/audit")] {
            assert!(!app.admin.get(&path).await.expect(200).text().contains("s3cret"), "{path}");
        }
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_control_planes_one_reads_and_the_other_goes_on_when_it_stops() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let first = Control::start(&app).await;
        source.until_read().await;
        let second = Control::start(&app).await;
        for id in 0..20 {
            redis.product(id);
        }
        source.until_purged(0..20).await;
        let readers = || {
            let list: String = redis.ask("CLIENT LIST");
            list.lines().filter(|client| client.contains("cmd=xreadgroup")).count()
        };
        eventually("one reads", async || (readers() == 1).then_some(())).await;
        first.stop().await;
        redis.product(20);
        source.until_purged(0..=20).await;
        eventually("the other reads", async || (readers() == 1).then_some(())).await;
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn when_the_control_plane_that_reads_is_killed_the_other_loses_nothing_and_does_nothing_twice() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let add = async |id| drop(redis.product(id));
        goes_on_after_a_kill(&app, &source, add).await;
        redis.until_acknowledged().await;
    })
    .await;
}

#[tokio::test]
async fn what_the_database_did_not_take_is_given_out_again_and_carried_out_once() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let control = Control::start(&app).await;
        let add = async |id| drop(redis.product(id));
        is_carried_out_when_the_database_is_back(&app, &source, add).await;
        redis.until_acknowledged().await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_group_that_vanishes_is_made_anew_and_a_key_that_is_no_stream_is_told_and_read_once_it_is() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        redis.ask::<()>("SET changes text");
        let source = make(&app, &redis).await;
        let control = Control::start(&app).await;
        let error = eventually("it is told", async || source.reading().await.error).await;
        assert!(error.contains("WRONGTYPE"), "{error}");
        redis.ask::<()>("DEL changes");
        redis.product(1);
        redis.product(2);
        source.until_purged([1, 2]).await;
        assert_eq!(source.reading().await.error, None);
        redis.ask::<()>("XGROUP DESTROY changes sluice");
        redis.product(3);
        source.until_purged([1, 2, 3]).await;
        let log = source.until_logged(5).await;
        let again = log.iter().filter(|entry| entry.outcome == DeliveryOutcome::Repeated).count();
        assert_eq!((again, log.len()), (2, 5), "{log:?}");
        redis.until_acknowledged().await;
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_source_that_is_switched_off_is_not_read_and_goes_on_where_it_was_when_it_is_on() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let source = make(&app, &redis).await;
        let control = Control::start(&app).await;
        redis.product(1);
        source.until_purged([1]).await;
        let mut new = saved(&app, &redis.stream()).await;
        new["enabled"] = json!(false);
        app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
        eventually("it is not read", async || source.reading().await.since.is_none().then_some(())).await;
        redis.product(2);
        eventually("it is seen", async || redis.ask::<i64>("XLEN changes").eq(&2).then_some(())).await;
        new["enabled"] = json!(true);
        new["rules"][0]["template"] = json!("item-{value}");
        app.admin.put(&source.path(""), "\"2\"", &new).await.expect(200);
        source.until_logged(2).await;
        assert_eq!(source.purged().await, ["product-1", "item-2"]);
        new["stream"] = Value::Null;
        let problem = app.admin.put(&source.path(""), "\"3\"", &new).await.expect_problem(422, "invalid");
        assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/stream", "fixed"));
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn two_sources_of_one_stream_each_get_every_event_and_what_waits_is_told() {
    each_database(|app| async move {
        let redis = Redis::start().await;
        let mut new = saved(&app, &redis.stream()).await;
        new["stream"].as_object_mut().unwrap().remove("group");
        let one = Source::make(&app, "items", &new).await;
        assert_eq!(one.it.stream.as_ref().unwrap().group, Some(format!("sluice-{}", one.it.id)));
        new["per_minute"] = json!(2);
        let other = Source::make(&app, "others", &new).await;
        let control = Control::start(&app).await;
        for id in 0..14 {
            redis.product(id);
        }
        let log = one.until_logged(14).await;
        assert!(log.iter().all(|entry| entry.outcome == DeliveryOutcome::Purged));
        eventually("nothing waits", async || {
            let reading = one.reading().await;
            (reading.waiting == Some(0) && reading.unacknowledged == Some(0)).then_some(())
        })
        .await;
        // Two a minute: what was given out waits here, and the rest in Redis.
        other.until_logged(2).await;
        eventually("what waits is told", async || {
            let reading = other.reading().await;
            (reading.waiting.is_some_and(|waiting| waiting > 0)
                && reading.unacknowledged.is_some_and(|given| given > 0))
            .then_some(())
        })
        .await;
        assert!(other.reading().await.since.is_some());
        control.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_redis_with_tls_and_a_user_who_may_do_little_is_read() {
    let redis = Redis::with(&[
        "--user",
        "default",
        "on",
        "nopass",
        "~*",
        "+@all",
        "--user",
        "shop",
        "on",
        ">s3cret",
        "~changes",
        "+xgroup",
        "+xreadgroup",
        "+xack",
        "+xautoclaim",
    ])
    .await;
    let app = TestApp::sqlite().await;
    let mut new = saved(&app, &redis.stream()).await;
    new["stream"]["url"] = json!(format!("rediss://{}", redis.secure));
    new["stream"]["user"] = json!("shop");
    new["stream_password"] = json!("wr0ng");
    let source = Source::make(&app, "items", &new).await;
    let control = Control::start(&app).await;
    // Nobody who is known vouches for this one.
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.contains("certificate"), "{error}");
    new["stream"]["ca"] = json!("-----BEGIN NOTHING-----");
    let problem = app.admin.put(&source.path(""), "\"1\"", &new).await.expect_problem(422, "invalid");
    assert_eq!(
        (&*problem.fields[0].pointer, &*problem.fields[0].code),
        ("/stream/ca", "invalid_certificate")
    );
    new["stream"]["ca"] = json!(redis.certified.pem);
    new.as_object_mut().unwrap().remove("stream_password");
    app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.contains("authentication") && !error.contains("wr0ng"), "{error}");
    new["stream_password"] = json!("s3cret");
    app.admin.put(&source.path(""), "\"2\"", &new).await.expect(200);
    redis.product(1);
    source.until_purged([1]).await;
    assert_eq!(source.reading().await.waiting, None, "it may not ask");
    control.stop().await;
}

#[tokio::test]
async fn a_password_stays_with_the_address_that_it_was_given_for() {
    let app = TestApp::sqlite().await;
    let stream = json!({"kind": "redis", "url": "redis://127.0.0.1:1", "stream": "changes"});
    let mut new = saved(&app, &stream).await;
    new["stream_password"] = json!("s3cret");
    let source = Source::make(&app, "items", &new).await;
    assert!(source.it.has_stream_password);
    new.as_object_mut().unwrap().remove("stream_password");
    new["stream"]["stream"] = json!("others");
    app.admin.put(&source.path(""), "\"1\"", &new).await.expect(200);
    new["stream"]["url"] = json!("redis://127.0.0.1:2");
    let problem = app.admin.put(&source.path(""), "\"2\"", &new).await.expect_problem(422, "invalid");
    assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/stream_password", "required"));
    new["stream_password"] = json!("");
    let saved = app.admin.put(&source.path(""), "\"2\"", &new).await.expect(200).text();
    assert!(saved.contains("\"has_stream_password\":false"), "{saved}");

    let mut new = new.clone();
    new.as_object_mut().unwrap().remove("stream");
    new["name"] = json!("Hook");
    new["stream_password"] = json!("s3cret");
    let path = app.path(&format!("/apis/{}/event-sources", source.it.api));
    let problem = app.admin.post(&path, &new).await.expect_problem(422, "invalid");
    assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/stream_password", "no_stream"));
}

#[tokio::test]
async fn a_redis_in_a_forbidden_network_is_refused_when_it_is_saved_and_again_when_it_is_read() {
    let mut settings = TestApp::settings();
    settings.loopback_allowed = false;
    let redis = Redis::start().await;
    let strict = TestApp::with(TestDatabase::sqlite().await, settings).await;
    let api = make_api(&strict, "items", json!({})).await.id;
    let path = strict.path(&format!("/apis/{api}/event-sources"));
    for place in ["127.0.0.1:6379", "localhost", "[::1]:6379", "169.254.169.254", "2130706433", "0x7f.1"] {
        let mut new = saved(&strict, &redis.stream()).await;
        new["stream"]["url"] = json!(format!("redis://{place}"));
        let problem = strict.admin.post(&path, &new).await.expect_problem(422, "invalid");
        let said = (&*problem.fields[0].pointer, &*problem.fields[0].code);
        assert_eq!(said, ("/stream/url", "forbidden_network"), "{place}");
    }
    let mut new = saved(&strict, &redis.stream()).await;
    new["stream"]["url"] = json!("redis://user:password@example.com");
    let problem = strict.admin.post(&path, &new).await.expect_problem(422, "invalid");
    assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/stream/url", "invalid_url"));

    let app = TestApp::sqlite().await;
    let source = make(&app, &redis).await;
    let settings = ControlSettings { loopback_allowed: false, ..app.app.settings.clone() };
    let control = Control::with(&app, settings).await;
    let error = eventually("it is told", async || source.reading().await.error).await;
    assert!(error.contains("loopback network"), "{error}");
    assert_eq!(redis.ask::<i64>("EXISTS changes"), 0, "nobody was there");
    assert!(source.log().await.is_empty());
    control.stop().await;
}
