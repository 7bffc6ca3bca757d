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
#[derive(Default)]
pub struct Purges {
    apis: Mutex<HashMap<ApiId, Arc<ApiPurges>>>,
}

impl Purges {
    /// The purges of one API, the same object for as long as the process lives.
    pub fn of(&self, api: ApiId) -> Arc<ApiPurges> {
        Arc::clone(self.apis.lock().entry(api).or_default())
    }

    /// Purges everything of every API.
    pub fn all(&self, stamp: Stamp) {
        self.apis.lock().values().for_each(|api| api.all(stamp));
    }
}

/// The purges of one API.
#[derive(Default)]
pub struct ApiPurges {
    position: AtomicU64,
    at: AtomicU64,
    /// Length of `urls`, so that an API without URL purges takes no lock.
    url_count: AtomicUsize,
    urls: RwLock<HashMap<u64, Stamp, ahash::RandomState>>,
}

impl ApiPurges {
    /// Purges everything of the API.
    pub fn all(&self, stamp: Stamp) {
        self.position.fetch_max(stamp.position, Ordering::SeqCst);
        self.at.fetch_max(stamp.at, Ordering::SeqCst);
    }

    /// Purges one URL, named by the hash of its key (see [`super::key`]).
    pub fn url(&self, url: u64, stamp: Stamp) {
        let mut urls = self.urls.write();
        let kept = urls.entry(url).or_default();
        *kept = Stamp { position: kept.position.max(stamp.position), at: kept.at.max(stamp.at) };
        if urls.len() > MAX_URLS {
            let folded = fold(&mut urls);
            self.all(folded);
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
        self.urls.read().get(&url).is_none_or(|purge| stamp.is_after(*purge))
    }
}

/// Takes the older half out and returns the newest stamp in it.
fn fold(urls: &mut HashMap<u64, Stamp, ahash::RandomState>) -> Stamp {
    let mut times: Vec<u64> = urls.values().map(|stamp| stamp.at).collect();
    let middle = times.len() / 2;
    let (_, &mut median, _) = times.select_nth_unstable(middle);
    let mut newest = Stamp::default();
    urls.retain(|_, stamp| {
        let old = stamp.at <= median;
        if old {
            newest = Stamp { position: newest.position.max(stamp.position), at: newest.at.max(stamp.at) };
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
