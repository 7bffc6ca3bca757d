//! Fetches in flight: equal requests that miss at the same time share one.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fill::Fill;
use super::stored::Stored;

/// How long to wait for another's fetch before fetching oneself.
const PATIENCE: Duration = Duration::from_secs(10);

/// What has become of a fetch.
#[derive(Clone, Default)]
pub(super) enum Stage {
    /// No response head yet.
    #[default]
    Waiting,
    /// A head that will be stored unless it turns out too large, with a body that is arriving.
    Arriving(Arc<Fill>),
    /// Stored whole.
    Stored(Arc<Stored>),
    /// It cannot be stored: everybody for himself.
    Uncacheable,
}

/// The fetches of all threads, by the whole key.
#[derive(Default)]
pub(super) struct Flights {
    shards: [Shard; 16],
}

type Shard = Mutex<HashMap<Box<[u8]>, watch::Receiver<Stage>, ahash::RandomState>>;

/// A request that misses: the first fetches, the others wait.
pub(super) enum Boarding {
    Leader(Flight),
    Follower(watch::Receiver<Stage>),
}

/// What a request that misses has to do.
pub(super) enum Part {
    /// Fetch, for all who ask for the same.
    Leads(Flight),
    /// Take what another's fetch has brought, if it can be taken.
    Joins(Stage),
    /// Fetch, for itself.
    Alone,
}

/// A fetch. Dropping it frees those who wait to try again.
pub(super) struct Flight {
    cache: Arc<super::Cache>,
    hash: u64,
    key: Box<[u8]>,
    stage: watch::Sender<Stage>,
}

impl Flights {
    /// Joins the fetch of a key, or begins one.
    pub(super) fn board(cache: &Arc<super::Cache>, hash: u64, key: &[u8]) -> Boarding {
        let mut flights = cache.flights.shard(hash).lock();
        if let Some(stage) = flights.get(key) {
            return Boarding::Follower(stage.clone());
        }
        let (stage, waiting) = watch::channel(Stage::Waiting);
        flights.insert(key.into(), waiting);
        Boarding::Leader(Flight { cache: Arc::clone(cache), hash, key: key.into(), stage })
    }

    /// Waits until it is clear who fetches, or what has been fetched.
    pub(super) async fn take_part(cache: &Arc<super::Cache>, hash: u64, key: &[u8]) -> Part {
        Self::take_part_within(PATIENCE, cache, hash, key).await
    }

    async fn take_part_within(patience: Duration, cache: &Arc<super::Cache>, hash: u64, key: &[u8]) -> Part {
        let until = tokio::time::Instant::now() + patience;
        while !cache.is_uncacheable(hash) {
            let mut stage = match Self::board(cache, hash, key) {
                Boarding::Leader(flight) => return Part::Leads(flight),
                Boarding::Follower(stage) => stage,
            };
            let waiting = stage.wait_for(|stage| !matches!(stage, Stage::Waiting));
            match tokio::time::timeout_at(until, waiting).await {
                Ok(Ok(stage)) => return Part::Joins(stage.clone()),
                // Whoever fetched has gone: try again, perhaps as who fetches.
                Ok(Err(_)) => {}
                Err(_) => break,
            }
        }
        Part::Alone
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[hash as usize % self.shards.len()]
    }
}

impl Flight {
    /// Tells those who wait.
    pub(super) fn is_now(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.cache.flights.shard(self.hash).lock().remove(&self.key);
    }
}

#[cfg(test)]
mod model;
