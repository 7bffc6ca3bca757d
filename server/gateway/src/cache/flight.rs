//! Fetches in flight: equal requests that miss at the same time share one.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fill::Fill;
use super::stored::Stored;

/// What has become of a fetch.
#[derive(Clone, Default)]
pub(super) enum Stage {
    /// No response head yet.
    #[default]
    Waiting,
    /// A head that will be stored, with a body of known size that is arriving.
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
