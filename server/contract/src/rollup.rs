//! Rollups: exact counts by minute in a few named cubes, whatever share of the raw calls is kept.

use serde::{Deserialize, Serialize};

use crate::calls::{CacheOutcome, SecondLevelAnswer, SecondLevelAsked};
use crate::histogram::Histogram;
use crate::ids::{ApiId, ApplicationId, PlanId, TenantId};

/// Route or target of a cell beyond a gateway's cap on distinct cells.
pub const OTHER: &str = "other";
/// Application of a cell beyond a gateway's cap on distinct cells.
pub const OTHER_APPLICATION: ApplicationId = ApplicationId(uuid::Uuid::nil());

/// What to add to one cell of a cube.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollupDelta {
    /// Minutes since the Unix epoch.
    pub minute: u32,
    pub cell: Cell,
    pub counts: Counts,
}

/// Which cell of which cube. A gateway that meets more distinct cells in a minute than
/// its cap counts the rest under [`OTHER`] and [`OTHER_APPLICATION`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "cube", rename_all = "snake_case")]
pub enum Cell {
    /// API × route × status × cache. No API: no route matched.
    Traffic {
        tenant: Option<TenantId>,
        api: Option<ApiId>,
        route: Option<String>,
        status: u16,
        cache: CacheOutcome,
    },
    /// Application × plan × API, by status class.
    Consumer { tenant: TenantId, application: ApplicationId, plan: Option<PlanId>, api: ApiId, failed: bool },
    /// Target (of the gateway that sends the delta).
    Target { tenant: TenantId, api: ApiId, target: String, failed: bool },
}

/// What is counted in a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub calls: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Whole duration of the calls, in microseconds.
    pub latency: Histogram,
    /// Sum of durations, in microseconds.
    pub duration_us: u64,
    /// Sum of times to the upstream's response head, in microseconds.
    pub upstream_us: u64,
    /// Calls by exact status: `(status, calls)` sorted by status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<(u16, u64)>,
    /// Calls that the cache answered (hit, revalidated, coalesced or stale).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_hits: u64,
    /// Calls that could have been hits; see [`CacheOutcome::is_cacheable`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cacheable: u64,
    /// What the cache's second level did for them.
    #[serde(default, skip_serializing_if = "SecondLevelCounts::is_zero")]
    pub second_level: SecondLevelCounts,
    /// By what the cache did, sorted by that. Gateways leave it out, as their cells are of one outcome each: it is
    /// [told apart](Self::of_outcome) where such cells are added up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<(CacheOutcome, OutcomeCounts)>,
}

/// What is counted of the calls with one outcome of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCounts {
    pub calls: u64,
    pub bytes_out: u64,
    /// Sum of times to the upstream's response head, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub upstream_us: u64,
    /// What the cache's second level did for them.
    #[serde(default, skip_serializing_if = "SecondLevelCounts::is_zero")]
    pub second_level: SecondLevelCounts,
}

/// What is counted of the calls that asked the cache's second level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondLevelCounts {
    pub asked: u64,
    /// Of these, those that were given a response.
    pub found: u64,
    /// Of these, those that were not answered within the time budget, or with an error.
    pub failed: u64,
    /// Sum of the times that they waited for it, in microseconds.
    pub took_us: u64,
}

impl SecondLevelCounts {
    fn record(&mut self, SecondLevelAsked { answer, took_us }: SecondLevelAsked) {
        self.merge(&Self {
            asked: 1,
            found: u64::from(answer == SecondLevelAnswer::Found),
            failed: u64::from(answer == SecondLevelAnswer::Failed),
            took_us,
        });
    }

    /// Adds others to these.
    pub fn merge(&mut self, other: &Self) {
        let &Self { asked, found, failed, took_us } = other;
        self.asked += asked;
        self.found += found;
        self.failed += failed;
        self.took_us += took_us;
    }

    fn is_zero(&self) -> bool {
        self.asked == 0
    }
}

impl OutcomeCounts {
    /// Adds others to these.
    pub fn merge(&mut self, other: &Self) {
        let &Self { calls, bytes_out, upstream_us, ref second_level } = other;
        self.calls += calls;
        self.bytes_out += bytes_out;
        self.upstream_us += upstream_us;
        self.second_level.merge(second_level);
    }
}

/// What a finished call adds to its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    pub status: u16,
    pub cache: CacheOutcome,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// Microseconds.
    pub upstream_us: Option<u64>,
    pub second_level: Option<SecondLevelAsked>,
}

impl Counts {
    /// Counts one call. Every field is kept in every cell, so that any cell alone can answer for its traffic.
    pub fn record(&mut self, measure: &Measure) {
        let &Measure { status, cache, bytes_in, bytes_out, duration_us, upstream_us, second_level } = measure;
        self.calls += 1;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        self.latency.record(duration_us);
        self.duration_us += duration_us;
        self.upstream_us += upstream_us.unwrap_or_default();
        self.add_status(status, 1);
        self.cache_hits += u64::from(cache.is_hit());
        self.cacheable += u64::from(cache.is_cacheable());
        if let Some(asked) = second_level {
            self.second_level.record(asked);
        }
    }

    /// The same counts, of calls that all had this outcome, told apart by it.
    #[must_use]
    pub fn of_outcome(mut self, outcome: CacheOutcome) -> Self {
        let Self { calls, bytes_out, upstream_us, second_level, .. } = self;
        self.outcomes = vec![(outcome, OutcomeCounts { calls, bytes_out, upstream_us, second_level })];
        self
    }

    /// Adds another cell's counts to this one's.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            calls,
            bytes_in,
            bytes_out,
            latency,
            duration_us,
            upstream_us,
            statuses,
            cache_hits,
            cacheable,
            second_level,
            outcomes,
        } = other;
        self.calls += calls;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        self.latency.merge(latency);
        self.duration_us += duration_us;
        self.upstream_us += upstream_us;
        statuses.iter().for_each(|&(status, calls)| self.add_status(status, calls));
        self.cache_hits += cache_hits;
        self.cacheable += cacheable;
        self.second_level.merge(second_level);
        outcomes.iter().for_each(|(outcome, counts)| self.add_outcome(*outcome, counts));
    }

    /// Calls whose status is in `from..=to`.
    pub fn with_status(&self, from: u16, to: u16) -> u64 {
        self.statuses.iter().filter(|(status, _)| (from..=to).contains(status)).map(|(_, calls)| calls).sum()
    }

    fn add_status(&mut self, status: u16, calls: u64) {
        match self.statuses.binary_search_by_key(&status, |&(s, _)| s) {
            Ok(i) => self.statuses[i].1 += calls,
            Err(i) => self.statuses.insert(i, (status, calls)),
        }
    }

    fn add_outcome(&mut self, outcome: CacheOutcome, counts: &OutcomeCounts) {
        match self.outcomes.binary_search_by_key(&outcome, |(outcome, _)| *outcome) {
            Ok(i) => self.outcomes[i].1.merge(counts),
            Err(i) => self.outcomes.insert(i, (outcome, *counts)),
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(status: u16, cache: CacheOutcome) -> Measure {
        let answer = match cache {
            CacheOutcome::Hit => SecondLevelAnswer::Found,
            CacheOutcome::Miss => SecondLevelAnswer::Nothing,
            _ => SecondLevelAnswer::Failed,
        };
        let second_level = (cache != CacheOutcome::Bypass).then_some(SecondLevelAsked { answer, took_us: 7 });
        Measure {
            status,
            cache,
            bytes_in: 1,
            bytes_out: 2,
            duration_us: 3,
            upstream_us: Some(1),
            second_level,
        }
    }

    #[test]
    fn merging_counts_gives_what_recording_all_in_one_gives() {
        let calls = [
            call(200, CacheOutcome::Hit),
            call(404, CacheOutcome::Miss),
            call(200, CacheOutcome::Bypass),
            call(502, CacheOutcome::Stale),
        ];
        let (mut one, mut other, mut all) = (Counts::default(), Counts::default(), Counts::default());
        for (i, call) in calls.iter().enumerate() {
            if i % 2 == 0 {
                one.record(call)
            } else {
                other.record(call)
            }
            all.record(call);
        }
        one.merge(&other);
        assert_eq!(one, all);
        assert_eq!(all.statuses, [(200, 2), (404, 1), (502, 1)]);
        assert_eq!((all.calls, all.cache_hits, all.cacheable), (4, 2, 3));
        assert_eq!((all.with_status(400, 499), all.with_status(500, 599)), (1, 1));
        let asked = SecondLevelCounts { asked: 3, found: 1, failed: 1, took_us: 21 };
        assert_eq!(all.second_level, asked);
    }

    #[test]
    fn cells_of_one_outcome_each_add_up_to_what_each_outcome_took() {
        let cell = |outcome, calls: usize| {
            let mut counts = Counts::default();
            (0..calls).for_each(|_| counts.record(&call(200, outcome)));
            counts.of_outcome(outcome)
        };
        let mut sum = cell(CacheOutcome::VaryMiss, 2);
        [cell(CacheOutcome::Hit, 3), cell(CacheOutcome::VaryMiss, 1)].iter().for_each(|one| sum.merge(one));
        let counts = |found, failed| OutcomeCounts {
            calls: 3,
            bytes_out: 6,
            upstream_us: 3,
            second_level: SecondLevelCounts { asked: 3, found, failed, took_us: 21 },
        };
        assert_eq!(sum.outcomes, [(CacheOutcome::Hit, counts(3, 0)), (CacheOutcome::VaryMiss, counts(0, 3))]);
        assert_eq!((sum.calls, sum.cacheable, sum.cache_hits), (6, 6, 3));
    }
}
