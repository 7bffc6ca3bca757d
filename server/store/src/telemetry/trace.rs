//! The calls of an API as a cache would have met them: few columns of many calls, page by page, so that neither the database nor
//! this process ever holds many.

use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use serde::Deserialize;
use sluice_contract::calls::{CacheOutcome, CacheSigns};
use sluice_contract::ids::{ApiId, ApplicationId, CallId, GatewayId, TenantId};

use super::sql;
use crate::error::Result;

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceQuery {
    pub api: ApiId,
    pub from: DateTime<Utc>,
    /// Only what is before it: a time, and the nil id or that of a call at this time.
    pub before: (DateTime<Utc>, CallId),
    /// So many calls of any method are read.
    pub most: u32,
}

/// A page of calls, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracePage {
    /// Those with `GET`.
    pub calls: Vec<TracedCall>,
    /// Calls that were read, of any method.
    pub read: u32,
    /// Where the next page begins; None: there are no more.
    pub next: Option<(DateTime<Utc>, CallId)>,
}

/// A `GET` call.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedCall {
    pub at: DateTime<Utc>,
    pub gateway: GatewayId,
    pub route: Option<String>,
    pub application: Option<ApplicationId>,
    pub status: u16,
    pub cache: CacheOutcome,
    pub signs: CacheSigns,
    pub host: String,
    pub path: String,
    /// Without any key.
    pub query: Option<String>,
    pub client_ip: String,
    pub user_agent: Option<String>,
    /// Whether it was sent to an upstream.
    pub has_target: bool,
    pub bytes_out: u64,
    pub upstream_us: Option<u64>,
}

/// What is read of the row's detail.
#[derive(Deserialize)]
struct Detail {
    host: String,
    query: Option<String>,
    #[serde(default)]
    signs: CacheSigns,
    target: Option<String>,
    bytes_out: u64,
    upstream_us: Option<u64>,
    client_ip: String,
    user_agent: Option<String>,
}

/// See [`super::Telemetry::trace`]. Walks `calls_api`, whose order this is: by `(at, id) < (...)` SQLite would walk the calls of all
/// APIs of the tenant.
pub(super) async fn read(db: &DatabaseConnection, tenant: TenantId, query: &TraceQuery) -> Result<TracePage> {
    let list = "SELECT at, id, method, gateway, route, application, status, cache, path, detail FROM calls \
         WHERE tenant = $1 AND api = $2 AND at >= $3 AND at <= $4 AND (at < $4 OR id < $5) \
         ORDER BY at DESC, id DESC LIMIT $6";
    let (before, id) = query.before;
    let values = [
        tenant.0.into(),
        query.api.0.into(),
        query.from.timestamp_micros().into(),
        before.timestamp_micros().into(),
        id.0.into(),
        i64::from(query.most).into(),
    ];
    let rows = sql::all(db, list, values).await?;
    let mut page = TracePage { read: u32::try_from(rows.len()).unwrap_or(u32::MAX), ..TracePage::default() };
    for row in &rows {
        let at = DateTime::from_timestamp_micros(row.try_get_by_index(0)?).unwrap_or_default();
        page.next = Some((at, CallId(row.try_get_by_index(1)?)));
        if row.try_get_by_index::<String>(2)? == "GET" {
            page.calls.push(call(row, at)?);
        }
    }
    page.next = page.next.filter(|_| page.read == query.most);
    Ok(page)
}

fn call(row: &sea_orm::QueryResult, at: DateTime<Utc>) -> Result<TracedCall> {
    let detail: Detail = serde_json::from_str(&row.try_get_by_index::<String>(9)?)?;
    let Detail { host, query, signs, target, bytes_out, upstream_us, client_ip, user_agent } = detail;
    Ok(TracedCall {
        at,
        gateway: GatewayId(row.try_get_by_index(3)?),
        route: row.try_get_by_index(4)?,
        application: row.try_get_by_index::<Option<uuid::Uuid>>(5)?.map(ApplicationId),
        status: u16::try_from(row.try_get_by_index::<i32>(6)?).unwrap_or_default(),
        cache: serde_json::from_value(row.try_get_by_index::<String>(7)?.into())?,
        signs,
        host,
        path: row.try_get_by_index(8)?,
        query,
        client_ip,
        user_agent,
        has_target: target.is_some(),
        bytes_out,
        upstream_us,
    })
}
