//! Counting requests: the generic cell rate algorithm on one atomic number for each counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::RwLock;

use super::spec::{CountedFor, RateLimit};

/// [`RateLimit`] as a gateway uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds that one request costs.
    interval: u64,
    /// Nanoseconds that a counter may be ahead of the clock.
    tolerance: u64,
    /// Requests in a period.
    pub requests: u64,
    /// Seconds.
    pub period_s: u64,
    pub per: CountedFor,
}

/// The state of one counter: the time, in nanoseconds of the gateway's clock, at which all that was taken is refilled.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; so many more may follow at once, and all are refilled after so many seconds.
    Allowed { remaining: u64, reset_s: u64 },
    /// Refused; the next is allowed after so many seconds (rounded up).
    Refused { retry_s: u64 },
}

const SECOND: u64 = 1_000_000_000;

impl Limit {
    /// Prepares the settings.
    pub fn compile(settings: &RateLimit) -> Self {
        let RateLimit { requests, period_s, burst, per } = *settings;
        let interval = (period_s * SECOND / requests.max(1)).max(1);
        let tolerance = interval.saturating_mul(burst.unwrap_or(requests));
        Self { interval, tolerance, requests, period_s, per }
    }
}

impl Counter {
    /// Takes one request at `now` (nanoseconds of a clock that never goes back).
    pub fn take(&self, limit: &Limit, now: u64) -> Decision {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let refilled = seen.max(now) + limit.interval;
            let ahead = refilled - now;
            if ahead > limit.tolerance {
                return Decision::Refused { retry_s: (ahead - limit.tolerance).div_ceil(SECOND).max(1) };
            }
            match self.0.compare_exchange_weak(seen, refilled, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let remaining = (limit.tolerance - ahead) / limit.interval;
                    return Decision::Allowed { remaining, reset_s: ahead.div_ceil(SECOND) };
                }
                Err(newer) => seen = newer,
            }
        }
    }

    /// What [`Self::take`] would say, without taking.
    pub fn peek(&self, limit: &Limit, now: u64) -> Decision {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed))).take(limit, now)
    }

    /// Gives back one request that was taken, when another limit refused it.
    pub fn give_back(&self, limit: &Limit) {
        self.0.fetch_sub(limit.interval, Ordering::Relaxed);
    }

    fn idle(&self, now: u64) -> bool {
        self.0.load(Ordering::Relaxed) <= now
    }
}

/// Names a counter: which limit (environment, API, route, plan, application and the limit's number) of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    pub limit: u128,
    pub subject: u128,
    pub index: u32,
}

/// All counters of a gateway, in shards so that threads seldom meet.
#[derive(Debug)]
pub struct Counters {
    shards: Box<[RwLock<Shard>]>,
    hasher: ahash::RandomState,
}

type Shard = HashMap<CounterKey, Arc<Counter>, ahash::RandomState>;

impl Default for Counters {
    fn default() -> Self {
        let shards = (0..64).map(|_| RwLock::new(Shard::default())).collect();
        Self { shards, hasher: ahash::RandomState::new() }
    }
}

impl Counters {
    /// The counter of this name, the same one for as long as somebody holds it or it is not refilled.
    pub fn counter(&self, key: CounterKey) -> Arc<Counter> {
        let shard = self.shard(&key);
        if let Some(counter) = shard.read().get(&key) {
            return Arc::clone(counter);
        }
        Arc::clone(shard.write().entry(key).or_default())
    }

    /// Forgets counters that are refilled and that nobody holds. Returns how many are left.
    pub fn sweep(&self, now: u64) -> usize {
        let keep = |counter: &Arc<Counter>| Arc::strong_count(counter) > 1 || !counter.idle(now);
        self.shards
            .iter()
            .map(|shard| {
                let mut shard = shard.write();
                shard.retain(|_, counter| keep(counter));
                shard.len()
            })
            .sum()
    }

    fn shard(&self, key: &CounterKey) -> &RwLock<Shard> {
        let at = self.hasher.hash_one(key) as usize % self.shards.len();
        &self.shards[at]
    }
}
