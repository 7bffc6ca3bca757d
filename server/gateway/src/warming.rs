//! Warming: requests that the gateway makes of itself, so that callers find what they will ask for in the cache.
//!
//! They go through the pipeline like any call, on a thread of their own, as a caller without a credential whom nothing is
//! charged and nobody counts. [`target`] decides which URLs are worth a request, [`outcome`] reads what came of one.

mod outcome;
mod target;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body::Body as _;
use parking_lot::Mutex;
use sluice_contract::ids::{TenantId, WarmJobId};
use sluice_contract::warming::{ABANDONED, Pace, WARM_JOB_MAX, WarmAnswer, WarmAsk, WarmJob, WarmReport};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::compile::Api;
use crate::listen::Connection;
use crate::pipeline::{Arrived, answer};
use crate::shared::Shared;
use crate::worker::Worker;
use outcome::Outcome;
use target::Aim;

/// Jobs that are remembered, so that who asks late learns how they ended.
const REMEMBERED: usize = 64;
/// How often connections to upstreams that nobody uses are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Requests at a time, and a second, whatever a job says.
const MOST_AT_A_TIME: u32 = 64;
const MOST_A_SECOND: u32 = 10_000;

/// Where jobs are handed over, and what has come of all so far.
#[derive(Default)]
pub struct Warming {
    orders: OnceLock<mpsc::Sender<Order>>,
    /// The newest last.
    known: Mutex<VecDeque<(WarmJobId, Arc<State>)>>,
    counts: Counts,
}

/// What became of URLs since the gateway started.
#[derive(Default)]
struct Counts {
    stored: AtomicU64,
    taken_over: AtomicU64,
    held: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

/// How a job is.
#[derive(Default)]
struct State {
    report: Mutex<WarmReport>,
    ended: AtomicBool,
    asked: Notify,
    stop: Notify,
}

struct Order {
    api: Arc<Api>,
    job: WarmJob,
    state: Arc<State>,
}

impl Warming {
    /// Begins, looks after or stops a job of a tenant.
    pub(crate) fn ask(&self, shared: &Shared, tenant: TenantId, id: WarmJobId, what: WarmAsk) -> WarmAnswer {
        let known = self.find(id);
        match (what, known) {
            (WarmAsk::Begin(job), None) => self.begin(shared, tenant, id, *job),
            (_, None) => WarmAnswer::UnknownJob,
            (WarmAsk::Stop, Some(state)) => {
                state.stop.notify_one();
                state.answer()
            }
            (WarmAsk::Begin(_) | WarmAsk::Look, Some(state)) => {
                state.asked.notify_one();
                state.answer()
            }
        }
    }

    fn begin(&self, shared: &Shared, tenant: TenantId, id: WarmJobId, mut job: WarmJob) -> WarmAnswer {
        let (Some(orders), true) = (self.orders.get(), shared.is_ready()) else {
            return WarmAnswer::UnknownJob;
        };
        let snapshot = shared.snapshot();
        if snapshot.position < job.position {
            return WarmAnswer::Behind;
        }
        let Some(api) = snapshot.apis.get(job.api).filter(|api| api.tenant == tenant) else {
            return WarmAnswer::UnknownApi;
        };
        job.targets.truncate(WARM_JOB_MAX);
        let state = Arc::<State>::default();
        let order = Order { api: Arc::clone(api), job, state: Arc::clone(&state) };
        if orders.try_send(order).is_err() {
            return WarmAnswer::UnknownJob;
        }
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.pop_front();
        }
        known.push_back((id, Arc::clone(&state)));
        state.answer()
    }

    fn find(&self, id: WarmJobId) -> Option<Arc<State>> {
        let known = self.known.lock();
        known.iter().find(|(one, _)| *one == id).map(|(_, state)| Arc::clone(state))
    }

    /// Each outcome with how many URLs had it since the gateway started.
    pub(crate) fn by_outcome(&self) -> [(&'static str, u64); 5] {
        let Counts { stored, taken_over, held, failed, skipped } = &self.counts;
        [
            ("stored", stored),
            ("taken_over", taken_over),
            ("held", held),
            ("failed", failed),
            ("skipped", skipped),
        ]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }

    /// Takes jobs from now on; they are done by [`run`].
    pub(crate) fn open(&self) -> Jobs {
        let (sender, receiver) = mpsc::channel(REMEMBERED);
        // A second data path over the same state would find it taken: its jobs go to the first.
        let _ = self.orders.set(sender);
        Jobs(receiver)
    }

    fn count(&self, report: &WarmReport) {
        let WarmReport { stored, taken_over, held, failed, skipped, reasons: _ } = report;
        let Counts { stored: s, taken_over: t, held: h, failed: f, skipped: k } = &self.counts;
        for (counter, count) in [(s, stored), (t, taken_over), (h, held), (f, failed), (k, skipped)] {
            counter.fetch_add(*count, Ordering::Relaxed);
        }
    }
}

impl State {
    fn answer(&self) -> WarmAnswer {
        // In this order: what has ended has its whole report.
        let ended = self.ended.load(Ordering::Acquire);
        let report = self.report.lock().clone();
        if ended { WarmAnswer::Done(report) } else { WarmAnswer::Running(report) }
    }

    fn note(&self, outcome: Outcome) {
        outcome.note(&mut self.report.lock());
    }
}

/// Jobs that were handed over.
pub(crate) struct Jobs(mpsc::Receiver<Order>);

/// Does jobs, several at a time, until the gateway stops. `own_url` is where callers reach the gateway.
pub(crate) async fn run(
    worker: Rc<Worker>,
    own_url: Arc<str>,
    mut jobs: Jobs,
    mut stopped: watch::Receiver<bool>,
) {
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = sweep.tick() => {
                worker.set_time();
                worker.pools.sweep();
            }
            order = jobs.0.recv() => {
                let Some(order) = order else { return };
                tokio::task::spawn_local(warm(Rc::clone(&worker), Arc::clone(&own_url), order));
            }
        }
    }
}

async fn warm(worker: Rc<Worker>, own_url: Arc<str>, order: Order) {
    let Order { api, job, state } = order;
    let WarmJob { api: _, position: _, targets, as_callers, renew_s, pace, within_ms } = job;
    let aim = Aim::new(api, as_callers, &own_url, renew_s);
    let until = Instant::now() + Duration::from_millis(within_ms);
    let shared = Arc::clone(&worker.shared);
    Run { worker, aim, until, state: &state }.all(targets.into(), pace).await;
    state.ended.store(true, Ordering::Release);
    shared.warming.count(&state.report.lock());
}

/// A job in the doing.
struct Run<'j> {
    worker: Rc<Worker>,
    aim: Aim,
    until: Instant,
    state: &'j State,
}

impl Run<'_> {
    /// Begins requests as fast as the pace allows.
    async fn all(self, mut targets: VecDeque<String>, pace: Pace) {
        let mut running = JoinSet::new();
        let at_a_time = pace.concurrency.clamp(1, MOST_AT_A_TIME) as usize;
        let between = Duration::from_secs(1) / pace.per_second.clamp(1, MOST_A_SECOND);
        let (mut next, mut asked) = (Instant::now(), Instant::now());
        let mut why = "timed_out";
        while !(targets.is_empty() && running.is_empty()) {
            let may_begin = running.len() < at_a_time && !targets.is_empty();
            tokio::select! {
                () = tokio::time::sleep_until(next), if may_begin => {
                    let Some(target) = targets.pop_front() else { continue };
                    match self.begin(&target, &mut running) {
                        // What needs no request takes no turn.
                        Some(known) => self.state.note(known),
                        None => next = next.max(Instant::now()) + between,
                    }
                }
                Some(ended) = running.join_next() => {
                    self.state.note(ended.unwrap_or(Outcome::Failed("broke_off".to_owned())));
                }
                () = self.state.asked.notified() => asked = Instant::now(),
                () = tokio::time::sleep_until(self.until) => break,
                () = tokio::time::sleep_until(asked + ABANDONED) => { why = "stopped"; break }
                () = self.state.stop.notified() => { why = "stopped"; break }
            }
        }
        let left = targets.len() + running.len();
        running.shutdown().await;
        (0..left).for_each(|_| self.state.note(Outcome::Failed(why.to_owned())));
    }

    /// Sends one request on its way. An outcome where none is needed.
    fn begin(&self, target: &str, running: &mut JoinSet<Outcome>) -> Option<Outcome> {
        let head = match self.aim.at(target) {
            Ok(head) => head,
            Err(outcome) => return Some(outcome),
        };
        let worker = Rc::clone(&self.worker);
        running.spawn_local(async move {
            let connection = Rc::new(Connection::internal());
            let response = answer(worker, connection, Box::new(Arrived::without_body(head))).await;
            let (head, mut body) = response.into_parts();
            let mut reading = outcome::Reading::of(&head, &body);
            // To its end, since only a whole response is stored.
            while let Some(frame) =
                std::future::poll_fn(|c| std::pin::Pin::new(&mut body).poll_frame(c)).await
            {
                reading.read(frame);
            }
            reading.outcome()
        });
        None
    }
}
