//! What is told to a CDN in front of the gateways when something of an API is purged.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, CdnCallId, CdnHookId, EnvironmentId, PurgeId};
use crate::journal::PurgeScope;

/// A request that is sent to a CDN for each purge of an API in an environment. `ETag` is its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CdnHook {
    pub id: CdnHookId,
    pub api: ApiId,
    pub environment: EnvironmentId,
    pub name: String,
    pub enabled: bool,
    /// Which purges it is sent for.
    pub kinds: Vec<PurgeKind>,
    pub method: String,
    pub url: String,
    pub headers: Vec<CdnHeader>,
    pub body: String,
    /// Whether it has a secret, which nobody can read.
    pub has_secret: bool,
    /// The last request that was sent, or is to be sent again.
    pub last: Option<LastCall>,
    pub version: u64,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// A header of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CdnHeader {
    pub name: String,
    /// May name `{secret}`, besides what the URL may name.
    pub value: String,
}

/// What a purge is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PurgeKind {
    Tag,
    Url,
    Prefix,
    /// The whole API.
    Api,
    /// Everything of the tenant.
    Everything,
}

impl PurgeKind {
    pub const ALL: [Self; 5] = [Self::Tag, Self::Url, Self::Prefix, Self::Api, Self::Everything];

    /// None for what no CDN holds: what was stored for one application alone.
    #[must_use]
    pub const fn of(scope: &PurgeScope) -> Option<Self> {
        match scope {
            PurgeScope::Tag { .. } => Some(Self::Tag),
            PurgeScope::Url { .. } => Some(Self::Url),
            PurgeScope::Prefix { .. } => Some(Self::Prefix),
            PurgeScope::Api { .. } => Some(Self::Api),
            PurgeScope::Everything => Some(Self::Everything),
            PurgeScope::Application { .. } => None,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Url => "url",
            Self::Prefix => "prefix",
            Self::Api => "api",
            Self::Everything => "everything",
        }
    }
}

/// `POST /tenants/{tenant}/apis/{api}/cdn-hooks`, and `PUT` of one with `If-Match`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveCdnHook {
    pub name: String,
    pub environment: EnvironmentId,
    pub kinds: Vec<PurgeKind>,
    /// `POST`, `PUT`, `PATCH`, `DELETE`, `GET`, `PURGE` or `BAN`.
    pub method: String,
    /// May name `{value}` (the tag or path, percent-encoded), `{path}` (as it is), `{kind}`, `{api}`, `{environment}`, `{purge}`
    /// and `{soft}`, but not in its host.
    pub url: String,
    #[serde(default)]
    pub headers: Vec<CdnHeader>,
    /// Names what the URL names, written as JSON writes it inside quotes.
    #[serde(default)]
    pub body: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Stands for `{secret}` in headers. One that begins with `whsec_` signs the request as Standard Webhooks says. None keeps
    /// the one that it has, an empty one removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A request to a CDN, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CdnCall {
    pub id: CdnCallId,
    pub purge: PurgeId,
    pub scope: PurgeScope,
    pub state: CdnCallState,
    /// How often it was sent.
    pub attempts: u32,
    pub at: DateTime<Utc>,
    /// When it is sent again.
    pub next_at: Option<DateTime<Utc>>,
    /// What the CDN answered the last time.
    pub status: Option<u16>,
    /// Why it did not succeed the last time.
    pub error: Option<String>,
}

/// How far a request to a CDN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CdnCallState {
    /// It is to be sent, for the first time or again.
    Waiting,
    /// The CDN has taken it (2xx).
    Done,
    /// It was refused, or tried for about a day.
    Failed,
}

/// When the last request was made, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastCall {
    pub at: DateTime<Utc>,
    pub state: CdnCallState,
}
