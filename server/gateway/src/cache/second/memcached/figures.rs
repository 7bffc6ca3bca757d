//! What Memcached says of itself, at two moments: it counts since its start and says no rates.

use std::collections::HashMap;
use std::time::Instant;

use sluice_contract::link::SecondLevelServer;

/// What it has counted until now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    at: Instant,
    operations: u64,
    bytes: u64,
    /// What needs no moment before.
    said: [u64; 7],
}

impl Sample {
    pub(super) fn new(said: &HashMap<String, String>) -> Self {
        let number =
            |name: &str| said.get(name).and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
        let count = |name: &str| number(name) as u64;
        Self {
            at: Instant::now(),
            operations: ["cmd_get", "cmd_set", "delete_hits", "delete_misses"].map(count).into_iter().sum(),
            bytes: count("bytes_read") + count("bytes_written"),
            said: [
                count("bytes"),
                count("limit_maxbytes"),
                count("evictions"),
                ((number("rusage_user") + number("rusage_system")) * 1_000.0) as u64,
                count("curr_connections"),
                count("get_hits"),
                count("get_misses"),
            ],
        }
    }

    /// With the rates since another sample, if there is one.
    pub(super) fn figures(&self, before: Option<&Self>) -> SecondLevelServer {
        let [memory_bytes, max_memory_bytes, evicted, cpu_ms, connections, hits, misses] = self.said;
        let rate = |now: u64, then: fn(&Self) -> u64| {
            // A server that has been started anew counts from zero.
            let since = before.filter(|before| then(before) <= now && before.at < self.at);
            since.map_or(0.0, |before| (now - then(before)) as f64 / (self.at - before.at).as_secs_f64())
        };
        SecondLevelServer {
            memory_bytes,
            max_memory_bytes,
            evicted,
            operations_per_s: rate(self.operations, |sample| sample.operations) as u64,
            cpu_ms,
            network_kbps: (rate(self.bytes, |sample| sample.bytes) / 1_000.0) as u64,
            connections,
            hits,
            misses,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn said(figures: &[(&str, &str)]) -> HashMap<String, String> {
        figures.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn rates_are_of_the_time_between_two_samples() {
        let whole = said(&[
            ("bytes", "100"),
            ("limit_maxbytes", "67108864"),
            ("evictions", "3"),
            ("rusage_user", "1.250000"),
            ("rusage_system", "0.5"),
            ("curr_connections", "4"),
            ("get_hits", "8"),
            ("get_misses", "2"),
            ("cmd_get", "10"),
            ("cmd_set", "6"),
            ("delete_hits", "1"),
            ("delete_misses", "1"),
            ("bytes_read", "4000"),
            ("bytes_written", "2000"),
        ]);
        let now = Sample::new(&whole);
        let expected = SecondLevelServer {
            memory_bytes: 100,
            max_memory_bytes: 64 << 20,
            evicted: 3,
            operations_per_s: 0,
            cpu_ms: 1_750,
            network_kbps: 0,
            connections: 4,
            hits: 8,
            misses: 2,
        };
        assert_eq!(now.figures(None), expected);
        let before = Sample { at: now.at - Duration::from_secs(2), operations: 8, bytes: 0, ..now };
        assert_eq!(
            now.figures(Some(&before)),
            SecondLevelServer { operations_per_s: 5, network_kbps: 3, ..expected.clone() }
        );
        let restarted = Sample { operations: 1_000, bytes: 100_000, ..before };
        assert_eq!(now.figures(Some(&restarted)), expected);
    }
}
