//! Warming: requests that the gateway makes of itself, so that callers find what they will ask for in the cache.
//!
//! They go through the pipeline like any call, on a thread of their own, as a caller without a credential whom nothing is
//! charged and nobody counts. [`target`] decides which URLs are worth a request, [`outcome`] reads what came of one.

mod outcome;
mod target;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body::Body as _;
use sluice_contract::warming::{Pace, WarmAnswer, WarmJob, WarmReport};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::listen::Connection;
use crate::pipeline::{Arrived, answer};
use crate::worker::Worker;
use outcome::Outcome;
use target::Aim;

/// Jobs that wait for the thread.
const QUEUE: usize = 16;
/// How often connections to upstreams that nobody uses are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Requests at a time, and a second, whatever a job says.
const MOST_AT_A_TIME: u32 = 64;
const MOST_A_SECOND: u32 = 10_000;

/// Where jobs are handed over, and what has come of all so far.
#[derive(Default)]
pub struct Warming {
    orders: OnceLock<mpsc::Sender<Order>>,
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

struct Order {
    job: WarmJob,
    reply: oneshot::Sender<WarmAnswer>,
}

impl Warming {
    /// Does a job: returns when each of its URLs is done with, or its time is over.
    pub async fn warm(&self, job: WarmJob) -> WarmAnswer {
        let Some(orders) = self.orders.get() else { return WarmAnswer::NotServing };
        let (reply, answer) = oneshot::channel();
        if orders.send(Order { job, reply }).await.is_err() {
            return WarmAnswer::NotServing;
        }
        answer.await.unwrap_or(WarmAnswer::NotServing)
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
        let (sender, receiver) = mpsc::channel(QUEUE);
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
            _ = sweep.tick() => worker.pools.sweep(),
            order = jobs.0.recv() => {
                let Some(Order { job, reply }) = order else { return };
                let (worker, own_url) = (Rc::clone(&worker), Arc::clone(&own_url));
                tokio::task::spawn_local(async move {
                    let answer = warm(&worker, &own_url, job).await;
                    // Nobody waits any more: what is warm stays warm.
                    let _ = reply.send(answer);
                });
            }
        }
    }
}

async fn warm(worker: &Rc<Worker>, own_url: &str, job: WarmJob) -> WarmAnswer {
    if !worker.shared.is_ready() {
        return WarmAnswer::NotServing;
    }
    let snapshot = worker.snapshot();
    if snapshot.position < job.position {
        return WarmAnswer::Behind;
    }
    let Some(api) = snapshot.apis.get(job.api) else { return WarmAnswer::UnknownApi };
    let WarmJob { api: _, position: _, targets, as_callers, renew_s, pace, within_ms } = job;
    let aim = Rc::new(Aim::new(Arc::clone(api), as_callers, own_url, renew_s));
    let until = Instant::now() + Duration::from_millis(within_ms);
    let report = Run { worker: Rc::clone(worker), aim, until }.all(targets.into(), pace).await;
    worker.shared.warming.count(&report);
    WarmAnswer::Done(report)
}

/// A job in the doing.
struct Run {
    worker: Rc<Worker>,
    aim: Rc<Aim>,
    until: Instant,
}

impl Run {
    /// Begins requests as fast as the pace allows.
    async fn all(self, mut targets: VecDeque<String>, pace: Pace) -> WarmReport {
        let (mut report, mut running) = (WarmReport::default(), JoinSet::new());
        let at_a_time = pace.concurrency.clamp(1, MOST_AT_A_TIME) as usize;
        let between = Duration::from_secs(1) / pace.per_second.clamp(1, MOST_A_SECOND);
        let mut next = Instant::now();
        while !(targets.is_empty() && running.is_empty()) {
            let may_begin = running.len() < at_a_time && !targets.is_empty();
            tokio::select! {
                () = tokio::time::sleep_until(next), if may_begin => {
                    let Some(target) = targets.pop_front() else { continue };
                    match self.begin(&target, &mut running) {
                        // What needs no request takes no turn.
                        Some(known) => known.note(&mut report),
                        None => next = next.max(Instant::now()) + between,
                    }
                }
                Some(ended) = running.join_next() => {
                    ended.unwrap_or(Outcome::Failed("broke_off".to_owned())).note(&mut report);
                }
                () = tokio::time::sleep_until(self.until) => break,
            }
        }
        let left = targets.len() + running.len();
        running.shutdown().await;
        (0..left).for_each(|_| Outcome::timed_out().note(&mut report));
        report
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
            let response = answer(worker, connection, Arrived::without_body(head)).await;
            let (head, mut body) = response.into_parts();
            let mut reading = outcome::Reading::of(&head, &body);
            // To its end, since only a whole response is stored.
            while let Some(frame) = std::future::poll_fn(|c| std::pin::Pin::new(&mut body).poll_frame(c)).await {
                reading.read(frame);
            }
            reading.outcome()
        });
        None
    }
}
