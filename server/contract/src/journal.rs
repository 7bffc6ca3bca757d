//! The ordered journal of an environment: everything that a gateway must know, in the order in which it became true.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::definition::PolicyAttachment;
use crate::environment::EnvironmentSettings;
use crate::ids::{
    ApiId, ApplicationId, CredentialId, IncarnationId, PlanId, PurgeId, ReleaseId, SubscriptionId, TenantId,
};
use crate::part::Sha256Hash;
use crate::questions::Question;

/// A place in an environment's journal. The first entry is 1; 0 is before everything.
pub type Position = u64;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub position: Position,
    pub at: DateTime<Utc>,
    pub change: Change,
}

/// What became true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// A revision of an API is what gateways serve from now on.
    ApiReleased(ReleasedApi),
    /// An API is no longer served.
    ApiWithdrawn { api: ApiId },
    /// A key is valid, with all that is needed to decide a request.
    CredentialSet(Box<CredentialEntry>),
    /// A key is no longer valid. Takes effect before anything compiles.
    CredentialRemoved { hash: Sha256Hash },
    /// Settings of the environment.
    SettingsSet(Box<EnvironmentSettings>),
    /// Cached responses that were stored before this position are gone.
    Purge(Purge),
}

/// Which part of which API is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedApi {
    pub api: ApiId,
    pub tenant: TenantId,
    pub release: ReleaseId,
    pub revision: u32,
    pub part: Sha256Hash,
}

/// A key and all that is needed to decide a request that carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialEntry {
    /// SHA-256 of the key's text.
    pub hash: Sha256Hash,
    pub credential: CredentialId,
    pub application: ApplicationId,
    pub application_name: String,
    pub tenant: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Policies of the application (rate limit).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyAttachment>,
    /// Approved and suspended subscriptions; others are absent.
    pub subscriptions: Vec<SubscriptionEntry>,
}

/// A subscription as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionEntry {
    pub subscription: SubscriptionId,
    pub api: ApiId,
    pub plan: PlanId,
    pub plan_name: String,
    pub suspended: bool,
    /// Policies of the plan (rate limit).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyAttachment>,
}

/// Removal of cached responses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Of what an unsafe method has changed: [`crate::link::ChangedUrls::by`], the same for all that one gateway tells.
    pub id: PurgeId,
    pub scope: PurgeScope,
    /// Whose responses; none in what older control planes wrote, which named an API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// They become stale and are not removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
    /// An unsafe method has changed what it names: the gateway where it did has taken it out of what gateways share, and put there
    /// what it has fetched since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

/// Which cached responses a purge covers, of one tenant in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum PurgeScope {
    /// Everything of one API.
    Api { api: ApiId },
    /// Every variant of one path (with its query, if any), as clients ask for it below the API's base: `/items?page=2`.
    Url { api: ApiId, path: String },
    /// Everything at and below a path, by whole segments: `/items` covers `/items`, `/items?page=2` and `/items/1`, but not
    /// `/items-old`; `/items/` covers only what is below.
    Prefix { api: ApiId, path: String },
    /// What the upstream tagged so in `Surrogate-Key` or `Cache-Tag`, in one API or, without one, in all of the tenant's.
    Tag {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api: Option<ApiId>,
        tag: String,
    },
    /// What was stored for one application alone, in all APIs.
    Application { application: ApplicationId },
    /// Everything of the tenant.
    Everything,
}

impl PurgeScope {
    /// The API, where it is one.
    #[must_use]
    pub const fn api(&self) -> Option<ApiId> {
        match self {
            Self::Api { api } | Self::Url { api, .. } | Self::Prefix { api, .. } => Some(*api),
            Self::Tag { api, .. } => *api,
            Self::Application { .. } | Self::Everything => None,
        }
    }
}

/// The whole state at a position, for a gateway that is new or too far behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub incarnation: IncarnationId,
    pub position: Position,
    pub settings: EnvironmentSettings,
    pub apis: Vec<ReleasedApi>,
    pub credentials: Vec<CredentialEntry>,
    /// Purges that are still in the journal. A cache last synchronised before `purges_from` must be dropped whole.
    pub purges: Vec<Entry>,
    pub purges_from: Position,
}

/// One line (JSON, ended by LF) of the journal stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum Frame {
    /// First line: whose journal it is and its newest position.
    Hello { incarnation: IncarnationId, head: Position },
    /// The position asked for is compacted away or from another incarnation: take a snapshot first. Ends the stream.
    SnapshotRequired { reason: String },
    /// The next entry; positions are consecutive.
    Entry(Entry),
    /// Sent at least every second when there is nothing else.
    Heartbeat { head: Position },
    /// Only to gateways that said `questions=true` when they asked for the stream, after the entries that were there before.
    Question(Box<Question>),
}
