//! Sends spooled batches of calls, oldest first, each until it has its receipt.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluice_contract::calls::BatchReceipt;

use super::error::LinkError;
use super::session::{Connection, Sessions};
use crate::telemetry::{BatchName, Body, Telemetry};

/// Also looked for without being told, should a notice go missing between two.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(300);

/// Runs for ever.
pub(super) async fn run(sessions: Arc<Sessions>, telemetry: Arc<Telemetry>) {
    loop {
        while ship_one(&sessions, &telemetry).await {}
        let _ = tokio::time::timeout(LOOK_EVERY, telemetry.ready()).await;
    }
}

/// Sends what waits, as long as a session is open; for a gateway that stops.
pub(super) async fn flush(sessions: Arc<Sessions>, telemetry: Arc<Telemetry>) {
    while sessions.current().is_some() && ship_one(&sessions, &telemetry).await {}
}

/// Sends the oldest batch. False when none waits.
async fn ship_one(sessions: &Sessions, telemetry: &Telemetry) -> bool {
    let connection = sessions.get().await;
    let Some((name, body)) = telemetry.next_batch() else { return false };
    match send(&connection, &name, body).await {
        Ok(()) => telemetry.delivered(&name),
        Err(error) if error.is_unauthorised() => {
            telemetry.put_back();
            sessions.end(&connection);
        }
        Err(error) if error.is_final() || is_unreadable(&error) => {
            tracing::error!(%error, sequence = name.sequence, "a batch of calls can never be delivered");
            telemetry.refused(&name);
        }
        Err(error) => {
            tracing::debug!(%error, sequence = name.sequence, "a batch of calls is late");
            telemetry.put_back();
            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
        }
    }
    true
}

async fn send(connection: &Connection, name: &BatchName, body: Body) -> Result<(), LinkError> {
    let bytes = match body {
        Body::Memory(bytes) => Bytes::copy_from_slice(&bytes),
        Body::File(path) => {
            let read = tokio::fs::read(path).await;
            read.map_err(|source| LinkError::Disk { what: "a batch of calls", source })?.into()
        }
    };
    let BatchReceipt { boot, stored } = connection.control.send_calls(&connection.session, bytes).await?;
    if boot == name.boot && stored >= name.sequence {
        Ok(())
    } else {
        Err(LinkError::Protocol(format!("the receipt says that {stored} is stored, not {}", name.sequence)))
    }
}

fn is_unreadable(error: &LinkError) -> bool {
    matches!(error, LinkError::Disk { .. })
}
