//! The first level: responses in memory, bounded in bytes, kept by how often and how lately they were used (TinyLFU).

use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::HashMap;
use http::HeaderMap;
use http::header::DATE;
use moka::ops::compute::Op;
use moka::sync::Cache as Moka;

use super::flight::Flights;
use super::freshness::date;
use super::key;
use super::purges::Purges;
use super::second::SecondLevel;
use super::stored::Stored;

/// Responses of one key that differ by `Vary` at most; the oldest goes.
const MAX_VARIANTS: usize = 32;
/// How long a key is remembered not to be worth waiting for.
const UNCACHEABLE_FOR: std::time::Duration = std::time::Duration::from_secs(10);

fn made(stored: &Stored) -> Option<SystemTime> {
    date(&stored.headers, &DATE)
}

/// The cache of a gateway.
pub struct Cache {
    stored: Moka<u64, Arc<Variants>, ahash::RandomState>,
    /// Keys whose last response could not be stored: requests for them do not wait for one another.
    uncacheable: Moka<u64, (), ahash::RandomState>,
    pub(super) flights: Flights,
    /// What gateways share, where there is something.
    second: Option<Arc<SecondLevel>>,
}

/// The responses of one key hash, the newest last.
type Variants = Vec<Arc<Stored>>;

impl Cache {
    /// A cache of at most so many bytes.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &u64, variants: &Arc<Variants>| {
            let bytes: usize = variants.iter().map(|stored| stored.weight()).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            stored: Moka::builder()
                .max_capacity(max_bytes)
                .weigher(weigh)
                .build_with_hasher(ahash::RandomState::new()),
            uncacheable: Moka::builder()
                .max_capacity(100_000)
                .time_to_live(UNCACHEABLE_FOR)
                .build_with_hasher(ahash::RandomState::new()),
            flights: Flights::default(),
            second: None,
        }
    }

    /// With a second level behind it.
    #[must_use]
    pub fn with_second_level(self, second: Option<Arc<SecondLevel>>) -> Self {
        Self { second, ..self }
    }

    /// What gateways share, where there is something.
    pub fn second_level(&self) -> Option<&Arc<SecondLevel>> {
        self.second.as_ref()
    }

    /// Responses that are stored, about.
    pub fn entries(&self) -> u64 {
        self.stored.entry_count()
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> u64 {
        self.stored.weighted_size()
    }

    /// The response of a key that answers this request: of several the one that was made last (RFC 9111 §4). Some(None):
    /// there are others of that key.
    pub(super) fn get(&self, hash: u64, key: &[u8], request: &HeaderMap) -> Option<Option<Arc<Stored>>> {
        let variants = self.stored.get(&hash)?;
        let mut of_key = variants.iter().rev().filter(|stored| *stored.key == *key).peekable();
        of_key.peek()?;
        let suitable = of_key.filter(|stored| stored.selecting.matches(request));
        // The newest in the store, unless another says that it was made later.
        let later = suitable.reduce(|one, other| if made(other) > made(one) { other } else { one });
        Some(later.cloned())
    }

    /// Stores a response instead of those that answer the same requests.
    pub(super) fn put(&self, hash: u64, stored: Arc<Stored>) {
        self.uncacheable.invalidate(&hash);
        self.stored.entry(hash).and_compute_with(|before| {
            let before = before.map(moka::Entry::into_value).unwrap_or_default();
            let replaced =
                |other: &Arc<Stored>| other.key == stored.key && other.selecting == stored.selecting;
            let mut variants: Variants = before.iter().filter(|other| !replaced(other)).cloned().collect();
            variants.push(stored);
            let excess = variants.len().saturating_sub(MAX_VARIANTS);
            variants.drain(..excess);
            Op::Put(Arc::new(variants))
        });
    }

    /// Gives back the memory of what purges cover. Looks at every response: not for a thread that serves.
    pub(crate) fn forget_purged(&self, purges: &Purges) {
        let mut apis = HashMap::new();
        let mut is_purged = |stored: &Stored| {
            let Some(api) = key::api(&stored.key) else { return false };
            let purges = apis.entry(api).or_insert_with(|| purges.of(api));
            !purges.allow(stored.url, stored.stamp)
        };
        for (hash, variants) in &self.stored {
            if !variants.iter().any(|stored| is_purged(stored)) {
                continue;
            }
            // As they are now: others may have been stored meanwhile.
            self.stored.entry(*hash).and_compute_with(|now| {
                let mut variants =
                    now.map(moka::Entry::into_value).map_or_else(Vec::new, |now| (*now).clone());
                variants.retain(|stored| !is_purged(stored));
                if variants.is_empty() { Op::Remove } else { Op::Put(Arc::new(variants)) }
            });
        }
        self.stored.run_pending_tasks();
    }

    pub(super) fn is_uncacheable(&self, hash: u64) -> bool {
        self.uncacheable.contains_key(&hash)
    }

    pub(super) fn remember_uncacheable(&self, hash: u64) {
        self.uncacheable.insert(hash, ());
    }
}
