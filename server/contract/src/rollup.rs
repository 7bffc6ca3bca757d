//! Rollups: exact counts by minute in a few named cubes, whatever share of the raw calls is kept.

use serde::{Deserialize, Serialize};

use crate::calls::CacheOutcome;
use crate::histogram::Histogram;
use crate::ids::{ApiId, ApplicationId, PlanId, TenantId};

/// Route or target of a cell beyond a gateway's cap on distinct cells.
pub const OTHER: &str = "other";
/// Application of a cell beyond a gateway's cap on distinct cells.
pub const OTHER_APPLICATION: ApplicationId = ApplicationId(uuid::Uuid::nil());

/// What to add to one cell of a cube.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollupDelta {
    /// Minutes since the Unix epoch.
    pub minute: u32,
    pub cell: Cell,
    pub counts: Counts,
}

/// Which cell of which cube. A gateway that meets more distinct cells in a minute than
/// its cap counts the rest under [`OTHER`] and [`OTHER_APPLICATION`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "cube", rename_all = "snake_case")]
pub enum Cell {
    /// API × route × status × cache. No API: no route matched.
    Traffic {
        tenant: Option<TenantId>,
        api: Option<ApiId>,
        route: Option<String>,
        status: u16,
        cache: CacheOutcome,
    },
    /// Application × plan × API, by status class.
    Consumer { tenant: TenantId, application: ApplicationId, plan: Option<PlanId>, api: ApiId, failed: bool },
    /// Target (of the gateway that sends the delta).
    Target { tenant: TenantId, api: ApiId, target: String, failed: bool },
}

/// What is counted in a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub calls: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Whole duration of the calls, in microseconds.
    pub latency: Histogram,
    /// Sum of durations, in microseconds.
    pub duration_us: u64,
    /// Sum of times to the upstream's response head, in microseconds.
    pub upstream_us: u64,
}

impl Counts {
    /// Adds another cell's counts to this one's.
    pub fn merge(&mut self, other: &Self) {
        let Self { calls, bytes_in, bytes_out, latency, duration_us, upstream_us } = other;
        self.calls += calls;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        self.latency.merge(latency);
        self.duration_us += duration_us;
        self.upstream_us += upstream_us;
    }
}
