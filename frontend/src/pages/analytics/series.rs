//! From the points of the API to the series of a chart. Pure.

use sluice_contract::rest::analytics::{Analytics, Point, Totals};

use crate::components::{ChartData, Series};
use crate::format;

/// Calls of each step by outcome.
pub fn outcomes(analytics: &Analytics) -> ChartData {
    let ok = |t: &Totals| t.calls.saturating_sub(t.client_errors + t.server_errors);
    chart(
        analytics,
        &[
            ("Success", 1, &|t| Some(ok(t) as f64)),
            ("Client errors", 3, &|t| Some(t.client_errors as f64)),
            ("Server errors", 5, &|t| Some(t.server_errors as f64)),
        ],
    )
}

/// Latency percentiles in milliseconds; a step without calls is a gap.
pub fn latency(analytics: &Analytics) -> ChartData {
    let ms = |us: Option<u64>| us.map(|us| us as f64 / 1_000.0);
    chart(
        analytics,
        &[("p50", 1, &|t| ms(t.p50_us)), ("p95", 2, &|t| ms(t.p95_us)), ("p99", 5, &|t| ms(t.p99_us))],
    )
}

/// Bytes of each step.
pub fn volume(analytics: &Analytics) -> ChartData {
    chart(
        analytics,
        &[("Sent", 1, &|t| Some(t.bytes_out as f64)), ("Received", 2, &|t| Some(t.bytes_in as f64))],
    )
}

type Measure<'a> = (&'static str, u8, &'a dyn Fn(&Totals) -> Option<f64>);

fn chart(analytics: &Analytics, measures: &[Measure<'_>]) -> ChartData {
    // Zero everywhere is "nothing happened", not a flat line.
    if analytics.total.calls == 0 {
        return ChartData::default();
    }
    let points: &[Point] = &analytics.points;
    ChartData {
        times: points.iter().map(|point| point.at).collect(),
        series: measures
            .iter()
            .map(|(name, colour, measure)| Series {
                name,
                colour: *colour,
                values: points.iter().map(|point| measure(&point.totals)).collect(),
            })
            .collect(),
    }
}

/// Formats of axes and readouts.
pub fn as_count(value: f64) -> String {
    if value.fract() == 0.0 { format::count(value as u64) } else { format!("{value:.1}") }
}

pub fn as_ms(value: f64) -> String {
    if value == 0.0 {
        return "0 ms".to_owned();
    }
    format::micros((value * 1_000.0) as u64)
}

pub fn as_percent(value: f64) -> String {
    format::percent(value)
}

pub fn as_bytes(value: f64) -> String {
    format::bytes(value as u64)
}

/// Texts of the numbers at the top.
pub fn error_rate(totals: &Totals) -> String {
    format::share(totals.client_errors + totals.server_errors, totals.calls).unwrap_or_else(none)
}

pub fn hit_rate(totals: &Totals) -> String {
    format::share(totals.cache_hits, totals.cacheable).unwrap_or_else(none)
}

pub fn duration(us: Option<u64>) -> String {
    us.map_or_else(none, format::micros)
}

fn none() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};

    use super::*;

    fn totals(calls: u64, server_errors: u64, p95_us: Option<u64>) -> Totals {
        Totals {
            calls,
            client_errors: 0,
            server_errors,
            cache_hits: calls / 2,
            cacheable: calls,
            bytes_in: 0,
            bytes_out: 0,
            p50_us: p95_us,
            p95_us,
            p99_us: p95_us,
        }
    }

    fn analytics(points: Vec<Totals>) -> Analytics {
        let from = Utc::now();
        Analytics {
            from,
            to: from + TimeDelta::minutes(points.len() as i64),
            step_s: 60,
            total: totals(points.iter().map(|p| p.calls).sum(), 0, None),
            points: points
                .into_iter()
                .enumerate()
                .map(|(i, totals)| Point { at: from + TimeDelta::minutes(i as i64), totals })
                .collect(),
            top_apis: vec![],
            top_routes: vec![],
            top_applications: vec![],
            top_plans: vec![],
            top_targets: vec![],
            statuses: vec![],
        }
    }

    #[test]
    fn outcomes_of_a_step_add_up_to_its_calls() {
        let chart = outcomes(&analytics(vec![totals(10, 3, None)]));
        let sum: f64 = chart.series.iter().filter_map(|series| series.values[0]).sum();
        assert_eq!(sum, 10.0);
    }

    #[test]
    fn a_step_without_calls_is_a_gap_in_latency_and_not_a_zero() {
        let chart = latency(&analytics(vec![totals(5, 0, Some(2_000)), totals(0, 0, None)]));
        assert_eq!(chart.series[1].values, [Some(2.0), None]);
    }

    #[test]
    fn no_calls_at_all_is_no_data() {
        assert_eq!(outcomes(&analytics(vec![totals(0, 0, None)])), ChartData::default());
    }
}
