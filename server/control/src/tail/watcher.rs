//! One watcher of the tail: keeps to its tenant and filter, names what calls refer to, and never falls far behind.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use chrono::{TimeDelta, Utc};
use sluice_contract::ids::{CallId, TenantId};
use sluice_contract::rest::calls::CallFilter;
use sluice_store::telemetry::{Matcher, StoredCall};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio::time::{Instant, interval, sleep};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::{Arrival, Names, row};
use crate::problem::ApiError;
use crate::state::App;

/// After this time the browser connects again, and is asked again who it is.
const LIFETIME: Duration = Duration::from_secs(300);
/// Names may change while somebody watches.
const NAMES_FOR: Duration = Duration::from_secs(30);
/// How often calls that other control planes stored are looked for, how far back, and how many at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_BACK: TimeDelta = TimeDelta::seconds(20);
const LOOK_AT: u32 = 200;
/// Events that wait for a slow connection.
const WAITING: usize = 500;
/// Calls that are remembered as shown.
const REMEMBERED: usize = 8_192;

/// Events for one watcher: `call` with a call, `skipped` with how many calls at least were not shown.
///
/// # Errors
/// 429 when too many watch already.
pub(crate) async fn watch(
    app: &App,
    tenant: TenantId,
    matcher: Matcher,
) -> Result<impl Stream<Item = Result<Event, Infallible>> + use<>, ApiError> {
    let seat = Arc::clone(&app.tail.seats)
        .try_acquire_owned()
        .map_err(|_| ApiError::too_many("too_many_tails", "too many people watch calls at the moment", 10))?;
    let (events, stream) = mpsc::channel(WAITING);
    let mut watcher = Watcher {
        app: app.clone(),
        tenant,
        matcher,
        events,
        names: Names::default(),
        names_until: Instant::now() + NAMES_FOR,
        shown: Shown::default(),
        skipped: 0,
        _seat: seat,
    };
    // What is in the store already was not asked for. In this order: what arrives between the two is found by the
    // next look.
    if app.telemetry.is_shared() {
        let present = watcher.look().await;
        watcher.shown.add(present.iter().map(|stored| stored.call.id));
    }
    tokio::spawn(watcher.run(app.tail.arrivals.subscribe()));
    Ok(ReceiverStream::new(stream))
}

struct Watcher {
    app: App,
    tenant: TenantId,
    matcher: Matcher,
    events: mpsc::Sender<Result<Event, Infallible>>,
    names: Names,
    names_until: Instant,
    shown: Shown,
    /// Calls not shown, not told yet.
    skipped: u64,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    async fn run(mut self, mut arrivals: broadcast::Receiver<Arc<Arrival>>) {
        let shared = self.app.telemetry.is_shared();
        let (stopping, events) = (self.app.stopping.clone(), self.events.clone());
        let mut clock = interval(LOOK_EVERY);
        let end = sleep(LIFETIME);
        tokio::pin!(end);
        loop {
            let found = tokio::select! {
                () = stopping.cancelled() => return,
                () = events.closed() => return,
                () = &mut end => return,
                arrival = arrivals.recv() => match arrival {
                    Ok(arrival) => self.kept(&arrival),
                    // At least one call in each batch that was missed.
                    Err(RecvError::Lagged(batches)) => {
                        self.skipped += batches;
                        Vec::new()
                    }
                    Err(RecvError::Closed) => return,
                },
                _ = clock.tick() => if shared { self.look().await } else { Vec::new() },
            };
            self.show(found).await;
        }
    }

    fn kept(&self, arrival: &Arrival) -> Vec<StoredCall> {
        let of_tenant = arrival.calls.iter().filter(|call| call.tenant == Some(self.tenant));
        of_tenant
            .filter(|call| self.matcher.keeps(call, arrival.gateway))
            .map(|call| StoredCall { call: call.clone(), gateway: arrival.gateway })
            .collect()
    }

    /// The newest calls in the store, oldest first. None when it fails: the next look is near.
    async fn look(&self) -> Vec<StoredCall> {
        let since = Utc::now() - LOOK_BACK;
        let asked = self.matcher.filter();
        let filter =
            CallFilter { from: Some(asked.from.map_or(since, |from| from.max(since))), ..asked.clone() };
        match self.app.telemetry.calls(self.tenant, &filter, LOOK_AT, None).await {
            Ok(page) => page.items.into_iter().rev().collect(),
            Err(error) => {
                tracing::warn!(%error, "calls of other control planes could not be looked for");
                Vec::new()
            }
        }
    }

    async fn show(&mut self, mut found: Vec<StoredCall>) {
        found.retain(|stored| !self.shown.has(stored.call.id));
        self.shown.add(found.iter().map(|stored| stored.call.id));
        let room = self.events.capacity().saturating_sub(1);
        if found.len() > room {
            // The newest are what somebody watching wants to see.
            let missed = found.len() - room;
            self.skipped += missed as u64;
            found.drain(..missed);
        }
        self.learn_names(&found).await;
        for stored in found {
            if let Ok(event) = Event::default().event("call").json_data(row(stored, &self.names)) {
                self.send(event);
            }
        }
        self.tell_skipped();
    }

    async fn learn_names(&mut self, found: &[StoredCall]) {
        if Instant::now() >= self.names_until {
            self.names = Names::default();
            self.names_until = Instant::now() + NAMES_FOR;
        }
        if let Err(error) = self.names.learn(&self.app.store, self.tenant, found).await {
            tracing::warn!(%error, "names for the tail could not be looked up");
        }
    }

    fn tell_skipped(&mut self) {
        if self.skipped > 0 && self.events.capacity() > 0 {
            let event = Event::default().event("skipped").data(format!("{{\"at_least\":{}}}", self.skipped));
            self.skipped = 0;
            self.send(event);
        }
    }

    fn send(&mut self, event: Event) {
        if self.events.try_send(Ok(event)).is_err() {
            self.skipped += 1;
        }
    }
}

/// Calls that were shown, the newest of them: a call that arrives here is found in the store as well.
#[derive(Default)]
struct Shown {
    order: VecDeque<CallId>,
    ids: HashSet<CallId>,
}

impl Shown {
    fn has(&self, id: CallId) -> bool {
        self.ids.contains(&id)
    }

    fn add(&mut self, ids: impl Iterator<Item = CallId>) {
        for id in ids {
            if self.ids.insert(id) {
                self.order.push_back(id);
            }
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
    }
}
