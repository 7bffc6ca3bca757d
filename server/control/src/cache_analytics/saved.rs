//! What the cache saved: hits at the price of the misses beside them. Pure.

use std::collections::BTreeMap;

use sluice_contract::calls::CacheOutcome;
use sluice_contract::rest::cache_analytics::{CacheTotals, OutcomeCount, SecondLevelTotals};
use sluice_contract::rollup::{OutcomeCounts, SecondLevelCounts};
use sluice_store::telemetry::CacheGroup;

type Outcomes = BTreeMap<CacheOutcome, OutcomeCounts>;

/// What [`CacheTotals`] is made of, so that it can be added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    outcomes: Outcomes,
    saved_us: u64,
}

impl Sums {
    pub(super) fn merge(&mut self, other: &Self) {
        self.saved_us += other.saved_us;
        for (outcome, counts) in &other.outcomes {
            self.outcomes.entry(*outcome).or_default().merge(counts);
        }
    }

    pub(super) fn totals(&self) -> CacheTotals {
        let all = sum(&self.outcomes, |_| true);
        let cacheable = sum(&self.outcomes, CacheOutcome::is_cacheable);
        let hits = sum(&self.outcomes, CacheOutcome::is_hit);
        CacheTotals {
            calls: all.calls,
            cacheable: cacheable.calls,
            hits: hits.calls,
            cacheable_bytes: cacheable.bytes_out,
            hit_bytes: hits.bytes_out,
            outcomes: self
                .outcomes
                .iter()
                .map(|(outcome, counts)| OutcomeCount { outcome: *outcome, calls: counts.calls })
                .collect(),
            origin_us: mean(&self.outcomes),
            second_level: second_level(all.second_level),
            saved_us: self.saved_us,
            saved_bytes: hits.bytes_out,
            // The upstream has seen what it confirmed.
            saved_calls: sum(&self.outcomes, |it| it.is_hit() && it != CacheOutcome::Revalidated).calls,
        }
    }
}

/// What the cache did for a group in each of its points, by index.
pub(super) fn of_group(group: &CacheGroup) -> Vec<(usize, Sums)> {
    let mut whole = Sums::default();
    for outcomes in group.points.values() {
        whole.merge(&Sums { outcomes: outcomes.clone(), saved_us: 0 });
    }
    let over_all = mean(&whole.outcomes);
    let point = |(index, outcomes): (&usize, &Outcomes)| {
        let price = mean(outcomes).or(over_all).unwrap_or_default();
        // Without waiting: who coalesced has waited for another's miss, and a stale answer in place of an error for the error.
        let quick = sum(outcomes, |it| matches!(it, CacheOutcome::Hit | CacheOutcome::Stale));
        let saved_us = (quick.calls * price).saturating_sub(quick.upstream_us);
        (*index, Sums { outcomes: outcomes.clone(), saved_us })
    };
    group.points.iter().map(point).collect()
}

/// None where it was not asked.
fn second_level(counts: SecondLevelCounts) -> Option<SecondLevelTotals> {
    let SecondLevelCounts { asked, found, failed, took_us } = counts;
    Some(SecondLevelTotals { asked, found, failed, mean_us: took_us.checked_div(asked)? })
}

/// Mean time of the upstream for a miss, in microseconds.
fn mean(outcomes: &Outcomes) -> Option<u64> {
    let missed = sum(outcomes, |it| it.is_cacheable() && !it.is_hit());
    missed.upstream_us.checked_div(missed.calls)
}

fn sum(outcomes: &Outcomes, of: impl Fn(CacheOutcome) -> bool) -> OutcomeCounts {
    let mut sum = OutcomeCounts::default();
    outcomes.iter().filter(|(outcome, _)| of(**outcome)).for_each(|(_, counts)| sum.merge(counts));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(points: &[&[(CacheOutcome, u64, u64)]]) -> CacheGroup {
        let counts = |calls, upstream_us| {
            // Every other call asks the second level, and waits a thousand for it.
            let second_level = SecondLevelCounts {
                asked: calls / 2,
                found: calls / 4,
                failed: 0,
                took_us: calls / 2 * 1_000,
            };
            OutcomeCounts { calls, bytes_out: 10 * calls, upstream_us, second_level }
        };
        let point = |outcomes: &&[(CacheOutcome, u64, u64)]| {
            outcomes.iter().map(|&(outcome, calls, us)| (outcome, counts(calls, us))).collect()
        };
        CacheGroup { api: None, route: None, points: points.iter().map(point).enumerate().collect() }
    }

    fn saved(points: &[&[(CacheOutcome, u64, u64)]]) -> Vec<u64> {
        of_group(&group(points)).iter().map(|(_, sums)| sums.totals().saved_us).collect()
    }

    use CacheOutcome::{Bypass, Coalesced, Expired, Hit, Miss, Revalidated, Stale, VaryMiss};

    #[test]
    fn a_hit_saves_what_misses_of_its_step_took_or_else_those_of_the_whole_time() {
        let first: &[_] = &[(Hit, 3, 0), (Miss, 1, 100), (VaryMiss, 1, 300)];
        let second: &[_] = &[(Hit, 2, 0)];
        let third: &[_] = &[(Stale, 1, 0), (Expired, 2, 2_000)];
        // Means: 200 and 1,000 of a step; 2,400 / 4 over all.
        assert_eq!(saved(&[first, second, third]), [600, 1_200, 1_000]);
    }

    #[test]
    fn who_waited_saved_no_time_and_without_a_miss_nothing_is_known() {
        assert_eq!(saved(&[&[(Coalesced, 5, 0), (Revalidated, 2, 900), (Miss, 1, 100)]]), [0]);
        assert_eq!(saved(&[&[(Hit, 5, 0), (Bypass, 1, 100)]]), [0], "what goes past the cache is no miss");
        assert_eq!(saved(&[&[(Stale, 2, 150), (Miss, 1, 100)]]), [50], "an error was waited for");
        assert_eq!(saved(&[&[(Stale, 1, 150), (Miss, 1, 100)]]), [0]);
    }

    #[test]
    fn totals_tell_hits_from_what_could_have_been_one() {
        let group = group(&[&[(Hit, 3, 0), (Revalidated, 1, 50), (Miss, 2, 500), (Bypass, 4, 900)]]);
        let totals = of_group(&group)[0].1.totals();
        assert_eq!((totals.calls, totals.cacheable, totals.hits), (10, 6, 4));
        assert_eq!((totals.cacheable_bytes, totals.hit_bytes, totals.saved_bytes), (60, 40, 40));
        assert_eq!((totals.origin_us, totals.saved_calls), (Some(250), 3));
        let asked = SecondLevelTotals { asked: 4, found: 1, failed: 0, mean_us: 1_000 };
        assert_eq!(totals.second_level, Some(asked));
        assert_eq!(Sums::default().totals().second_level, None, "nobody asked it");
    }
}
