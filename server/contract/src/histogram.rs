//! A mergeable latency histogram: log-linear buckets, at most 6.25 % wide, exact counts.

use serde::{Deserialize, Serialize};

/// Sub-buckets for each power of two.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of durations in microseconds. Sparse: `(bucket, count)` sorted by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    buckets: Vec<(u16, u64)>,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, micros: u64) {
        self.add(bucket_of(micros), 1);
    }

    /// Adds another histogram's counts to this one's.
    pub fn merge(&mut self, other: &Self) {
        for &(bucket, count) in &other.buckets {
            self.add(bucket, count);
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, count)| count).sum()
    }

    /// The duration in microseconds that the given share (0 to 1) of all durations does not exceed: the upper
    /// bound of its bucket. None when nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let wanted = ((share.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|&(bucket, count)| {
            seen += count;
            (seen >= wanted).then(|| upper_bound(bucket))
        })
    }

    fn add(&mut self, bucket: u16, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |&(b, _)| b) {
            Ok(i) => self.buckets[i].1 += count,
            Err(i) => self.buckets.insert(i, (bucket, count)),
        }
    }
}

fn bucket_of(micros: u64) -> u16 {
    if micros < STEPS {
        return micros as u16;
    }
    let exponent = u64::BITS - 1 - micros.leading_zeros();
    let step = (micros >> (exponent - STEP_BITS)) - STEPS;
    (u64::from(exponent - STEP_BITS + 1) * STEPS + step) as u16
}

fn upper_bound(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let next = u128::from(STEPS + bucket % STEPS + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket_of_the_exact_ones() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|micros| histogram.record(micros));
        for (share, exact) in [(0.5, 5_000.0), (0.95, 9_500.0), (0.99, 9_900.0)] {
            let found = histogram.quantile(share).unwrap() as f64;
            assert!((found / exact - 1.0).abs() < 0.0625, "{share}: {found} is not near {exact}");
        }
    }

    #[test]
    fn merging_gives_what_recording_all_in_one_gives() {
        let (mut one, mut other, mut all) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for i in 0..5_000_u64 {
            let micros = i * i % 777_777;
            if i % 3 == 0 {
                one.record(micros)
            } else {
                other.record(micros)
            }
            all.record(micros);
        }
        one.merge(&other);
        assert_eq!(one, all);
    }

    #[test]
    fn buckets_are_ordered_and_cover_every_value() {
        for micros in (0..200).chain([1 << 20, (1 << 20) + 1, u64::MAX / 2, u64::MAX]) {
            let bucket = bucket_of(micros);
            assert!(micros <= upper_bound(bucket));
            assert!(bucket == 0 || micros > upper_bound(bucket - 1), "{micros}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
