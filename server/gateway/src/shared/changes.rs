//! URLs that unsafe methods have changed here, until the control plane has been told: other gateways have them in memory too.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sluice_contract::ids::{ApiId, PurgeId};
use sluice_contract::link::ChangedUrl;
use tokio::sync::Notify;

/// URLs that may wait; past it the newest are not told.
const MOST: usize = 4_096;

/// What is to be told.
pub struct Changes {
    /// What their purges are called: this gateway has made them true by itself.
    pub own: PurgeId,
    waiting: Mutex<Waiting>,
    news: Notify,
    /// Not told, since there were too many.
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    in_order: VecDeque<ChangedUrl>,
    /// The same: a URL that is changed again before it was told is told once.
    all: HashSet<ChangedUrl>,
}

impl Default for Changes {
    fn default() -> Self {
        let (waiting, news) = (Mutex::default(), Notify::new());
        Self { own: PurgeId::generate(), waiting, news, dropped: AtomicU64::new(0) }
    }
}

impl Changes {
    /// A path below the API's base has changed, with its query as callers send it.
    pub(crate) fn note(&self, api: ApiId, path: &str, query: &str) {
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let url = ChangedUrl { api, path };
        if !url.is_usable() || !self.add(url) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.news.notify_one();
    }

    fn add(&self, url: ChangedUrl) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.all.len() >= MOST {
            return waiting.all.contains(&url);
        }
        if waiting.all.insert(url.clone()) {
            waiting.in_order.push_back(url);
        }
        true
    }

    /// Waits until there is something to tell.
    pub(crate) async fn any(&self) {
        while self.waiting.lock().all.is_empty() {
            self.news.notified().await;
        }
    }

    /// The oldest of them, which do not wait any more.
    pub(crate) fn take(&self, most: usize) -> Vec<ChangedUrl> {
        let mut waiting = self.waiting.lock();
        let count = waiting.in_order.len().min(most);
        let taken: Vec<_> = waiting.in_order.drain(..count).collect();
        taken.iter().for_each(|url| _ = waiting.all.remove(url));
        taken
    }

    /// They could not be told.
    pub(crate) fn put_back(&self, urls: Vec<ChangedUrl>) {
        for url in urls {
            if !self.add(url) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Changes that were not told, since start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_once_in_order_and_no_more_than_a_bound_waits() {
        let (changes, api) = (Changes::default(), ApiId::generate());
        for (path, query) in [("/a", ""), ("/b", "x=1"), ("/a", ""), ("no path", ""), ("/c", "")] {
            changes.note(api, path, query);
        }
        let paths = |urls: &[ChangedUrl]| urls.iter().map(|url| url.path.clone()).collect::<Vec<_>>();
        let first = changes.take(2);
        assert_eq!(paths(&first), ["/a", "/b?x=1"]);
        changes.note(api, "/a", "");
        changes.put_back(first);
        assert_eq!(paths(&changes.take(9)), ["/c", "/a", "/b?x=1"]);
        assert_eq!((changes.take(9).len(), changes.dropped()), (0, 1), "what is no path is not told");
        (0..MOST + 5).for_each(|number| changes.note(api, &format!("/{number}"), ""));
        changes.note(api, "/0", "");
        assert_eq!((changes.take(usize::MAX).len(), changes.dropped()), (MOST, 6));
    }
}
