//! Removing what no gateway needs any more: old entries, and parts that nothing names.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use sluice_contract::ids::EnvironmentId;
use sluice_contract::journal::Position;
use sluice_entity::{gateway_acks, journal_counters, journal_entries, journal_state, parts};

use super::{Counter, position, stored};
use crate::{Result, Store, Tx};

/// What stays: the newest entries up to a number, and those that are young. A gateway that is further behind takes a
/// snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub entries: u64,
    pub age: TimeDelta,
}

impl Default for Keep {
    fn default() -> Self {
        Self { entries: 10_000, age: TimeDelta::days(7) }
    }
}

/// How long it is known when a gateway acknowledged what.
const ACKNOWLEDGEMENTS: TimeDelta = TimeDelta::days(30);

/// Compacts every journal and removes parts and acknowledgements that are no longer needed.
///
/// # Errors
/// When the database fails; what was done until then stays done.
pub async fn compact_all(store: &Store, keep: Keep) -> Result<()> {
    let environments: Vec<_> = super::counters(store.read()).await?.into_keys().collect();
    for environment in environments {
        let tx = store.begin().await?;
        compact(&tx, environment, keep).await?;
        tx.commit().await?;
    }
    let tx = store.begin().await?;
    remove_parts(&tx, crate::now() - keep.age).await?;
    let before = crate::now() - ACKNOWLEDGEMENTS;
    gateway_acks::Entity::delete_many().filter(gateway_acks::Column::ReceivedAt.lt(before)).exec(&tx).await?;
    tx.commit().await
}

/// Removes entries that are both old and far behind the head. Returns where the journal begins now.
///
/// # Errors
/// When the database fails.
pub async fn compact(tx: &Tx, environment: EnvironmentId, keep: Keep) -> Result<Position> {
    let Counter { head, compacted_to } = super::counter(tx, environment).await?;
    let by_count = head.saturating_sub(keep.entries);
    let by_age = last_before(tx, environment, crate::now() - keep.age).await?.unwrap_or(compacted_to);
    let to = std::cmp::min(by_count, by_age);
    if to <= compacted_to {
        return Ok(compacted_to);
    }
    journal_counters::Entity::update_many()
        .col_expr(journal_counters::Column::CompactedTo, Expr::value(stored(to)))
        .filter(journal_counters::Column::EnvironmentId.eq(environment.0))
        .filter(journal_counters::Column::CompactedTo.lt(stored(to)))
        .exec(tx)
        .await?;
    journal_entries::Entity::delete_many()
        .filter(journal_entries::Column::EnvironmentId.eq(environment.0))
        .filter(journal_entries::Column::Position.lte(stored(to)))
        .exec(tx)
        .await?;
    Ok(to)
}

async fn last_before(tx: &Tx, environment: EnvironmentId, time: DateTime<Utc>) -> Result<Option<Position>> {
    let row = journal_entries::Entity::find()
        .filter(journal_entries::Column::EnvironmentId.eq(environment.0))
        .filter(journal_entries::Column::At.lt(time))
        .order_by_desc(journal_entries::Column::Position)
        .one(tx)
        .await?;
    Ok(row.map(|row| position(row.position)))
}

/// Parts that were not put for long and that neither an entry nor the state names.
async fn remove_parts(tx: &Tx, before: DateTime<Utc>) -> Result<()> {
    let named_by = |table: sea_orm::sea_query::DynIden| {
        Query::select()
            .expr(Expr::val(1))
            .from(table.clone())
            .and_where(Expr::col((table, "part_hash")).equals((parts::Entity, parts::Column::Hash)))
            .to_owned()
    };
    use sea_orm::sea_query::IntoIden;
    let statement = Query::delete()
        .from_table(parts::Entity)
        .and_where(parts::Column::CreatedAt.lt(before))
        .and_where(Expr::exists(named_by(journal_entries::Entity.into_iden())).not())
        .and_where(Expr::exists(named_by(journal_state::Entity.into_iden())).not())
        .to_owned();
    tx.execute(&statement).await?;
    Ok(())
}
