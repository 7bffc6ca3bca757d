//! What a cache would have done with a trace.
//!
//! A response is in a cache that lets go of what was not used for longest exactly if it and all that was used since its
//! last use fit together. Lifetimes come on top: a hit is younger than the lifetime, counted from the call that
//! fetched it. Both are looked at call by call, so that no cache has to be kept, of any size.

use std::collections::{HashMap, VecDeque};

use crate::distance::LastUses;
use crate::sample::Sampling;

/// One call of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Milliseconds from any beginning; a trace is in order of time.
    pub at_ms: u64,
    /// Names the response: what the cache's key would be.
    pub key: u64,
    /// Bytes that the response takes in the cache.
    pub bytes: u64,
    /// Whether the response would be stored.
    pub is_storable: bool,
}

/// The cache that a trace is played to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How long a response may be used from when it was fetched, in milliseconds.
    pub ttl_ms: u64,
    /// Bytes that the cache may hold.
    pub memory_bytes: u64,
    pub sampling: Sampling,
}

/// What it would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Hits among all calls, 0 to 1.
    pub hit_ratio: f64,
    /// Bytes of hits among those of all calls, 0 to 1.
    pub byte_hit_ratio: f64,
    /// The most bytes of responses that were still fresh at once, at most those of the plan.
    pub memory_bytes: u64,
    /// Calls that were looked at.
    pub sampled: usize,
}

/// What is known of a response.
#[derive(Clone, Copy)]
struct Known {
    /// Its last use, in calls that were looked at.
    position: usize,
    bytes: u64,
    fetched_ms: u64,
}

/// Plays a trace to a cache. Of a trace without calls nothing is predicted: all zero.
pub fn predict(trace: &[Request], plan: Plan) -> Prediction {
    let sampled: Vec<&Request> = trace.iter().filter(|request| plan.sampling.takes(request.key)).collect();
    let mut play = Play::new(sampled.len(), plan);
    for (position, request) in sampled.iter().enumerate() {
        play.request(position, request);
    }
    play.sum_up(trace, sampled.len())
}

struct Play {
    plan: Plan,
    uses: LastUses,
    known: HashMap<u64, Known>,
    fresh: Fresh,
    hits: u64,
    hit_bytes: u64,
    bytes: u64,
}

impl Play {
    fn new(calls: usize, plan: Plan) -> Self {
        Self {
            plan,
            uses: LastUses::new(calls),
            known: HashMap::new(),
            fresh: Fresh::default(),
            hits: 0,
            hit_bytes: 0,
            bytes: 0,
        }
    }

    fn request(&mut self, position: usize, request: &Request) {
        let &Request { at_ms, key, bytes, is_storable } = request;
        self.bytes += bytes;
        self.fresh.expire(at_ms, self.plan.ttl_ms);
        let before = self.known.get(&key).copied();
        let is_there = before.is_some_and(|known| self.is_there(&known));
        if let Some(known) = before.filter(|known| is_there && at_ms - known.fetched_ms < self.plan.ttl_ms) {
            self.hits += 1;
            self.hit_bytes += bytes;
            self.use_last(key, Known { position, ..known });
        } else if is_storable {
            self.fresh.store(key, at_ms, bytes);
            self.use_last(key, Known { position, bytes, fetched_ms: at_ms });
        } else if let Some(known) = before.filter(|_| is_there) {
            // Looked at, and kept: another answer may not take its place.
            self.use_last(key, Known { position, ..known });
        }
    }

    fn use_last(&mut self, key: u64, known: Known) {
        self.uses.add(known.position, known.bytes);
        if let Some(before) = self.known.insert(key, known) {
            self.uses.remove(before.position, before.bytes);
        }
    }

    /// Whether there was room for it ever since. Distances between responses of a sample are those of all, by the rate shorter.
    fn is_there(&self, known: &Known) -> bool {
        let between = self.uses.after(known.position) as f64 / self.plan.sampling.rate();
        between + known.bytes as f64 <= self.plan.memory_bytes as f64
    }

    /// A sample that happens to have fewer calls than its share lacks those for what is asked for most, which are hits (FAST '15
    /// §3.2, SHARDS_adj).
    fn sum_up(self, trace: &[Request], sampled: usize) -> Prediction {
        if sampled == 0 {
            return Prediction::default();
        }
        let rate = self.plan.sampling.rate();
        let expected = trace.len() as f64 * rate;
        let hits = self.hits as f64 + expected - sampled as f64;
        let expected_bytes = trace.iter().map(|request| request.bytes).sum::<u64>() as f64 * rate;
        let hit_bytes = self.hit_bytes as f64 + expected_bytes - self.bytes as f64;
        let share = |part: f64, whole: f64| if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 };
        Prediction {
            hit_ratio: share(hits, expected),
            byte_hit_ratio: share(hit_bytes, expected_bytes),
            memory_bytes: ((self.fresh.most as f64 / rate) as u64).min(self.plan.memory_bytes),
            sampled,
        }
    }
}

/// The bytes of responses that are fresh.
#[derive(Default)]
struct Fresh {
    /// Key, when it was fetched, and bytes: in the order in which they were fetched, which is that in which they expire.
    fetched: VecDeque<(u64, u64, u64)>,
    newest: HashMap<u64, (u64, u64)>,
    now: u64,
    most: u64,
}

impl Fresh {
    fn store(&mut self, key: u64, at_ms: u64, bytes: u64) {
        if let Some((_, replaced)) = self.newest.insert(key, (at_ms, bytes)) {
            self.now -= replaced;
        }
        self.fetched.push_back((key, at_ms, bytes));
        self.now += bytes;
        self.most = self.most.max(self.now);
    }

    fn expire(&mut self, at_ms: u64, ttl_ms: u64) {
        while let Some((key, fetched_ms, bytes)) = self.fetched.front().copied() {
            if at_ms - fetched_ms < ttl_ms {
                return;
            }
            self.fetched.pop_front();
            // One that was fetched again meanwhile has taken its place.
            if self.newest.get(&key) == Some(&(fetched_ms, bytes)) {
                self.newest.remove(&key);
                self.now -= bytes;
            }
        }
    }
}
