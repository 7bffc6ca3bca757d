//! Calls on their way to the control plane: recorded by each thread, batched with exact rollups, spooled to disk, shipped.
//!
//! The data path takes one [`Recorder`] for each thread from [`Recorders::recorder`], opens a call when its request
//! head has arrived ([`Recorder::open`]) and hands it over when it ends ([`OpenCall::record`]).

mod batch;
mod recorder;
mod rollup;
mod spool;
mod tally;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_contract::ids::BootId;
use sluice_contract::link::LostCalls;
use tokio::sync::Notify;

use batch::Collector;
pub use recorder::{OpenCall, Recorder, Recorders};
use spool::Spool;
pub(crate) use spool::{BatchName, Body};
use tally::{PastTally, Tally};

/// How often batches are made.
const INTERVAL: Duration = Duration::from_millis(250);

/// Collects, spools and hands out the calls of this boot and those that earlier ones left.
pub struct Telemetry {
    recorders: Arc<Recorders>,
    spool: Arc<Mutex<Spool>>,
    tally: Arc<Tally>,
    past: Mutex<Vec<PastTally>>,
    ready: Arc<Notify>,
    stop: Arc<AtomicBool>,
    collector: Mutex<Option<JoinHandle<()>>>,
}

/// How full the spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolHealth {
    pub batches: u64,
    pub bytes: u64,
    /// Calls dropped since start.
    pub dropped_calls: u64,
}

impl Telemetry {
    /// Starts collecting, with files below `data` that may take `max_bytes`.
    ///
    /// # Errors
    /// When the directories cannot be made or read.
    pub fn start(data: &Path, max_bytes: u64, boot: BootId) -> io::Result<Self> {
        let (spool_directory, tally_directory) = (data.join("spool"), data.join("tally"));
        std::fs::create_dir_all(&spool_directory)?;
        std::fs::create_dir_all(&tally_directory)?;
        let past = PastTally::read_all(&tally_directory);
        let tally = Arc::new(Tally::create(&tally_directory, boot));
        let spool = Spool::open(spool_directory, max_bytes, Arc::clone(&tally), boot)?;
        let past = settle_past(past, &spool, &tally);
        let mut telemetry = Self {
            recorders: Recorders::new(Arc::clone(&tally)),
            spool: Arc::new(Mutex::new(spool)),
            tally,
            past: Mutex::new(past),
            ready: Arc::new(Notify::new()),
            stop: Arc::default(),
            collector: Mutex::default(),
        };
        telemetry.collector = Mutex::new(Some(telemetry.spawn_collector(boot)?));
        Ok(telemetry)
    }

    /// Where threads get their recorders.
    pub fn recorders(&self) -> &Arc<Recorders> {
        &self.recorders
    }

    /// How full the spool is.
    pub fn health(&self) -> SpoolHealth {
        let spool = self.spool.lock();
        let (batches, bytes) = spool.size();
        SpoolHealth { batches, bytes, dropped_calls: spool.dropped() }
    }

    /// Calls that earlier lives lost, until [`Self::losses_told`].
    pub(crate) fn losses(&self) -> Vec<LostCalls> {
        let past = self.past.lock();
        past.iter().map(|tally| LostCalls { boot: tally.boot, count: tally.unsettled }).collect()
    }

    /// The control plane knows of these losses.
    pub(crate) fn losses_told(&self, told: &[LostCalls]) {
        self.past.lock().retain(|tally| {
            let known = told.iter().any(|loss| loss.boot == tally.boot);
            if known {
                tally.remove();
            }
            !known
        });
    }

    /// Waits until a batch may be there to be sent.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// The oldest batch, to be sent; see [`Spool::next`].
    pub(crate) fn next_batch(&self) -> Option<(BatchName, Body)> {
        self.spool.lock().next()
    }

    /// The batch could not be sent now.
    pub(crate) fn put_back(&self) {
        self.spool.lock().put_back();
    }

    /// The control plane has the batch.
    pub(crate) fn delivered(&self, name: &BatchName) {
        self.spool.lock().delivered(name);
    }

    /// The batch can never be delivered.
    pub(crate) fn refused(&self, name: &BatchName) {
        self.spool.lock().refused(name);
    }

    /// Collects a last time and stops collecting. What is not delivered yet stays in the spool for the next life.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let Some(collector) = self.collector.lock().take() else { return };
        collector.thread().unpark();
        if collector.join().is_err() {
            tracing::error!("the collector of calls has died");
        }
    }

    /// Ends a life well: forgets the counters once nothing is left to tell. Call after the last batch is sent.
    pub fn close(&self) {
        self.stop();
        self.tally.close();
    }

    fn spawn_collector(&self, boot: BootId) -> io::Result<JoinHandle<()>> {
        let collector = Collector {
            boot,
            recorders: Arc::clone(&self.recorders),
            spool: Arc::clone(&self.spool),
            tally: Arc::clone(&self.tally),
            ready: Arc::clone(&self.ready),
            stop: Arc::clone(&self.stop),
            interval: INTERVAL,
            cap: rollup::Cap::default(),
            recorder_drops: 0,
        };
        std::thread::Builder::new().name("sluice-calls".to_owned()).spawn(move || collector.run())
    }
}

/// Finds out what earlier lives lost. Those that lost nothing are forgotten at once.
fn settle_past(past: Vec<PastTally>, spool: &Spool, tally: &Tally) -> Vec<PastTally> {
    let mut lossy = Vec::new();
    for mut life in past {
        match life.correct(spool.settled_by(life.boot)) {
            Ok(untold) => tally.add_untold(untold),
            Err(error) => {
                tracing::warn!(%error, boot = %life.boot, "a tally of an earlier life cannot be corrected")
            }
        }
        if life.unsettled == 0 {
            life.remove();
        } else {
            tracing::warn!(boot = %life.boot, calls = life.unsettled, "an earlier life of this gateway lost calls");
            lossy.push(life);
        }
    }
    lossy
}
