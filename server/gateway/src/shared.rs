//! What all threads of a gateway share: the snapshot, limits, cache, recorders, and the link's switches.

mod changes;
mod purging;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use sluice_contract::guard::Guard;
use sluice_contract::ids::EnvironmentId;

use crate::cache::{Cache, CacheLimits};
use crate::clock::Clock;
use crate::compile::Compiler;
use crate::state::Snapshot;
use crate::telemetry::Recorders;
use crate::warming::Warming;

/// Everything that threads share. The link writes, calls read.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    pub compiler: Compiler,
    pub cache: Arc<Cache>,
    /// Whom the gateway serves; not known before it has enrolled.
    environment: RwLock<Option<EnvironmentId>>,
    pub recorders: Arc<Recorders>,
    pub clock: Clock,
    /// Networks that this gateway itself allows upstreams in, besides those of the environment's settings.
    pub guard: Guard,
    /// Whether keys are taken from other machines over plain HTTP.
    pub plain_keys: bool,
    pub switches: Switches,
    pub stats: Stats,
    pub warming: Warming,
    /// What unsafe methods have changed and other gateways are to be told.
    pub changes: changes::Changes,
    /// Purges whose responses are still in memory.
    unforgotten: purging::Unforgotten,
    /// Calls in flight are no longer waited for.
    pub(crate) stopping: AtomicBool,
}

/// Set by the link.
#[derive(Default)]
pub struct Switches {
    /// Nothing was heard from the control plane for a while: stored responses are validated before they are served.
    pub link_stale: AtomicBool,
    /// The configuration is older than it may be, or the gateway was removed: every call gets 503.
    pub refuse_all: AtomicBool,
}

/// Counted by the data path.
#[derive(Default)]
pub struct Stats {
    /// Open client connections.
    pub connections: AtomicU64,
    /// Client connections since start.
    pub accepted: AtomicU64,
    /// Connections ended for a head that is malformed, ambiguous or too large.
    pub malformed: AtomicU64,
    /// Targets of upstreams that failed so often that they were left alone.
    pub rested: AtomicU64,
}

impl Shared {
    /// An empty gateway: not ready until a snapshot is published.
    pub fn new(recorders: Arc<Recorders>, guard: Guard) -> Self {
        Self {
            snapshot: ArcSwap::default(),
            compiler: Compiler::default(),
            cache: Arc::new(Cache::new(CacheLimits::default())),
            environment: RwLock::default(),
            recorders,
            clock: Clock::start(),
            guard,
            plain_keys: false,
            switches: Switches::default(),
            stats: Stats::default(),
            warming: Warming::default(),
            changes: changes::Changes::default(),
            unforgotten: purging::Unforgotten::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// With this cache.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { cache: Arc::new(cache), ..self }
    }

    /// Taking keys from other machines over plain HTTP, or not.
    #[must_use]
    pub fn with_plain_keys(self, plain_keys: bool) -> Self {
        Self { plain_keys, ..self }
    }

    /// Whom the gateway serves; None before it has enrolled.
    pub fn environment(&self) -> Option<EnvironmentId> {
        *self.environment.read()
    }

    /// The gateway serves this environment.
    pub fn serve_environment(&self, environment: EnvironmentId) {
        *self.environment.write() = Some(environment);
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

    /// Gives back the memory of responses that are too old to be of use. Takes a while.
    pub(crate) fn forget_aged(&self) {
        self.cache.forget_aged(self.clock.now());
    }

    /// Whether calls are served: there is a configuration and it is not too old.
    pub fn is_ready(&self) -> bool {
        self.peek().is_ready() && !self.switches.refuse_all.load(Ordering::Relaxed)
    }
}
