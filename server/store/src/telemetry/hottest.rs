//! The URLs that were asked for most, from the newest calls of an API.

use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use sluice_contract::ids::{ApiId, GatewayId, TenantId};

use super::sql::{self, Conditions};
use crate::error::Result;

/// Calls that are looked at, at most: counting more would not change what is on top.
pub(super) const LOOKED_AT: u32 = 200_000;

/// Which URLs are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Hottest {
    pub api: ApiId,
    /// Those that answered.
    pub gateways: Vec<GatewayId>,
    pub since: DateTime<Utc>,
    pub count: u32,
}

/// See [`super::Telemetry::hottest`].
pub(super) async fn hottest(
    db: &DatabaseConnection,
    query: &str,
    tenant: TenantId,
    wanted: &Hottest,
) -> Result<Vec<(String, Option<String>)>> {
    let Hottest { api, gateways, since, count } = wanted;
    if gateways.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = Conditions::default();
    conditions.add(
        "tenant = ? AND api = ? AND at >= ? AND method = 'GET' AND status >= 200 AND status < 300",
        [tenant.0.into(), api.0.into(), since.timestamp_micros().into()],
    );
    conditions.add_in("gateway", gateways.iter().map(|gateway| [gateway.0.into()]));
    let sql = format!(
        "SELECT path, {query} AS query FROM \
         (SELECT path, detail, cache FROM calls WHERE {} ORDER BY at DESC, id DESC LIMIT {LOOKED_AT}) AS newest \
         GROUP BY path, {query} \
         ORDER BY SUM(CASE WHEN cache IN ('uncached', 'bypass', 'method') THEN 0 ELSE 1 END) DESC, COUNT(*) DESC, path LIMIT {count}",
        conditions.text()
    );
    let rows = sql::all(db, &sql, conditions.values).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}
