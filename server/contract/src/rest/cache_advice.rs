//! What caching would bring for the routes of an API, from recorded calls; and what it has brought where it was made so.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which calls the advice is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct CacheAdviceQuery {
    /// Start; a day before the end unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// End; now unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}

/// What a cache would have done with the `GET` calls of an API that are in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheAdvice {
    /// When the first and the last of the calls was made that were looked at; absent without one.
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// Calls that were looked at.
    pub calls: u64,
    /// Whether there are older ones in the time asked for: only the newest 200,000 of the API are read.
    pub truncated: bool,
    /// Bytes that all gateways together are taken to hold of the API: its share of their memory where they say it.
    pub memory_bytes: u64,
    /// Routes of the draft that take `GET` and were called often enough, or have a policy; those first that would save most.
    pub routes: Vec<RouteAdvice>,
}

/// What a cache would have done for one route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteAdvice {
    pub route: String,
    /// `GET` calls that came as far as a cache.
    pub calls: u64,
    /// Mean time from sending a call to the upstream to the head of its response, in microseconds.
    pub origin_us: Option<u64>,
    /// Whether a cache policy of the draft covers the route, on it or on the API.
    pub covered: bool,
    /// What a cache would have done by how long it keeps responses, the shortest first, up to as long as the calls tell.
    pub choices: Vec<CacheChoice>,
    /// The shortest lifetime that brings nine tenths of what the best brings, in seconds; absent where that is too little
    /// to be worth a policy (a twentieth of the calls).
    pub ttl_s: Option<u64>,
    /// Hits with that lifetime if callers shared what is stored: only where they would not.
    pub if_shared: Option<f64>,
    pub risks: Vec<CacheRisk>,
    /// Whether a risk is such that somebody has to confirm the policy.
    pub to_confirm: bool,
    /// What was predicted when the policy was made from advice.
    pub predicted: Option<CachePrediction>,
    /// What the policy has done since then, or in the time asked for where nothing was predicted; absent before it is live.
    pub achieved: Option<CacheAchieved>,
}

/// A lifetime, and what it would have brought with copies for each caller.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheChoice {
    pub ttl_s: u64,
    /// Calls that would not have reached the upstream among all, 0 to 1.
    pub hit_ratio: f64,
    /// Their bytes among those of all calls, 0 to 1.
    pub byte_hit_ratio: f64,
    /// The most bytes that would have been fresh at once.
    pub memory_bytes: u64,
    /// Time that callers would not have waited for the upstream, in microseconds.
    pub saved_us: u64,
}

/// What was predicted of a policy when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CachePrediction {
    pub ttl_s: u64,
    pub hit_ratio: f64,
    pub memory_bytes: u64,
    /// Time saved by an average call, in microseconds.
    pub saved_us_per_call: u64,
    /// Calls that it was predicted from.
    pub calls: u64,
    pub made_at: DateTime<Utc>,
    pub made_by: String,
}

/// What a cache policy did for a route, from what is counted of all calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheAchieved {
    pub since: DateTime<Utc>,
    /// Calls that the policy covered.
    pub calls: u64,
    /// Those of them that did not reach the upstream, 0 to 1: a response that the upstream has only confirmed is none.
    pub hit_ratio: f64,
    /// The most bytes that all gateways held of the route at once, as far as they were noted; what is stale is among them. Absent
    /// where nothing was.
    pub memory_bytes: Option<u64>,
    /// Time saved by an average call, in microseconds.
    pub saved_us_per_call: u64,
}

/// `POST /tenants/{tenant}/apis/{api}/cache-advice`: makes the policy that was advised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeCachePolicy {
    pub route: String,
    /// One of the lifetimes that the advice has for the route, in seconds.
    pub ttl_s: u64,
    /// Somebody has read the risks: needed where there is one to confirm.
    #[serde(default)]
    pub confirmed: bool,
}

/// What the calls tell against caching. What they do not tell (what responses contain, and credentials in fields of their own) is for a
/// person to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CacheRisk {
    /// Of so many resources that several callers asked for within ten seconds, the answers to so many differed in status or size.
    VariesByCaller { compared: u64, differ: u64 },
    /// So many responses set cookies: they are not stored unless the upstream says `public`.
    SetsCookies { calls: u64 },
    /// A part of a path or of a query that looks like data of a person.
    PersonalData { example: String },
    /// So many calls were made with a credential or a cookie: each caller gets copies of their own.
    Credentials { calls: u64 },
    /// So many responses vary by fields of the request, which the calls do not tell: there may be fewer hits.
    Varies { calls: u64 },
    /// The upstream forbids so many responses to be kept: they are not.
    Forbidden { calls: u64 },
    /// The upstream says itself how long so many responses are fresh: that counts, not the lifetime of the policy.
    OwnLifetime { calls: u64 },
    /// So many calls were answered with a status that is not stored.
    NotStored { calls: u64 },
}

impl CacheRisk {
    /// Whether somebody has to have read it before a policy is made.
    pub fn is_to_confirm(&self) -> bool {
        match self {
            Self::VariesByCaller { .. } | Self::SetsCookies { .. } | Self::PersonalData { .. } => true,
            Self::Credentials { .. } | Self::Varies { .. } | Self::Forbidden { .. } => false,
            Self::OwnLifetime { .. } | Self::NotStored { .. } => false,
        }
    }
}
