//! Retention: raw calls and rollups go when their time is over, the finest rollups first.

use chrono::{Days, TimeDelta};
use sea_orm::DatabaseConnection;

use super::dialect::Dialect;
use super::memory;
use super::rollup::{DAY, HOUR, MINUTE, minute};
use super::sql;
use super::{Removed, Retention};
use crate::error::Result;

/// Days for which minutes are kept, and hours. Readers count on a day less (see [`super::traffic`]).
pub(super) const MINUTE_DAYS: u32 = 8;
pub(super) const HOUR_DAYS: u32 = 101;
/// After this time nothing of that boot is still under way.
const WATERMARK_DAYS: i64 = 400;

/// See [`super::Telemetry::retain`].
pub(super) async fn retain<D: Dialect>(
    db: &DatabaseConnection,
    dialect: &D,
    retention: &Retention,
) -> Result<Removed> {
    let &Retention { now, call_days, rollup_days } = retention;
    let calls = dialect.remove_calls(db, now - Days::new(call_days.into())).await?;
    let mut rollups = 0;
    for (step, days) in [(MINUTE, MINUTE_DAYS), (HOUR, HOUR_DAYS), (DAY, rollup_days)] {
        let before = minute(now - Days::new(days.min(rollup_days).into()));
        // A bucket goes when all of it is too old.
        let bucket = i64::from(before) - i64::from(step);
        let delete = "DELETE FROM rollups WHERE step = $1 AND bucket <= $2";
        rollups += sql::execute(db, delete, [step.into(), bucket.into()]).await?;
    }
    rollups += memory::retain(db, now).await?;
    let before = (now - TimeDelta::days(WATERMARK_DAYS)).timestamp_micros();
    sql::execute(db, "DELETE FROM watermarks WHERE updated_at < $1", [before.into()]).await?;
    Ok(Removed { calls, rollups })
}
