//! By how often responses are asked for, and how much memory they take (a TinyLFU that knows sizes): what brings the fewest hits
//! for its memory goes. Of two that are asked for equally often the larger one goes, but not in proportion: four times the size
//! counts as half the uses, so that large responses that are wanted stay, and the bytes that memory answers do not suffer.
//!
//! A hit takes the read lock of one part and counts. Nothing is kept in order: who goes is the least of a few that are drawn by
//! lot, which comes close to the least of all. A response that is new goes itself unless it is worth more than another; how
//! often it came before is remembered about, in a count-min sketch. All counts halve now and then, so that what was wanted
//! once does not stay for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use indexmap::IndexMap;
use parking_lot::RwLock;

use super::{Change, Shelves, Variants, mixed};
use crate::cache::account::{Ledger, Reason};

/// A power of two.
const PARTS: usize = 64;
/// Responses that are drawn when one has to go. Sixteen find hardly a worse one.
const DRAWN: usize = 8;
/// Requests for each response after which counts halve.
const REQUESTS: u64 = 10;
/// Fewer responses than these are taken for as many.
const FEW: u64 = 64;
/// Requests of a part that are added to those of all at once.
const REPORTED: u32 = 64;
/// What one use counts: a use that was halved once or twice counts more than none.
const USE: u16 = 4;
/// Bytes of memory for each counter of what is not stored; a response is seldom smaller.
const BYTES_BY_COUNTER: u64 = 256;

/// A place that keeps what brings most hits for its memory.
pub(super) struct SizeLfu {
    parts: [Part; PARTS],
    drawn: AtomicU64,
    /// Requests since counts were halved last, and how often they were.
    requests: AtomicU64,
    age: AtomicU32,
    max_bytes: u64,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Part {
    /// Requests that are not added to those of all yet, about.
    asked: AtomicU32,
    kept: RwLock<Keeping>,
}

#[derive(Default)]
struct Keeping {
    stored: IndexMap<u64, Held, ahash::RandomState>,
    past: Past,
    /// How often these counts were halved: less often than others while nothing arrives here.
    age: u32,
}

struct Held {
    variants: Arc<Variants>,
    uses: AtomicU16,
}

/// How often keys were stored that are not stored now, about and never too little: a count-min sketch.
#[derive(Default)]
struct Past(Box<[u8]>);

impl SizeLfu {
    pub(super) fn new(max_bytes: u64, ledger: Arc<Ledger>) -> Self {
        let kept = || Keeping { past: Past::new(max_bytes / PARTS as u64), ..Keeping::default() };
        Self {
            parts: std::array::from_fn(|_| Part { asked: AtomicU32::new(0), kept: RwLock::new(kept()) }),
            drawn: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            age: AtomicU32::new(0),
            max_bytes,
            ledger,
        }
    }

    fn part(&self, hash: u64) -> &Part {
        // From the top, as the map itself begins at the other end.
        &self.parts[(hash >> 32) as usize % PARTS]
    }

    /// What brings least for its memory of a few that are drawn, or this one, which has just come.
    fn least(&self, newcomer: Option<u64>) -> Option<u64> {
        let age = self.age.load(Ordering::Relaxed);
        let own = newcomer.and_then(|hash| {
            let kept = self.part(hash).kept.read();
            Some((hash, kept.stored.get(&hash)?.worth(age.saturating_sub(kept.age))))
        });
        let drawn = (0..DRAWN).filter_map(|_| self.draw(age));
        // Of equals the first: the newcomer.
        let least =
            own.into_iter().chain(drawn).reduce(|least, one| if one.1 < least.1 { one } else { least });
        least.map(|(hash, _)| hash)
    }

    /// Any of those that are stored, with what it is worth.
    fn draw(&self, age: u32) -> Option<(u64, f32)> {
        let lot = mixed(self.drawn.fetch_add(1, Ordering::Relaxed));
        let from = (lot >> 32) as usize;
        (0..PARTS).find_map(|step| {
            let kept = self.parts[(from + step) % PARTS].kept.read();
            let (hash, held) = kept.stored.get_index(lot as u32 as usize % kept.stored.len().max(1))?;
            Some((*hash, held.worth(age.saturating_sub(kept.age))))
        })
    }

    /// Counts a request. Two at the same time may count as one.
    fn is_asked(&self, part: &Part) {
        let asked = part.asked.load(Ordering::Relaxed) + 1;
        if asked < REPORTED {
            return part.asked.store(asked, Ordering::Relaxed);
        }
        part.asked.store(0, Ordering::Relaxed);
        let requests = self.requests.fetch_add(u64::from(asked), Ordering::Relaxed);
        if requests >= REQUESTS * self.ledger.entries().max(FEW) {
            self.requests.store(0, Ordering::Relaxed);
            self.age.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn evict(&self, hash: u64) {
        let mut kept = self.part(hash).kept.write();
        if let Some(held) = kept.stored.swap_remove(&hash) {
            self.ledger.leave(&held.variants);
            self.ledger.count_all(Reason::Size, &held.variants.kept);
        }
    }
}

impl Shelves for SizeLfu {
    fn get(&self, hash: u64) -> Option<Arc<Variants>> {
        let part = self.part(hash);
        self.is_asked(part);
        let kept = part.kept.read();
        let held = kept.stored.get(&hash)?;
        held.is_used();
        Some(Arc::clone(&held.variants))
    }

    fn change(&self, hash: u64, change: &mut dyn FnMut(Option<&Arc<Variants>>) -> Change) {
        let part = self.part(hash);
        let mut is_new = false;
        {
            let mut kept = part.kept.write();
            kept.grow_older(self.age.load(Ordering::Relaxed));
            let Keeping { stored, past, .. } = &mut *kept;
            let mut held = stored.get_mut(&hash);
            let before = match change(held.as_ref().map(|held| &held.variants)) {
                Change::Nothing => return,
                Change::Remove => stored.swap_remove(&hash).map(|held| held.variants),
                Change::Keep(variants) => match &mut held {
                    Some(held) => Some(std::mem::replace(&mut held.variants, variants)),
                    None => {
                        is_new = true;
                        let uses = AtomicU16::new(u16::from(past.count(hash)) * USE);
                        stored.insert(hash, Held { variants, uses });
                        None
                    }
                },
            };
            if let Some(before) = before {
                self.ledger.leave(&before);
            }
        }
        while self.ledger.bytes() > self.max_bytes {
            let Some(least) = self.least(is_new.then_some(hash)) else { break };
            self.evict(least);
        }
    }

    fn each(&self, look: &mut dyn FnMut(&Arc<Variants>)) {
        for part in &self.parts {
            // Not under the lock: looking at many takes long.
            let stored: Vec<_> =
                part.kept.read().stored.values().map(|held| Arc::clone(&held.variants)).collect();
            stored.iter().for_each(&mut *look);
        }
    }

    fn settle(&self) {}
}

impl Keeping {
    /// Halves its counts as often as those of others were.
    fn grow_older(&mut self, age: u32) {
        let halvings = age.saturating_sub(self.age);
        if halvings == 0 {
            return;
        }
        self.age = age;
        for held in self.stored.values_mut() {
            let uses = held.uses.get_mut();
            *uses = uses.checked_shr(halvings).unwrap_or(0);
        }
        self.past.halve(halvings);
    }
}

impl Held {
    /// One more; no more than can be counted.
    fn is_used(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if let Some(more) = uses.checked_add(USE) {
            self.uses.store(more, Ordering::Relaxed);
        }
    }

    /// What it brings for its memory, once its count is halved as often as those of others.
    fn worth(&self, halvings: u32) -> f32 {
        let uses = self.uses.load(Ordering::Relaxed).checked_shr(halvings).unwrap_or(0);
        let uses = f32::from(uses) + 1.0;
        uses / (self.variants.bytes() as f32).sqrt()
    }
}

impl Past {
    /// For so many bytes of responses.
    fn new(bytes: u64) -> Self {
        let counters = (bytes / BYTES_BY_COUNTER).next_power_of_two().clamp(64, 1 << 20);
        Self(vec![0; counters as usize].into_boxed_slice())
    }

    fn places(&self, hash: u64) -> [usize; 3] {
        let mixed = mixed(hash);
        [0, 21, 42].map(|from| (mixed >> from) as usize & (self.0.len() - 1))
    }

    /// Counts one more, and tells how many there are.
    fn count(&mut self, hash: u64) -> u8 {
        let places = self.places(hash);
        let known = places.map(|place| self.0[place]).into_iter().min().unwrap_or_default();
        let now = known.saturating_add(1);
        for place in places {
            self.0[place] = self.0[place].max(now);
        }
        now
    }

    fn halve(&mut self, times: u32) {
        self.0.iter_mut().for_each(|counter| *counter = counter.checked_shr(times).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::Past;

    #[test]
    fn what_is_not_stored_is_counted_never_too_low_and_forgotten_by_halves() {
        let mut past = Past::new(1 << 20);
        for key in 0..500_u64 {
            (0..=key % 5).for_each(|_| {
                past.count(key);
            });
        }
        let counts =
            |past: &Past, key: u64| past.places(key).map(|place| past.0[place]).into_iter().min().unwrap();
        assert!((0..500).all(|key| u64::from(counts(&past, key)) > key % 5));
        let exact = (0..500).filter(|key| u64::from(counts(&past, *key)) == key % 5 + 1).count();
        assert!(exact > 480, "{exact}");
        past.halve(1);
        assert!((0..500).all(|key| u64::from(counts(&past, key)) >= (key % 5).div_ceil(2)));
        past.halve(9);
        assert!((0..500).all(|key| counts(&past, key) == 0));
    }
}
