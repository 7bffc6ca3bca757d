//! From the calls of a route to what a cache would have done with them. Pure.

use std::collections::HashMap;

use sluice_advisor::{Plan, Prediction, Request, Sampling, predict};
use sluice_contract::calls::CacheSign;
use sluice_contract::rest::cache_advice::{CacheChoice, CacheRisk, RouteAdvice};

use super::risks::risks;
use super::trace::{Seen, Trace, hash};

/// Fewer calls tell nothing.
const FEWEST: usize = 20;
/// Calls of a route that are played for each lifetime, about: a sample of its responses beyond.
const SAMPLED: usize = 20_000;
/// Lifetimes that are tried, in seconds.
const LIFETIMES_S: [u64; 8] = [5, 15, 60, 300, 900, 3_600, 21_600, 86_400];
/// Statuses that a cache policy stores unless it says others. What clients have already (304) is fetched whole and stored, too.
pub(super) const STORED: [u16; 7] = [200, 203, 204, 300, 301, 304, 308];
const NOT_MODIFIED: u16 = 304;
/// The largest body that a cache policy stores unless it says another.
const LARGEST: u64 = 8 << 20;
/// What a stored response takes besides its body, about: its fields, its key, what finds it again.
pub(super) const BESIDE_BODY: u64 = 1_500;
/// A policy that answers fewer of the calls is not worth having.
const WORTH: f64 = 0.05;

/// What the API may hold.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub(super) memory_bytes: u64,
}

/// None for a route that was called too seldom, unless a policy covers it.
pub(super) fn advise(route: &str, covered: bool, trace: &Trace, budget: Budget) -> Option<RouteAdvice> {
    let calls = &trace.calls;
    if calls.len() < FEWEST && !covered {
        return None;
    }
    let origin_us = origin(calls);
    let choices = choices(calls, budget, origin_us);
    let best = choices.iter().map(|choice| choice.hit_ratio).fold(0.0, f64::max);
    let chosen = choices.iter().find(|choice| choice.hit_ratio >= 0.9 * best).filter(|_| best >= WORTH);
    let ttl_s = chosen.map(|choice| choice.ttl_s);
    let has_callers = calls.iter().any(|call| call.caller.is_some());
    let if_shared =
        ttl_s.filter(|_| has_callers).map(|ttl_s| play(&requests(calls, false), ttl_s, budget).hit_ratio);
    let risks = risks(trace);
    Some(RouteAdvice {
        route: route.to_owned(),
        calls: calls.len() as u64,
        origin_us,
        covered,
        choices,
        ttl_s,
        if_shared,
        to_confirm: risks.iter().any(CacheRisk::is_to_confirm),
        risks,
        predicted: None,
        achieved: None,
    })
}

/// Of longer lifetimes than the calls span nothing is known, and of few calls nothing at all.
fn choices(calls: &[Seen], budget: Budget, origin_us: Option<u64>) -> Vec<CacheChoice> {
    let (Some(first), Some(last)) = (calls.first(), calls.last()) else { return Vec::new() };
    if calls.len() < FEWEST {
        return Vec::new();
    }
    let span_s = (last.at_ms - first.at_ms) / 1_000;
    let requests = requests(calls, true);
    let tried = LIFETIMES_S.into_iter().enumerate().filter(|(i, ttl_s)| *i == 0 || *ttl_s <= span_s);
    tried.map(|(_, ttl_s)| choice(ttl_s, play(&requests, ttl_s, budget), calls.len(), origin_us)).collect()
}

fn play(trace: &[Request], ttl_s: u64, budget: Budget) -> Prediction {
    let sampling = Sampling::for_trace(trace, SAMPLED);
    predict(trace, Plan { ttl_ms: ttl_s * 1_000, memory_bytes: budget.memory_bytes, sampling })
}

fn choice(ttl_s: u64, predicted: Prediction, calls: usize, origin_us: Option<u64>) -> CacheChoice {
    let Prediction { hit_ratio, byte_hit_ratio, memory_bytes, sampled: _ } = predicted;
    let saved_us = (hit_ratio * calls as f64 * origin_us.unwrap_or_default() as f64) as u64;
    CacheChoice { ttl_s, hit_ratio, byte_hit_ratio, memory_bytes, saved_us }
}

/// As the caches of the gateways would have met them, each for itself; with copies for each caller, or one for all.
fn requests(calls: &[Seen], by_caller: bool) -> Vec<Request> {
    let mut known = HashMap::new();
    let mut one = |call: &Seen| {
        let is_public = call.signs.has(CacheSign::Public);
        let caller = call.caller.filter(|_| by_caller && !is_public);
        Request {
            at_ms: call.at_ms,
            key: hash((call.resource, caller)),
            bytes: body(call, &mut known) + BESIDE_BODY,
            is_storable: is_storable(call),
        }
    };
    calls.iter().map(&mut one).collect()
}

/// Bytes of the whole body: an answer that says that the client has it already has none, but the one before had.
fn body(call: &Seen, known: &mut HashMap<u64, u64>) -> u64 {
    if call.status == NOT_MODIFIED {
        return known.get(&call.resource).copied().unwrap_or_default();
    }
    known.insert(call.resource, call.bytes);
    call.bytes
}

/// By the rules of a policy that says nothing but how long, under an upstream whose word counts.
fn is_storable(call: &Seen) -> bool {
    let open = call.signs.has(CacheSign::Public);
    let cookies = call.signs.has(CacheSign::SetsCookie) && !open;
    let refused = cookies || call.signs.has(CacheSign::Forbids);
    STORED.contains(&call.status) && call.bytes <= LARGEST && !refused
}

/// Mean time that the upstream took to the head of its response.
fn origin(calls: &[Seen]) -> Option<u64> {
    let times: Vec<u64> = calls.iter().filter_map(|call| call.upstream_us).map(u64::from).collect();
    times.iter().sum::<u64>().checked_div(times.len() as u64)
}

#[cfg(test)]
mod tests;
