//! From the points of the API to the series of the charts. Pure.

use sluice_contract::calls::CacheOutcome;
use sluice_contract::link::CacheEvictions;
use sluice_contract::rest::cache_analytics::{CacheAnalytics, CacheTotals, MemoryPoint, SecondLevelTotals};

use crate::components::{ChartData, Series};
use crate::format;

type Measure<'a> = (&'static str, u8, &'a dyn Fn(&CacheTotals) -> Option<f64>);

/// Hits among the calls that could have been hits, 0 to 1; a step without such calls is a gap.
pub(super) fn hit_ratio(data: &CacheAnalytics) -> ChartData {
    let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    chart(
        data,
        data.total.cacheable,
        &[
            ("By requests", 1, &|t| ratio(t.hits, t.cacheable)),
            ("By bytes", 4, &|t| ratio(t.hit_bytes, t.cacheable_bytes)),
        ],
    )
}

/// Calls of each step by what the cache did.
pub(super) fn outcomes(data: &CacheAnalytics) -> ChartData {
    use CacheOutcome::{Bypass, Coalesced, Hit, Method, Revalidated, Stale, Uncached};
    chart(
        data,
        data.total.calls,
        &[
            ("Hits", 1, &|t| calls(t, &[Hit])),
            ("Stale", 4, &|t| calls(t, &[Stale])),
            ("Revalidated", 2, &|t| calls(t, &[Revalidated])),
            ("Coalesced", 6, &|t| calls(t, &[Coalesced])),
            ("Misses", 3, &|t| Some(t.cacheable.saturating_sub(t.hits) as f64)),
            ("Past the cache", 8, &|t| calls(t, &[Bypass, Method])),
            ("No policy", 7, &|t| calls(t, &[Uncached])),
        ],
    )
}

/// Calls of each step that went to the upstream, by why (RFC 9211 §2.2).
pub(super) fn reasons(data: &CacheAnalytics) -> ChartData {
    use CacheOutcome::{Bypass, Expired, Method, Miss, Request, Revalidated, VaryMiss};
    let all = [Miss, VaryMiss, Expired, Revalidated, Request, Method, Bypass];
    chart(
        data,
        calls(&data.total, &all).unwrap_or_default() as u64,
        &[
            ("Not stored", 3, &|t| calls(t, &[Miss])),
            ("Another variant", 6, &|t| calls(t, &[VaryMiss])),
            ("No longer fresh", 4, &|t| calls(t, &[Expired, Revalidated])),
            ("Caller insisted", 2, &|t| calls(t, &[Request])),
            ("Method", 5, &|t| calls(t, &[Method])),
            ("By the policy or the request", 8, &|t| calls(t, &[Bypass])),
        ],
    )
}

/// Mean milliseconds of the upstream for a miss; a step without one is a gap.
pub(super) fn origin_time(data: &CacheAnalytics) -> ChartData {
    let ms = |us: u64| us as f64 / 1_000.0;
    chart(data, data.total.origin_us.map_or(0, |_| 1), &[("Upstream", 5, &|t| t.origin_us.map(ms))])
}

/// Questions to the second level, by what became of them.
pub(super) fn second_level_answers(data: &CacheAnalytics) -> ChartData {
    let of = |t: &CacheTotals, count: fn(&SecondLevelTotals) -> u64| {
        Some(t.second_level.as_ref().map_or(0, count) as f64)
    };
    chart(
        data,
        data.total.second_level.map_or(0, |of| of.asked),
        &[
            ("Had it", 1, &|t| of(t, |of| of.found)),
            ("Had nothing", 3, &|t| of(t, |of| of.asked.saturating_sub(of.found + of.failed))),
            ("No answer in time", 5, &|t| of(t, |of| of.failed)),
        ],
    )
}

/// Mean milliseconds that calls waited for the second level; a step without a question is a gap.
pub(super) fn second_level_time(data: &CacheAnalytics) -> ChartData {
    let ms = |of: SecondLevelTotals| of.mean_us as f64 / 1_000.0;
    chart(
        data,
        data.total.second_level.map_or(0, |of| of.asked),
        &[("Second level", 6, &|t| t.second_level.map(ms))],
    )
}

/// Milliseconds that callers did not wait.
pub(super) fn saved_time(data: &CacheAnalytics) -> ChartData {
    chart(data, data.total.cacheable, &[("Saved", 1, &|t| Some(t.saved_us as f64 / 1_000.0))])
}

/// Bytes of the answers to calls that a cache policy covers.
pub(super) fn bytes(data: &CacheAnalytics) -> ChartData {
    chart(
        data,
        data.total.cacheable,
        &[
            ("From the cache", 1, &|t| Some(t.hit_bytes as f64)),
            ("From the upstream", 3, &|t| Some(t.cacheable_bytes.saturating_sub(t.hit_bytes) as f64)),
        ],
    )
}

/// `12 stale, 3 revalidated, 1 coalesced`.
pub(super) fn kinds_of_hits(data: &CacheAnalytics) -> String {
    use CacheOutcome::{Coalesced, Revalidated, Stale};
    [(Stale, "stale"), (Revalidated, "revalidated"), (Coalesced, "coalesced")]
        .map(|(outcome, word)| {
            let calls = calls(&data.total, &[outcome]).unwrap_or_default() as u64;
            format!("{} {word}", format::count(calls))
        })
        .join(", ")
}

/// Bytes of memory; a step in which no gateway said anything is a gap.
pub(super) fn held(data: &CacheAnalytics) -> ChartData {
    if data.memory.iter().all(|point| point.bytes.is_none()) {
        return ChartData::default();
    }
    remembered(data, &[("Held", 1, &|point| point.bytes.map(|bytes| bytes as f64))])
}

/// Responses that left, by why.
pub(super) fn evictions(data: &CacheAnalytics) -> ChartData {
    if data.memory.iter().all(|point| point.evictions == CacheEvictions::default()) {
        return ChartData::default();
    }
    let count = |count: u64| Some(count as f64);
    remembered(
        data,
        &[
            ("No room", 5, &|point| count(point.evictions.size)),
            ("Over a share", 4, &|point| count(point.evictions.api_share + point.evictions.tenant_share)),
            ("Too old", 3, &|point| count(point.evictions.age)),
            ("Replaced", 7, &|point| count(point.evictions.replaced)),
            ("Purged", 2, &|point| count(point.evictions.purged)),
        ],
    )
}

fn calls(totals: &CacheTotals, of: &[CacheOutcome]) -> Option<f64> {
    let counts = totals.outcomes.iter().filter(|count| of.contains(&count.outcome));
    Some(counts.map(|count| count.calls).sum::<u64>() as f64)
}

/// Nothing where `any` says that nothing happened: that is not a flat line.
fn chart(data: &CacheAnalytics, any: u64, measures: &[Measure<'_>]) -> ChartData {
    if any == 0 {
        return ChartData::default();
    }
    let series = measures.iter().map(|(name, colour, measure)| Series {
        name,
        colour: *colour,
        values: data.points.iter().map(|point| measure(&point.totals)).collect(),
    });
    ChartData { times: data.points.iter().map(|point| point.at).collect(), series: series.collect() }
}

type Remembered<'a> = (&'static str, u8, &'a dyn Fn(&MemoryPoint) -> Option<f64>);

fn remembered(data: &CacheAnalytics, measures: &[Remembered<'_>]) -> ChartData {
    let series = measures.iter().map(|(name, colour, measure)| Series {
        name,
        colour: *colour,
        values: data.memory.iter().map(measure).collect(),
    });
    ChartData { times: data.memory.iter().map(|point| point.at).collect(), series: series.collect() }
}
