//! Where the first level keeps responses, by the hash of their key, and what goes when there is no room.

#[cfg(test)]
mod comparison;
mod plain;
mod recency;
mod size_lfu;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::account::{Account, Ledger};
use super::stored::Stored;
use plain::{Choice, Plain};
use recency::{Recency, Use};
use size_lfu::SizeLfu;

/// The responses of one key hash.
pub(super) struct Variants {
    pub(super) hash: u64,
    /// The newest last.
    pub(super) kept: Vec<Kept>,
    /// Asked for since it came.
    pub(super) used: AtomicBool,
    /// No longer stored.
    pub(super) gone: AtomicBool,
}

/// A response, who pays for it, and how much.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) stored: Arc<Stored>,
    pub(super) account: Arc<Account>,
    pub(super) bytes: u64,
}

/// What becomes of a key's responses.
pub(super) enum Change {
    Nothing,
    Keep(Arc<Variants>),
    Remove,
}

/// A place for responses that is bounded in bytes. Whatever leaves is told to the [`Ledger`], once, by whoever keeps it here.
pub(super) trait Shelves: Send + Sync {
    fn get(&self, hash: u64) -> Option<Arc<Variants>>;

    /// Changes what is kept for a hash, as nobody else does at the same time.
    fn change(&self, hash: u64, change: &mut dyn FnMut(Option<&Arc<Variants>>) -> Change);

    /// Looks at everything; what comes or goes meanwhile may be missed.
    fn each(&self, look: &mut dyn FnMut(&Arc<Variants>));

    /// Does now what is otherwise done now and then.
    fn settle(&self);
}

/// What goes when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// What brings the fewest hits for the memory that it takes.
    #[default]
    SizeLfu,
    /// What is used least often: what is asked for once does not displace what is asked for again and again.
    TinyLfu,
    /// What was not used for longest.
    Lru,
    /// What came first.
    Fifo,
    /// Any.
    Random,
}

/// No name of an [`Eviction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of `sizelfu`, `tinylfu`, `lru`, `fifo` and `random`")]
pub struct UnknownEviction;

impl Eviction {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::SizeLfu, Self::TinyLfu, Self::Lru, Self::Fifo, Self::Random];

    /// As it is set and told.
    pub fn name(self) -> &'static str {
        match self {
            Self::SizeLfu => "sizelfu",
            Self::TinyLfu => "tinylfu",
            Self::Lru => "lru",
            Self::Fifo => "fifo",
            Self::Random => "random",
        }
    }

    /// An empty place of so many bytes.
    pub(super) fn shelves(self, max_bytes: u64, ledger: &Arc<Ledger>) -> Box<dyn Shelves> {
        let ledger = Arc::clone(ledger);
        match self {
            Self::SizeLfu => Box::new(SizeLfu::new(max_bytes, ledger)),
            Self::TinyLfu => Box::new(Recency::new(Use::Often, max_bytes, ledger)),
            Self::Lru => Box::new(Recency::new(Use::Lately, max_bytes, ledger)),
            Self::Fifo => Box::new(Plain::new(Choice::First, max_bytes, ledger)),
            Self::Random => Box::new(Plain::new(Choice::ByLot, max_bytes, ledger)),
        }
    }
}

/// SplitMix64's last step: numbers that only look random. Nothing that matters is guessed by knowing them.
fn mixed(value: u64) -> u64 {
    let mixed = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl std::str::FromStr for Eviction {
    type Err = UnknownEviction;

    fn from_str(text: &str) -> Result<Self, UnknownEviction> {
        Self::ALL.into_iter().find(|known| known.name() == text).ok_or(UnknownEviction)
    }
}

impl Variants {
    pub(super) fn new(hash: u64, kept: Vec<Kept>) -> Arc<Self> {
        Arc::new(Self { hash, kept, used: AtomicBool::new(false), gone: AtomicBool::new(false) })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Somebody asks for it. Most of the time that is known, and nothing is written that other threads read.
    pub(super) fn is_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl Kept {
    pub(super) fn new(stored: Arc<Stored>, account: Arc<Account>) -> Self {
        let bytes = stored.weight() as u64;
        Self { stored, account, bytes }
    }
}
