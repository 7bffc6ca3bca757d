//! Warming of an API's cache: the plan for each environment, and the times that it was done.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, EnvironmentId, GatewayId, WarmingId};
use crate::warming::{Pace, WarmHeader, WarmReport};

/// Most URLs of one warming.
pub const MOST_URLS: usize = 10_000;

/// What an API's cache is warmed with in an environment, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmingPlan {
    /// URLs of all sources together, each once.
    #[serde(default)]
    pub sources: Vec<WarmingSource>,
    /// How fast each gateway asks the upstream.
    #[serde(default)]
    pub pace: Pace,
    /// Scheme and host as callers write them, for example `https://api.example.com`: stored responses are told apart by both. None: the
    /// API's first host, else the address of each gateway.
    #[serde(default)]
    pub address: Option<String>,
    /// Header fields as callers send them, where responses differ by some (`Accept-Encoding`, for example).
    #[serde(default)]
    pub headers: Vec<WarmHeader>,
    /// What is fresh for less than so many seconds is fetched anew; the rest is left as it is.
    #[serde(default)]
    pub renew_s: u64,
    /// Warm when a release of the API has come to the gateways.
    #[serde(default)]
    pub on_release: bool,
    /// Warm a gateway that has come up with an empty memory, and no other.
    #[serde(default)]
    pub on_gateway: bool,
    /// Warm by the clock.
    #[serde(default)]
    pub schedule: Option<WarmingSchedule>,
}

/// Where URLs come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum WarmingSource {
    /// These paths below the API's base, with their query if any: `/items?page=2`.
    List { paths: Vec<String> },
    /// The locations of a sitemap (sitemaps.org), or of the sitemaps of an index, plain or with gzip, that are on a host of the API: a host
    /// of its own, the plan's `address` and the gateways' with the API's base before the path, or the sitemap's own host.
    Sitemap { url: String },
    /// The URLs that were asked for most in the last day with GET and answered with 2xx, from the call log.
    Top { count: u32 },
}

/// When a plan is carried out by itself. A time that was missed because no control plane ran is made up for, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "at", rename_all = "snake_case", deny_unknown_fields)]
pub enum WarmingSchedule {
    /// Every so many minutes.
    Every { minutes: u32 },
    /// Once a day, so many minutes after midnight UTC.
    Daily { minute: u32 },
}

/// A plan as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptWarmingPlan {
    pub environment: EnvironmentId,
    pub plan: WarmingPlan,
    /// When the schedule is due next.
    pub next_run_at: Option<DateTime<Utc>>,
    /// 0: nobody has saved one yet.
    pub version: u64,
}

/// `POST .../warmings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWarming {
    pub environment: EnvironmentId,
    /// Instead of the sources of the environment's plan.
    #[serde(default)]
    pub sources: Option<Vec<WarmingSource>>,
}

/// One time that an API's cache was, is or will be warmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warming {
    pub id: WarmingId,
    pub api: ApiId,
    pub environment: EnvironmentId,
    pub cause: WarmingCause,
    pub sources: Vec<WarmingSource>,
    pub state: WarmingState,
    /// How many URLs there are; 0 until that is known.
    pub urls: u64,
    /// What the sources gave and is not warmed, with how many by reason: `other_host`, `not_below_base`, `invalid_location`, `too_long`, `over_limit` (of
    /// URLs); of the sitemaps of an index `sitemap_unread`, `sitemap_is_index`, `sitemap_over_limit`.
    pub left_out: BTreeMap<String, u64>,
    /// Why it failed.
    pub problem: Option<String>,
    pub gateways: Vec<GatewayWarming>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Why a cache is warmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarmingCause {
    /// Somebody asked for it.
    Demand,
    /// A release has come to the gateways.
    Release,
    /// A gateway has come up with an empty memory.
    Gateway,
    /// It was time.
    Schedule,
}

/// How far a warming is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarmingState {
    /// Its URLs are not known yet.
    Queued,
    Running,
    Done,
    Cancelled,
    /// It could not begin, or no gateway could be reached.
    Failed,
}

/// How far a gateway is with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayWarming {
    pub gateway: GatewayId,
    pub name: String,
    pub state: GatewayWarmingState,
    pub report: WarmReport,
}

/// What a gateway does for a warming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayWarmingState {
    /// It has not begun: it waits for the first gateway to fill the second level, or to be reached.
    Waiting,
    Running,
    Done,
    Cancelled,
    /// It was not connected, or went away.
    NotReached,
    /// It does not serve the release in time.
    Behind,
}

impl GatewayWarmingState {
    /// Whether nothing more will come of it.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}
