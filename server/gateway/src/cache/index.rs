//! Which keys of the store have which labels, so that a purge finds what it covers without looking at everything, and can say
//! beforehand how much that is.
//!
//! It is kept with the store's accounts and bounded by the store. Each entry names the list of responses that it is of: a list that leaves
//! late takes nothing out that has arrived meanwhile.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use sluice_contract::ids::ApiId;

use super::key;
use super::shelves::Variants;
use super::stored::Stored;

/// Keys that are looked at without letting others have the lock.
const TOGETHER: usize = 1_024;

/// What purges find responses by.
#[derive(Default)]
pub(super) struct Index {
    apis: Mutex<HashMap<ApiId, Arc<Mutex<ApiIndex>>>>,
}

/// The responses of an API.
#[derive(Default)]
struct ApiIndex {
    /// By the path that clients ask for, then the key's hash.
    paths: BTreeMap<(Arc<str>, u64), Entry>,
    tags: HashMap<u64, HashMap<u64, Entry, ahash::RandomState>, ahash::RandomState>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The address of the list, which is told to leave before it is freed.
    list: usize,
    url: u64,
    bytes: u64,
}

/// Responses of an API by what they have in common.
#[derive(Clone, Debug)]
pub(crate) enum Covered {
    All,
    /// One URL: its path, and its hash with the query.
    Url(String, u64),
    /// Whole segments of a path.
    Prefix(String),
    Tag(u64),
}

/// How many there are, and their bytes in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Index {
    fn of(&self, api: ApiId) -> Arc<Mutex<ApiIndex>> {
        Arc::clone(self.apis.lock().entry(api).or_default())
    }

    /// The responses of a key are about to be stored.
    pub(super) fn arrive(&self, variants: &Variants) {
        for kept in &variants.kept {
            self.with(&kept.stored, |index| index.insert(variants, &kept.stored, kept.bytes));
        }
    }

    /// They are stored no more, or by another list that has arrived.
    pub(super) fn leave(&self, variants: &Variants) {
        for kept in &variants.kept {
            self.with(&kept.stored, |index| index.remove(variants, &kept.stored));
        }
    }

    fn with(&self, stored: &Stored, change: impl FnOnce(&mut ApiIndex)) {
        if let Some(api) = key::api(&stored.key) {
            change(&mut self.of(api).lock());
        }
    }

    /// Calls with the hashes of the keys that have covered responses, some at a time, and adds up what is found.
    pub(super) fn each(&self, api: ApiId, covered: &Covered, mut found: impl FnMut(&[u64])) -> Amount {
        let Some(index) = self.apis.lock().get(&api).cloned() else { return Amount::default() };
        match covered {
            Covered::Tag(tag) => {
                let of_tag = index.lock().tags.get(tag).cloned().unwrap_or_default();
                let hashes: Vec<u64> = of_tag.keys().copied().collect();
                hashes.chunks(TOGETHER).for_each(found);
                of_tag.values().collect()
            }
            Covered::All => by_path(&index, "", |_, _| Step::Take, &mut found),
            Covered::Url(path, url) => {
                let step = |at: &str, entry: &Entry| match at == path {
                    true if entry.url == *url => Step::Take,
                    true => Step::Skip,
                    false => Step::End,
                };
                by_path(&index, path, step, &mut found)
            }
            Covered::Prefix(prefix) => by_path(&index, prefix, |at, _| step_below(prefix, at), &mut found),
        }
    }
}

enum Step {
    Take,
    Skip,
    End,
}

/// Whole segments, as [`super::labels::Label::prefix`] has it.
fn step_below(prefix: &str, path: &str) -> Step {
    let Some(rest) = path.strip_prefix(prefix) else { return Step::End };
    if rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/') { Step::Take } else { Step::Skip }
}

/// Goes through the paths from one on.
fn by_path(
    index: &Mutex<ApiIndex>,
    from: &str,
    step: impl Fn(&str, &Entry) -> Step,
    found: &mut impl FnMut(&[u64]),
) -> Amount {
    let mut amount = Amount::default();
    let mut begin = Bound::Included((Arc::<str>::from(from), 0));
    loop {
        let mut hashes = Vec::new();
        let mut next = None;
        {
            let index = index.lock();
            for (place, entry) in index.paths.range((begin, Bound::Unbounded)).take(TOGETHER) {
                match step(&place.0, entry) {
                    Step::End => {
                        next = None;
                        break;
                    }
                    Step::Take => {
                        hashes.push(place.1);
                        amount = amount.and(entry);
                    }
                    Step::Skip => {}
                }
                next = Some(place.clone());
            }
        }
        found(&hashes);
        let Some(last) = next else { return amount };
        begin = Bound::Excluded(last);
    }
}

impl ApiIndex {
    fn insert(&mut self, variants: &Variants, stored: &Stored, bytes: u64) {
        let entry = Entry { list: address(variants), url: stored.labels.url, bytes };
        let add = |found: &mut Entry| match found.list == entry.list {
            // Another variant of the same key.
            true => found.bytes += bytes,
            false => *found = entry,
        };
        let place = (Arc::clone(&stored.labels.path), variants.hash);
        self.paths.entry(place).and_modify(add).or_insert(entry);
        for tag in &*stored.labels.tags {
            self.tags.entry(*tag).or_default().entry(variants.hash).and_modify(add).or_insert(entry);
        }
    }

    fn remove(&mut self, variants: &Variants, stored: &Stored) {
        let is_of = |found: Option<&Entry>| found.is_some_and(|found| found.list == address(variants));
        let place = (Arc::clone(&stored.labels.path), variants.hash);
        if is_of(self.paths.get(&place)) {
            self.paths.remove(&place);
        }
        for tag in &*stored.labels.tags {
            let Some(keys) = self.tags.get_mut(tag) else { continue };
            if is_of(keys.get(&variants.hash)) {
                keys.remove(&variants.hash);
            }
            if keys.is_empty() {
                self.tags.remove(tag);
            }
        }
    }
}

fn address(variants: &Variants) -> usize {
    std::ptr::from_ref(variants).addr()
}

impl Amount {
    fn and(self, entry: &Entry) -> Self {
        Self { entries: self.entries + 1, bytes: self.bytes + entry.bytes }
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { entries: self.entries + other.entries, bytes: self.bytes + other.bytes }
    }
}

impl<'e> FromIterator<&'e Entry> for Amount {
    fn from_iter<T: IntoIterator<Item = &'e Entry>>(entries: T) -> Self {
        entries.into_iter().fold(Self::default(), Self::and)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::cache::account::{Ledger, Owner};
    use crate::cache::purges::Stamp;
    use crate::cache::rules::Audience;
    use crate::cache::shelves::Kept;

    /// A key's only response, which has one tag and names a URL of the path `/`.
    fn response(owner: Owner, hash: u64, url: u64) -> std::sync::Arc<Variants> {
        let stamp = Stamp { position: 1, at: 1 };
        let mut stored = Stored::for_tests(HeaderMap::new(), Bytes::new(), stamp, Audience::Everyone);
        stored.key = owner.api.0.as_bytes()[..].into();
        stored.labels.tags = [7].into();
        stored.labels.url = url;
        Variants::new(hash, vec![Kept::new(Arc::new(stored), Ledger::default().of(owner, "a", "r"))])
    }

    #[test]
    fn every_key_is_found_by_what_covers_it_until_it_leaves_and_nothing_of_it_stays() {
        const MANY: u64 = 3 * TOGETHER as u64;
        let index = Index::default();
        let owner = Owner { api: ApiId::generate(), tenant: sluice_contract::ids::TenantId::generate() };
        let all: Vec<_> = (0..MANY).map(|hash| response(owner, hash, hash % 2)).collect();
        all.iter().for_each(|variants| index.arrive(variants));
        let found = |covered: &Covered| {
            let mut hashes = Vec::new();
            let amount = index.each(owner.api, covered, |some| hashes.extend_from_slice(some));
            assert_eq!(amount.entries, hashes.len() as u64);
            amount.entries
        };
        let by_each = || [Covered::All, Covered::Tag(7), Covered::Url("/".into(), 1)].map(|by| found(&by));
        assert_eq!(by_each(), [MANY, MANY, MANY / 2]);
        // Another takes the place of the first, which leaves after that.
        let newer = response(owner, 1, 1);
        index.arrive(&newer);
        index.leave(&all[1]);
        assert_eq!(by_each(), [MANY, MANY, MANY / 2]);
        all.iter().filter(|variants| variants.hash != 1).for_each(|variants| index.leave(variants));
        assert_eq!(by_each(), [1, 1, 1]);
        index.leave(&newer);
        let of_api = index.of(owner.api);
        let of_api = of_api.lock();
        assert!(of_api.paths.is_empty() && of_api.tags.is_empty());
    }
}
