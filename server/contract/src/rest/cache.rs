//! Looking inside the cache of gateways: what is stored of a URL, and what key a request would have.
//!
//! Bodies are not told, nor are secrets: what identifies a caller is told as the application's name or as a digest.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::Access;
use crate::ids::{ApplicationId, EnvironmentId, PlanId};
use crate::rest::asked::FromGateway;
use crate::rest::purges::SecondLevelAmount;

/// Bytes of the longest value that is told whole.
pub const VALUE_MAX: usize = 512;

/// `POST /tenants/{tenant}/apis/{api}/cache/entries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookUpCache {
    pub environment: EnvironmentId,
    /// As callers ask for it below the API's base, with its query: `/items?page=2`.
    pub path: String,
    /// What callers call the host, with its port if they say one, and whether a trusted proxy says that they come over TLS: both
    /// are parts of the key that the second level is asked for.
    #[serde(default)]
    pub host: String,
    #[serde(default)]
    pub https: bool,
}

/// What is stored of a URL, gateway by gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheLookup {
    pub gateways: Vec<FromGateway<CacheEntries>>,
}

/// What a gateway has of a URL in memory, and what its second level has of the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheEntries {
    /// The newest of each key first.
    pub entries: Vec<CacheEntry>,
    /// Entries that are not told because they are too many.
    pub more: u64,
    /// Whether there is a second level, of which nothing is known before it is asked for a key.
    pub second_level: SecondLevelAmount,
    /// The key under which it is looked for when somebody without credentials asks for the URL, and what there is. None: there is no
    /// second level, no operation that is cached, or the gateway is older than the question.
    #[serde(default)]
    pub asked: Option<Box<SecondLevelKey>>,
}

/// A key, and what the second level has of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelKey {
    pub hash: String,
    pub key: CacheKey,
    pub copy: SecondLevelCopy,
}

/// What the second level has under a key. To ask for it takes nothing over and is not counted as a hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelCopy {
    pub state: CopyState,
    /// Of what can be read.
    pub age_s: Option<u64>,
    /// Seconds for which it is fresh yet; negative: for which it has been stale. None: it would not be used.
    pub fresh_for_s: Option<i64>,
    /// Bytes that it takes there, compressed and encrypted as it may be, and those of its body.
    pub bytes: Option<u64>,
    pub body_bytes: Option<u64>,
    /// Fields of the request by which the copies of the key differ.
    pub varies_by: Vec<String>,
}

/// Whether a copy in the second level would be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// There is none, or none that answers the same fields of a request.
    Absent,
    Fresh,
    Stale,
    /// A purge has made it stale.
    SoftlyPurged,
    /// It may be older than a purge or a change that covers it, or is of another journal: it is never used.
    Outdated,
    /// Damaged, or written by another version or under another encryption key: it is never used.
    Damaged,
    /// It did not answer within its time budget or refused, or is not asked at all because it did not answer lately.
    NoAnswer,
}

/// A stored response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheEntry {
    pub level: CacheLevel,
    /// The beginning of the key's SHA-256, as hexadecimal digits: the same on every gateway.
    pub key_hash: String,
    /// None: it was stored under other settings of the policy, by which its key cannot be read any more.
    pub key: Option<CacheKey>,
    pub state: CacheState,
    pub status: u16,
    /// Fields as they are stored; without a value where that is a secret.
    pub headers: Vec<CacheField>,
    /// Fields of the request that tell this response from others of the same key (`Vary`); without a value where the request had
    /// none, or where that is a secret.
    pub varies_by: Vec<CacheField>,
    pub for_whom: CacheAudience,
    pub age_s: u64,
    pub lifetime_s: u64,
    /// Seconds for which it is fresh yet; negative: for which it has been stale.
    pub fresh_for_s: i64,
    /// Seconds past its lifetime for which it may be served while a new one is fetched, and in place of an error.
    pub stale_while_revalidate_s: u64,
    pub stale_if_error_s: Option<u64>,
    /// It is validated before each use; it is never served stale.
    pub no_cache: bool,
    pub must_revalidate: bool,
    /// As the upstream gave them; None: they were not kept, because another gateway has fetched it.
    pub tags: Option<Vec<String>>,
    /// Bytes that it takes in memory, and those of its body.
    pub bytes: u64,
    pub body_bytes: u64,
    /// Calls that this gateway has answered with it, also since it was validated. None: the gateway is older than the question.
    #[serde(default)]
    pub hits: Option<u64>,
    /// What the second level has of the same. None: there is none, it was not asked (on each gateway, it is for 16 entries), or the
    /// gateway is older than the question.
    #[serde(default)]
    pub copy: Option<SecondLevelCopy>,
}

/// Where a response is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheLevel {
    Memory,
    SecondLevel,
}

/// Whether a stored response may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    Fresh,
    Stale,
    /// A purge has made it stale.
    SoftlyPurged,
    /// A purge covers it: it is never served again, and its memory is given back soon.
    Purged,
}

/// Who is served a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheAudience {
    Everyone,
    /// Who brings neither a key nor `Authorization`.
    Anonymous,
    /// Who asked for it.
    Caller,
}

/// A field; None: its value is not told or there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheField {
    pub name: String,
    pub value: Option<String>,
    /// The value is a secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// What a response is found by, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheKey {
    pub environment: Option<EnvironmentId>,
    /// Slugs.
    pub tenant: String,
    pub api: String,
    /// The revision, where each release starts anew; None: all share it.
    pub version: Option<u32>,
    pub epoch: u32,
    /// `GET` (which serves `HEAD`, too), or `POST` where its body is part of the key.
    pub method: String,
    pub scheme: String,
    pub host: String,
    /// The operation.
    pub route: String,
    /// After the request's transform: as the upstream sees it.
    pub path: String,
    /// The part that the policy chooses; None: there is none.
    pub query: Option<String>,
    /// Headers that the policy names. Those that a response names (`Vary`) tell variants of one key apart.
    pub headers: Vec<String>,
    /// Cookies that the policy names; of their values a digest.
    pub cookies: Vec<CacheField>,
    pub caller: CacheCaller,
    /// The beginning of the SHA-256 of the body and what says how to read it.
    pub body: Option<String>,
}

/// Whose copy it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheCaller {
    pub kind: CacheCallerKind,
    /// Where the application is known.
    pub application: Option<ApplicationId>,
    pub application_name: Option<String>,
}

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheCallerKind {
    /// One copy for all.
    Shared,
    /// A copy for an application.
    Application,
    /// A copy for these credentials: what `Authorization`, cookies and keys say together.
    Credentials,
}

/// `POST /tenants/{tenant}/apis/{api}/cache/explain`: a request that nobody sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainCache {
    pub environment: EnvironmentId,
    pub request: CacheRequest,
}

/// A request, and the response that an upstream might give to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheRequest {
    #[serde(default = "get")]
    pub method: String,
    /// What the client calls the host, with its port if it says one.
    #[serde(default)]
    pub host: String,
    /// Whether a trusted proxy says that the client came over TLS.
    #[serde(default)]
    pub https: bool,
    /// Below the API's base, with its query: `/items?page=2`.
    pub path: String,
    #[serde(default)]
    pub headers: Vec<RequestField>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whose key the request carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    /// Of the response that might be given.
    #[serde(default = "ok")]
    pub response_status: u16,
    #[serde(default)]
    pub response_headers: Vec<RequestField>,
}

fn get() -> String {
    "GET".to_owned()
}

const fn ok() -> u16 {
    200
}

/// A field of a request or a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestField {
    pub name: String,
    pub value: String,
}

/// What gateways make of a request, each for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheExplanation {
    pub gateways: Vec<FromGateway<ExplainedRequest>>,
}

/// What a gateway would do with a request; nothing is fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedRequest {
    /// The operation; None: there is none for the request.
    pub route: Option<String>,
    /// Whether the caller would be let in, which comes before the cache; None: there is no operation, or the gateway is older than
    /// the question.
    #[serde(default)]
    pub access: Option<ExplainedAccess>,
    /// Why the request goes past the cache, or what it asks of it.
    pub reasons: Vec<CacheReason>,
    /// Whether it may be answered from the cache, and may fill it.
    pub cached: bool,
    /// Keys in the order in which they are looked for: the caller's own copy first, then the one for all.
    pub keys: Vec<ExplainedKey>,
    /// How the response would be stored; None: it would not.
    pub stored: Option<ExplainedStoring>,
}

/// Whether a caller would be let in. Nothing is taken from a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedAccess {
    /// Whom the operation takes.
    pub access: Access,
    /// Why the call would be refused; None: it would not be, as far as the caller's address has no say in it (a key over plain HTTP
    /// from another machine is refused where the gateway is not told to take it).
    pub refusal: Option<AccessRefusal>,
    /// The plan that the call would be made under.
    pub plan: Option<PlanId>,
    pub plan_name: Option<String>,
    /// The limits that hold, widest first.
    pub limits: Vec<ExplainedLimit>,
}

/// Why a caller would be refused: the code of the problem that it would be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessRefusal {
    /// The request carries no key; or the application that it is said to come from has none in the environment.
    MissingKey,
    /// The key is wrong or revoked.
    UnknownKey,
    ExpiredKey,
    NotSubscribed,
    SubscriptionSuspended,
    RateLimited,
}

/// A limit, and what a gateway has left of it: each counts for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedLimit {
    /// What it belongs to: environment, api, route, application or plan.
    pub name: String,
    pub requests: u64,
    pub period_s: u64,
    /// Calls that would be allowed at once now; None: it counts by address, and this is nobody's.
    pub remaining: Option<u64>,
    /// Where none is left: seconds until the next is allowed.
    pub retry_s: Option<u64>,
}

/// A key, and what there is of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedKey {
    pub hash: String,
    pub key: CacheKey,
    /// What the memory has that answers the request.
    pub entry: Option<CacheEntry>,
    /// Whether this caller may have it.
    pub usable: bool,
    /// What the second level has that answers the request. None: there is none, or the gateway is older than the question.
    #[serde(default)]
    pub copy: Option<SecondLevelCopy>,
}

/// For whom and for how long a response would be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedStoring {
    pub for_whom: CacheAudience,
    pub lifetime_s: u64,
    pub stale_while_revalidate_s: u64,
    pub stale_if_error_s: Option<u64>,
    pub no_cache: bool,
    pub must_revalidate: bool,
}

/// Why a request goes past the cache, or what it asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheReason {
    /// No operation of the API has this path, or not with this method.
    NoRoute,
    /// No cache policy holds for the operation.
    NoPolicy,
    /// The policy's strong consistency sends everything to the upstream.
    StrongConsistency,
    /// The method may change things: what is stored of the URL is forgotten when it succeeds.
    Method,
    /// The request says `no-store`.
    NoStore,
    /// The request's condition (`If-Match`, `If-Unmodified-Since`) is for the upstream.
    Condition,
    /// A request with this method and a body is not cached.
    Body,
    /// The request asks for a part: it is cut from what is stored, and fills nothing.
    Range,
    /// The request says `no-cache`: what is stored is validated first.
    Validates,
    /// The request says `only-if-cached`: without a stored response it is answered with 504.
    OnlyIfCached,
    /// `HEAD` is answered from the response to `GET`, and stores nothing.
    Head,
    /// The response would not be stored: nobody says for how long, or somebody says that it must not be.
    NotStorable,
}
