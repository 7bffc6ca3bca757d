//! From what the journal carries to what a call is decided with. Everything that can fail fails here, before it serves.

mod api;
mod credential;
mod policies;
mod settings;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use hashbrown::HashMap;
use parking_lot::Mutex;
use sluice_contract::ids::ApiId;
use sluice_contract::path::InvalidPath;
use sluice_policies::SettingsError;
use sluice_policies::rate_limit::Counters;

use crate::cache::Purges;
use crate::upstream::BreakerRecord;

pub use api::{Api, Route};
pub use credential::{Credential, Subscription};
pub use policies::{BoundLimit, Counting, LimitOf, RoutePolicies};
pub use settings::Settings;
pub use upstream::{HostName, HostRule, PoolKey, PoolSlot, Target, Timeouts, Upstream};

/// Why a part, a credential or settings cannot be used. Shown in the console as it is.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the part has schema {found}, this gateway knows up to {known}: upgrade the gateway")]
    Schema { found: u32, known: u32 },
    #[error("route `{route}`: {source}")]
    Path { route: String, source: InvalidPath },
    #[error("route `{route}`: {reason}")]
    Route { route: String, reason: String },
    #[error("upstream `{upstream}`: {reason}")]
    Upstream { upstream: String, reason: String },
    #[error("{0}")]
    Policy(#[from] SettingsError),
    #[error("there is no policy `{0}` in this gateway: upgrade the gateway")]
    UnknownPolicy(String),
    #[error("{0}")]
    Network(#[from] sluice_contract::guard::NotANetwork),
}

/// Turns by API and upstream.
type Rotations = HashMap<(ApiId, Box<str>), Arc<AtomicUsize>>;

/// By API, upstream and the target's URL.
type Breakers = HashMap<(ApiId, Box<str>, Box<str>), Arc<BreakerRecord>>;

/// Compiles, and keeps what must outlive a version: limit counters, purges, names of connection pools, turns, breakers.
#[derive(Default)]
pub struct Compiler {
    pub(crate) counters: Arc<Counters>,
    pub(crate) purges: Purges,
    /// Numbers of connection pools.
    pools: Mutex<HashMap<PoolKey, PoolSlot>>,
    /// Whose turn it is in each upstream.
    rotations: Mutex<Rotations>,
    /// How the targets with a breaker have answered.
    breakers: Mutex<Breakers>,
}
