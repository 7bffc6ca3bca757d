//! Who holds how much of the first level, and why responses left it.
//!
//! Counted where responses arrive and leave, never on a hit. While memory is short and others need some of it, an API or a tenant
//! that holds more than its share makes room for itself, so that nobody can push out everybody else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::link::{CacheEvictions, CacheUse};

use super::index::Index;
use super::shelves::{Kept, Variants};

/// In hundredths of the whole: below this nobody is limited, since what is left is anybody's to grow into.
const CROWDED: u64 = 90;
/// In hundredths of the whole: what others must hold before anybody makes room for them.
const OTHERS: u64 = 1;
/// APIs that are told of, those that hold most.
const TOLD: usize = 100;

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

/// What an API holds.
pub(super) struct Account {
    owner: Owner,
    slug: Box<str>,
    bytes: AtomicU64,
    entries: AtomicU64,
    tenant_bytes: Arc<AtomicU64>,
    left: Left,
    /// Its keys in the order in which they came; of some the responses have left already.
    keys: Mutex<VecDeque<Weak<Variants>>>,
}

/// Responses that left, by [`Reason`].
#[derive(Default)]
struct Left([AtomicU64; 6]);

/// All accounts, and what left.
#[derive(Default)]
pub(super) struct Ledger {
    apis: Mutex<HashMap<ApiId, Arc<Account>>>,
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

impl Ledger {
    /// The account of an API, the same for as long as the process lives.
    pub(super) fn of(&self, owner: Owner, slug: &str) -> Arc<Account> {
        let mut apis = self.apis.lock();
        if let Some(account) = apis.get(&owner.api) {
            return Arc::clone(account);
        }
        let of_tenant = apis.values().find(|account| account.owner.tenant == owner.tenant);
        let tenant_bytes = of_tenant.map(|account| Arc::clone(&account.tenant_bytes)).unwrap_or_default();
        let account = Arc::new(Account {
            owner,
            slug: slug.into(),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            tenant_bytes,
            left: Left::default(),
            keys: Mutex::default(),
        });
        apis.insert(owner.api, Arc::clone(&account));
        account
    }

    /// The responses of a key are about to be stored: all of them, those that were there before too.
    pub(super) fn arrive(&self, variants: &Variants) {
        self.index.arrive(variants);
        for kept in &variants.kept {
            for counter in [&self.bytes, &kept.account.bytes, &*kept.account.tenant_bytes] {
                counter.fetch_add(kept.bytes, Ordering::Relaxed);
            }
            for counter in [&self.entries, &kept.account.entries] {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// They are stored no more, or by another list that has arrived.
    pub(super) fn leave(&self, variants: &Variants) {
        variants.gone.store(true, Ordering::Relaxed);
        self.index.leave(variants);
        for kept in &variants.kept {
            for counter in [&self.bytes, &kept.account.bytes, &*kept.account.tenant_bytes] {
                counter.fetch_sub(kept.bytes, Ordering::Relaxed);
            }
            for counter in [&self.entries, &kept.account.entries] {
                counter.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// So many of an account left for this reason.
    pub(super) fn count(&self, reason: Reason, account: &Account, responses: usize) {
        self.left.count(reason, responses);
        account.left.count(reason, responses);
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
        let held = |account: &Arc<Account>| CacheUse {
            api: account.owner.api,
            slug: account.slug.to_string(),
            tenant: account.owner.tenant,
            entries: read(&account.entries),
            bytes: read(&account.bytes),
            evictions: account.left.told(),
        };
        let is_known = |held: &CacheUse| held.entries > 0 || held.evictions != CacheEvictions::default();
        let mut held: Vec<_> = self.apis.lock().values().map(held).filter(is_known).collect();
        held.sort_unstable_by_key(|held| std::cmp::Reverse(held.bytes));
        held.truncate(TOLD);
        held
    }

    /// Whether so many bytes more of an API would take room that others need, and whose share says so.
    pub(super) fn over(&self, account: &Account, bytes: u64, most: u64, shares: Shares) -> Option<Reason> {
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
    pub(super) fn largest_of_tenant(&self, account: &Account) -> Option<Arc<Account>> {
        let apis = self.apis.lock();
        let of_tenant = apis.values().filter(|other| other.owner.tenant == account.owner.tenant);
        of_tenant.max_by_key(|other| read(&other.bytes)).cloned()
    }
}

impl Account {
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
