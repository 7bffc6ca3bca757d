//! Purges as stamps: a stored response is good only if its fetch began after every purge that covers it.
//!
//! Nothing is searched or removed when a purge arrives, so that a fill that is still in flight, or a copy from a second
//! level, is refused by the same comparison as one that is stored already. What can never be served again is taken out of
//! memory a little later (see [`super::store::Cache::forget_purged`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use sluice_contract::ids::ApiId;
use sluice_contract::journal::Position;

/// URL stamps kept for each API; past it the older half becomes one stamp for the whole API, which purges too much but
/// never too little.
const MAX_URLS: usize = 65_536;

/// When a fetch began, or a purge became true: the journal position seen, and this gateway's own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub position: Position,
    /// Nanoseconds of [`crate::clock::Clock`].
    pub at: u64,
}

impl Stamp {
    /// Whether what was fetched at this stamp is untouched by a purge at the other.
    fn is_after(self, purge: Self) -> bool {
        self.position >= purge.position && self.at > purge.at
    }
}

/// The purges of every API, kept over versions of the API.
pub struct Purges {
    apis: Mutex<HashMap<ApiId, Arc<ApiPurges>>>,
    known_from: AtomicU64,
}

impl Default for Purges {
    /// Nothing is known of any purge.
    fn default() -> Self {
        Self { apis: Mutex::default(), known_from: AtomicU64::new(Position::MAX) }
    }
}

impl Purges {
    /// Every purge after this position is known from now on. What was stored elsewhere at an earlier one may have been purged
    /// without this gateway's knowing.
    pub fn know_from(&self, position: Position) {
        self.known_from.store(position, Ordering::SeqCst);
    }

    /// Whether every purge since this position is known.
    pub fn know_since(&self, position: Position) -> bool {
        position >= self.known_from.load(Ordering::SeqCst)
    }

    /// The purges of one API, the same object for as long as the process lives.
    pub fn of(&self, api: ApiId) -> Arc<ApiPurges> {
        Arc::clone(self.apis.lock().entry(api).or_default())
    }

    /// Purges everything of every API.
    pub fn all(&self, stamp: Stamp) {
        self.apis.lock().values().for_each(|api| api.all(stamp));
    }
}

/// The newest purges of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
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
}

/// The purges of one API.
#[derive(Default)]
pub struct ApiPurges {
    position: AtomicU64,
    at: AtomicU64,
    own_at: AtomicU64,
    /// Length of `urls`, so that an API without URL purges takes no lock.
    url_count: AtomicUsize,
    urls: RwLock<HashMap<u64, Mark, ahash::RandomState>>,
}

impl ApiPurges {
    /// Purges everything of the API.
    pub fn all(&self, stamp: Stamp) {
        self.mark(Mark::of(stamp));
    }

    fn mark(&self, Mark { newest, own_at }: Mark) {
        self.position.fetch_max(newest.position, Ordering::SeqCst);
        self.at.fetch_max(newest.at, Ordering::SeqCst);
        self.own_at.fetch_max(own_at, Ordering::SeqCst);
    }

    /// Purges one URL, named by the hash of its key (see [`super::key`]).
    pub fn url(&self, url: u64, stamp: Stamp) {
        let mut urls = self.urls.write();
        let kept = urls.entry(url).or_default();
        *kept = kept.and(Mark::of(stamp));
        if urls.len() > MAX_URLS {
            let folded = fold(&mut urls);
            self.mark(folded);
        }
        self.url_count.store(urls.len(), Ordering::SeqCst);
    }

    /// Whether a response whose fetch began at `stamp` is still good.
    pub fn allow(&self, url: u64, stamp: Stamp) -> bool {
        let all =
            Stamp { position: self.position.load(Ordering::SeqCst), at: self.at.load(Ordering::SeqCst) };
        if all.at > 0 && !stamp.is_after(all) {
            return false;
        }
        if self.url_count.load(Ordering::SeqCst) == 0 {
            return true;
        }
        self.urls.read().get(&url).is_none_or(|purge| stamp.is_after(purge.newest))
    }

    /// Whether a response that another gateway has fetched is still good. The journal's order tells that for every purge that is
    /// in it; for what only this gateway knows of, `stamp` says when the fetch began by this gateway's clock, at the earliest.
    pub fn allow_foreign(&self, url: u64, stamp: Stamp) -> bool {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let newest = Stamp { position: of(&self.position), at: of(&self.at) };
        let all = Mark { newest, own_at: of(&self.own_at) };
        let mark = self.urls.read().get(&url).map_or(all, |purge| all.and(*purge));
        stamp.position >= mark.newest.position && (mark.own_at == 0 || stamp.at > mark.own_at)
    }
}

/// Takes the older half out and returns the newest stamp in it.
fn fold(urls: &mut HashMap<u64, Mark, ahash::RandomState>) -> Mark {
    let mut times: Vec<u64> = urls.values().map(|mark| mark.newest.at).collect();
    let middle = times.len() / 2;
    let (_, &mut median, _) = times.select_nth_unstable(middle);
    let mut newest = Mark::default();
    urls.retain(|_, mark| {
        let old = mark.newest.at <= median;
        if old {
            newest = newest.and(*mark);
        }
        !old
    });
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(position: Position, at: u64) -> Stamp {
        Stamp { position, at }
    }

    #[test]
    fn what_was_fetched_before_a_purge_is_never_good_again() {
        let purges = ApiPurges::default();
        assert!(purges.allow(1, stamp(0, 0)));
        purges.url(1, stamp(5, 100));
        assert!(!purges.allow(1, stamp(4, 99)), "stored before");
        assert!(!purges.allow(1, stamp(5, 100)), "the same moment counts as before");
        assert!(!purges.allow(1, stamp(4, 101)), "fetched on a gateway that did not know of the purge");
        assert!(purges.allow(1, stamp(5, 101)));
        assert!(purges.allow(2, stamp(4, 99)), "another URL");
        purges.all(stamp(6, 200));
        assert!(!purges.allow(2, stamp(5, 150)));
        assert!(purges.allow(2, stamp(6, 201)));
    }

    #[test]
    fn what_another_gateway_fetched_is_judged_by_the_journal_and_by_the_clock_where_that_is_silent() {
        let purges = ApiPurges::default();
        assert!(purges.allow_foreign(1, stamp(0, 0)));
        purges.url(1, stamp(5, 100));
        assert!(!purges.allow_foreign(1, stamp(4, 999)));
        assert!(purges.allow_foreign(1, stamp(5, 1)), "whoever saw the purge fetched after it");
        purges.url(1, stamp(0, 200));
        assert!(!purges.allow_foreign(1, stamp(5, 200)) && purges.allow_foreign(1, stamp(5, 201)));
        purges.all(stamp(6, 300));
        assert!(!purges.allow_foreign(2, stamp(5, 999)) && purges.allow_foreign(2, stamp(6, 1)));
        assert!(!purges.allow_foreign(1, stamp(6, 200)), "both count");
    }

    #[test]
    fn many_purged_urls_fold_into_one_stamp_that_covers_them() {
        let purges = ApiPurges::default();
        (0..=MAX_URLS as u64).for_each(|url| purges.url(url, stamp(url + 1, url + 1)));
        assert!(purges.urls.read().len() <= MAX_URLS / 2 + 1);
        for url in [0, 1_000, MAX_URLS as u64] {
            assert!(!purges.allow(url, stamp(url, url)), "{url}");
        }
        let now = MAX_URLS as u64 + 2;
        assert!(purges.allow(0, stamp(now, now)));
    }
}
