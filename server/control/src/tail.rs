//! The live tail: calls that this control plane stores reach who watches at once; those that others store are looked
//! for. A watcher who is too slow misses calls and is told so; nobody ever waits for one.

mod names;
mod watcher;

use std::sync::Arc;

use sluice_contract::calls::Call;
use sluice_contract::ids::GatewayId;
use tokio::sync::{Semaphore, broadcast};

pub(crate) use names::{Names, row};
pub(crate) use watcher::watch;

/// Batches that a watcher may be behind.
const BEHIND: usize = 64;
/// Watchers at the same time, in this process.
const WATCHERS: usize = 100;

/// Where batches arrive and watchers listen.
pub(crate) struct Tail {
    arrivals: broadcast::Sender<Arc<Arrival>>,
    seats: Arc<Semaphore>,
}

/// Calls of one batch.
pub(crate) struct Arrival {
    gateway: GatewayId,
    calls: Vec<Call>,
}

impl Default for Tail {
    fn default() -> Self {
        Self { arrivals: broadcast::Sender::new(BEHIND), seats: Arc::new(Semaphore::new(WATCHERS)) }
    }
}

impl Tail {
    /// Shows calls to who watches. Never waits.
    pub(crate) fn publish(&self, gateway: GatewayId, calls: Vec<Call>) {
        if self.arrivals.receiver_count() > 0 && !calls.is_empty() {
            // It fails only when the last watcher has just left.
            let _ = self.arrivals.send(Arc::new(Arrival { gateway, calls }));
        }
    }
}
