//! Sources of events that purge the cache of an API: webhooks, signed as Standard Webhooks says.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event_mapping::EventRule;
use crate::ids::{ApiId, EnvironmentId, EventDeliveryId, EventSourceId, PurgeId};
use crate::journal::PurgeScope;
use crate::problem::FieldProblem;

/// Where webhooks arrive, followed by the id of the source.
pub const HOOK_PATH: &str = "/hooks/v1/cache/";

/// What purges the cache of an API when something happens elsewhere. `ETag` is its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventSource {
    pub id: EventSourceId,
    pub api: ApiId,
    pub environment: EnvironmentId,
    pub name: String,
    pub enabled: bool,
    /// Where its webhooks are sent, on the control plane: `/hooks/v1/cache/{id}`.
    pub path: String,
    pub rules: Vec<EventRule>,
    /// Whether what it covers becomes stale only.
    pub soft: bool,
    /// Most events that it takes in a minute.
    pub per_minute: u32,
    /// Until when signatures with the secret before the last are taken, too.
    pub old_secret_until: Option<DateTime<Utc>>,
    /// The last that was heard of it.
    pub last: Option<LastDelivery>,
    pub version: u64,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// When something last came, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastDelivery {
    pub at: DateTime<Utc>,
    pub outcome: DeliveryOutcome,
}

/// `POST /tenants/{tenant}/apis/{api}/event-sources`, and `PUT` of one with `If-Match`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveEventSource {
    pub name: String,
    pub environment: EnvironmentId,
    pub rules: Vec<EventRule>,
    #[serde(default)]
    pub soft: bool,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Most events in a minute, 1 to 600.
    #[serde(default = "sixty")]
    #[schema(minimum = 1, maximum = 600)]
    pub per_minute: u32,
}

const fn yes() -> bool {
    true
}

const fn sixty() -> u32 {
    60
}

/// The source and its secret (`whsec_...`), shown once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventSourceSecret {
    pub source: EventSource,
    pub secret: String,
}

/// Something that came from a source, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventDelivery {
    pub id: EventDeliveryId,
    /// What its sender calls it: `webhook-id`. Empty where it has no usable one.
    pub message: String,
    pub at: DateTime<Utc>,
    pub outcome: DeliveryOutcome,
    /// What was purged.
    pub scopes: Vec<PurgeScope>,
    /// Why it was refused: `wrong_signature`, `stale_timestamp`, `unsigned`, `disabled`, `rate_limited`.
    pub code: Option<String>,
    /// What in it did not fit the rules.
    pub fields: Vec<FieldProblem>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// What it names was purged.
    Purged,
    /// It names nothing.
    Nothing,
    /// The same had come before: nothing was done again.
    Repeated,
    /// It does not fit the rules.
    Invalid,
    /// It is not from who it should be from, too old, too much, or not wanted now.
    Refused,
}

/// The answer to a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventReceipt {
    pub outcome: DeliveryOutcome,
    pub purges: Vec<PurgeId>,
}
