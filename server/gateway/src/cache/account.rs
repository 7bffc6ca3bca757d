//! Who holds how much of the first level, and why responses left it.
//!
//! Counted where responses arrive and leave, never on a hit. While memory is short and others need some of it, an API or a tenant
//! that holds more than its share makes room for itself, so that nobody can push out everybody else.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::link::{CACHE_APIS_MOST, CACHE_ROUTES_MOST, CacheEvictions, CacheRouteUse, CacheUse};

use super::index::Index;
use super::shelves::{Kept, Variants};

/// In hundredths of the whole: below this nobody is limited, since what is left is anybody's to grow into.
const CROWDED: u64 = 90;
/// In hundredths of the whole: what others must hold before anybody makes room for them.
const OTHERS: u64 = 1;
/// Routes of an API that have accounts of their own, those of releases of before among them.
const ROUTES: usize = 20_000;

/// How much of the memory one API, and all of one tenant, may hold while others need room; in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    pub api: u64,
    pub tenant: u64,
}

/// Whose a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) api: ApiId,
    pub(crate) tenant: TenantId,
}

/// Why a response left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// There was no room, and it was the one to go.
    Size,
    /// It was of no use any more.
    Age,
    /// Its API, or its tenant, held more than its share.
    ApiShare,
    TenantShare,
    /// A newer one took its place.
    Replaced,
    Purged,
}

/// What a route of an API holds.
pub(super) struct Account {
    pub(super) api: Arc<ApiAccount>,
    /// Empty: that of the routes that have none of their own.
    route: Arc<str>,
    bytes: AtomicU64,
    entries: AtomicU64,
    left: Left,
}

/// What an API holds.
pub(super) struct ApiAccount {
    owner: Owner,
    slug: Box<str>,
    bytes: AtomicU64,
    entries: AtomicU64,
    tenant_bytes: Arc<AtomicU64>,
    left: Left,
    routes: Mutex<HashMap<Arc<str>, Arc<Account>>>,
    /// Its keys in the order in which they came; of some the responses have left already.
    keys: Mutex<VecDeque<Weak<Variants>>>,
}

/// Responses that left, by [`Reason`].
#[derive(Default)]
struct Left([AtomicU64; 6]);

/// All accounts, and what left.
#[derive(Default)]
pub(super) struct Ledger {
    apis: Mutex<HashMap<ApiId, Arc<ApiAccount>>>,
    bytes: AtomicU64,
    entries: AtomicU64,
    left: Left,
    /// What purges find responses by.
    pub(super) index: Index,
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Left {
    fn count(&self, reason: Reason, responses: usize) {
        self.0[reason as usize].fetch_add(responses as u64, Ordering::Relaxed);
    }

    /// What left others left this one.
    fn take_over(&self, other: &Self) {
        for (count, other) in self.0.iter().zip(&other.0) {
            count.fetch_add(read(other), Ordering::Relaxed);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|count| read(count) == 0)
    }

    fn told(&self) -> CacheEvictions {
        let of = |reason: Reason| read(&self.0[reason as usize]);
        CacheEvictions {
            size: of(Reason::Size),
            age: of(Reason::Age),
            api_share: of(Reason::ApiShare),
            tenant_share: of(Reason::TenantShare),
            replaced: of(Reason::Replaced),
            purged: of(Reason::Purged),
        }
    }
}

impl Account {
    /// False when nothing came yet.
    fn is_used(&self) -> bool {
        read(&self.entries) > 0 || !self.left.is_empty()
    }

    fn told(&self) -> CacheRouteUse {
        CacheRouteUse {
            route: self.route.to_string(),
            entries: read(&self.entries),
            bytes: read(&self.bytes),
            evictions: self.left.told(),
        }
    }
}

impl Ledger {
    /// The account of a route.
    pub(super) fn of(&self, owner: Owner, slug: &str, route: &str) -> Arc<Account> {
        ApiAccount::of(&self.of_api(owner, slug), route)
    }

    /// The account of an API, the same for as long as the process lives.
    fn of_api(&self, owner: Owner, slug: &str) -> Arc<ApiAccount> {
        let mut apis = self.apis.lock();
        if let Some(account) = apis.get(&owner.api) {
            return Arc::clone(account);
        }
        let of_tenant = apis.values().find(|account| account.owner.tenant == owner.tenant);
        let tenant_bytes = of_tenant.map(|account| Arc::clone(&account.tenant_bytes)).unwrap_or_default();
        let account = Arc::new(ApiAccount {
            owner,
            slug: slug.into(),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            tenant_bytes,
            left: Left::default(),
            routes: Mutex::default(),
            keys: Mutex::default(),
        });
        apis.insert(owner.api, Arc::clone(&account));
        account
    }

    /// The responses of a key are about to be stored: all of them, those that were there before too.
    pub(super) fn arrive(&self, variants: &Variants) {
        self.index.arrive(variants);
        for kept in &variants.kept {
            let Account { api, bytes, entries, route: _, left: _ } = &*kept.account;
            for counter in [&self.bytes, bytes, &api.bytes, &api.tenant_bytes] {
                counter.fetch_add(kept.bytes, Ordering::Relaxed);
            }
            for counter in [&self.entries, entries, &api.entries] {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// They are stored no more, or by another list that has arrived.
    pub(super) fn leave(&self, variants: &Variants) {
        variants.gone.store(true, Ordering::Relaxed);
        self.index.leave(variants);
        for kept in &variants.kept {
            let Account { api, bytes, entries, route: _, left: _ } = &*kept.account;
            for counter in [&self.bytes, bytes, &api.bytes, &api.tenant_bytes] {
                counter.fetch_sub(kept.bytes, Ordering::Relaxed);
            }
            for counter in [&self.entries, entries, &api.entries] {
                counter.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// So many of an account left for this reason.
    pub(super) fn count(&self, reason: Reason, account: &Account, responses: usize) {
        for left in [&self.left, &account.left, &account.api.left] {
            left.count(reason, responses);
        }
    }

    /// All of these left for this reason.
    pub(super) fn count_all(&self, reason: Reason, gone: &[Kept]) {
        gone.iter().for_each(|gone| self.count(reason, &gone.account, 1));
    }

    pub(super) fn evictions(&self) -> CacheEvictions {
        self.left.told()
    }

    pub(super) fn bytes(&self) -> u64 {
        read(&self.bytes)
    }

    pub(super) fn entries(&self) -> u64 {
        read(&self.entries)
    }

    /// What each API holds, the largest first.
    pub(super) fn held(&self) -> Vec<CacheUse> {
        self.largest().iter().map(|account| account.told()).collect()
    }

    /// What routes of these hold: each API's largest first, then each one's second, while there is room.
    pub(super) fn held_by_route(&self) -> BTreeMap<ApiId, Vec<CacheRouteUse>> {
        let largest = |api: Arc<ApiAccount>| api.largest_routes().into_iter().enumerate();
        let mut routes: Vec<_> = self.largest().into_iter().flat_map(largest).collect();
        routes.sort_by_key(|(rank, (bytes, _))| (*rank, Reverse(*bytes)));
        let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (_, (_, account)) in routes.into_iter().take(CACHE_ROUTES_MOST) {
            told.entry(account.api.owner.api).or_default().push(account.told());
        }
        told
    }

    /// The APIs that are told of, the largest first.
    fn largest(&self) -> Vec<Arc<ApiAccount>> {
        let mut apis: Vec<_> =
            self.apis.lock().values().filter(|account| account.is_used()).cloned().collect();
        apis.sort_by_cached_key(|account| Reverse(read(&account.bytes)));
        apis.truncate(CACHE_APIS_MOST);
        apis
    }

    /// Whether so many bytes more of an API would take room that others need, and whose share says so.
    pub(super) fn over(&self, account: &ApiAccount, bytes: u64, most: u64, shares: Shares) -> Option<Reason> {
        let total = self.bytes();
        if total + bytes <= most / 100 * CROWDED {
            return None;
        }
        let over = |own: u64, share: u64| {
            own + bytes > most / 100 * share && total.saturating_sub(own) > most / 100 * OTHERS
        };
        if over(read(&account.bytes), shares.api) {
            return Some(Reason::ApiShare);
        }
        over(read(&account.tenant_bytes), shares.tenant).then_some(Reason::TenantShare)
    }

    /// The API of the same tenant that holds most.
    pub(super) fn largest_of_tenant(&self, account: &ApiAccount) -> Option<Arc<ApiAccount>> {
        let apis = self.apis.lock();
        let of_tenant = apis.values().filter(|other| other.owner.tenant == account.owner.tenant);
        of_tenant.max_by_key(|other| read(&other.bytes)).cloned()
    }
}

impl ApiAccount {
    /// The account of a route. Where there are too many, those of routes that hold nothing are given up: what has left them counts
    /// for the nameless one, which is also that of the routes that there is no room for, and of those whose ids are none to tell.
    fn of(self: &Arc<Self>, route: &str) -> Arc<Account> {
        let mut routes = self.routes.lock();
        if let Some(account) = routes.get(route) {
            return Arc::clone(account);
        }
        if !CacheRouteUse::can_name(route) {
            return self.named("", &mut routes);
        }
        if routes.len() > ROUTES {
            // Whoever has one may be about to store something.
            let gone: Vec<_> = routes.extract_if(|_, account| Arc::strong_count(account) == 1).collect();
            let nameless = self.named("", &mut routes);
            gone.iter().for_each(|(_, account)| nameless.left.take_over(&account.left));
        }
        self.named(if routes.len() > ROUTES { "" } else { route }, &mut routes)
    }

    fn named(self: &Arc<Self>, route: &str, routes: &mut HashMap<Arc<str>, Arc<Account>>) -> Arc<Account> {
        let new = |route: &Arc<str>| {
            let (bytes, entries) = (AtomicU64::new(0), AtomicU64::new(0));
            let (api, route) = (Arc::clone(self), Arc::clone(route));
            Arc::new(Account { api, route, bytes, entries, left: Left::default() })
        };
        Arc::clone(routes.entry(route.into()).or_insert_with_key(new))
    }

    /// False when nothing came yet.
    fn is_used(&self) -> bool {
        read(&self.entries) > 0 || !self.left.is_empty()
    }

    fn told(&self) -> CacheUse {
        CacheUse {
            api: self.owner.api,
            slug: self.slug.to_string(),
            tenant: self.owner.tenant,
            entries: read(&self.entries),
            bytes: read(&self.bytes),
            evictions: self.left.told(),
        }
    }

    /// The routes that can be told of by name, the largest first, with the bytes that they hold.
    fn largest_routes(&self) -> Vec<(u64, Arc<Account>)> {
        let is_told = |account: &&Arc<Account>| !account.route.is_empty() && account.is_used();
        let told = |account: &Arc<Account>| (read(&account.bytes), Arc::clone(account));
        let mut routes: Vec<_> = self.routes.lock().values().filter(is_told).map(told).collect();
        routes.sort_unstable_by(|a, b| (b.0, &a.1.route).cmp(&(a.0, &b.1.route)));
        routes.truncate(CACHE_ROUTES_MOST);
        routes
    }

    /// A key of this API has come.
    pub(super) fn push(&self, variants: &Arc<Variants>) {
        let mut keys = self.keys.lock();
        if keys.len() as u64 > 64 + 2 * read(&self.entries) {
            keys.retain(|key| key.upgrade().is_some_and(|variants| !variants.is_gone()));
        }
        keys.push_back(Arc::downgrade(variants));
    }

    /// The key of this API to go first: the oldest that was not used since it came or was last spared. Sparing ends after a
    /// few, so that making room has an end.
    pub(super) fn pop(&self) -> Option<Arc<Variants>> {
        const SPARED: usize = 16;
        let mut keys = self.keys.lock();
        let mut spared = 0;
        loop {
            let Some(variants) = keys.pop_front()?.upgrade().filter(|variants| !variants.is_gone()) else {
                continue;
            };
            if spared < SPARED && variants.used.swap(false, Ordering::Relaxed) {
                spared += 1;
                keys.push_back(Arc::downgrade(&variants));
                continue;
            }
            return Some(variants);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(ledger: &Ledger, route: &str, owner: Owner, bytes: u64) -> Arc<Account> {
        let account = ledger.of(owner, "a", route);
        for counter in [&account.bytes, &account.api.bytes] {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
        for counter in [&account.entries, &account.api.entries] {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        account
    }

    fn owner() -> Owner {
        Owner { api: ApiId::generate(), tenant: TenantId::generate() }
    }

    #[test]
    fn of_many_routes_those_that_hold_most_are_told_and_of_each_api_the_largest() {
        let ledger = Ledger::default();
        let (some, few, more) = (owner(), owner(), owner());
        for i in 0..10_000 {
            holding(&ledger, &format!("route {i}"), some, 1_000 + i);
            holding(&ledger, &format!("route {i}"), more, 50_000 + i);
        }
        holding(&ledger, "least", few, 0);
        holding(&ledger, "small", few, 1);
        ledger.of(few, "a", "nothing came yet");
        ledger.of(owner(), "b", "nothing came yet");
        assert_eq!(ledger.held().len(), 3, "APIs of which nothing came yet are not told");
        let told = ledger.held_by_route();
        let of =
            |owner: Owner| told[&owner.api].iter().map(|held| (&*held.route, held.bytes)).collect::<Vec<_>>();
        assert_eq!(told.values().map(Vec::len).sum::<usize>(), CACHE_ROUTES_MOST);
        assert_eq!(of(few), [("small", 1), ("least", 0)], "small ones are not crowded out");
        let largest = |least: u64| (0..49).map(|i| least + 9_999 - i).collect::<Vec<_>>();
        assert_eq!(of(some).iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), largest(1_000));
        assert_eq!(of(more).iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), largest(50_000));
    }

    #[test]
    fn ids_that_would_be_too_much_for_heartbeats_are_not_told() {
        let ledger = Ledger::default();
        let owner = owner();
        let (longest, longer) = ("é".repeat(256), "é".repeat(257));
        for route in [longest.as_str(), &longer, "a\u{0}b", ""] {
            holding(&ledger, route, owner, 100);
        }
        let told = ledger.held_by_route();
        assert_eq!(told[&owner.api].iter().map(|held| &*held.route).collect::<Vec<_>>(), [longest]);
        assert_eq!(ledger.held()[0].bytes, 400, "what they hold is the API's all the same");

        for api in 0..CACHE_APIS_MOST {
            let owner = Owner { api: ApiId::generate(), ..owner };
            (0..10).for_each(|i| drop(holding(&ledger, &format!("{}{api} {i}", "\"".repeat(500)), owner, 1)));
        }
        assert_eq!(ledger.held().len(), CACHE_APIS_MOST, "no more APIs are told than can be heard");
        let heartbeat = serde_json::to_vec(&(ledger.held(), ledger.held_by_route())).unwrap();
        assert!(
            (100_000..1 << 20).contains(&heartbeat.len()),
            "the most there can be is heard: {}",
            heartbeat.len()
        );
    }

    #[test]
    fn accounts_of_routes_are_bounded_and_no_count_is_lost() {
        let (ledger, owner) = (Ledger::default(), owner());
        let of = |route: String| ledger.of(owner, "a", &route);
        let kept = of("kept".to_owned());
        for release in 0..3 {
            for route in 0..ROUTES {
                ledger.count(Reason::Purged, &of(format!("{release} {route}")), 1);
            }
        }
        let routes = kept.api.routes.lock();
        assert!(routes.len() <= ROUTES + 1, "{}", routes.len());
        assert!(Arc::ptr_eq(&routes["kept"], &kept), "somebody has it");
        let left: u64 = routes.values().map(|account| account.left.told().purged).sum();
        assert_eq!((left, kept.api.left.told().purged), (3 * ROUTES as u64, 3 * ROUTES as u64));
        drop(routes);
        assert!(ledger.held_by_route()[&owner.api].iter().all(|held| !held.route.is_empty()));

        // When all are in use, the rest share one.
        let used: Vec<_> = (0..ROUTES).map(|route| of(format!("used {route}"))).collect();
        assert!(Arc::ptr_eq(&of("one more".to_owned()), &of("another".to_owned())));
        assert!(!Arc::ptr_eq(&used[0], &used[1]));
    }

    fn coming(hash: u64) -> Arc<Variants> {
        Variants::new(hash, Vec::new())
    }

    #[test]
    fn keys_that_have_left_take_no_memory_and_those_that_are_there_keep_their_order() {
        let ledger = Ledger::default();
        let api = Arc::clone(&ledger.of(owner(), "a", "r").api);
        let there: Vec<_> = (0..5).map(coming).collect();
        there.iter().for_each(|variants| api.push(variants));
        let replaced: Vec<_> = (5..500).map(coming).collect();
        for variants in &replaced {
            variants.gone.store(true, Ordering::Relaxed);
            api.push(variants);
        }
        (500..1_000).for_each(|hash| api.push(&coming(hash)));
        assert!(api.keys.lock().len() < 100, "{}", api.keys.lock().len());
        api.push(&replaced[0]);
        let order: Vec<_> = std::iter::from_fn(|| api.pop()).map(|variants| variants.hash).collect();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_key_that_was_asked_for_is_spared_once_and_not_when_all_were() {
        let ledger = Ledger::default();
        let api = Arc::clone(&ledger.of(owner(), "a", "r").api);
        let all: Vec<_> = (0..20).map(coming).collect();
        for variants in &all {
            variants.is_used();
            api.push(variants);
        }
        assert_eq!(api.pop().unwrap().hash, 16, "sparing ends");
        assert_eq!(api.pop().unwrap().hash, 0, "those that were spared are used no more");
    }
}
