//! How many bytes of other responses were used since a response was used last: what Olken's tree answers, here by a Fenwick
//! tree over the calls, each holding the bytes of the response that it was the last to use.

/// Bytes by the position of their last use.
pub(crate) struct LastUses {
    /// `sums[i]` is the sum of the `i & -i` positions that end with position `i`, counted from 1.
    sums: Vec<u64>,
    total: u64,
}

impl LastUses {
    /// Room for uses at positions below `count`.
    pub(crate) fn new(count: usize) -> Self {
        Self { sums: vec![0; count + 1], total: 0 }
    }

    /// A response was used last here.
    pub(crate) fn add(&mut self, position: usize, bytes: u64) {
        self.total += bytes;
        self.change(position, |sum| *sum += bytes);
    }

    /// It is used elsewhere now, or not kept.
    pub(crate) fn remove(&mut self, position: usize, bytes: u64) {
        self.total -= bytes;
        self.change(position, |sum| *sum -= bytes);
    }

    /// Bytes that were used last after this position.
    pub(crate) fn after(&self, position: usize) -> u64 {
        let (mut i, mut until) = (position + 1, 0);
        while i > 0 {
            until += self.sums[i];
            i &= i - 1;
        }
        self.total - until
    }

    fn change(&mut self, position: usize, change: impl Fn(&mut u64)) {
        let mut i = position + 1;
        while let Some(sum) = self.sums.get_mut(i) {
            change(sum);
            i += i & i.wrapping_neg();
        }
    }
}
