//! What all threads of a gateway share: the snapshot, limits, cache, recorders, and how well the link does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwap;
use sluice_contract::guard::Guard;
use sluice_contract::journal::{Position, Purge, PurgeScope};

use crate::cache::{Cache, Stamp};
use crate::clock::Clock;
use crate::compile::Compiler;
use crate::link::LinkStatus;
use crate::state::Snapshot;
use crate::telemetry::Recorders;

/// Everything that threads share. The link writes, calls read.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    pub compiler: Compiler,
    pub cache: Arc<Cache>,
    pub recorders: Arc<Recorders>,
    pub clock: Clock,
    /// Networks that this gateway itself allows upstreams in, besides those of the environment's settings.
    pub guard: Guard,
    /// Whether calls may be served and stored responses trusted.
    pub link: LinkStatus,
    pub stats: Stats,
    /// Calls in flight are no longer waited for.
    pub(crate) stopping: AtomicBool,
}

/// Counted by the data path.
#[derive(Default)]
pub struct Stats {
    /// Open client connections.
    pub connections: AtomicU64,
    /// Client connections since start.
    pub accepted: AtomicU64,
    /// Messages that broke the rules of HTTP framing.
    pub malformed: AtomicU64,
}

impl Shared {
    /// An empty gateway: not ready until a snapshot is published. Its cache holds so many bytes at most.
    pub fn new(recorders: Arc<Recorders>, guard: Guard, cache_bytes: u64) -> Self {
        Self {
            snapshot: ArcSwap::default(),
            compiler: Compiler::default(),
            cache: Arc::new(Cache::new(cache_bytes)),
            recorders,
            clock: Clock::start(),
            guard,
            link: LinkStatus::default(),
            stats: Stats::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// What calls are decided with now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What calls are decided with now, for a moment that does not await.
    pub fn peek(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Decides calls with this from now on.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Makes a purge true. Comes before the snapshot with its position is published, so that nobody who sees the
    /// position is served what the purge covers.
    pub fn purge(&self, purge: &Purge, position: Position) {
        let stamp = Stamp { position, at: self.clock.now() };
        match &purge.scope {
            PurgeScope::Api { api } => self.compiler.purges.of(*api).all(stamp),
            PurgeScope::Url { api, path } => {
                let purges = self.compiler.purges.of(*api);
                for url in crate::cache::purged_urls(self.peek().apis.get(*api).map(AsRef::as_ref), path) {
                    purges.url(url, stamp);
                }
            }
        }
    }

    /// Forgets every stored response: the journal has another incarnation, or purges were missed.
    pub fn drop_cache(&self, position: Position) {
        self.compiler.purges.all(Stamp { position, at: self.clock.now() });
    }

    /// Whether calls are served: there is a configuration and it is not too old.
    pub fn is_ready(&self) -> bool {
        self.peek().is_ready() && self.link.may_serve()
    }
}
