//! What all threads of a gateway share: the snapshot, limits, cache, recorders, and the link's switches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use sluice_contract::guard::Guard;
use sluice_contract::ids::{ApiId, EnvironmentId};
use sluice_contract::journal::{Position, Purge, PurgeScope};

use crate::cache::{ApiPurges, Cache, CacheLimits, Location, Stamp};
use crate::clock::Clock;
use crate::compile::Compiler;
use crate::state::Snapshot;
use crate::telemetry::Recorders;

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
    /// A purge has come since the cache was last cleared of what purges cover.
    purged: AtomicBool,
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
            purged: AtomicBool::new(false),
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

    /// Makes a purge true. Comes before the snapshot with its position is published, so that nobody who sees the
    /// position is served what the purge covers.
    pub fn purge(&self, purge: &Purge, position: Position) {
        let stamp = Stamp { position, at: self.clock.now() };
        match &purge.scope {
            PurgeScope::Api { api } => self.compiler.purges.of(*api).all(stamp),
            PurgeScope::Url { api, path } => {
                let purges = self.compiler.purges.of(*api);
                let urls = crate::cache::purged_urls(self.peek().apis.get(*api).map(AsRef::as_ref), path);
                for (path, query) in urls {
                    self.purge_url(*api, &purges, (&path, &query), stamp);
                }
            }
        }
        self.purged.store(true, Ordering::Relaxed);
    }

    /// Every purge after this position is or will be made true; of those before nothing is known.
    pub fn know_purges_from(&self, position: Position) {
        self.compiler.purges.know_from(position);
    }

    /// Makes a purge true before anything is known of the API that it is for: all of it is purged, which is too much, but never
    /// too little. For what other gateways have stored and shared.
    pub fn purge_unseen(&self, purge: &Purge, position: Position) {
        let (PurgeScope::Api { api } | PurgeScope::Url { api, .. }) = &purge.scope;
        self.compiler.purges.of(*api).all(Stamp { position, at: self.clock.now() });
    }

    /// Purges a URL, given as path below the API's base and query: here, and what gateways share.
    pub(crate) fn purge_url(
        &self,
        api: ApiId,
        purges: &ApiPurges,
        (path, query): (&str, &str),
        stamp: Stamp,
    ) {
        purges.url(crate::cache::key::url(path, query), stamp);
        if let (Some(second), Some(environment)) = (self.cache.second_level(), self.environment()) {
            second.forget(Location::new(environment, api, path, query.as_bytes()));
        }
    }

    /// Gives back the memory of purged responses, if there was a purge since the last time. Takes a while.
    pub(crate) fn forget_purged(&self) {
        if self.purged.swap(false, Ordering::Relaxed) {
            self.cache.forget_purged(&self.compiler.purges);
        }
    }

    /// Gives back the memory of responses that are too old to be of use. Takes a while, too.
    pub(crate) fn forget_aged(&self) {
        self.cache.forget_aged(self.clock.now());
    }

    /// Forgets every stored response: the journal has another incarnation, or purges were missed.
    pub fn drop_cache(&self, position: Position) {
        self.compiler.purges.all(Stamp { position, at: self.clock.now() });
        self.purged.store(true, Ordering::Relaxed);
    }

    /// Whether calls are served: there is a configuration and it is not too old.
    pub fn is_ready(&self) -> bool {
        self.peek().is_ready() && !self.switches.refuse_all.load(Ordering::Relaxed)
    }
}
