//! What the control plane does by itself, now and then. Several control planes may do it at once.

use std::time::Duration;

use chrono::Duration as Span;
use sluice_store::journal::{self, Keep};
use sluice_store::sessions::Lifetimes;
use sluice_store::{audit, cdn_hooks, event_sources, one_time_tokens, sessions, settings, sign_in_failures};

use crate::state::App;
use crate::throttle;

const EVERY: Duration = Duration::from_secs(15 * 60);
/// How long it is known what came from sources of events and what CDNs were told. Both are tried for a day or so.
const DELIVERIES: Span = Span::days(3);

/// Starts the jobs; they end when the control plane stops.
pub(crate) fn start(app: &App) {
    let app = app.clone();
    tokio::spawn(async move {
        let stopping = app.stopping.clone();
        let mut clock = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = clock.tick() => {}
            }
            if let Err(error) = tidy(&app).await {
                tracing::warn!(%error, "tidying up failed; it will be tried again");
            }
        }
    });
}

/// Removes what has ended, expired or outlived its retention.
async fn tidy(app: &App) -> sluice_store::Result<()> {
    let (settings, _) = settings::get(app.store.read()).await?;
    let tx = app.store.begin().await?;
    sessions::delete_ended(&tx, Lifetimes::from(&settings)).await?;
    one_time_tokens::delete_expired(&tx).await?;
    sign_in_failures::delete_expired(&tx, throttle::expired()).await?;
    let deliveries = sluice_store::now() - DELIVERIES;
    event_sources::delete_old(&tx, deliveries).await?;
    cdn_hooks::delete_old(&tx, deliveries).await?;
    audit::retain(&tx, sluice_store::now() - Span::days(settings.audit_retention_days.into())).await?;
    tx.commit().await?;
    journal::compact_all(&app.store, Keep::default()).await
}
