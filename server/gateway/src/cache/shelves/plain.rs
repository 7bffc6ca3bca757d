//! By the order of arrival (FIFO), or by lot (random): a map in parts, and a line of what is in it. A hit takes the read lock of
//! one part and notes nothing, so that it costs least of all; whatever has to be decided is decided where responses arrive.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use super::{Change, Shelves, Variants, mixed};
use crate::cache::account::{Ledger, Reason};

/// A power of two.
const PARTS: usize = 64;

type Part = RwLock<HashMap<u64, Arc<Variants>, ahash::RandomState>>;

/// A place that does not look at what is asked for.
pub(super) struct Plain {
    parts: [Part; PARTS],
    line: Mutex<Line>,
    choice: Choice,
    max_bytes: u64,
    ledger: Arc<Ledger>,
}

/// Who goes when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    First,
    ByLot,
}

/// What is stored, the oldest first where that counts; of some the responses have left already.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Weak<Variants>>,
    stored: usize,
    drawn: u64,
}

impl Plain {
    pub(super) fn new(choice: Choice, max_bytes: u64, ledger: Arc<Ledger>) -> Self {
        Self {
            parts: std::array::from_fn(|_| Part::default()),
            line: Mutex::default(),
            choice,
            max_bytes,
            ledger,
        }
    }

    fn part(&self, hash: u64) -> &Part {
        // From the top, as the map itself begins at the other end.
        &self.parts[(hash >> 32) as usize % PARTS]
    }

    fn left(&self, variants: &Variants) {
        self.ledger.leave(variants);
        self.line.lock().stored -= 1;
    }

    /// False when there is nothing left.
    fn evict_one(&self) -> bool {
        let Some(chosen) = self.line.lock().take(self.choice) else { return false };
        let mut part = self.part(chosen.hash).write();
        // Another may have taken its place meanwhile.
        if part.get(&chosen.hash).is_some_and(|now| Arc::ptr_eq(now, &chosen)) {
            part.remove(&chosen.hash);
            self.left(&chosen);
            self.ledger.count_all(Reason::Size, &chosen.kept);
        }
        true
    }
}

impl Shelves for Plain {
    fn get(&self, hash: u64) -> Option<Arc<Variants>> {
        self.part(hash).read().get(&hash).cloned()
    }

    fn change(&self, hash: u64, change: &mut dyn FnMut(Option<&Arc<Variants>>) -> Change) {
        {
            let mut part = self.part(hash).write();
            let before = match change(part.get(&hash)) {
                Change::Nothing => return,
                Change::Remove => part.remove(&hash),
                Change::Keep(variants) => {
                    self.line.lock().push(&variants);
                    part.insert(hash, variants)
                }
            };
            if let Some(before) = before {
                self.left(&before);
            }
        }
        while self.ledger.bytes() > self.max_bytes && self.evict_one() {}
    }

    fn each(&self, look: &mut dyn FnMut(&Arc<Variants>)) {
        for part in &self.parts {
            // Not under the lock: looking at many takes long.
            let stored: Vec<_> = part.read().values().cloned().collect();
            stored.iter().for_each(&mut *look);
        }
    }

    fn settle(&self) {}
}

impl Line {
    fn push(&mut self, variants: &Arc<Variants>) {
        self.stored += 1;
        if self.waiting.len() > 64 + 2 * self.stored {
            self.waiting.retain(|one| one.upgrade().is_some_and(|variants| !variants.is_gone()));
        }
        self.waiting.push_back(Arc::downgrade(variants));
    }

    fn take(&mut self, choice: Choice) -> Option<Arc<Variants>> {
        loop {
            let one = match choice {
                Choice::First => self.waiting.pop_front()?,
                Choice::ByLot => {
                    let lot = self.draw() as usize % self.waiting.len().max(1);
                    self.waiting.swap_remove_back(lot)?
                }
            };
            if let Some(variants) = one.upgrade().filter(|variants| !variants.is_gone()) {
                return Some(variants);
            }
        }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mixed(self.drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_again_and_again_stands_in_line_a_few_times_only() {
        let plain = Plain::new(Choice::First, 1 << 20, Arc::default());
        for _ in 0..1_000 {
            plain.change(1, &mut |_| Change::Keep(Variants::new(1, Vec::new())));
        }
        let line = plain.line.lock();
        assert_eq!(line.stored, 1);
        assert!(line.waiting.len() < 100, "{}", line.waiting.len());
    }

    #[test]
    fn the_line_forgets_those_that_have_left_and_takes_each_that_is_there_once() {
        for choice in [Choice::First, Choice::ByLot] {
            let mut line = Line::default();
            let there: Vec<_> = (0..50).map(|hash| Variants::new(hash, Vec::new())).collect();
            there.iter().for_each(|variants| line.push(variants));
            let replaced = Variants::new(50, Vec::new());
            replaced.gone.store(true, std::sync::atomic::Ordering::Relaxed);
            for _ in 0..1_000 {
                line.push(&replaced);
                line.stored -= 1;
                line.push(&Variants::new(51, Vec::new()));
                line.stored -= 1;
            }
            assert!(line.waiting.len() <= 64 + 2 * 52, "{}", line.waiting.len());
            let taken: Vec<_> =
                std::iter::from_fn(|| line.take(choice)).map(|variants| variants.hash).collect();
            let mut all = taken.clone();
            all.sort_unstable();
            assert!(all.iter().copied().eq(0..50), "{taken:?}");
            assert_eq!(taken == all, choice == Choice::First, "{choice:?}: {taken:?}");
        }
    }
}
