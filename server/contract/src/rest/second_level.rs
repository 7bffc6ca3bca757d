//! How a gateway did with the second level of its cache, over time.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Time range of `GET /tenants/{tenant}/gateways/{gateway}/second-level`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct SecondLevelQuery {
    /// Start; one hour before the end unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// End; now unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// How many points to return at most; 120 unless given, up to 500. The server picks a step of at least five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
}

/// How a gateway did with its second level over a time range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelHistory {
    /// Seconds between two points.
    pub step_s: u32,
    /// One for each step, without gaps.
    pub points: Vec<SecondLevelPoint>,
}

/// One step of the time range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelPoint {
    pub at: DateTime<Utc>,
    /// Absent where the gateway said nothing in this step, or had no second level.
    pub did: Option<SecondLevelDid>,
}

/// Questions by what became of them, how long answers took, and how long nobody was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelDid {
    /// Questions that were answered with a response, and without.
    pub hits: u64,
    pub misses: u64,
    /// Not answered in time, refused or broken off.
    pub failed: u64,
    /// Microseconds that all answers took together: by `hits` and `misses`, what one of them took.
    pub answer_us: u64,
    /// Milliseconds in which calls went on without it; of several servers the mean.
    pub tripped_ms: u64,
}

impl SecondLevelDid {
    /// Without what had been counted before, in the same life of a gateway.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// Mean microseconds of an answer; none without one, or of a gateway of before, which did not say.
    #[must_use]
    pub fn latency_us(self) -> Option<u64> {
        self.answer_us.checked_div(self.hits + self.misses).filter(|us| *us > 0)
    }

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        let Self { hits, misses, failed, answer_us, tripped_ms } = self;
        Self {
            hits: join(hits, other.hits),
            misses: join(misses, other.misses),
            failed: join(failed, other.failed),
            answer_us: join(answer_us, other.answer_us),
            tripped_ms: join(tripped_ms, other.tripped_ms),
        }
    }
}
