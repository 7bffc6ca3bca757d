//! Exact counts by minute and cell, kept by each thread and added up when a batch is made.

use std::collections::HashSet;

use hashbrown::{Equivalent, HashMap};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::calls::wire::{CallRecord, Seat};
use sluice_contract::ids::{ApiId, ApplicationId, PlanId, TenantId};
use sluice_contract::rollup::{Cell, Counts, Measure, OTHER, OTHER_APPLICATION, RollupDelta};

/// Distinct cells in one minute; the rest is "other". A cell is about 200 bytes on disk for each minute it is used in.
const MAX_CELLS: usize = 10_000;

type Cells = HashMap<Key<Box<str>>, Counts, ahash::RandomState>;

/// What one thread has counted since the last batch: by the contexts of calls, whose numbers are found anyway, so that
/// serving a call hashes no text. Threads and cells are only told apart when a batch is made.
#[derive(Default)]
pub(super) struct Counted {
    /// By their numbers.
    places: Vec<Place>,
    consumers: Vec<Consumer>,
    counts: HashMap<Seat, Counts, ahash::RandomState>,
}

/// What [`Seat::place`] says of the cells of a call.
struct Place {
    minute: u32,
    tenant: Option<TenantId>,
    api: Option<ApiId>,
    route: Option<Box<str>>,
    status: u16,
    cache: CacheOutcome,
    target: Option<Box<str>>,
}

/// What [`Seat::consumer`] says of the cells of a call.
struct Consumer {
    application: Option<ApplicationId>,
    plan: Option<PlanId>,
}

/// Counts by cell, of all threads.
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

impl Counted {
    /// Counts one call, once for all the cubes that it belongs to. `seat` is its place in the section that was written.
    pub(super) fn count(&mut self, seat: Seat, call: &CallRecord<'_>) {
        // Numbers come in order: the first call of each brings what it stands for.
        if seat.place as usize == self.places.len() {
            self.places.push(Place::of(call));
        }
        if seat.consumer as usize == self.consumers.len() {
            self.consumers.push(Consumer::of(call));
        }
        self.counts.entry(seat).or_default().record(&measure(call));
    }
}

impl Rollups {
    /// Adds what a thread has counted to every cell that it belongs to.
    pub(super) fn add(&mut self, counted: &Counted) {
        for (seat, counts) in &counted.counts {
            let place = counted.places.get(seat.place as usize);
            let consumer = counted.consumers.get(seat.consumer as usize);
            let Some((place, consumer)) = place.zip(consumer) else { continue };
            for key in place.cells(consumer).into_iter().flatten() {
                self.add_to(&key, counts);
            }
        }
    }

    fn add_to(&mut self, key: &Key<&str>, counts: &Counts) {
        if let Some(sum) = self.cells.get_mut(key) {
            sum.merge(counts);
        } else {
            self.cells.insert(Key::from(key), counts.clone());
        }
    }
}

impl Place {
    fn of(call: &CallRecord<'_>) -> Self {
        Self {
            // Before 1970 or after the year 10000 no clock is right.
            minute: u32::try_from(call.minute()).unwrap_or_default(),
            tenant: call.tenant,
            api: call.api,
            route: call.route.map(Box::from),
            status: call.status,
            cache: call.cache,
            target: call.target.map(Box::from),
        }
    }

    /// The cell of each cube.
    fn cells(&self, consumer: &Consumer) -> [Option<Key<&str>>; 3] {
        let &Self { minute, tenant, api, ref route, status, cache, ref target } = self;
        // An answer that is an error of the gateway or the upstream.
        let failed = status >= 500;
        let key = |cell| Key { minute, cell };
        let traffic = KeyCell::Traffic { tenant, api, route: route.as_deref(), status, cache };
        let of_api = tenant.zip(api);
        let consumer = of_api.zip(consumer.application).map(|((tenant, api), application)| {
            KeyCell::Consumer { tenant, application, plan: consumer.plan, api, failed }
        });
        let target = of_api.zip(target.as_deref()).map(|((tenant, api), target)| KeyCell::Target {
            tenant,
            api,
            target,
            failed,
        });
        [Some(key(traffic)), consumer.map(key), target.map(key)]
    }
}

impl Consumer {
    fn of(call: &CallRecord<'_>) -> Self {
        Self { application: call.application, plan: call.plan }
    }
}

fn measure(call: &CallRecord<'_>) -> Measure {
    Measure {
        status: call.status,
        cache: call.cache,
        bytes_in: call.bytes_in,
        bytes_out: call.bytes_out,
        duration_us: call.duration_us,
        upstream_us: call.upstream_us,
        second_level: call.second_level,
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
    use sluice_contract::calls::wire::Section;
    use sluice_contract::ids::CredentialId;
    use uuid::Uuid;

    use super::super::tests::a_call;
    use super::*;

    fn total(deltas: &[RollupDelta], wanted: impl Fn(&Cell) -> bool) -> u64 {
        deltas.iter().filter(|delta| wanted(&delta.cell)).map(|delta| delta.counts.calls).sum()
    }

    /// As a thread would count them.
    fn counted<'a>(calls: impl IntoIterator<Item = CallRecord<'a>>) -> Counted {
        let (mut section, mut counted) = (Section::default(), Counted::default());
        calls.into_iter().for_each(|call| counted.count(section.append(&call), &call));
        counted
    }

    fn rollups(threads: &[Counted]) -> Rollups {
        let mut rollups = Rollups::default();
        threads.iter().for_each(|counted| rollups.add(counted));
        rollups
    }

    #[test]
    fn each_call_counts_once_in_each_cube_it_belongs_to() {
        let call = a_call();
        let unrouted = CallRecord { tenant: None, api: None, route: None, status: 404, ..call.clone() };
        let anonymous = CallRecord { target: None, application: None, ..call.clone() };
        let mut calls = vec![call; 5];
        calls.extend([unrouted, anonymous]);
        let deltas = Cap::default().apply(rollups(&[counted(calls)]));
        assert_eq!(total(&deltas, |cell| matches!(cell, Cell::Traffic { .. })), 7);
        assert_eq!(total(&deltas, |cell| matches!(cell, Cell::Consumer { .. })), 5);
        assert_eq!(total(&deltas, |cell| matches!(cell, Cell::Target { .. })), 5);
        let unrouted =
            deltas.iter().find(|delta| matches!(delta.cell, Cell::Traffic { api: None, .. })).unwrap();
        assert_eq!((unrouted.counts.calls, unrouted.counts.latency.count()), (1, 1));
    }

    #[test]
    fn what_the_cells_do_not_tell_apart_is_counted_together() {
        let call = a_call();
        let by_another_key = CallRecord { credential: Some(CredentialId(Uuid::nil())), ..call.clone() };
        let elsewhere = CallRecord { host: "other.example", method: "HEAD", ..call.clone() };
        let later = CallRecord { at_us: call.at_us + 60_000_000, ..call.clone() };
        let calls = [call.clone(), by_another_key, elsewhere, call, later];
        let deltas = Cap::default().apply(rollups(&[counted(calls)]));
        let mut counts: Vec<_> = deltas.iter().map(|delta| (delta.minute, delta.counts.calls)).collect();
        counts.sort_unstable();
        assert_eq!(counts, [[(30_000_000, 4); 3], [(30_000_001, 1); 3]].concat());
    }

    #[test]
    fn adding_threads_up_loses_nothing() {
        let threads = [0, 10, 20].map(|duration_us| {
            counted([200, 500].map(|status| CallRecord { status, duration_us, ..a_call() }))
        });
        let deltas = Cap::default().apply(rollups(&threads));
        assert_eq!(deltas.len(), 6, "two statuses in three cubes");
        assert!(deltas.iter().all(|delta| delta.counts.calls == 3 && delta.counts.duration_us == 30));
    }

    #[test]
    fn cells_beyond_the_cap_are_counted_as_other_in_every_batch_of_the_minute() {
        let mut cap = Cap::of(10);
        let mut seen = HashSet::new();
        for batch in 0..2 {
            let routes: Vec<String> = (0..100).map(|route| format!("route {batch} {route}")).collect();
            let of_route =
                |route| CallRecord { route: Some(route), application: None, target: None, ..a_call() };
            let deltas = cap.apply(rollups(&[counted(routes.iter().map(|route| of_route(route)))]));
            assert_eq!(total(&deltas, |_| true), 100);
            seen.extend(deltas.into_iter().map(|delta| delta.cell));
        }
        assert_eq!(seen.len(), 11);
    }
}
