//! The protocol between a gateway and the control plane, other than the journal: enrolment, session, health.
//!
//! Paths are under `/gateway/v1` of the control plane. Everything but enrolment and session carries
//! `Authorization: Bearer <access token>`.

mod cache;
mod changed;
mod second_level;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{ApiId, BootId, EnvironmentId, GatewayId, IncarnationId};
use crate::journal::Position;
use crate::part::Sha256Hash;
pub use cache::{
    CACHE_APIS_MOST, CACHE_ROUTES_MOST, CacheArriving, CacheEvictions, CacheHealth, CacheRouteUse, CacheUse,
};
pub use changed::{CHANGED_MOST, CHANGED_PATH, ChangedUrl, ChangedUrls};
pub use second_level::{
    SecondLevelDisk, SecondLevelHealth, SecondLevelKind, SecondLevelNode, SecondLevelServer, SecondLevelState,
};

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
