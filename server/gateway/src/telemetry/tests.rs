//! Recording to receipt through the front door of [`Telemetry`].

use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use sluice_contract::calls::wire::{CallRecord, Stage};
use sluice_contract::calls::{CacheOutcome, CacheSigns, CallBatch};
use sluice_contract::ids::{ApiId, ApplicationId, CallId, PlanId, TenantId};
use sluice_contract::problem::ErrorSource;
use uuid::Uuid;

use super::*;

fn start(data: &Path, max_bytes: u64) -> Telemetry {
    Telemetry::start(data, max_bytes, BootId::generate()).unwrap()
}

/// A call with something of everything.
pub(super) fn a_call<'a>() -> CallRecord<'a> {
    CallRecord {
        id: CallId(Uuid::from_u128(1)),
        at_us: 1_800_000_000_000_000,
        tenant: Some(TenantId(Uuid::from_u128(2))),
        api: Some(ApiId(Uuid::from_u128(3))),
        route: Some("getThing"),
        method: "GET",
        host: "api.example",
        path: "/acme/things/1",
        query: Some("q=\"quoted\""),
        status: 200,
        error: None,
        error_source: Some(ErrorSource::Upstream),
        application: Some(ApplicationId(Uuid::from_u128(4))),
        credential: None,
        subscription: None,
        plan: Some(PlanId(Uuid::from_u128(5))),
        cache: CacheOutcome::Miss,
        signs: CacheSigns::default(),
        second_level: None,
        target: Some("http://10.0.0.1:80"),
        duration_us: 1_234,
        upstream_us: Some(1_000),
        bytes_in: 10,
        bytes_out: 20,
        client_ip: IpAddr::from([192, 0, 2, 1]),
        user_agent: Some("curl/8"),
        request_id: Some("abc"),
        trace_id: Some(0xAB),
        stages: const { &[Stage { stage: "route", start_us: 1, took_us: 2 }] }.as_slice(),
    }
}

fn record(recorder: &Recorder, calls: usize) {
    for _ in 0..calls {
        recorder.open().record(&a_call());
    }
}

fn read(body: &Body) -> CallBatch {
    match body {
        Body::File(path) => CallBatch::from_wire(&std::fs::read(path).unwrap()).unwrap(),
        Body::Memory(bytes) => CallBatch::from_wire(bytes).unwrap(),
    }
}

/// Receives everything that waits.
fn receive(telemetry: &Telemetry) -> Vec<CallBatch> {
    let mut batches = Vec::new();
    while let Some((name, body)) = telemetry.next_batch() {
        let batch = read(&body);
        assert_eq!((name.boot, name.sequence), (batch.boot, batch.sequence));
        batches.push(batch);
        telemetry.delivered(&name);
    }
    batches
}

fn calls(batches: &[CallBatch]) -> usize {
    batches.iter().map(|batch| batch.calls.len()).sum()
}

/// Traffic cells alone count each call once.
fn rolled_up(batches: &[CallBatch]) -> u64 {
    let deltas = batches.iter().flat_map(|batch| &batch.rollups);
    let traffic = deltas.filter(|delta| matches!(delta.cell, sluice_contract::rollup::Cell::Traffic { .. }));
    traffic.map(|delta| delta.counts.calls).sum()
}

#[test]
fn every_call_of_every_thread_arrives_once_with_exact_rollups() {
    let data = tempfile::tempdir().unwrap();
    let telemetry = start(data.path(), 1 << 30);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| record(&telemetry.recorders().recorder(), 5_000));
        }
    });
    telemetry.stop();
    let batches = receive(&telemetry);
    assert_eq!((calls(&batches), rolled_up(&batches)), (20_000, 20_000));
    let sequences: Vec<u64> = batches.iter().map(|batch| batch.sequence).collect();
    assert_eq!(sequences, (1..=batches.len() as u64).collect::<Vec<_>>());
    assert_eq!(telemetry.health(), SpoolHealth::default());
    telemetry.close();
    assert_eq!(std::fs::read_dir(data.path().join("tally")).unwrap().count(), 0);
}

#[test]
fn a_batch_is_on_disk_within_a_second_without_anybody_asking() {
    let data = tempfile::tempdir().unwrap();
    let telemetry = start(data.path(), 1 << 30);
    record(&telemetry.recorders().recorder(), 10);
    let begun = Instant::now();
    while telemetry.health().batches == 0 {
        assert!(begun.elapsed() < Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_next_life_sends_what_waits_and_knows_exactly_what_was_lost() {
    let data = tempfile::tempdir().unwrap();
    let first = start(data.path(), 1 << 30);
    let recorder = first.recorders().recorder();
    record(&recorder, 100);
    first.stop();
    // Recorded after the last collection and never collected, and one in flight: what a SIGKILL takes.
    record(&recorder, 7);
    let in_flight = recorder.open();

    let second = start(data.path(), 1 << 30);
    std::mem::forget(in_flight);
    let losses = second.losses();
    assert_eq!(losses.iter().map(|loss| loss.count).collect::<Vec<_>>(), [8]);
    record(&second.recorders().recorder(), 5);
    second.stop();
    let batches = receive(&second);
    assert_eq!((calls(&batches), rolled_up(&batches)), (105, 105));
    assert!(batches[0].boot < batches.last().unwrap().boot, "older lives first");
    assert_eq!(losses[0].boot, batches[0].boot);

    // Told again and again until the control plane knows; then never again.
    second.close();
    let third = start(data.path(), 1 << 30);
    assert_eq!(third.losses(), losses);
    third.losses_told(&losses);
    assert_eq!(third.losses(), []);
    third.close();
    assert_eq!(start(data.path(), 1 << 30).losses(), []);
}

#[test]
fn a_kill_between_spooling_and_counting_loses_nothing_in_the_books() {
    let data = tempfile::tempdir().unwrap();
    let first = start(data.path(), 1 << 30);
    record(&first.recorders().recorder(), 50);
    first.stop();
    // As if killed after the rename and before the counter.
    first.tally.settle(0);
    let second = start(data.path(), 1 << 30);
    assert_eq!(second.losses(), []);
    assert_eq!(calls(&receive(&second)), 50);
}

#[test]
fn past_the_bound_the_oldest_batches_go_and_the_next_one_says_how_many_calls() {
    let data = tempfile::tempdir().unwrap();
    let telemetry = start(data.path(), 20_000);
    let recorder = telemetry.recorders().recorder();
    for spool_batches in 0..200 {
        record(&recorder, 50);
        // One batch for each round.
        telemetry.collector.lock().as_ref().unwrap().thread().unpark();
        let begun = Instant::now();
        while telemetry.spool.lock().next_sequence() <= spool_batches + 1 {
            assert!(begun.elapsed() < Duration::from_secs(5));
            std::thread::yield_now();
        }
    }
    assert!(telemetry.health().bytes <= 20_000);
    let dropped_in_all = telemetry.health().dropped_calls;
    assert!(dropped_in_all > 0);
    // What is dropped with the last pushes is told with the next batch.
    receive_and_check(&telemetry, &recorder, 10_000 + 50, dropped_in_all);
}

fn receive_and_check(telemetry: &Telemetry, recorder: &Recorder, sent: usize, dropped: u64) {
    let mut batches = receive(telemetry);
    record(recorder, 50);
    telemetry.stop();
    batches.extend(receive(telemetry));
    let told: u64 = batches.iter().map(|batch| batch.dropped).sum();
    assert_eq!(told, dropped);
    assert_eq!(calls(&batches) as u64 + told, sent as u64);
    assert_eq!(rolled_up(&batches), calls(&batches) as u64, "dropped calls leave no rollups behind");
    telemetry.close();
    assert_eq!(telemetry.tally.accepted(), telemetry.tally.settled());
}

#[test]
fn a_disk_that_refuses_does_not_stop_calls_from_being_delivered() {
    let data = tempfile::tempdir().unwrap();
    let telemetry = start(data.path(), 1 << 30);
    let recorder = telemetry.recorders().recorder();
    // Every write of a batch fails: its temporary file is a directory.
    std::fs::create_dir(data.path().join("spool/batch.tmp")).unwrap();
    record(&recorder, 30);
    telemetry.stop();
    assert_eq!(telemetry.tally.settled(), 0, "what is only in memory would be lost by a kill");
    assert_eq!(calls(&receive(&telemetry)), 30);
    assert_eq!(telemetry.tally.settled(), 30);
}

#[test]
fn a_batch_that_is_being_sent_is_not_evicted() {
    let data = tempfile::tempdir().unwrap();
    let telemetry = start(data.path(), 1);
    record(&telemetry.recorders().recorder(), 1);
    telemetry.stop();
    // Alone it is over the bound at once.
    assert_eq!((telemetry.health().batches, telemetry.health().dropped_calls), (0, 1));

    let data = tempfile::tempdir().unwrap();
    let telemetry = start(data.path(), 1 << 20);
    record(&telemetry.recorders().recorder(), 1);
    telemetry.stop();
    let (name, _) = telemetry.next_batch().unwrap();
    let mut spool = telemetry.spool.lock();
    spool.push(1, 0, vec![0; 2 << 20]);
    assert_eq!(spool.size().0, 1, "the newer one went");
    spool.delivered(&name);
    assert_eq!(spool.size(), (0, 0));
}

#[test]
fn half_a_batch_and_foreign_files_are_cleared_away() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir(data.path().join("spool")).unwrap();
    std::fs::write(data.path().join("spool/batch.tmp"), b"half").unwrap();
    let telemetry = start(data.path(), 1 << 30);
    assert_eq!(telemetry.health(), SpoolHealth::default());
    assert_eq!(std::fs::read_dir(data.path().join("spool")).unwrap().count(), 0);
}
