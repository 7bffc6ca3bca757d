//! By how often and how lately responses were used (TinyLFU), or by how lately alone (LRU): moka.

use std::sync::Arc;

use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Moka;

use super::{Change, Shelves, Variants};
use crate::cache::account::{Ledger, Reason};

/// Moka, which tells what it drops.
pub(super) struct Recency(Moka<u64, Arc<Variants>, ahash::RandomState>);

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Often,
    Lately,
}

impl Recency {
    pub(super) fn new(counts: Use, max_bytes: u64, ledger: Arc<Ledger>) -> Self {
        let policy = match counts {
            Use::Often => EvictionPolicy::tiny_lfu(),
            Use::Lately => EvictionPolicy::lru(),
        };
        let left = move |_: Arc<u64>, variants: Arc<Variants>, cause: RemovalCause| {
            ledger.leave(&variants);
            // What is taken out or replaced on purpose is counted where that is done.
            if cause == RemovalCause::Size {
                ledger.count_all(Reason::Size, &variants.kept);
            }
        };
        let moka = Moka::builder()
            .max_capacity(max_bytes)
            .weigher(|_, variants: &Arc<Variants>| u32::try_from(variants.bytes()).unwrap_or(u32::MAX))
            .eviction_policy(policy)
            .eviction_listener(left)
            .build_with_hasher(ahash::RandomState::new());
        Self(moka)
    }
}

impl Shelves for Recency {
    fn get(&self, hash: u64) -> Option<Arc<Variants>> {
        self.0.get(&hash)
    }

    fn change(&self, hash: u64, change: &mut dyn FnMut(Option<&Arc<Variants>>) -> Change) {
        self.0.entry(hash).and_compute_with(|before| match change(before.as_ref().map(moka::Entry::value)) {
            Change::Nothing => Op::Nop,
            Change::Keep(variants) => Op::Put(variants),
            Change::Remove => Op::Remove,
        });
    }

    fn each(&self, look: &mut dyn FnMut(&Arc<Variants>)) {
        self.0.iter().for_each(|(_, variants)| look(&variants));
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}
