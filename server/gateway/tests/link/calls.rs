//! Calls reach the control plane once, whatever happens in between.

use std::net::IpAddr;

use sluice_contract::calls::wire::CallRecord;
use sluice_contract::calls::{CacheOutcome, CacheSigns};
use sluice_contract::ids::{ApiId, CallId, TenantId};
use sluice_gateway::telemetry::Recorder;

use super::fake_control::some_time;
use super::*;

fn record(recorder: &Recorder, calls: u64) {
    for _ in 0..calls {
        recorder.open().record(&CallRecord {
            id: CallId::generate(),
            at_us: some_time().timestamp_micros(),
            tenant: Some(TenantId(Uuid::nil())),
            api: Some(ApiId(Uuid::nil())),
            route: Some("get"),
            method: "GET",
            host: "localhost",
            path: "/acme/api/things/1",
            query: None,
            status: 200,
            error: None,
            error_source: None,
            application: None,
            credential: None,
            subscription: None,
            plan: None,
            cache: CacheOutcome::Bypass,
            signs: CacheSigns::default(),
            second_level: None,
            target: None,
            duration_us: 100,
            upstream_us: None,
            bytes_in: 0,
            bytes_out: 10,
            client_ip: IpAddr::from([127, 0, 0, 1]),
            user_agent: None,
            request_id: Some("r"),
            trace_id: None,
            stages: &[],
        });
    }
}

#[test]
fn twenty_thousand_calls_arrive_once_although_the_control_plane_dies_ten_times() {
    let mut control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    let recorders = std::sync::Arc::clone(gateway.telemetry.recorders());
    let sender = std::thread::spawn(move || {
        let recorder = recorders.recorder();
        for _ in 0..200 {
            record(&recorder, 100);
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    for round in 0..10_u64 {
        std::thread::sleep(Duration::from_millis(60 + round * 37 % 110));
        control.state().lose_receipts = 1;
        control.down();
        std::thread::sleep(Duration::from_millis(round * 53 % 150));
        control.up();
    }
    sender.join().unwrap();
    eventually("all calls are there", || control.state().calls() == (20_000, 20_000));
    gateway.stop();
    assert_eq!(control.state().calls(), (20_000, 20_000));
}

#[test]
fn calls_of_a_time_without_control_plane_are_sent_by_the_next_life() {
    let mut control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.shared.is_ready());
    control.down();
    record(&gateway.telemetry.recorders().recorder(), 500);
    let first_boot = gateway.boot;
    gateway.stop();
    control.up();
    let gateway = Gateway::start(data.path(), &control);
    record(&gateway.telemetry.recorders().recorder(), 5);
    eventually("all calls are there", || control.state().calls() == (505, 505));
    assert_eq!(control.state().batches[0].boot, first_boot);
    gateway.stop();
}

#[test]
fn a_stopping_gateway_sends_its_last_calls() {
    let control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is connected", || gateway.shared.is_ready());
    record(&gateway.telemetry.recorders().recorder(), 3);
    gateway.stop();
    assert_eq!(control.state().calls(), (3, 3));
}

#[test]
fn the_control_plane_learns_how_many_calls_a_killed_life_lost() {
    let mut control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    let killed = gateway.boot;
    eventually("it is connected", || control.state().sessions.len() == 1);
    control.down();
    let recorder = gateway.telemetry.recorders().recorder();
    record(&recorder, 40);
    gateway.telemetry.stop();
    // After the last collection: what a SIGKILL takes.
    record(&recorder, 9);
    std::mem::forget(gateway);

    control.up();
    let gateway = Gateway::start(data.path(), &control);
    eventually("the loss is told", || control.state().losses.get(&killed) == Some(&9));
    eventually("the rest is there", || control.state().calls().0 >= 40);
    // The life that was killed has only been forgotten by this test, and may have sent the rest itself.
    let tally = data.path().join("tally").join(format!("{killed}.tally"));
    eventually("it has heard that the loss was told", || !tally.exists());
    gateway.stop();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is connected", || control.state().sessions.last().is_some_and(|s| s.boot == gateway.boot));
    assert_eq!(control.state().sessions.last().unwrap().lost_before, [], "told once");
    gateway.stop();
}
