//! Traces that are made: popularity by Zipf, one call a millisecond on average.

use sluice_advisor::Request;

#[derive(Clone, Copy)]
pub struct Zipf {
    pub keys: u64,
    pub skew: f64,
}

/// So many calls, the same for the same seed.
pub fn trace(zipf: Zipf, calls: usize, seed: u64) -> Vec<Request> {
    let mut sum = 0.0;
    let weights = (1..=zipf.keys).map(|rank| {
        sum += (rank as f64).powf(-zipf.skew);
        sum
    });
    let weights: Vec<f64> = weights.collect();
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut at_ms = 0;
    let one = |_| {
        at_ms += (draw() * 2.5) as u64;
        let place = draw() * sum;
        let key = weights.partition_point(|weight| *weight < place) as u64;
        Request { at_ms, key, bytes: 1_000 + key * 7_919 % 14_000, is_storable: true }
    };
    (0..calls).map(one).collect()
}
