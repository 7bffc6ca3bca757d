//! Sources of events that purge the cache of an API: webhooks, signed as Standard Webhooks says, and streams that the
//! control plane reads.

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
    /// Where its webhooks are sent, on the control plane: `/hooks/v1/cache/{id}`. One that reads a stream takes none.
    pub path: String,
    /// The stream that it reads.
    pub stream: Option<EventStream>,
    /// Whether a password of the stream is kept.
    #[serde(default)]
    pub has_stream_password: bool,
    /// How reading the stream goes; none where there is no stream.
    pub reading: Option<StreamReading>,
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

/// A stream that the control plane reads, at least once: what is not done when it stops is done when it is back, and
/// what comes twice is done once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventStream {
    pub kind: StreamKind,
    /// `redis://host:6379/0`, or `nats://host:4222` (several with commas between them); `rediss://` and `tls://` for TLS.
    /// Neither user nor password stand in it.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Certificates (PEM) of who vouches for the server, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The stream's key, or its name.
    pub stream: String,
    /// The consumer group of Redis, or the durable consumer of NATS, made where there is none, and of nobody else: each
    /// event is given out once. Left out it is one of this source, `sluice-{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The field of an entry of Redis that has the event, as JSON: `event` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Which messages of NATS are read: a subject, where `*` stands for a word and a last `>` for all that follow. Left
    /// out, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl EventStream {
    /// The field that has the event.
    #[must_use]
    pub fn field(&self) -> &str {
        self.field.as_deref().unwrap_or("event")
    }

    /// The group, as a source of this id reads it.
    #[must_use]
    pub fn group(&self, source: EventSourceId) -> String {
        self.group.clone().unwrap_or_else(|| format!("sluice-{source}"))
    }
}

/// What keeps a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// A stream of Redis 5 or newer, or of what speaks its protocol.
    Redis,
    /// A stream of NATS JetStream 2.9 or newer; the payload of a message is the event.
    Nats,
}

/// How reading a stream goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamReading {
    /// Since when a control plane is connected and reads; none while none does.
    pub since: Option<DateTime<Utc>>,
    /// Why it could not be read when that was tried last.
    pub error: Option<String>,
    /// Events that wait in the stream, as of some seconds ago; none where the server does not say.
    pub waiting: Option<u64>,
    /// Events that were given out and are not acknowledged yet.
    pub unacknowledged: Option<u64>,
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
    /// The stream that it reads; without one it takes webhooks. Which of both it is stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<EventStream>,
    /// The password of the stream's user; for NATS without a user a token, the seed of an nkey, or what stands in a
    /// file of credentials. Left out it stays, empty there is none. It goes with the address: another address needs it
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_password: Option<String>,
}

const fn yes() -> bool {
    true
}

const fn sixty() -> u32 {
    60
}

/// The source and its secret (`whsec_...`), shown once; one that reads a stream has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventSourceSecret {
    pub source: EventSource,
    pub secret: Option<String>,
}

/// Something that came from a source, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventDelivery {
    pub id: EventDeliveryId,
    /// What its sender calls it: `webhook-id`, or the id of the entry of a stream (NATS: number and time, in
    /// microseconds). Empty where it has no usable one.
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
