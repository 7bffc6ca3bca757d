//! The first level: responses in memory, bounded in bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::DATE;
use moka::sync::Cache as Moka;
use sluice_contract::ids::ApiId;
use sluice_contract::link::{CacheHealth, CacheRouteUse};
use sluice_policies::cache::Found;

use super::account::{Account, ApiAccount, Ledger, Owner, Reason, Shares};
use super::arrivals::{Arrivals, Room};
use super::flight::{Flight, Flights, Stage};
use super::freshness::date;
use super::index::{Amount, Covered};
use super::key;
use super::purges::{ApiPurges, Purges, Verdict};
use super::second::SecondLevel;
use super::shelves::{Change, Eviction, Kept, Shelves, Variants};
use super::stored::Stored;
use super::watch::Refusals;

/// Responses of one key that differ by `Vary` at most; the oldest goes.
const MAX_VARIANTS: usize = 32;
/// How long a key is remembered not to be worth waiting for.
const UNCACHEABLE_FOR: std::time::Duration = std::time::Duration::from_secs(10);

/// What part of as much memory as responses take may be taken by those that arrive, beside it.
const ARRIVING: u64 = 2;

fn made(stored: &Stored) -> Option<SystemTime> {
    date(&stored.headers, &DATE)
}

/// How memory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    pub max_bytes: u64,
    pub eviction: Eviction,
    pub shares: Shares,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self::new(256 << 20)
    }
}

impl CacheLimits {
    /// So many bytes, used as they usually are.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, eviction: Eviction::default(), shares: Shares { api: 50, tenant: 75 } }
    }
}

/// The cache of a gateway.
pub struct Cache {
    limits: CacheLimits,
    shelves: Box<dyn Shelves>,
    ledger: Arc<Ledger>,
    /// Keys whose last response could not be stored: requests for them do not wait for one another.
    uncacheable: Moka<u64, (), ahash::RandomState>,
    pub(super) flights: Flights,
    arrivals: Arc<Arrivals>,
    refusals: Refusals,
    /// What gateways share, where there is something.
    second: Option<Arc<SecondLevel>>,
}

impl Cache {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        let ledger = Arc::default();
        Self {
            limits,
            shelves: limits.eviction.shelves(limits.max_bytes, &ledger),
            ledger,
            uncacheable: Moka::builder()
                .max_capacity(100_000)
                .time_to_live(UNCACHEABLE_FOR)
                .build_with_hasher(ahash::RandomState::new()),
            flights: Flights::default(),
            arrivals: Arrivals::new(limits.max_bytes / ARRIVING),
            refusals: Refusals::default(),
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

    /// Responses that are stored.
    pub fn entries(&self) -> u64 {
        self.ledger.entries()
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> u64 {
        self.ledger.bytes()
    }

    /// How it is filled, and what left it.
    pub fn health(&self) -> CacheHealth {
        CacheHealth {
            capacity_bytes: self.limits.max_bytes,
            eviction: self.limits.eviction.name().to_owned(),
            api_share: self.limits.shares.api,
            tenant_share: self.limits.shares.tenant,
            evictions: self.ledger.evictions(),
            arriving: self.arrivals.health(),
            apis: self.ledger.held(),
        }
    }

    /// What routes hold of it, of each API the largest first; no more than a heartbeat can carry.
    pub fn held_by_route(&self) -> BTreeMap<ApiId, Vec<CacheRouteUse>> {
        self.ledger.held_by_route()
    }

    /// The response of a key that answers this request: of several the one that was made last (RFC 9111 §4). Some(None):
    /// there are others of that key.
    pub(super) fn get(&self, hash: u64, key: &[u8], request: &HeaderMap) -> Option<Option<Arc<Stored>>> {
        let variants = self.shelves.get(hash)?;
        variants.is_used();
        let mut of_key =
            variants.kept.iter().rev().map(|kept| &kept.stored).filter(|one| *one.key == *key).peekable();
        of_key.peek()?;
        let suitable = of_key.filter(|stored| stored.selecting.matches(request));
        // The newest in the store, unless another says that it was made later.
        let later = suitable.reduce(|one, other| if made(other) > made(one) { other } else { one });
        Some(later.cloned())
    }

    /// The same with what it is kept with, for people.
    pub(super) fn find(&self, hash: u64, key: &[u8], request: &HeaderMap) -> Option<Kept> {
        let stored = self.get(hash, key, request)??;
        let variants = self.shelves.get(hash)?;
        variants.kept.iter().find(|kept| Arc::ptr_eq(&kept.stored, &stored)).cloned()
    }

    /// What a route of an API holds.
    pub(super) fn account(&self, owner: Owner, slug: &str, route: &str) -> Arc<Account> {
        self.ledger.of(owner, slug, route)
    }

    /// Stores a response instead of those that answer the same requests, unless its owner would take too much.
    pub(super) fn put(&self, hash: u64, stored: Arc<Stored>, account: Arc<Account>) {
        self.put_instead(hash, None, stored, account);
    }

    /// The same, instead of what it was made of too, which may have answered more requests.
    pub(super) fn put_instead(
        &self,
        hash: u64,
        old: Option<&Stored>,
        stored: Arc<Stored>,
        account: Arc<Account>,
    ) {
        self.uncacheable.invalidate(&hash);
        let new = Kept::new(stored, account);
        if new.bytes > self.limits.max_bytes || !self.make_room(&new) {
            return;
        }
        self.shelves.change(hash, &mut |before| {
            let before = before.map_or(&[][..], |variants| &variants.kept);
            let replaced = |other: &Kept| {
                old.is_some_and(|old| std::ptr::eq(old, &*other.stored))
                    || other.stored.key == new.stored.key && other.stored.selecting == new.stored.selecting
            };
            let mut kept: Vec<Kept> = before.iter().filter(|other| !replaced(other)).cloned().collect();
            kept.push(new.clone());
            let excess = kept.len().saturating_sub(MAX_VARIANTS);
            kept.drain(..excess);
            self.ledger.count(Reason::Replaced, &new.account, before.len() + 1 - kept.len());
            self.keep(hash, kept)
        });
    }

    /// These are a key's responses from now on. What was there before is told to have left, so all of them arrive.
    fn keep(&self, hash: u64, kept: Vec<Kept>) -> Change {
        let Some(newest) = kept.last() else { return Change::Remove };
        let api = Arc::clone(&newest.account.api);
        let variants = Variants::new(hash, kept);
        self.ledger.arrive(&variants);
        api.push(&variants);
        Change::Keep(variants)
    }

    /// Takes out what belongs to who has more than a share, while others need room. False when that is not enough: the response
    /// alone is larger than the share.
    fn make_room(&self, new: &Kept) -> bool {
        let CacheLimits { max_bytes, shares, .. } = self.limits;
        while let Some(whose) = self.ledger.over(&new.account.api, new.bytes, max_bytes, shares) {
            let giver = match whose {
                Reason::TenantShare => self.ledger.largest_of_tenant(&new.account.api),
                _ => Some(Arc::clone(&new.account.api)),
            };
            if !giver.is_some_and(|giver| self.take_one(&giver, whose)) {
                self.ledger.count(whose, &new.account, 1);
                return false;
            }
        }
        true
    }

    /// False when there is nothing to take.
    fn take_one(&self, giver: &ApiAccount, whose: Reason) -> bool {
        let Some(oldest) = giver.pop() else { return false };
        self.shelves.change(oldest.hash, &mut |now| {
            // Another may have come meanwhile, which is in the queue by itself.
            if !now.is_some_and(|now| Arc::ptr_eq(now, &oldest)) {
                return Change::Nothing;
            }
            self.ledger.count_all(whose, &oldest.kept);
            Change::Remove
        });
        true
    }

    /// What is stored of a URL, found by the index. To be looked at counts as a use where uses are counted.
    pub(super) fn of_url(&self, api: ApiId, path: &str, url: u64) -> Vec<Arc<Variants>> {
        let mut found = Vec::new();
        self.ledger.index.each(api, &Covered::Url(path.to_owned(), url), |hashes| {
            found.extend(hashes.iter().filter_map(|hash| self.shelves.get(*hash)));
        });
        found
    }

    /// How much of an API is covered, without looking at any response. What purges have covered already and is in memory yet
    /// counts.
    pub(crate) fn amount(&self, api: ApiId, covered: &Covered) -> Amount {
        self.ledger.index.each(api, covered, |_| {})
    }

    /// Gives back the memory of what a purge has covered. Not for a thread that serves: it may be much.
    pub(crate) fn forget(&self, api: ApiId, covered: &Covered, purges: &ApiPurges) {
        let is_gone = |stored: &Stored| {
            key::api(&stored.key) == Some(api)
                && purges.verdict(&stored.labels.as_ref(), stored.stamp) == Verdict::Gone
        };
        self.ledger.index.each(api, covered, |hashes| {
            hashes.iter().for_each(|hash| self.take_out(*hash, Reason::Purged, is_gone));
        });
        self.shelves.settle();
    }

    /// Takes out what was fetched before this time and is covered by a purge in any way, the soft ones too: then purges of that
    /// time can be forgotten. Looks at every response.
    pub(crate) fn forget_purged_before(&self, at: u64, purges: &Purges) {
        self.forget_all(Reason::Purged, |stored| {
            let verdict = |api| purges.of(api).verdict(&stored.labels.as_ref(), stored.stamp);
            stored.stamp.at < at && key::api(&stored.key).map(verdict) != Some(Verdict::Good)
        });
    }

    /// Gives back the memory of what is too old to be of use. Looks at every response, too.
    pub(crate) fn forget_aged(&self, now: u64) {
        self.forget_all(Reason::Age, |stored| !stored.is_of_use(now));
    }

    fn forget_all(&self, reason: Reason, is_over: impl Fn(&Stored) -> bool) {
        let mut found = Vec::new();
        self.shelves.each(&mut |variants| {
            if variants.kept.iter().any(|kept| is_over(&kept.stored)) {
                found.push(variants.hash);
            }
        });
        found.into_iter().for_each(|hash| self.take_out(hash, reason, &is_over));
        self.shelves.settle();
    }

    /// Takes out some of a key's responses, as they are now: others may have been stored meanwhile.
    fn take_out(&self, hash: u64, reason: Reason, is_over: impl Fn(&Stored) -> bool) {
        self.shelves.change(hash, &mut |now| {
            let Some(now) = now else { return Change::Nothing };
            let (over, kept): (Vec<Kept>, Vec<Kept>) =
                now.kept.iter().cloned().partition(|kept| is_over(&kept.stored));
            if over.is_empty() {
                return Change::Nothing;
            }
            self.ledger.count_all(reason, &over);
            self.keep(hash, kept)
        });
    }

    /// A response of this key has something that must not be stored.
    pub(super) fn refuse(&self, hash: u64, found: Found, flight: Option<&Flight>) {
        self.refusals.count(found);
        self.pass_on(hash, flight);
    }

    /// A response of this key is not stored: nobody waits for it any more.
    pub(super) fn pass_on(&self, hash: u64, flight: Option<&Flight>) {
        self.remember_uncacheable(hash);
        if let Some(flight) = flight {
            flight.is_now(Stage::Uncacheable);
        }
    }

    /// How many responses were not stored for what they have, by what that was.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusals.by_reason()
    }

    /// Memory for a body of at least so many bytes while it arrives, if there is.
    pub(super) fn room(&self, bytes: u64) -> Option<Room> {
        self.arrivals.reserve(bytes)
    }

    pub(super) fn is_uncacheable(&self, hash: u64) -> bool {
        self.uncacheable.contains_key(&hash)
    }

    pub(super) fn remember_uncacheable(&self, hash: u64) {
        self.uncacheable.insert(hash, ());
    }
}

#[cfg(test)]
mod tests;
