//! Tells the control plane which URLs unsafe methods have changed here, some together and not too many a second.

use std::sync::Arc;
use std::time::Duration;

use sluice_contract::link::{CHANGED_MOST, ChangedUrls};

use super::session::Sessions;
use crate::shared::Shared;

/// How long is waited for others that can be told at the same time.
const GATHER: Duration = Duration::from_millis(50);
/// The pause after telling, for each URL: forty a second.
const PAUSE: Duration = Duration::from_millis(25);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);

/// Runs for ever.
pub(super) async fn run(sessions: Arc<Sessions>, shared: Arc<Shared>) {
    let changes = &shared.changes;
    loop {
        changes.any().await;
        tokio::time::sleep(GATHER).await;
        let connection = sessions.get().await;
        let told = ChangedUrls { by: changes.own, urls: changes.take(CHANGED_MOST) };
        let pause = PAUSE * u32::try_from(told.urls.len()).unwrap_or(u32::MAX);
        match connection.control.changed(&connection.session, &told).await {
            Ok(()) => tokio::time::sleep(pause).await,
            Err(error) if error.is_final() => {
                tracing::warn!(%error, "the control plane does not take what unsafe methods have changed");
                tokio::time::sleep(pause).await;
            }
            Err(error) => {
                tracing::debug!(%error, "what unsafe methods have changed could not be told");
                changes.put_back(told.urls);
                if error.is_unauthorised() {
                    sessions.end(&connection);
                }
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
        }
    }
}
