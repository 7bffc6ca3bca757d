//! Tells the control plane what is served, as soon as it is, and again after every new session.

use std::sync::Arc;
use std::time::Duration;

use sluice_contract::link::Acknowledgement;
use tokio::sync::watch;

use super::failpoints::{Failpoints, Step};
use super::session::Sessions;

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

/// Runs for ever; only the newest acknowledgement matters.
pub(super) async fn run(
    sessions: Arc<Sessions>,
    mut newest: watch::Receiver<Option<Acknowledgement>>,
    failpoints: Arc<Failpoints>,
) {
    let mut session_changes = sessions.subscribe();
    loop {
        let acknowledgement = newest.borrow_and_update().clone();
        if let Some(acknowledgement) = acknowledgement {
            tracing::debug!(position = acknowledgement.position, "acknowledging");
            failpoints.reach(Step::BeforeAck);
            deliver(&sessions, &acknowledgement, &mut newest).await;
            // The session that it went through is no news.
            session_changes.mark_unchanged();
        }
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            _ = session_changes.changed() => {}
        }
    }
}

/// Until it is delivered, or there is a newer one.
async fn deliver(
    sessions: &Sessions,
    acknowledgement: &Acknowledgement,
    newest: &mut watch::Receiver<Option<Acknowledgement>>,
) {
    while !newest.has_changed().unwrap_or(true) {
        let connection = sessions.get().await;
        match connection.control.acknowledge(&connection.session, acknowledgement).await {
            Ok(()) => return,
            Err(error) if error.is_unauthorised() => sessions.end(&connection),
            Err(error) if error.is_final() => {
                tracing::error!(%error, position = acknowledgement.position, "an acknowledgement is refused");
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "an acknowledgement is late");
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
        }
    }
}
