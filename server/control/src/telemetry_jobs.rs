//! What keeps telemetry small: rollups are folded every two seconds, what is too old goes every hour. Several control
//! planes may do it at once.

use std::time::Duration;

use sluice_store::settings;
use sluice_store::telemetry::{Removed, Retention};
use tokio::time::{MissedTickBehavior, interval};

use crate::state::App;

const COMPACT_EVERY: Duration = Duration::from_secs(2);
const RETAIN_EVERY: Duration = Duration::from_secs(60 * 60);

/// Starts the jobs; they end when the control plane stops.
pub(crate) fn start(app: &App) {
    tokio::spawn(run(app.clone()));
}

async fn run(app: App) {
    let (mut compaction, mut retention) = (interval(COMPACT_EVERY), interval(RETAIN_EVERY));
    compaction.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = compaction.tick() => compact(&app).await,
            _ = retention.tick() => retain(&app).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "telemetry could not be tidied; it will be tried again");
        }
    }
}

async fn compact(app: &App) -> sluice_store::Result<()> {
    while !app.stopping.is_cancelled() && app.telemetry.compact().await? > 0 {}
    Ok(())
}

async fn retain(app: &App) -> sluice_store::Result<()> {
    let (settings, _) = settings::get(app.store.read()).await?;
    let retention = Retention {
        now: sluice_store::now(),
        call_days: settings.call_retention_days,
        rollup_days: settings.rollup_retention_days,
    };
    let Removed { calls, rollups } = app.telemetry.retain(&retention).await?;
    if calls > 0 || rollups > 0 {
        tracing::info!(calls, rollups, "removed calls and rollups that are older than they must be kept");
    }
    Ok(())
}
