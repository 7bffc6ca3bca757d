use std::sync::Arc;

use super::runtime::CounterKey;
use super::{CountedFor, Counter, Counters, Decision, Limit, RateLimit};

const SECOND: u64 = 1_000_000_000;

fn limit(requests: u64, period_s: u64, burst: Option<u64>) -> Limit {
    Limit::compile(&RateLimit { requests, period_s, burst, per: CountedFor::Caller })
}

fn allowed(counter: &Counter, limit: &Limit, now: u64) -> bool {
    matches!(counter.take(limit, now), Decision::Allowed { .. })
}

#[test]
fn exactly_the_allowed_number_passes_at_once_and_then_one_for_each_interval() {
    let (counter, limit) = (Counter::default(), limit(5, 10, None));
    let now = 100 * SECOND;
    for remaining in (0..5).rev() {
        assert!(
            matches!(counter.take(&limit, now), Decision::Allowed { remaining: r, .. } if r == remaining)
        );
    }
    assert_eq!(counter.take(&limit, now), Decision::Refused { retry_s: 2 });
    assert_eq!(counter.take(&limit, now + SECOND), Decision::Refused { retry_s: 1 });
    assert!(allowed(&counter, &limit, now + 2 * SECOND));
    assert!(!allowed(&counter, &limit, now + 2 * SECOND));
    assert_eq!((0..9).filter(|_| allowed(&counter, &limit, now + 60 * SECOND)).count(), 5);
}

#[test]
fn a_burst_bounds_what_may_come_at_once() {
    let (counter, limit) = (Counter::default(), limit(60, 60, Some(2)));
    assert_eq!((0..9).filter(|_| allowed(&counter, &limit, SECOND)).count(), 2);
    assert!(allowed(&counter, &limit, 2 * SECOND));
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let (counter, limit) = (Counter::default(), limit(1, 60, None));
    assert!(allowed(&counter, &limit, SECOND));
    counter.give_back(&limit);
    assert!(allowed(&counter, &limit, SECOND));
    assert!(!allowed(&counter, &limit, SECOND));
}

#[test]
fn threads_together_never_take_more_than_the_limit() {
    let (counter, limit) = (Arc::new(Counter::default()), limit(1_000, 3_600, None));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (counter, limit) = (Arc::clone(&counter), limit.clone());
            std::thread::spawn(move || (0..600).filter(|_| allowed(&counter, &limit, SECOND)).count())
        })
        .collect();
    let total: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(total, 1_000);
}

#[test]
fn counters_are_kept_while_they_matter_and_forgotten_after() {
    let (counters, limit) = (Counters::default(), limit(1, 60, None));
    let key = |subject| CounterKey { limit: 1, subject, index: 0 };
    let held = counters.counter(key(1));
    assert!(allowed(&counters.counter(key(2)), &limit, SECOND));
    assert_eq!(counters.sweep(2 * SECOND), 2);
    assert!(!allowed(&counters.counter(key(2)), &limit, 2 * SECOND), "a sweep must not refill");
    assert_eq!(counters.sweep(90 * SECOND), 1);
    drop(held);
    assert_eq!(counters.sweep(90 * SECOND), 0);
}

#[test]
fn nonsense_numbers_are_refused() {
    use sluice_contract::rest::policy_types::PolicyScope;
    let settings = serde_json::json!({ "requests": 0, "period_s": 0, "burst": 0 });
    assert_eq!(crate::validate("rate-limit", PolicyScope::Plan, &settings).len(), 3);
    let unknown =
        crate::validate("rate-limit", PolicyScope::Plan, &serde_json::json!({ "requests": 1, "x": 1 }));
    assert!(unknown[0].message.contains("unknown field `x`"), "{unknown:?}");
    let wrong = crate::validate("rate-limit", PolicyScope::Plan, &serde_json::json!({ "requests": "many" }));
    assert_eq!(wrong[0].pointer, "/settings/requests");
}
