//! SHARDS: a sample of the responses, chosen by a hash of their keys, with all calls for each (Waldspurger et al., "Efficient
//! MRC Construction with SHARDS", FAST '15, §3.1: a fixed rate).

use std::collections::HashSet;

use crate::predict::Request;

/// Responses that a sample has at least, if there are as many.
const FEWEST: usize = 2_000;
/// How many parts the hashes of keys are divided into.
const PARTS: u64 = 1 << 24;

/// Which share of all responses is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Hashes below this are looked at, of [`PARTS`].
    below: u64,
}

impl Sampling {
    /// Every response.
    pub const ALL: Self = Self { below: PARTS };

    /// About this share of all responses, between one in sixteen million and all.
    pub fn of(rate: f64) -> Self {
        Self { below: ((rate * PARTS as f64) as u64).clamp(1, PARTS) }
    }

    /// A share that leaves about so many calls of a trace, and enough of its responses to stand for all: where a few are asked for
    /// most of the time, a sample of them would tell of these few or not.
    pub fn for_trace(trace: &[Request], most: usize) -> Self {
        if trace.len() <= most {
            return Self::ALL;
        }
        let responses = trace.iter().map(|request| request.key).collect::<HashSet<_>>().len();
        let least = FEWEST as f64 / responses as f64;
        Self::of(least.max(most as f64 / trace.len() as f64))
    }

    /// The share.
    pub fn rate(self) -> f64 {
        self.below as f64 / PARTS as f64
    }

    pub(crate) fn takes(self, key: u64) -> bool {
        mixed(key) % PARTS < self.below
    }
}

/// A hash whose low bits depend on all bits of the key (the finalizer of SplitMix64): keys may be numbers in a row.
fn mixed(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
