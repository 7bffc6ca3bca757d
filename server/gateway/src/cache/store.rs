//! The first level: responses in memory, bounded in bytes, kept by how often and how lately they were used (TinyLFU).

use std::sync::Arc;

use http::HeaderMap;
use moka::ops::compute::Op;
use moka::sync::Cache as Moka;

use super::flight::Flights;
use super::stored::Stored;

/// Responses of one key that differ by `Vary` at most; the oldest goes.
const MAX_VARIANTS: usize = 32;
/// How long a key is remembered not to be worth waiting for.
const UNCACHEABLE_FOR: std::time::Duration = std::time::Duration::from_secs(10);

/// The cache of a gateway.
pub struct Cache {
    stored: Moka<u64, Arc<Variants>, ahash::RandomState>,
    /// Keys whose last response could not be stored: requests for them do not wait for one another.
    uncacheable: Moka<u64, (), ahash::RandomState>,
    pub(super) flights: Flights,
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
        }
    }

    /// Responses that are stored, about.
    pub fn entries(&self) -> u64 {
        self.stored.entry_count()
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> u64 {
        self.stored.weighted_size()
    }

    /// The newest response of a key that answers this request. Some(None): there are others of that key.
    pub(super) fn get(&self, hash: u64, key: &[u8], request: &HeaderMap) -> Option<Option<Arc<Stored>>> {
        let variants = self.stored.get(&hash)?;
        let mut of_key = variants.iter().rev().filter(|stored| *stored.key == *key).peekable();
        of_key.peek()?;
        Some(of_key.find(|stored| stored.selecting.matches(request)).cloned())
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

    pub(super) fn is_uncacheable(&self, hash: u64) -> bool {
        self.uncacheable.contains_key(&hash)
    }

    pub(super) fn remember_uncacheable(&self, hash: u64) {
        self.uncacheable.insert(hash, ());
    }
}
