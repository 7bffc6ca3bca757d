//! The newest purges of an API, by what they name; bounded.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::RwLock;
use sluice_contract::journal::Position;

use super::Stamp;
use crate::cache::labels::{Kind, Label, Labelled};

/// Stamps of labels that are kept for each API; past it the older half becomes one stamp for the whole API, which purges too
/// much but never too little.
pub(super) const MOST: usize = 65_536;

/// The newest purges of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    newest: Stamp,
    /// When the newest was that only this gateway knows of: an unsafe method, which has no place in the journal.
    own_at: u64,
}

impl Mark {
    fn of(stamp: Stamp) -> Self {
        Self { newest: stamp, own_at: if stamp.position == 0 { stamp.at } else { 0 } }
    }

    fn and(self, other: Self) -> Self {
        let position = self.newest.position.max(other.newest.position);
        let at = self.newest.at.max(other.newest.at);
        Self { newest: Stamp { position, at }, own_at: self.own_at.max(other.own_at) }
    }

    /// By this gateway's clock; zero: there was none.
    pub(super) fn at(&self) -> u64 {
        self.newest.at
    }

    /// Whether what was fetched here at this stamp is untouched.
    pub(super) fn allows(&self, stamp: Stamp) -> bool {
        self.newest.at == 0 || stamp.position >= self.newest.position && stamp.at > self.newest.at
    }

    /// Whether what another gateway fetched is.
    pub(super) fn allows_foreign(&self, stamp: Stamp) -> bool {
        stamp.position >= self.newest.position && (self.own_at == 0 || stamp.at > self.own_at)
    }
}

type Marks = HashMap<Label, Mark, ahash::RandomState>;

/// Purges of one strength.
#[derive(Default)]
pub(super) struct Table {
    position: AtomicU64,
    at: AtomicU64,
    own_at: AtomicU64,
    /// A bit for each kind of label that there are purges of, so that others cost a hit neither a lock nor a look.
    kinds: AtomicU8,
    marks: RwLock<Marks>,
}

impl Table {
    pub(super) fn all(&self, stamp: Stamp) {
        self.mark(Mark::of(stamp));
    }

    /// Everything is purged, and positions of purges before mean nothing any more: the journal may have begun anew further back.
    pub(super) fn begin_anew(&self, stamp: Stamp) {
        let mut marks = self.marks.write();
        // The time first: it covers all that is stored, whatever the position says meanwhile.
        self.at.fetch_max(stamp.at, Ordering::SeqCst);
        self.position.store(stamp.position, Ordering::SeqCst);
        let own_at = marks.values().map(|mark| mark.own_at).max().unwrap_or_default();
        self.own_at.fetch_max(own_at, Ordering::SeqCst);
        marks.clear();
        self.count(&marks);
    }

    fn mark(&self, Mark { newest, own_at }: Mark) {
        self.position.fetch_max(newest.position, Ordering::SeqCst);
        self.at.fetch_max(newest.at, Ordering::SeqCst);
        self.own_at.fetch_max(own_at, Ordering::SeqCst);
    }

    pub(super) fn label(&self, label: Label, stamp: Stamp) {
        let mut marks = self.marks.write();
        let kept = marks.entry(label).or_default();
        *kept = kept.and(Mark::of(stamp));
        self.kinds.fetch_or(label.kind().bit(), Ordering::SeqCst);
        if marks.len() > MOST {
            let folded = fold(&mut marks);
            self.mark(folded);
            self.count(&marks);
        }
    }

    fn count(&self, marks: &Marks) {
        let kinds = marks.keys().fold(0, |kinds, label| kinds | label.kind().bit());
        self.kinds.store(kinds, Ordering::SeqCst);
    }

    /// All purges that cover a response, as one.
    pub(super) fn covering(&self, response: &Labelled<'_>) -> Mark {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let mut newest = Mark {
            newest: Stamp { position: of(&self.position), at: of(&self.at) },
            own_at: of(&self.own_at),
        };
        let kinds = self.kinds.load(Ordering::SeqCst);
        if kinds == 0 {
            return newest;
        }
        let marks = self.marks.read();
        for kind in Kind::ALL.into_iter().filter(|kind| kinds & kind.bit() != 0) {
            response.each(kind, |label| {
                if let Some(mark) = marks.get(&label) {
                    newest = newest.and(*mark);
                }
            });
        }
        newest
    }

    /// The journal's position of the newest purge of anything but a tag; adds those of tags.
    pub(super) fn positions(&self, tags: &mut Vec<(u64, Position)>) -> Position {
        let mut all = self.position.load(Ordering::SeqCst);
        for (label, mark) in self.marks.read().iter() {
            match label {
                Label::Tag(tag) => tags.push((*tag, mark.newest.position)),
                Label::Url(_) | Label::Prefix(_) => all = all.max(mark.newest.position),
            }
        }
        all
    }

    pub(super) fn drop_before(&self, at: u64) {
        let mut marks = self.marks.write();
        marks.retain(|_, mark| mark.newest.at >= at);
        marks.shrink_to_fit();
        self.count(&marks);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.marks.read().len()
    }
}

/// Takes the older half out and returns the newest stamp in it.
fn fold(marks: &mut Marks) -> Mark {
    // Those of the last life are all as old as this one: among them the journal's order counts.
    let age = |mark: &Mark| (mark.newest.at, mark.newest.position);
    let mut ages: Vec<_> = marks.values().map(age).collect();
    let middle = ages.len() / 2;
    let (_, &mut median, _) = ages.select_nth_unstable(middle);
    let mut newest = Mark::default();
    marks.retain(|_, mark| {
        let old = age(mark) <= median;
        if old {
            newest = newest.and(*mark);
        }
        !old
    });
    newest
}
