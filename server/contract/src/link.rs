//! The protocol between a gateway and the control plane, other than the journal: enrolment, session, health.
//!
//! Paths are under `/gateway/v1` of the control plane. Everything but enrolment and session carries
//! `Authorization: Bearer <access token>`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, BootId, EnvironmentId, GatewayId, IncarnationId, PurgeId, TenantId};
use crate::journal::Position;
use crate::part::Sha256Hash;

/// Version of this protocol. The control plane serves this and the one before.
pub const PROTOCOL: u16 = 1;

/// `POST` [`EnrolRequest`] → [`EnrolResponse`].
pub const ENROL_PATH: &str = "/gateway/v1/enrolments";
/// `POST` [`SessionRequest`] → [`SessionResponse`].
pub const SESSION_PATH: &str = "/gateway/v1/sessions";
/// `GET ?from=<position>&incarnation=<id>&questions=true` → lines of [`crate::journal::Frame`] (`application/x-ndjson`).
pub const JOURNAL_PATH: &str = "/gateway/v1/journal";
/// `GET` → [`crate::journal::Snapshot`].
pub const SNAPSHOT_PATH: &str = "/gateway/v1/snapshot";
/// `GET /gateway/v1/parts/{hash}` → the part's bytes.
pub const PARTS_PATH: &str = "/gateway/v1/parts";
/// `POST` [`Acknowledgement`] → 204.
pub const ACKNOWLEDGE_PATH: &str = "/gateway/v1/acknowledgements";
/// `POST` [`Heartbeat`] → 204. Sent every two seconds.
pub const HEARTBEAT_PATH: &str = "/gateway/v1/heartbeats";
/// `POST` [`crate::questions::Answer`] → 204.
pub const ANSWERS_PATH: &str = "/gateway/v1/answers";
/// `POST` [`crate::calls::CallBatch`] as `calls::wire` says → [`crate::calls::BatchReceipt`].
pub const CALLS_PATH: &str = "/gateway/v1/calls";

/// `POST` [`ChangedUrls`] → 204. What unsafe methods have changed, for the caches of other gateways.
pub const CHANGED_PATH: &str = "/gateway/v1/changed";
/// Most URLs of a [`ChangedUrls`].
pub const CHANGED_MOST: usize = 64;
/// Bytes of the longest path of a [`ChangedUrl`], with its query.
const CHANGED_PATH_MAX: usize = 8 << 10;

/// Most APIs that a [`Heartbeat`] tells of: those that hold most of the gateway's cache.
pub const CACHE_APIS_MOST: usize = 100;
/// Most routes that a [`Heartbeat`] tells of, of all these APIs together.
pub const CACHE_ROUTES_MOST: usize = 100;

/// Most bytes of a [`crate::calls::CallBatch`], as it is sent and once it is unfolded; usually it is far smaller.
pub const CALL_BATCH_MAX: usize = 16 << 20;

/// Problem code (401) of a session for a gateway or secret that the control plane does not know (a restored backup,
/// say): the gateway enrols again if it still has a token.
pub const UNKNOWN_GATEWAY: &str = "unknown_gateway";
/// Problem code (403) of a session for a gateway that an admin has removed: it stops serving.
pub const GATEWAY_REMOVED: &str = "gateway_removed";

/// What an operator gives a new gateway: `sle_` and base64url of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentToken {
    /// Random secret that the control plane knows the hash of.
    pub secret: String,
    /// Base URL of the control plane's gateway link.
    pub url: String,
    /// SHA-256 of the certificate (DER) that the control plane must present. None only on loopback without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Sha256Hash>,
}

/// The text is not an enrolment token.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an enrolment token: it starts with `sle_`; copy it whole from the console or from `sluice token enrol`"
)]
pub struct NotAnEnrolmentToken;

impl EnrolmentToken {
    const PREFIX: &str = "sle_";

    /// The token as text.
    pub fn encode(&self) -> String {
        let json =
            serde_json::json!({ "secret": self.secret, "url": self.url, "fingerprint": self.fingerprint });
        format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(json.to_string()))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When the text is not a token.
    pub fn decode(text: &str) -> Result<Self, NotAnEnrolmentToken> {
        let encoded = text.trim().strip_prefix(Self::PREFIX).ok_or(NotAnEnrolmentToken)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotAnEnrolmentToken)?;
        serde_json::from_slice(&json).map_err(|_| NotAnEnrolmentToken)
    }
}

/// Asks for an identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// [`EnrolmentToken::secret`].
    pub secret: String,
    /// Name for people; the host name unless set. The control plane makes it unique within the environment.
    pub name: String,
    pub region: Option<String>,
    pub protocol: u16,
}

/// An identity. The gateway keeps it on disk and never enrols again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolResponse {
    pub gateway: GatewayId,
    /// Secret with which sessions are opened.
    pub secret: String,
    pub environment: EnvironmentId,
}

/// Opens a session for one life of a gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionRequest {
    pub gateway: GatewayId,
    /// [`EnrolResponse::secret`].
    pub secret: String,
    pub boot: BootId,
    /// Sluice version, for example `0.1.0`.
    pub version: String,
    pub protocol: u16,
    /// Where clients reach this gateway, for the console's try-it, for example `http://127.0.0.1:8000`.
    pub public_url: Option<String>,
    /// Calls that earlier lives of this gateway accepted but could not hand on because they ended badly. Repeated
    /// until a session opens, so the control plane counts each boot once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_before: Vec<LostCalls>,
}

/// Calls that are known to be missing from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostCalls {
    pub boot: BootId,
    pub count: u64,
}

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionResponse {
    /// A JWT that is good for one hour. 401 on any path means: open a new session.
    pub access_token: String,
    pub incarnation: IncarnationId,
    pub environment_name: String,
}

/// A gateway serves the state at this position.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub incarnation: IncarnationId,
    pub position: Position,
    pub applied_at: DateTime<Utc>,
    /// Parts that did not compile; their API's previous version is still served.
    pub failed: Vec<FailedPart>,
}

/// A part that a gateway could not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPart {
    pub api: ApiId,
    pub part: Sha256Hash,
    pub reason: String,
}

/// A gateway is alive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub boot: BootId,
    pub position: Position,
    pub uptime_s: u64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// User and system time since start, in milliseconds.
    pub cpu_ms: u64,
    /// Open client connections.
    pub connections: u64,
    /// Calls served since start.
    pub calls: u64,
    pub cache_entries: u64,
    pub cache_bytes: u64,
    /// Call batches waiting on disk, and their bytes.
    pub spooled_batches: u64,
    pub spooled_bytes: u64,
    /// Calls dropped because the spool was full, since start.
    pub dropped_calls: u64,
    /// The first level of the cache; gateways of before did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheHealth>,
    /// What routes hold of it, of each API the largest first: [`CACHE_ROUTES_MOST`] of all APIs together. Said in every fifth
    /// heartbeat only, the first one included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cache_routes: BTreeMap<ApiId, Vec<CacheRouteUse>>,
    /// The second level of the cache, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_level: Option<SecondLevelHealth>,
}

/// URLs that unsafe methods have changed on a gateway (RFC 9111 §4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedUrls {
    /// What their purges are called: by it the gateway that tells knows its own, which it has made true by itself.
    pub by: PurgeId,
    pub urls: Vec<ChangedUrl>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChangedUrl {
    pub api: ApiId,
    /// Below the API's base, with its query, if any, as callers send it.
    pub path: String,
}

impl ChangedUrl {
    /// Whether it is a path, and none too long to be told.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.path.starts_with('/') && self.path.len() <= CHANGED_PATH_MAX
    }
}

/// How the memory of a gateway's cache is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheHealth {
    /// Bytes that it may hold.
    pub capacity_bytes: u64,
    /// What goes when there is no room, as the gateway's setting `cache_eviction` names it.
    pub eviction: String,
    /// Hundredths of it that one API, and one tenant, may hold while others need room.
    pub api_share: u64,
    pub tenant_share: u64,
    pub evictions: CacheEvictions,
    /// Bodies on their way in; gateways of before did not say.
    #[serde(default)]
    pub arriving: CacheArriving,
    /// What APIs hold, or held before, the largest first; the hundred that hold most.
    pub apis: Vec<CacheUse>,
}

/// Bodies on their way into the memory of a gateway's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheArriving {
    /// Bytes that they take beside what is stored, and may take.
    pub bytes: u64,
    pub max_bytes: u64,
    /// Responses that were not stored because there was no more room, since it started.
    pub crowded_out: u64,
}

/// Responses that left the memory of a gateway's cache since it started, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheEvictions {
    /// There was no room.
    pub size: u64,
    /// They were too old to be of use.
    pub age: u64,
    /// Their API, or their tenant, held more than its share while others needed room.
    pub api_share: u64,
    pub tenant_share: u64,
    /// Newer ones took their place.
    pub replaced: u64,
    pub purged: u64,
}

impl CacheEvictions {
    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// How many of these are not among those of before.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        let Self { size, age, api_share, tenant_share, replaced, purged } = self;
        Self {
            size: join(size, other.size),
            age: join(age, other.age),
            api_share: join(api_share, other.api_share),
            tenant_share: join(tenant_share, other.tenant_share),
            replaced: join(replaced, other.replaced),
            purged: join(purged, other.purged),
        }
    }

    /// Each reason with its count.
    pub fn by_reason(self) -> [(&'static str, u64); 6] {
        let Self { size, age, api_share, tenant_share, replaced, purged } = self;
        [
            ("size", size),
            ("age", age),
            ("api_share", api_share),
            ("tenant_share", tenant_share),
            ("replaced", replaced),
            ("purged", purged),
        ]
    }
}

/// What an API holds of a gateway's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheUse {
    pub api: ApiId,
    pub slug: String,
    pub tenant: TenantId,
    pub entries: u64,
    pub bytes: u64,
    /// Its responses that left since the gateway started; gateways of before did not say.
    #[serde(default)]
    pub evictions: CacheEvictions,
}

/// What a route of an API holds of a gateway's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRouteUse {
    pub route: String,
    pub entries: u64,
    pub bytes: u64,
    /// Its responses that left since the gateway started.
    pub evictions: CacheEvictions,
}

impl CacheRouteUse {
    /// Whether a route may be told of by its id. Ids have no bound of their own, but heartbeats and what databases find rows by have:
    /// one odd route must not keep a gateway from being heard.
    #[must_use]
    pub fn can_name(route: &str) -> bool {
        (1..=512).contains(&route.len()) && !route.contains(char::is_control)
    }
}

/// How the second level of a gateway's cache is; counts are since start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelHealth {
    #[serde(default)]
    pub kind: SecondLevelKind,
    pub state: SecondLevelState,
    /// Questions that were answered with a response, and without.
    pub hits: u64,
    pub misses: u64,
    /// Questions that were not answered within the time that a call waits.
    pub late: u64,
    /// Questions that were refused or broke off.
    pub errors: u64,
    /// Values that had been changed, cut off, or were another's.
    pub damaged: u64,
    /// Values that are older than a purge that covers them, or than what the gateway knows of purges.
    pub outdated: u64,
    /// Responses that were written; not written because too many waited; refused by the server.
    pub written: u64,
    pub dropped: u64,
    pub refused: u64,
    /// Not written because they are larger than what the server takes.
    #[serde(default)]
    pub too_large: u64,
    /// Bytes of the bodies that came from there.
    #[serde(default)]
    pub hit_bytes: u64,
    /// Bytes of responses that wait to be written, and how many may.
    #[serde(default)]
    pub queued_bytes: u64,
    #[serde(default)]
    pub queue_max_bytes: u64,
    /// Microseconds that an answer takes, the newest weighing most.
    pub latency_us: u64,
    /// Microseconds that all answers took together; gateways of before did not say.
    #[serde(default)]
    pub answer_us: u64,
    /// Milliseconds in which it was not asked since it had not answered in time; of several servers the mean.
    #[serde(default)]
    pub tripped_ms: u64,
    /// What the server says of itself; several Memcached together.
    pub server: Option<SecondLevelServer>,
    /// What a disk says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<SecondLevelDisk>,
    /// Of Memcached, each server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<SecondLevelNode>,
}

/// What a second level is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelKind {
    #[default]
    Redis,
    Memcached,
    /// A folder on the gateway's own disk.
    Disk,
}

/// One of the servers that share what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelNode {
    /// Host and port.
    pub name: String,
    pub state: SecondLevelState,
}

/// Whether the second level is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelState {
    /// Nothing was heard of it lately.
    Unknown,
    Up,
    /// It did not answer in time: calls go on without it until it does.
    Tripped,
}

/// What is known of a folder that is the second level; counts are since start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelDisk {
    /// Bytes that it takes of the disk, of what is overwritten next too.
    pub held_bytes: u64,
    pub max_bytes: u64,
    /// Bytes of the blocks that were given up because there was no room for newer ones.
    pub evicted_bytes: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
}

/// What Redis (`INFO`) or Memcached (`stats`) says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelServer {
    pub memory_bytes: u64,
    /// Zero: as much as there is.
    pub max_memory_bytes: u64,
    /// Values that it dropped for want of memory, since its start.
    pub evicted: u64,
    pub operations_per_s: u64,
    /// User and system time since its start, in milliseconds.
    pub cpu_ms: u64,
    /// Kilobytes in and out each second.
    pub network_kbps: u64,
    pub connections: u64,
    /// Questions that it had a value for, and that it had none for, since its start: of all who use it.
    #[serde(default)]
    pub hits: u64,
    #[serde(default)]
    pub misses: u64,
}

impl SecondLevelServer {
    /// What two servers have together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes + other.memory_bytes,
            max_memory_bytes: self.max_memory_bytes + other.max_memory_bytes,
            evicted: self.evicted + other.evicted,
            operations_per_s: self.operations_per_s + other.operations_per_s,
            cpu_ms: self.cpu_ms + other.cpu_ms,
            network_kbps: self.network_kbps + other.network_kbps,
            connections: self.connections + other.connections,
            hits: self.hits + other.hits,
            misses: self.misses + other.misses,
        }
    }
}
