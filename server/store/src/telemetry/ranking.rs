//! The busiest APIs, routes, applications, plans and targets: sums first, from an index alone; then the latencies of the few at the top.

use std::collections::HashMap;
use std::hash::Hash;

use sea_orm::{DatabaseTransaction, Value};
use sluice_contract::ids::{ApiId, ApplicationId, PlanId, TenantId};
use sluice_contract::rollup::Counts;

use super::focus::{Focus, Slice};
use super::range::Range;
use super::rollup::Cube;
use super::sql::{self, Conditions, unsigned};
use super::traffic::Waiting;
use crate::error::Result;

/// Rows of a ranking.
const TOP: usize = 10;

/// Names of a cell.
type Names = (String, String);

/// Busiest APIs.
pub(super) async fn apis(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    focus: &Focus,
    waiting: &[Waiting],
) -> Result<Vec<(ApiId, Counts)>> {
    rank(tx, tenant, range, &focus.apis, waiting, |(a, _)| a.parse().ok()).await
}

/// Busiest routes. Calls that matched no route are in none.
pub(super) async fn routes(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    focus: &Focus,
    waiting: &[Waiting],
) -> Result<Vec<(ApiId, String, Counts)>> {
    let Some(slice) = &focus.routes else { return Ok(Vec::new()) };
    let route = |(a, b): &Names| Some((a.parse().ok()?, Some(b.clone()).filter(|b| !b.is_empty())?));
    let top = rank(tx, tenant, range, slice, waiting, route).await?;
    Ok(top.into_iter().map(|((api, route), counts)| (api, route, counts)).collect())
}

/// Busiest applications.
pub(super) async fn applications(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    focus: &Focus,
    waiting: &[Waiting],
) -> Result<Vec<(ApplicationId, Counts)>> {
    let Some(slice) = &focus.applications else { return Ok(Vec::new()) };
    let by_b = slice.cube == Cube::Consumer;
    rank(tx, tenant, range, slice, waiting, |(a, b)| if by_b { b.parse().ok() } else { a.parse().ok() }).await
}

/// Busiest plans. Calls without a plan are in none.
pub(super) async fn plans(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    focus: &Focus,
    waiting: &[Waiting],
) -> Result<Vec<(PlanId, Counts)>> {
    let Some(slice) = &focus.plans else { return Ok(Vec::new()) };
    rank(tx, tenant, range, slice, waiting, |(_, b)| b.parse().ok()).await
}

/// Busiest targets, over all gateways.
pub(super) async fn targets(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    focus: &Focus,
    waiting: &[Waiting],
) -> Result<Vec<(String, Counts)>> {
    let Some(slice) = &focus.targets else { return Ok(Vec::new()) };
    rank(tx, tenant, range, slice, waiting, |(_, b)| Some(b.clone())).await
}

/// The cells of a slice, grouped by what `name` makes of their names; those without are left out.
async fn rank<T: Clone + Eq + Hash + Ord>(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    slice: &Slice,
    waiting: &[Waiting],
    name: impl Fn(&Names) -> Option<T>,
) -> Result<Vec<(T, Counts)>> {
    let waiting: Vec<_> = waiting.iter().filter(|waiting| slice.holds(&waiting.place)).collect();
    let mut sums = sums(tx, tenant, range, slice).await?;
    for one in &waiting {
        *sums.entry((one.place.a.clone(), one.place.b.clone())).or_default() += one.counts.calls;
    }
    let chosen = top(&sums, &name);
    let names: Vec<_> = sums.keys().filter(|names| is_chosen(&chosen, name(names))).cloned().collect();
    let mut ranked: HashMap<T, Counts> = HashMap::new();
    for (names, counts) in counts(tx, tenant, range, slice, &names).await? {
        if let Some(one) = name(&names) {
            ranked.entry(one).or_default().merge(&counts);
        }
    }
    for one in waiting {
        let key = name(&(one.place.a.clone(), one.place.b.clone())).filter(|key| chosen.contains(key));
        if let Some(key) = key {
            ranked.entry(key).or_default().merge(&one.counts);
        }
    }
    Ok(chosen.into_iter().filter_map(|key| ranked.remove_entry(&key)).collect())
}

fn is_chosen<T: PartialEq>(chosen: &[T], one: Option<T>) -> bool {
    one.is_some_and(|one| chosen.contains(&one))
}

/// The busiest, in order; equally busy ones in the order of their names, so that the order is stable.
fn top<T: Eq + Hash + Ord>(sums: &HashMap<Names, u64>, name: impl Fn(&Names) -> Option<T>) -> Vec<T> {
    let mut grouped: HashMap<T, u64> = HashMap::new();
    for (names, calls) in sums {
        if let Some(one) = name(names) {
            *grouped.entry(one).or_default() += calls;
        }
    }
    let mut ordered: Vec<_> = grouped.into_iter().filter(|(_, calls)| *calls > 0).collect();
    ordered.sort_unstable_by(|(a, a_calls), (b, b_calls)| b_calls.cmp(a_calls).then_with(|| a.cmp(b)));
    ordered.into_iter().take(TOP).map(|(one, _)| one).collect()
}

async fn sums(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    slice: &Slice,
) -> Result<HashMap<Names, u64>> {
    let mut sums = HashMap::new();
    for segment in range.whole() {
        let mut conditions = slice.conditions(tenant);
        conditions.add(
            "step = ? AND bucket >= ? AND bucket < ?",
            [segment.step.into(), segment.from.into(), segment.to.into()],
        );
        let sum = format!(
            "SELECT a, b, CAST(SUM(calls) AS BIGINT) FROM rollups WHERE {} GROUP BY a, b",
            conditions.text()
        );
        for row in sql::all(tx, &sum, conditions.values).await? {
            let names = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            *sums.entry(names).or_default() += unsigned(row.try_get_by_index(2)?);
        }
    }
    Ok(sums)
}

/// What the cells of these names hold.
async fn counts(
    tx: &DatabaseTransaction,
    tenant: TenantId,
    range: Range,
    slice: &Slice,
    names: &[Names],
) -> Result<Vec<(Names, Counts)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for segment in range.whole() {
        let mut conditions = Conditions::default();
        conditions.add(
            "tenant = ? AND cube = ? AND step = ? AND bucket >= ? AND bucket < ?",
            [
                tenant.0.into(),
                slice.cube.name().into(),
                segment.step.into(),
                segment.from.into(),
                segment.to.into(),
            ],
        );
        conditions.add_in("(a, b)", names.iter().map(|(a, b)| [Value::from(a.clone()), b.clone().into()]));
        let list = format!("SELECT a, b, counts FROM rollups WHERE {}", conditions.text());
        for row in sql::all(tx, &list, conditions.values).await? {
            let names = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            found.push((names, serde_json::from_str(&row.try_get_by_index::<String>(2)?)?));
        }
    }
    Ok(found)
}
