//! Predictions against caches that are really kept.

mod exact;
mod risk;
mod trace;

use exact::Exact;
use proptest::prelude::*;
use sluice_advisor::{Plan, Prediction, Request, Sampling, predict};
use trace::{Zipf, trace};

fn plan(ttl_ms: u64, memory_bytes: u64) -> Plan {
    Plan { ttl_ms, memory_bytes, sampling: Sampling::ALL }
}

/// Hits, and their bytes, of a cache that is kept.
fn achieved(trace: &[Request], plan: Plan) -> (f64, f64) {
    let mut cache = Exact::new(plan);
    let (mut hits, mut hit_bytes, mut bytes) = (0_usize, 0, 0);
    for request in trace {
        bytes += request.bytes;
        if cache.request(request) {
            hits += 1;
            hit_bytes += request.bytes;
        }
    }
    (hits as f64 / trace.len() as f64, hit_bytes as f64 / bytes as f64)
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let one = (0..50_u64, 0..30_u64, prop::bool::weighted(0.9));
    prop::collection::vec(one, 1..400).prop_map(|steps| {
        let mut at_ms = 0;
        let mut next = |(wait, key, is_storable): (u64, u64, bool)| {
            at_ms += wait;
            // Each response has its size, by its key.
            Request { at_ms, key, bytes: 10 + key * 7 % 40, is_storable }
        };
        steps.into_iter().map(&mut next).collect()
    })
}

proptest! {
    #[test]
    fn what_is_predicted_without_a_sample_is_what_a_cache_does(
        requests in requests(), ttl_ms in 0..3_000_u64, memory in 50..1_200_u64
    ) {
        let plan = plan(ttl_ms, memory);
        let (hits, bytes) = achieved(&requests, plan);
        let Prediction { hit_ratio, byte_hit_ratio, memory_bytes, sampled } = predict(&requests, plan);
        prop_assert!((hit_ratio - hits).abs() < 1e-9, "{hit_ratio} for {hits}");
        prop_assert!((byte_hit_ratio - bytes).abs() < 1e-9, "{byte_hit_ratio} for {bytes}");
        prop_assert_eq!(sampled, requests.len());
        prop_assert!(memory_bytes <= memory);
    }

    #[test]
    fn more_memory_or_more_time_never_predicts_fewer_hits_with_all_of_the_other(
        requests in requests(), ttl_ms in 0..3_000_u64, memory in 50..1_200_u64
    ) {
        let hits = |ttl_ms, memory| predict(&requests, plan(ttl_ms, memory)).hit_ratio;
        prop_assert!(hits(u64::MAX, memory) <= hits(u64::MAX, memory + 100));
        prop_assert!(hits(ttl_ms, u64::MAX) <= hits(u64::MAX, u64::MAX));
    }
}

#[test]
fn a_tenth_of_the_responses_tells_of_all() {
    let trace = trace(Zipf { keys: 20_000, skew: 0.9 }, 300_000, 3);
    let of_all: u64 = 20_000 * 8_000;
    for (ttl_ms, share) in [(u64::MAX, 20), (60_000, 20), (60_000, 2), (5_000, 100), (600_000, 5)] {
        let whole = plan(ttl_ms, of_all / share);
        let exact = predict(&trace, whole);
        let sampled = predict(&trace, Plan { sampling: Sampling::of(0.1), ..whole });
        let off = (exact.hit_ratio - sampled.hit_ratio).abs();
        assert!(off < 0.03, "{ttl_ms} ms, 1/{share}: {exact:?}, of a sample {sampled:?}");
        assert!(sampled.sampled < trace.len() / 5);
        let off = sampled.memory_bytes as f64 / exact.memory_bytes as f64;
        assert!((0.8..1.25).contains(&off), "{exact:?}, of a sample {sampled:?}");
    }
}

#[test]
fn few_responses_are_all_looked_at_however_often_they_are_asked_for() {
    let few = trace(Zipf { keys: 9, skew: 0.9 }, 50_000, 11);
    assert_eq!(Sampling::for_trace(&few, 1_000), Sampling::ALL);
    let many = trace(Zipf { keys: 100_000, skew: 0.5 }, 100_000, 12);
    let rate = Sampling::for_trace(&many, 20_000).rate();
    assert!((0.19..0.21).contains(&rate), "{rate}");
    assert_eq!(Sampling::for_trace(&many[..500], 500), Sampling::ALL, "few calls");
}

#[test]
fn a_response_that_is_asked_for_most_may_be_missing_from_a_sample_and_counts_all_the_same() {
    let mut trace = trace(Zipf { keys: 20_000, skew: 0.6 }, 100_000, 13);
    // Every second call is for one response, which this sample has or has not.
    trace.iter_mut().step_by(2).for_each(|request| (request.key, request.bytes) = (1 << 40, 900));
    let whole = plan(600_000, u64::MAX);
    let exact = predict(&trace, whole).hit_ratio;
    for rate in [0.05, 0.1, 0.2, 0.4] {
        let sampled = predict(&trace, Plan { sampling: Sampling::of(rate), ..whole }).hit_ratio;
        assert!((exact - sampled).abs() < 0.03, "{exact}, of {rate} {sampled}");
    }
}

#[test]
fn a_response_is_fetched_again_when_its_lifetime_is_over_and_not_before() {
    let at = |at_ms| Request { at_ms, key: 1, bytes: 10, is_storable: true };
    // Fetched at 0, and again at 1,000: a hit does not make it younger.
    let requests = [at(0), at(600), at(999), at(1_000), at(1_999)];
    let hits = predict(&requests, plan(1_000, 100)).hit_ratio * 5.0;
    assert!((hits - 3.0).abs() < 1e-9, "{hits} hits");
}

#[test]
fn what_is_predicted_from_the_first_half_comes_true_in_the_second() {
    let trace = trace(Zipf { keys: 5_000, skew: 0.9 }, 200_000, 5);
    let (past, future) = trace.split_at(100_000);
    for (ttl_ms, memory) in [(5_000, u64::MAX), (30_000, u64::MAX), (30_000, 4_000_000)] {
        let plan = plan(ttl_ms, memory);
        let predicted = predict(past, plan).hit_ratio;
        let (achieved, _) = achieved(future, plan);
        assert!((predicted - achieved).abs() < 0.05, "{ttl_ms} ms, {memory} B: {predicted}, then {achieved}");
        assert!(achieved > 0.2, "{ttl_ms} ms, {memory} B: {achieved}");
    }
}

#[test]
fn of_no_calls_nothing_is_predicted() {
    assert_eq!(predict(&[], plan(1_000, 1_000)), Prediction::default());
}
