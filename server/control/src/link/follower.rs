//! Follows the journals of all environments once for this process, whatever the number of gateways: the newest
//! entries are kept ready to send, and streams wait here for more.
//!
//! A change of this process wakes the follower when it is committed; of changes of other control planes on the same
//! database Postgres tells, and what it could not tell is found by asking.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use sluice_contract::ids::{EnvironmentId, GatewayId, IncarnationId};
use sluice_contract::journal::Position;
use sluice_contract::rest::setup::DatabaseKind;
use sluice_store::journal::{self, Counter, StoredEntry};
use sluice_store::{JournalListener, Store, gateways};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::journal::entry_line;
use crate::state::App;

/// How often other control planes' changes are looked for, in case that Postgres could not tell of them.
const ASK_POSTGRES: Duration = Duration::from_millis(200);
/// SQLite has one control plane.
const ASK_SQLITE: Duration = Duration::from_secs(1);
/// How often it is looked whether gateways were removed.
const ASK_GATEWAYS: Duration = Duration::from_secs(1);
/// A stream ends with its access token, so that removals longer ago concern nobody.
const REMEMBER_REMOVALS: TimeDelta = TimeDelta::hours(2);
const LISTEN_AGAIN: Duration = Duration::from_secs(5);
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// Entries of each environment that are kept ready.
const RECENT: usize = 2048;
/// Entries for each query.
const PAGE: u64 = 512;

/// What holds for all streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct World {
    /// None until it was read for the first time.
    pub incarnation: Option<IncarnationId>,
    /// Gateways that were removed while a stream of theirs could be open.
    pub removed: HashSet<GatewayId>,
}

/// The newest entries of an environment, as lines to send.
#[derive(Default)]
pub(super) struct Tail {
    lines: RwLock<VecDeque<(Position, Bytes)>>,
    head: watch::Sender<Position>,
}

impl Tail {
    /// Tells when there is more.
    pub(super) fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// Lines after a position up to now and the position of the last; None when they are not kept any more.
    pub(super) fn after(&self, position: Position) -> Option<(Position, Bytes)> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let (first, _) = lines.front()?;
        let skip = usize::try_from((position + 1).checked_sub(*first)?).ok()?;
        let (last, _) = lines.back()?;
        if skip >= lines.len() {
            return None;
        }
        let mut all = Vec::new();
        lines.iter().skip(skip).for_each(|(_, line)| all.extend_from_slice(line));
        Some((*last, all.into()))
    }

    fn push(&self, entries: &[StoredEntry]) {
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        // Entries were compacted away before they were read. Lines are found by counting: with a gap between them a
        // stream would be given the wrong ones.
        let gap =
            lines.back().zip(entries.first()).is_some_and(|((last, _), next)| next.position != last + 1);
        if gap {
            lines.clear();
        }
        lines.extend(entries.iter().map(|entry| (entry.position, entry_line(entry))));
        let surplus = lines.len().saturating_sub(RECENT);
        lines.drain(..surplus);
    }

    /// Forgets the lines: their positions mean something else now.
    fn clear(&self) {
        self.lines.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Follower {
    tails: Mutex<HashMap<EnvironmentId, Arc<Tail>>>,
    world: watch::Sender<World>,
}

impl Follower {
    /// The newest entries of an environment.
    pub(super) fn tail(&self, environment: EnvironmentId) -> Arc<Tail> {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tails.entry(environment).or_default())
    }

    /// What holds for all streams, and when it changes.
    pub(super) fn world(&self) -> watch::Receiver<World> {
        self.world.subscribe()
    }

    async fn look(&self, store: &Store) -> sluice_store::Result<()> {
        let incarnation = journal::incarnation(store.read()).await?;
        let another = self.world.borrow().incarnation != Some(incarnation);
        for (environment, Counter { head, compacted_to }) in journal::counters(store.read()).await? {
            let tail = self.tail(environment);
            if another {
                tail.clear();
            }
            let known = *tail.head.borrow();
            // What was there before this process is read by who needs it.
            let from = if known == 0 || another { head } else { known.max(compacted_to) };
            let head = read_on(store, environment, &tail, from, head).await?;
            tail.head.send_if_modified(|known| std::mem::replace(known, head) != head);
        }
        if another {
            self.world.send_modify(|world| world.incarnation = Some(incarnation));
        }
        Ok(())
    }

    async fn look_at_gateways(&self, app: &App) -> sluice_store::Result<()> {
        let since = sluice_store::now() - REMEMBER_REMOVALS;
        let removed: HashSet<_> = gateways::removed_since(app.store.read(), since).await?;
        self.world
            .send_if_modified(|world| std::mem::replace(&mut world.removed, removed.clone()) != removed);
        for url in gateways::public_urls(app.store.read()).await? {
            app.learn_gateway(&url);
        }
        Ok(())
    }
}

/// Reads entries after `from` up to at least `head` into the tail. Returns up to where: there may be newer ones already.
async fn read_on(
    store: &Store,
    environment: EnvironmentId,
    tail: &Tail,
    mut from: Position,
    head: Position,
) -> sluice_store::Result<Position> {
    while from < head {
        let entries = journal::entries_after(store.read(), environment, from, PAGE).await?;
        let Some(last) = entries.last() else { return Ok(head) };
        from = last.position;
        tail.push(&entries);
    }
    Ok(from)
}

/// Pokes `heard` at changes by any control plane, until this one stops.
async fn listen(app: App, heard: Arc<Notify>) {
    let listening = async {
        loop {
            match JournalListener::connect(&app.store).await {
                Ok(mut listener) => {
                    while listener.changed().await.is_ok() {
                        heard.notify_one();
                    }
                }
                Err(error) => tracing::warn!(%error, "Postgres does not tell of changes; they are asked for"),
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    };
    tokio::select! {
        () = app.stopping.cancelled() => {}
        () = listening => {}
    }
}

/// Follows until the control plane stops.
pub(super) fn start(app: &App, follower: &Arc<Follower>) {
    let (app, follower) = (app.clone(), Arc::clone(follower));
    tokio::spawn(async move {
        let mut changes = app.store.journal_changes();
        let mut clock = tokio::time::interval(match app.store.kind() {
            DatabaseKind::Postgres => ASK_POSTGRES,
            DatabaseKind::Sqlite => ASK_SQLITE,
        });
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let heard = Arc::new(Notify::new());
        tokio::spawn(listen(app.clone(), Arc::clone(&heard)));
        let mut gateways_due = Instant::now();
        loop {
            tokio::select! {
                () = app.stopping.cancelled() => return,
                _ = clock.tick() => {}
                () = heard.notified() => {}
                // The sender lives in the store, which this task holds.
                _ = changes.changed() => gateways_due = Instant::now(),
            }
            let mut looked = follower.look(&app.store).await;
            if looked.is_ok() && gateways_due <= Instant::now() {
                gateways_due = Instant::now() + ASK_GATEWAYS;
                looked = follower.look_at_gateways(&app).await;
            }
            if let Err(error) = looked {
                tracing::warn!(%error, "the journal could not be read; it will be tried again");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(positions: std::ops::RangeInclusive<Position>) -> Vec<StoredEntry> {
        let entry = |position| StoredEntry { position, at: sluice_store::now(), change: "{}".to_owned() };
        positions.map(entry).collect()
    }

    #[test]
    fn a_tail_gives_what_comes_after_a_position_or_says_that_it_has_not_kept_it() {
        let tail = Tail::default();
        assert_eq!(tail.after(0), None);
        tail.push(&entries(5..=7));
        let (last, lines) = tail.after(5).unwrap();
        assert_eq!((last, lines.iter().filter(|byte| **byte == b'\n').count()), (7, 2));
        assert_eq!(tail.after(4).unwrap().0, 7);
        assert_eq!(tail.after(3), None, "entry 4 was never kept");
        assert_eq!(tail.after(7), None, "there is nothing after the last");
    }

    #[test]
    fn a_tail_forgets_what_came_before_a_gap() {
        let tail = Tail::default();
        tail.push(&entries(2..=8));
        tail.push(&entries(10..=11));
        let (last, lines) = tail.after(9).unwrap();
        assert_eq!(
            (last, lines.iter().filter(|byte| **byte == b'\n').count()),
            (11, 2),
            "entry 10 is not passed over"
        );
        assert_eq!(tail.after(8), None, "nobody is led over the gap");
    }

    #[test]
    fn a_tail_keeps_the_newest_entries_only() {
        let tail = Tail::default();
        tail.push(&entries(1..=RECENT as u64 + 10));
        assert_eq!(tail.after(9), None);
        assert_eq!(tail.after(10).unwrap().0, RECENT as u64 + 10);
    }
}
