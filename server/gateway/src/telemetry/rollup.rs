//! Exact counts by minute and cell, kept by each thread and merged when a batch is made.

use std::collections::HashSet;

use hashbrown::{Equivalent, HashMap};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::calls::wire::CallRecord;
use sluice_contract::ids::{ApiId, ApplicationId, PlanId, TenantId};
use sluice_contract::rollup::{Cell, Counts, Measure, OTHER, OTHER_APPLICATION, RollupDelta};

/// Distinct cells in one minute; the rest is "other". A cell is about 200 bytes on disk for each minute it is used in.
const MAX_CELLS: usize = 10_000;

type Cells = HashMap<Key<Box<str>>, Counts, ahash::RandomState>;

/// Counts of one thread since the last batch.
#[derive(Default)]
pub(super) struct Rollups {
    cells: Cells,
}

/// [`Cell`] with its minute, borrowed for looking up and owned for keeping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key<S> {
    minute: u32,
    cell: KeyCell<S>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum KeyCell<S> {
    Traffic {
        tenant: Option<TenantId>,
        api: Option<ApiId>,
        route: Option<S>,
        status: u16,
        cache: CacheOutcome,
    },
    Consumer {
        tenant: TenantId,
        application: ApplicationId,
        plan: Option<PlanId>,
        api: ApiId,
        failed: bool,
    },
    Target {
        tenant: TenantId,
        api: ApiId,
        target: S,
        failed: bool,
    },
}

impl Rollups {
    /// Counts one call in every cube that it belongs to.
    pub(super) fn count(&mut self, call: &CallRecord<'_>) {
        let (minute, failed) = (minute(call), failed(call));
        self.add(
            Key {
                minute,
                cell: KeyCell::Traffic {
                    tenant: call.tenant,
                    api: call.api,
                    route: call.route,
                    status: call.status,
                    cache: call.cache,
                },
            },
            call,
        );
        let (Some(tenant), Some(api)) = (call.tenant, call.api) else { return };
        if let Some(application) = call.application {
            let cell = KeyCell::Consumer { tenant, application, plan: call.plan, api, failed };
            self.add(Key { minute, cell }, call);
        }
        if let Some(target) = call.target {
            self.add(Key { minute, cell: KeyCell::Target { tenant, api, target, failed } }, call);
        }
    }

    /// Adds another thread's counts.
    pub(super) fn merge(&mut self, other: Self) {
        if self.cells.is_empty() {
            self.cells = other.cells;
            return;
        }
        for (key, counts) in other.cells {
            self.cells.entry(key).or_default().merge(&counts);
        }
    }

    fn add(&mut self, key: Key<&str>, call: &CallRecord<'_>) {
        let measure = measure(call);
        if let Some(counts) = self.cells.get_mut(&key) {
            counts.record(&measure);
        } else {
            let mut counts = Counts::default();
            counts.record(&measure);
            self.cells.insert(Key::from(&key), counts);
        }
    }
}

/// Whether the call counts as failed: an answer that is an error of the gateway or the upstream.
fn failed(call: &CallRecord<'_>) -> bool {
    call.status >= 500
}

/// The minute in which the call began, since the Unix epoch.
fn minute(call: &CallRecord<'_>) -> u32 {
    u32::try_from(call.at.timestamp() / 60).unwrap_or_default()
}

fn measure(call: &CallRecord<'_>) -> Measure {
    Measure {
        status: call.status,
        cache: call.cache,
        bytes_in: call.bytes_in,
        bytes_out: call.bytes_out,
        duration_us: call.duration_us,
        upstream_us: call.upstream_us,
    }
}

/// Keeps the number of distinct cells in a minute within a bound, over all batches of that minute.
pub(super) struct Cap {
    most: usize,
    /// Cells of the newest minutes, each as its hash: a collision only lets one cell too many through.
    seen: Vec<(u32, HashSet<u64>)>,
    hasher: ahash::RandomState,
}

impl Default for Cap {
    fn default() -> Self {
        Self::of(MAX_CELLS)
    }
}

impl Cap {
    fn of(most: usize) -> Self {
        Self { most, seen: Vec::new(), hasher: ahash::RandomState::new() }
    }

    /// The counts as they travel, cells beyond the bound merged into "other".
    pub(super) fn apply(&mut self, rollups: Rollups) -> Vec<RollupDelta> {
        let mut capped = Cells::default();
        for (key, counts) in rollups.cells {
            let key = if self.admits(&key) { key } else { key.other() };
            capped.entry(key).or_default().merge(&counts);
        }
        capped
            .into_iter()
            .map(|(key, counts)| RollupDelta { minute: key.minute, cell: key.cell.into(), counts })
            .collect()
    }

    fn admits(&mut self, key: &Key<Box<str>>) -> bool {
        /// Calls count in the minute in which they began, so that long ones reach back.
        const MINUTES: usize = 8;
        let hash = self.hasher.hash_one(key);
        let at = match self.seen.iter().position(|(minute, _)| *minute == key.minute) {
            Some(at) => at,
            None => {
                if self.seen.len() == MINUTES {
                    self.seen.remove(0);
                }
                self.seen.push((key.minute, HashSet::new()));
                self.seen.len() - 1
            }
        };
        let seen = &mut self.seen[at].1;
        seen.contains(&hash) || (seen.len() < self.most && seen.insert(hash))
    }
}

impl Key<Box<str>> {
    fn other(self) -> Self {
        let cell = match self.cell {
            KeyCell::Traffic { tenant, api, route: _, status, cache } => {
                KeyCell::Traffic { tenant, api, route: Some(OTHER.into()), status, cache }
            }
            KeyCell::Consumer { tenant, application: _, plan: _, api, failed } => {
                KeyCell::Consumer { tenant, application: OTHER_APPLICATION, plan: None, api, failed }
            }
            KeyCell::Target { tenant, api, target: _, failed } => {
                KeyCell::Target { tenant, api, target: OTHER.into(), failed }
            }
        };
        Self { minute: self.minute, cell }
    }
}

impl Equivalent<Key<Box<str>>> for Key<&str> {
    fn equivalent(&self, key: &Key<Box<str>>) -> bool {
        self.minute == key.minute && self.cell == key.cell.borrowed()
    }
}

impl From<&Key<&str>> for Key<Box<str>> {
    fn from(key: &Key<&str>) -> Self {
        Self { minute: key.minute, cell: key.cell.map(|text| Box::from(*text)) }
    }
}

impl KeyCell<Box<str>> {
    fn borrowed(&self) -> KeyCell<&str> {
        self.map(|text| &**text)
    }
}

impl<S> KeyCell<S> {
    fn map<'a, T>(&'a self, text: impl FnOnce(&'a S) -> T) -> KeyCell<T> {
        match self {
            Self::Traffic { tenant, api, route, status, cache } => KeyCell::Traffic {
                tenant: *tenant,
                api: *api,
                route: route.as_ref().map(text),
                status: *status,
                cache: *cache,
            },
            Self::Consumer { tenant, application, plan, api, failed } => KeyCell::Consumer {
                tenant: *tenant,
                application: *application,
                plan: *plan,
                api: *api,
                failed: *failed,
            },
            Self::Target { tenant, api, target, failed } => {
                KeyCell::Target { tenant: *tenant, api: *api, target: text(target), failed: *failed }
            }
        }
    }
}

impl From<KeyCell<Box<str>>> for Cell {
    fn from(cell: KeyCell<Box<str>>) -> Self {
        match cell {
            KeyCell::Traffic { tenant, api, route, status, cache } => {
                Self::Traffic { tenant, api, route: route.map(String::from), status, cache }
            }
            KeyCell::Consumer { tenant, application, plan, api, failed } => {
                Self::Consumer { tenant, application, plan, api, failed }
            }
            KeyCell::Target { tenant, api, target, failed } => {
                Self::Target { tenant, api, target: target.into(), failed }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::a_call;
    use super::*;

    fn total(deltas: &[RollupDelta], wanted: impl Fn(&Cell) -> bool) -> u64 {
        deltas.iter().filter(|delta| wanted(&delta.cell)).map(|delta| delta.counts.calls).sum()
    }

    #[test]
    fn each_call_counts_once_in_each_cube_it_belongs_to() {
        let mut rollups = Rollups::default();
        let call = a_call();
        (0..5).for_each(|_| rollups.count(&call));
        rollups.count(&CallRecord { tenant: None, api: None, route: None, status: 404, ..call.clone() });
        rollups.count(&CallRecord { target: None, application: None, ..call.clone() });
        let deltas = Cap::default().apply(rollups);
        assert_eq!(total(&deltas, |cell| matches!(cell, Cell::Traffic { .. })), 7);
        assert_eq!(total(&deltas, |cell| matches!(cell, Cell::Consumer { .. })), 5);
        assert_eq!(total(&deltas, |cell| matches!(cell, Cell::Target { .. })), 5);
        let unrouted =
            deltas.iter().find(|delta| matches!(delta.cell, Cell::Traffic { api: None, .. })).unwrap();
        assert_eq!((unrouted.counts.calls, unrouted.counts.latency.count()), (1, 1));
    }

    #[test]
    fn merging_threads_loses_nothing() {
        let (mut all, call) = (Rollups::default(), a_call());
        for thread in 0..3_u64 {
            let mut one = Rollups::default();
            for status in [200, 500] {
                one.count(&CallRecord { status, duration_us: 10 * thread, ..call.clone() });
            }
            all.merge(one);
        }
        let deltas = Cap::default().apply(all);
        assert_eq!(deltas.len(), 6, "two statuses in three cubes");
        assert!(deltas.iter().all(|delta| delta.counts.calls == 3 && delta.counts.duration_us == 30));
    }

    #[test]
    fn cells_beyond_the_cap_are_counted_as_other_in_every_batch_of_the_minute() {
        let mut cap = Cap::of(10);
        let mut seen = HashSet::new();
        for batch in 0..2 {
            let mut rollups = Rollups::default();
            let routes: Vec<String> = (0..100).map(|route| format!("route {batch} {route}")).collect();
            for route in &routes {
                rollups.count(&CallRecord {
                    route: Some(route),
                    application: None,
                    target: None,
                    ..a_call()
                });
            }
            let deltas = cap.apply(rollups);
            assert_eq!(total(&deltas, |_| true), 100);
            seen.extend(deltas.into_iter().map(|delta| delta.cell));
        }
        assert_eq!(seen.len(), 11);
    }
}
