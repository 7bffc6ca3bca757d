//! What the control plane asks of a gateway to warm its cache, and what comes of it.
//!
//! A gateway keeps no warming of its own: it is given a handful of URLs at a time, and asked again when it has answered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::ApiId;
use crate::journal::Position;

/// Most URLs of one [`WarmJob`].
pub const WARM_JOB_MAX: usize = 200;
/// After how long a job ends that nobody asks about.
pub const ABANDONED: Duration = Duration::from_secs(20);

/// URLs that a gateway is to have in its cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmJob {
    pub api: ApiId,
    /// What the gateway has to have applied before it begins.
    pub position: Position,
    /// Path below the API's base, with its query if any.
    pub targets: Vec<String>,
    /// How callers call.
    pub as_callers: AsCallers,
    /// What is fresh for less than so many seconds is fetched anew.
    pub renew_s: u64,
    pub pace: Pace,
    /// What has no answer after so many milliseconds has failed.
    pub within_ms: u64,
}

/// What callers send that tells stored responses apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsCallers {
    /// Scheme and host, for example `https://api.example.com`. None: the API's first host, else the gateway's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Header fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<WarmHeader>,
}

/// A header field of the requests that warm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmHeader {
    pub name: String,
    pub value: String,
}

/// How fast each gateway asks the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Requests that begin each second.
    pub per_second: u32,
    /// Requests at a time.
    pub concurrency: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { per_second: 20, concurrency: 4 }
    }
}

/// What is asked of a gateway about one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum WarmAsk {
    /// Begin it. Asked again, it is not begun a second time.
    Begin(Box<WarmJob>),
    /// How far it is. A job that nobody asks about for [`ABANDONED`] ends by itself.
    Look,
    /// Begin no more requests.
    Stop,
}

/// A gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WarmAnswer {
    /// It goes on; what has become of URLs so far.
    Running(WarmReport),
    /// It has ended.
    Done(WarmReport),
    /// The job's position is not applied yet: ask again.
    Behind,
    /// The gateway does not serve the API.
    UnknownApi,
    /// The gateway knows no such job, or is starting or stopping.
    UnknownJob,
}

/// What became of URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WarmReport {
    /// Fetched from the upstream and stored.
    pub stored: u64,
    /// Taken over from the second level, where another gateway had put them.
    pub taken_over: u64,
    /// Were there already, and fresh for long enough.
    pub held: u64,
    /// Got an error, or no answer in time.
    pub failed: u64,
    /// Were not asked for or not stored, because that would be of no use.
    pub skipped: u64,
    /// Why URLs failed or were skipped, with how many: an error code of gateways, `status_<number>`, `timed_out`,
    /// `invalid_path`, `too_long` (for any gateway), `stopped`; `not_cached`, `never_stored` (the policy demands strong consistency), `not_shared` (the route needs a key and the
    /// policy does not share between callers), `not_storable` (the upstream's answer).
    pub reasons: BTreeMap<String, u64>,
}

impl WarmReport {
    /// URLs that are done with.
    pub fn done(&self) -> u64 {
        let Self { stored, taken_over, held, failed, skipped, reasons: _ } = self;
        stored + taken_over + held + failed + skipped
    }

    /// Adds what became of others.
    pub fn add(&mut self, other: &Self) {
        let Self { stored, taken_over, held, failed, skipped, reasons } = other;
        self.stored += stored;
        self.taken_over += taken_over;
        self.held += held;
        self.failed += failed;
        self.skipped += skipped;
        for (reason, count) in reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
    }
}
