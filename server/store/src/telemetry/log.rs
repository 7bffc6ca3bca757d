//! The call log: filters, and pages by keyset on `(at, id)`, newest first.
//!
//! The tenant always comes first. A filter that keeps a good share of calls is decided while walking through time; one
//! that keeps few has an index in its own order. Paths can be either, so a bounded look decides.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sluice_contract::ids::{CallId, TenantId};
use sluice_contract::rest::calls::CallFilter;
use sluice_contract::rest::page::{DEFAULT_LIMIT, MAX_LIMIT, Page};
use uuid::Uuid;

use super::StoredCall;
use super::row::{COLUMNS, MAX_NAME, clip, read};
use super::sql::{self, Conditions, signed};
use crate::error::{Error, Result};

/// The lengths of text that the indexes hold, in characters.
const INDEXED_PATH: usize = 256;
/// Calls below a path up to which they are fetched and sorted, instead of walking through time.
const FEW: i64 = 2_000;
/// The walk through time, from the newest call.
const WALK: &str = "at DESC, id DESC";
/// The same order, but no index promises it: few calls are found by the filter's own index, then sorted.
const SORT: &str = "at + 0 DESC, id DESC";
/// From here the index of slow calls is used.
const SLOW_US: u64 = 1_000_000;

/// See [`super::Telemetry::calls`].
pub(super) async fn page(
    db: &DatabaseConnection,
    tenant: TenantId,
    filter: &CallFilter,
    limit: u32,
    after: Option<&str>,
) -> Result<Page<StoredCall>> {
    let limit = match limit {
        0 => DEFAULT_LIMIT,
        limit => limit.min(MAX_LIMIT),
    } as usize;
    let mut conditions = conditions(tenant, filter)?;
    if let Some(after) = after {
        let (at, id) = decode(after).ok_or_else(bad_cursor)?;
        conditions.add("(at, id) < (?, ?)", [at.into(), id.into()]);
    }
    let order = order(db, tenant, filter, &mut conditions).await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM calls WHERE {} ORDER BY {order} LIMIT {}",
        conditions.text(),
        limit + 1
    );
    let rows = sql::all(db, &sql, conditions.values).await?;
    let items = rows.iter().take(limit).map(read).collect::<Result<Vec<_>>>()?;
    let next = items.last().filter(|_| rows.len() > limit).map(cursor);
    Ok(Page { items, next })
}

/// See [`super::Telemetry::call`].
pub(super) async fn find(db: &DatabaseConnection, tenant: TenantId, call: CallId) -> Result<StoredCall> {
    let find = format!("SELECT {COLUMNS} FROM calls WHERE id = $1 AND tenant = $2");
    let row = sql::one(db, &find, [call.0.into(), tenant.0.into()]).await?;
    row.map_or(Err(Error::NotFound), |row| read(&row))
}

/// Everything but the path, which [`order`] adds.
fn conditions(tenant: TenantId, filter: &CallFilter) -> Result<Conditions> {
    let CallFilter {
        from,
        to,
        api,
        route,
        application,
        gateway,
        method,
        status,
        cache,
        path: _,
        request_id,
        min_duration_us,
    } = filter;
    let mut all = Conditions::default();
    all.add("tenant = ?", [tenant.0.into()]);
    if let Some(from) = from {
        all.add("at >= ?", [from.timestamp_micros().into()]);
    }
    if let Some(to) = to {
        all.add("at < ?", [to.timestamp_micros().into()]);
    }
    if let Some(api) = api {
        all.add("api = ?", [api.0.into()]);
    }
    if let Some(route) = route {
        all.add("route = ?", [clip(route, MAX_NAME).into()]);
    }
    if let Some(application) = application {
        all.add("application = ?", [application.0.into()]);
    }
    if let Some(gateway) = gateway {
        all.add("gateway = ?", [gateway.0.into()]);
    }
    if let Some(method) = method {
        all.add("method = ?", [method.to_ascii_uppercase().into()]);
    }
    if let Some(status) = status {
        add_status(&mut all, status)?;
    }
    if let Some(cache) = cache {
        let name = serde_json::to_value(cache)?;
        all.add("cache = ?", [name.as_str().unwrap_or_default().into()]);
    }
    if let Some(request_id) = request_id {
        all.add("substr(request_id, 1, 128) = substr(?, 1, 128)", [request_id.clone().into()]);
        all.add("request_id = ?", [request_id.clone().into()]);
    }
    if let Some(least) = min_duration_us {
        all.add("duration_us >= ?", [signed(*least).into()]);
        if *least >= SLOW_US {
            // Said again as a literal, so that the index of slow calls is seen to hold them all.
            all.add("duration_us >= 1000000", []);
        }
    }
    Ok(all)
}

fn add_status(all: &mut Conditions, status: &str) -> Result<()> {
    let (class, exact) = read_status(status)?;
    if class >= 4 {
        // The index of errors; the literal lets it be seen that it holds them all.
        all.add("class = ? AND status >= 400", [class.into()]);
    } else {
        // Most calls: decided in the index of the walk, which has the status.
        all.add("status >= ? AND status < ?", [(class * 100).into(), (class * 100 + 100).into()]);
    }
    if let Some(exact) = exact {
        all.add("status = ?", [exact.into()]);
    }
    Ok(())
}

/// Reads a status filter, exact (`404`) or a class (`4xx`): the class, and the status itself when it is exact.
pub(super) fn read_status(status: &str) -> Result<(i32, Option<i32>)> {
    parse_status(status)
        .ok_or_else(|| Error::invalid("status", "invalid", "a status such as 404, or a class such as 4xx"))
}

fn parse_status(text: &str) -> Option<(i32, Option<i32>)> {
    let bytes = text.as_bytes();
    let first = bytes.first().filter(|digit| (b'1'..=b'9').contains(digit))?;
    let class = i32::from(first - b'0');
    match bytes {
        [_, b'x' | b'X', b'x' | b'X'] => Some((class, None)),
        [_, b'0'..=b'9', b'0'..=b'9'] => Some((class, text.parse().ok())),
        _ => None,
    }
}

/// The order of a page. Adds the path's condition: by its index when it keeps few calls, beside the walk through
/// time when it keeps many. SQLite has no statistics to decide that by itself.
async fn order(
    db: &DatabaseConnection,
    tenant: TenantId,
    filter: &CallFilter,
    conditions: &mut Conditions,
) -> Result<&'static str> {
    if let Some(path) = filter.path.as_deref().filter(|path| !path.is_empty()) {
        conditions.add("substr(path, 1, ?) = ?", [length(path).into(), path.into()]);
        let start: String = path.chars().take(INDEXED_PATH).collect();
        let end = successor(&start);
        if is_rare(db, tenant, &start, &end).await? {
            conditions
                .add("substr(path, 1, 256) >= ? AND substr(path, 1, 256) < ?", [start.into(), end.into()]);
            return Ok(SORT);
        }
    }
    Ok(if filter.request_id.is_some() { SORT } else { WALK })
}

async fn is_rare(db: &impl ConnectionTrait, tenant: TenantId, start: &str, end: &str) -> Result<bool> {
    let look = "SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE tenant = $1 \
         AND substr(path, 1, 256) >= $2 AND substr(path, 1, 256) < $3 LIMIT $4) AS found";
    let values = [tenant.0.into(), start.into(), end.into(), FEW.into()];
    let row = sql::one(db, look, values).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))? < FEW)
}

fn length(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

/// The first text after all that begin with `start`, by code points.
fn successor(start: &str) -> String {
    let mut chars: Vec<char> = start.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = ((last as u32 + 1)..=char::MAX as u32).find_map(char::from_u32) {
            chars.push(next);
            return chars.into_iter().collect();
        }
    }
    char::MAX.to_string()
}

fn cursor(last: &StoredCall) -> String {
    let mut bytes = last.call.at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(last.call.id.0.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<(i64, Uuid)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (at, id) = bytes.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*at), Uuid::from_slice(id).ok()?))
}

fn bad_cursor() -> Error {
    Error::invalid("after", "unknown", "not a cursor of this list; start at the first page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_filter_is_exact_or_a_class() {
        assert_eq!(parse_status("404"), Some((4, Some(404))));
        assert_eq!(parse_status("5xx"), Some((5, None)));
        for wrong in ["", "4", "40", "4x", "x04", "4040", "404 OR 1=1", "0xx", "４xx"] {
            assert_eq!(parse_status(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_successor_of_a_path_is_after_all_that_begin_with_it() {
        for start in ["/a", "/\u{d7ff}", "/z\u{10ffff}", "/é"] {
            let end = successor(start);
            assert!(start < end.as_str() && format!("{start}\u{10ffff}\u{10ffff}").as_str() < end.as_str());
        }
    }
}
