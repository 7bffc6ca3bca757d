//! A call as a row: what filters look at has a column, the rest is JSON.

use chrono::{DateTime, Utc};
use sea_orm::QueryResult;
use serde::{Deserialize, Serialize, Serializer};
use sluice_contract::calls::{CacheOutcome, CacheSigns, Call, SecondLevelAsked, StageTime};
use sluice_contract::ids::{
    ApiId, ApplicationId, CallId, CredentialId, GatewayId, PlanId, SubscriptionId, TenantId,
};
use sluice_contract::problem::ErrorSource;
use uuid::Uuid;

use super::StoredCall;
use super::sql::{signed, unsigned};
use crate::error::{Error, Result};

/// Columns in the order in which [`read`] takes them.
pub(super) const COLUMNS: &str = "id, at, tenant, api, route, application, gateway, method, status, cache, path, request_id, duration_us, detail";

/// Indexed text has a bound, or one odd method would stop its gateway's batches.
const MAX_METHOD: usize = 32;
/// The same for names of routes and targets.
pub(super) const MAX_NAME: usize = 512;

/// A call on its way into the database. Times are microseconds since the Unix epoch.
#[derive(Serialize)]
pub(super) struct CallRow<'a> {
    id: Hex,
    at: i64,
    /// Nil when no tenant's route matched.
    tenant: Hex,
    api: Option<Hex>,
    route: Option<&'a str>,
    application: Option<Hex>,
    gateway: Hex,
    method: &'a str,
    status: u16,
    /// 2 for 200 to 299 and so on.
    class: u16,
    cache: CacheOutcome,
    path: &'a str,
    request_id: &'a str,
    duration_us: i64,
    detail: DetailRef<'a>,
}

/// What no filter looks at, borrowed.
#[derive(Serialize)]
struct DetailRef<'a> {
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_source: &'a Option<ErrorSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: &'a Option<CredentialId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: &'a Option<SubscriptionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: &'a Option<PlanId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_us: &'a Option<u64>,
    #[serde(skip_serializing_if = "CacheSigns::is_empty")]
    signs: CacheSigns,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_level: Option<SecondLevelAsked>,
    bytes_in: u64,
    bytes_out: u64,
    client_ip: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: &'a Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stages: &'a [StageTime],
}

/// What [`DetailRef`] wrote.
#[derive(Deserialize)]
struct Detail {
    host: String,
    query: Option<String>,
    error: Option<String>,
    error_source: Option<ErrorSource>,
    credential: Option<CredentialId>,
    subscription: Option<SubscriptionId>,
    plan: Option<PlanId>,
    target: Option<String>,
    upstream_us: Option<u64>,
    #[serde(default)]
    signs: CacheSigns,
    second_level: Option<SecondLevelAsked>,
    bytes_in: u64,
    bytes_out: u64,
    client_ip: String,
    user_agent: Option<String>,
    trace_id: Option<String>,
    #[serde(default)]
    stages: Vec<StageTime>,
}

/// An id as 32 hex digits, which both databases can read.
#[derive(Clone, Copy)]
pub(super) struct Hex(pub(super) Uuid);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.simple())
    }
}

impl<'a> CallRow<'a> {
    /// The row of this call, which began at `at`.
    pub(super) fn new(call: &'a Call, gateway: GatewayId, at: DateTime<Utc>) -> Self {
        let Call {
            id,
            at: _,
            tenant,
            api,
            route,
            method,
            host,
            path,
            query,
            status,
            error,
            error_source,
            application,
            credential,
            subscription,
            plan,
            cache,
            signs,
            second_level,
            target,
            duration_us,
            upstream_us,
            bytes_in,
            bytes_out,
            client_ip,
            user_agent,
            request_id,
            trace_id,
            stages,
        } = call;
        Self {
            id: Hex(id.0),
            at: at.timestamp_micros(),
            tenant: Hex(tenant.map_or(Uuid::nil(), |tenant| tenant.0)),
            api: api.map(|api| Hex(api.0)),
            route: route.as_deref().map(|route| clip(route, MAX_NAME)),
            application: application.map(|application| Hex(application.0)),
            gateway: Hex(gateway.0),
            method: clip(method, MAX_METHOD),
            status: *status,
            class: status / 100,
            cache: *cache,
            path,
            request_id,
            duration_us: signed(*duration_us),
            detail: DetailRef {
                host,
                query,
                error,
                error_source,
                credential,
                subscription,
                plan,
                target,
                upstream_us,
                signs: *signs,
                second_level: *second_level,
                bytes_in: *bytes_in,
                bytes_out: *bytes_out,
                client_ip,
                user_agent,
                trace_id,
                stages,
            },
        }
    }
}

/// The start of a text, at most this many bytes.
pub(super) fn clip(text: &str, most: usize) -> &str {
    text.char_indices().find(|(i, c)| i + c.len_utf8() > most).map_or(text, |(i, _)| &text[..i])
}

/// Reads a row of [`COLUMNS`].
pub(super) fn read(row: &QueryResult) -> Result<StoredCall> {
    let detail: Detail = serde_json::from_str(&row.try_get_by_index::<String>(13)?)?;
    let tenant = row.try_get_by_index::<Uuid>(2)?;
    let at = row.try_get_by_index::<i64>(1)?;
    let call = Call {
        id: CallId(row.try_get_by_index(0)?),
        at: DateTime::from_timestamp_micros(at).ok_or(Error::NotFound)?,
        tenant: (!tenant.is_nil()).then_some(TenantId(tenant)),
        api: row.try_get_by_index::<Option<Uuid>>(3)?.map(ApiId),
        route: row.try_get_by_index(4)?,
        method: row.try_get_by_index(7)?,
        host: detail.host,
        path: row.try_get_by_index(10)?,
        query: detail.query,
        status: u16::try_from(row.try_get_by_index::<i32>(8)?).unwrap_or_default(),
        error: detail.error,
        error_source: detail.error_source,
        application: row.try_get_by_index::<Option<Uuid>>(5)?.map(ApplicationId),
        credential: detail.credential,
        subscription: detail.subscription,
        plan: detail.plan,
        cache: serde_json::from_value(row.try_get_by_index::<String>(9)?.into())?,
        signs: detail.signs,
        second_level: detail.second_level,
        target: detail.target,
        duration_us: unsigned(row.try_get_by_index(12)?),
        upstream_us: detail.upstream_us,
        bytes_in: detail.bytes_in,
        bytes_out: detail.bytes_out,
        client_ip: detail.client_ip,
        user_agent: detail.user_agent,
        request_id: row.try_get_by_index(11)?,
        trace_id: detail.trace_id,
        stages: detail.stages,
    };
    Ok(StoredCall { call, gateway: GatewayId(row.try_get_by_index(6)?) })
}
