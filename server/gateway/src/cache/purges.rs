//! Purges as stamps: a stored response is good only if its fetch began after every purge that covers it.
//!
//! A purge names a label that responses have (see [`super::labels`]) or a whole API. Nothing is searched when one arrives, so that
//! a fill that is still in flight, or a copy from a second level, is judged by the same comparison as what is stored already. What
//! can never be served again is taken out of memory a little later (see [`super::store::Cache::forget`]).

mod remembered;
mod table;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use parking_lot::Mutex;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::journal::Position;

use super::labels::{Label, Labelled};
pub use remembered::RememberedPurges;
use table::{Mark, Table};

/// When a fetch began, or a purge became true: the journal position seen, and this gateway's own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub position: Position,
    /// Nanoseconds of [`crate::clock::Clock`].
    pub at: u64,
}

/// What purges leave of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// Purged softly, at this time of the gateway's clock: stale since then.
    Stale {
        since: u64,
    },
    Gone,
}

/// Whether what a purge covers is gone, or stale only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Hard,
    Soft,
}

/// The purges of every API, kept over versions of the API.
pub struct Purges {
    all: Mutex<Known>,
    known_from: AtomicU64,
}

#[derive(Default)]
struct Known {
    apis: HashMap<ApiId, Arc<ApiPurges>>,
    /// The newest purge that was for more than one API: what it means for an API that nothing is known of yet.
    wide: Option<Stamp>,
}

impl Default for Purges {
    /// Nothing is known of any purge.
    fn default() -> Self {
        Self { all: Mutex::default(), known_from: AtomicU64::new(Position::MAX) }
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
        position >= self.known_from()
    }

    fn known_from(&self) -> Position {
        self.known_from.load(Ordering::SeqCst)
    }

    /// The purges of one API, the same object for as long as the process lives.
    pub fn of(&self, api: ApiId) -> Arc<ApiPurges> {
        let mut known = self.all.lock();
        let wide = known.wide;
        let purges = known.apis.entry(api).or_insert_with(|| {
            let purges = ApiPurges::default();
            // What others have stored of it may be older than that.
            wide.inspect(|stamp| purges.all(Strength::Hard, *stamp));
            Arc::new(purges)
        });
        Arc::clone(purges)
    }

    /// The same, of an API that belongs to this tenant.
    pub fn of_tenant(&self, api: ApiId, tenant: TenantId) -> Arc<ApiPurges> {
        let purges = self.of(api);
        purges.tenant.get_or_init(|| tenant);
        purges
    }

    /// A purge is for more than one API: what is said of them holds for those too that come later.
    pub fn note_wide(&self, stamp: Stamp) {
        self.all.lock().wide = Some(stamp);
    }

    /// Everything is purged, of APIs that come later too, and positions of purges before mean nothing any more.
    pub fn begin_anew(&self, stamp: Stamp) {
        self.note_wide(stamp);
        for purges in self.each() {
            purges.any.store(true, Ordering::SeqCst);
            purges.changed_at.store(0, Ordering::SeqCst);
            purges.hard.begin_anew(stamp);
            purges.soft.begin_anew(stamp);
        }
    }

    fn each(&self) -> Vec<Arc<ApiPurges>> {
        self.all.lock().apis.values().cloned().collect()
    }

    /// The APIs of a tenant (None: all), and those whose tenant is not known.
    pub fn of_all(&self, tenant: Option<TenantId>) -> Vec<ApiId> {
        let known = self.all.lock();
        let is_covered = |purges: &ApiPurges| match (tenant, purges.tenant.get()) {
            (Some(tenant), Some(of)) => tenant == *of,
            _ => true,
        };
        known.apis.iter().filter(|(_, purges)| is_covered(purges)).map(|(api, _)| *api).collect()
    }

    /// Whether the API is known to be this tenant's.
    pub(crate) fn is_of(&self, api: ApiId, tenant: TenantId) -> bool {
        self.all.lock().apis.get(&api).and_then(|purges| purges.tenant.get()) == Some(&tenant)
    }

    /// Forgets purges that became true before this time of the gateway's clock.
    pub fn drop_before(&self, at: u64) {
        for purges in self.each() {
            purges.hard.drop_before(at);
            purges.soft.drop_before(at);
        }
    }
}

/// The purges of one API.
#[derive(Default)]
pub struct ApiPurges {
    tenant: OnceLock<TenantId>,
    /// There was one: until then nothing else is looked at.
    any: AtomicBool,
    hard: Table,
    soft: Table,
    /// Where in the journal the newest change stands that this gateway has made itself.
    changed_at: AtomicU64,
}

impl ApiPurges {
    /// What this gateway has changed itself stands at this position: by it others refuse what was fetched at an earlier one.
    pub fn changed_at(&self, position: Position) {
        self.changed_at.fetch_max(position, Ordering::SeqCst);
    }

    /// Which position others are told of a response that was fetched at this one. No purge up to there covers it if it is good
    /// afterwards: this gateway knows them all, and its own changes by its clock.
    pub(super) fn position_for_others(&self, fetched_at: Position) -> Position {
        fetched_at.max(self.changed_at.load(Ordering::SeqCst))
    }

    /// Purges everything of the API.
    pub fn all(&self, strength: Strength, stamp: Stamp) {
        self.of(strength).all(stamp);
        self.any.store(true, Ordering::SeqCst);
    }

    /// Purges what has this label.
    pub fn label(&self, label: Label, strength: Strength, stamp: Stamp) {
        self.of(strength).label(label, stamp);
        self.any.store(true, Ordering::SeqCst);
    }

    fn of(&self, strength: Strength) -> &Table {
        match strength {
            Strength::Hard => &self.hard,
            Strength::Soft => &self.soft,
        }
    }

    /// What is left of a response whose fetch began at `stamp`.
    pub fn verdict(&self, response: &Labelled<'_>, stamp: Stamp) -> Verdict {
        self.judge(response, |mark| mark.allows(stamp))
    }

    /// The same of a response that another gateway has fetched. The journal's order tells that for every purge that is in it; for
    /// what only this gateway knows of, `stamp` says when the fetch began by this gateway's clock, at the earliest.
    pub fn verdict_on_foreign(&self, response: &Labelled<'_>, stamp: Stamp) -> Verdict {
        self.judge(response, |mark| mark.allows_foreign(stamp))
    }

    fn judge(&self, response: &Labelled<'_>, allows: impl Fn(&Mark) -> bool) -> Verdict {
        if !self.any.load(Ordering::SeqCst) {
            return Verdict::Good;
        }
        if !allows(&self.hard.covering(response)) {
            return Verdict::Gone;
        }
        let soft = self.soft.covering(response);
        if allows(&soft) { Verdict::Good } else { Verdict::Stale { since: soft.at() } }
    }
}

#[cfg(test)]
mod tests;
