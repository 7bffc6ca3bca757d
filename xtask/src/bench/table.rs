//! What the benchmark found: a table for people, JSON for comparing runs.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::machine;
use crate::report;

/// One measurement of one subject.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Requests per second at saturation.
    pub per_second: f64,
    /// Requests per second of the proxy's own processor time, at saturation and at the offered rate.
    pub per_cpu_saturated: f64,
    pub per_cpu_steady: f64,
    /// Milliseconds at the offered rate.
    pub p50: f64,
    pub p99: f64,
}

/// All measurements of one subject.
pub struct Row {
    pub name: String,
    pub samples: Vec<Sample>,
    pub instructions: Option<f64>,
    pub ratios: Vec<Ratio>,
}

/// A goal: this subject against another, requests per CPU-second at the same offered rate.
pub struct Ratio {
    pub against: String,
    pub steady: f64,
    pub saturated: f64,
    pub expected: f64,
}

impl Row {
    pub fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(of))
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What every subject was given.
pub struct Setting {
    pub runs: u32,
    pub seconds: u32,
    pub rate: u32,
    pub connections: u32,
    pub body_bytes: usize,
}

pub fn print(setting: &Setting, rows: &[Row]) {
    report::result(&format!(
        "{} B bodies, {} keepalive connections, one proxy core, medians of {} runs of {} s; steady: {} requests/s",
        setting.body_bytes, setting.connections, setting.runs, setting.seconds, setting.rate
    ));
    report::result(&format!(
        "{:<22} {:>13} {:>13} {:>11} {:>9} {:>9} {:>12}",
        "", "steady /cpu-s", "full /cpu-s", "full req/s", "p50 ms", "p99 ms", "instr/req"
    ));
    for row in rows {
        let instructions = row.instructions.map_or_else(|| "-".to_owned(), |number| format!("{number:.0}"));
        report::result(&format!(
            "{:<22} {:>13.0} {:>13.0} {:>11.0} {:>9.2} {:>9.2} {:>12}",
            row.name,
            row.median(|sample| sample.per_cpu_steady),
            row.median(|sample| sample.per_cpu_saturated),
            row.median(|sample| sample.per_second),
            row.median(|sample| sample.p50),
            row.median(|sample| sample.p99),
            instructions
        ));
    }
    for row in rows {
        for ratio in &row.ratios {
            report::result(&format!(
                "{} is {:.2} x {} steady, {:.2} x at saturation (expected {:.2} x)",
                row.name, ratio.steady, ratio.against, ratio.saturated, ratio.expected
            ));
        }
    }
}

/// What was measured of the subjects.
pub fn json(setting: &Setting, rows: &[Row]) -> Value {
    json!({
        "setting": {
            "runs": setting.runs,
            "seconds": setting.seconds,
            "steady_requests_per_second": setting.rate,
            "connections": setting.connections,
            "body_bytes": setting.body_bytes,
        },
        "subjects": rows.iter().map(row_json).collect::<Vec<Value>>(),
    })
}

/// Writes `latest.json` and a copy that later runs leave alone.
pub fn save(folder: &Path, parts: Map<String, Value>) -> Result<()> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let report = json!({ "at_unix": at, "processor": machine::processor(), "parts": parts });
    let text = serde_json::to_string_pretty(&report).context("the report is not JSON")?;
    for name in ["latest.json".to_owned(), format!("{at}.json")] {
        fs::write(folder.join(&name), &text).with_context(|| format!("could not write {name}"))?;
    }
    report::result(&format!("report: {}", folder.join("latest.json").display()));
    Ok(())
}

fn row_json(row: &Row) -> Value {
    let samples = row.samples.iter().map(|sample| {
        json!({
            "requests_per_second": sample.per_second,
            "requests_per_cpu_second_saturated": sample.per_cpu_saturated,
            "requests_per_cpu_second_steady": sample.per_cpu_steady,
            "p50_ms": sample.p50,
            "p99_ms": sample.p99,
        })
    });
    let ratios = row.ratios.iter().map(|ratio| {
        json!({
            "against": ratio.against,
            "steady": ratio.steady,
            "saturated": ratio.saturated,
            "expected": ratio.expected,
        })
    });
    json!({
        "name": row.name,
        "samples": samples.collect::<Vec<Value>>(),
        "instructions_per_request": row.instructions,
        "ratios": ratios.collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Row, Sample};

    #[test]
    fn one_odd_run_does_not_move_the_median() {
        let sample = |per_second| Sample {
            per_second,
            per_cpu_saturated: 1.0,
            per_cpu_steady: 1.0,
            p50: 1.0,
            p99: 1.0,
        };
        let row = Row {
            name: "x".to_owned(),
            samples: vec![sample(10.0), sample(900.0), sample(12.0)],
            instructions: None,
            ratios: Vec::new(),
        };
        assert!((row.median(|sample| sample.per_second) - 12.0).abs() < f64::EPSILON);
    }
}
