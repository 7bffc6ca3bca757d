//! Compaction: what gateways sent becomes cells of minutes, hours and days.
//!
//! Batches only append, so that gateways never wait for each other's cells; one compaction at a time merges. It moves:
//! a delta is either waiting or in its cells, in the same transaction, and readers add both up.

use sea_orm::{DatabaseConnection, DatabaseTransaction, QueryResult, TransactionTrait};
use serde::Serialize;
use sluice_contract::ids::GatewayId;
use sluice_contract::rollup::{Counts, RollupDelta};
use uuid::Uuid;

use super::dialect::Dialect;
use super::rollup::{self, Cells, Cube, Key, KeyRow, Place};
use super::sql::{self, signed};
use crate::error::Result;

/// Batches in one transaction.
const AT_ONCE: i64 = 200;
/// Cells in one statement.
const CELLS: usize = 2_000;

/// A cell as [`Dialect::SAVE_CELLS`] takes it.
#[derive(Serialize)]
pub(super) struct CellRow<'a> {
    #[serde(flatten)]
    key: KeyRow<'a>,
    calls: i64,
    errors: i64,
    counts: String,
}

/// See [`super::Telemetry::compact`].
pub(super) async fn compact<D: Dialect>(db: &DatabaseConnection, dialect: &D) -> Result<usize> {
    let tx = db.begin().await?;
    if !dialect.may_compact(&tx).await? {
        return Ok(0);
    }
    let list = "SELECT tenant, gateway, deltas, id FROM rollups_waiting ORDER BY id LIMIT $1";
    let waiting = sql::all(&tx, list, [AT_ONCE.into()]).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let mut cells = Cells::new();
    for row in &waiting {
        let (tenant, gateway, deltas) = read_waiting(row)?;
        deltas.iter().for_each(|delta| rollup::fold(&mut cells, tenant, gateway, delta));
    }
    let cells: Vec<_> = cells.into_iter().collect();
    for cells in cells.chunks(CELLS) {
        merge::<D>(&tx, cells).await?;
    }
    remove(&tx, &waiting).await?;
    tx.commit().await?;
    Ok(waiting.len())
}

/// Reads `tenant, gateway, deltas` of what waits.
pub(super) fn read_waiting(row: &QueryResult) -> Result<(Uuid, GatewayId, Vec<RollupDelta>)> {
    let deltas = serde_json::from_str(&row.try_get_by_index::<String>(2)?)?;
    Ok((row.try_get_by_index(0)?, GatewayId(row.try_get_by_index(1)?), deltas))
}

/// Adds to what the cells hold.
async fn merge<D: Dialect>(tx: &DatabaseTransaction, added: &[(Key, Counts)]) -> Result<()> {
    let mut cells = load::<D>(tx, added).await?;
    for (key, counts) in added {
        cells.entry(key.clone()).or_default().merge(counts);
    }
    let mut rows = Vec::with_capacity(cells.len());
    for (key, counts) in &cells {
        let (calls, errors) = (signed(counts.calls), signed(rollup::errors(counts)));
        rows.push(CellRow { key: key.into(), calls, errors, counts: serde_json::to_string(counts)? });
    }
    sql::execute(tx, D::SAVE_CELLS, [serde_json::to_string(&rows)?.into()]).await?;
    Ok(())
}

async fn load<D: Dialect>(tx: &DatabaseTransaction, added: &[(Key, Counts)]) -> Result<Cells> {
    let keys: Vec<KeyRow<'_>> = added.iter().map(|(key, _)| key.into()).collect();
    let mut cells = Cells::with_capacity(keys.len());
    for row in sql::all(tx, D::LOAD_CELLS, [serde_json::to_string(&keys)?.into()]).await? {
        if let Some((key, counts)) = read_cell(&row)? {
            cells.insert(key, counts);
        }
    }
    Ok(cells)
}

/// None for a cube of a newer version, which is not ours to change.
fn read_cell(row: &QueryResult) -> Result<Option<(Key, Counts)>> {
    let Some(cube) = Cube::named(&row.try_get_by_index::<String>(1)?) else { return Ok(None) };
    let place = Place { cube, a: row.try_get_by_index(4)?, b: row.try_get_by_index(5)? };
    let step = u32::try_from(row.try_get_by_index::<i32>(2)?).unwrap_or_default();
    let bucket = u32::try_from(row.try_get_by_index::<i64>(3)?).unwrap_or_default();
    let key = Key { tenant: row.try_get_by_index(0)?, place, step, bucket };
    Ok(Some((key, serde_json::from_str(&row.try_get_by_index::<String>(6)?)?)))
}

/// Removes exactly what was read: others may have committed smaller ids since.
async fn remove(tx: &DatabaseTransaction, waiting: &[QueryResult]) -> Result<()> {
    for row in waiting {
        let id: i64 = row.try_get_by_index(3)?;
        sql::execute(tx, "DELETE FROM rollups_waiting WHERE id = $1", [id.into()]).await?;
    }
    Ok(())
}
