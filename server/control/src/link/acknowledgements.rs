//! `POST /gateway/v1/acknowledgements`: a gateway serves the state at a position. A whole fleet acknowledges a change at
//! once, so what arrives while one transaction is on its way is written together with the next.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::link::Acknowledgement;
use sluice_store::Store;
use sluice_store::gateways::{self, Acknowledged};
use tokio::sync::{mpsc, oneshot};

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

/// Acknowledgements that may wait; whoever comes then waits with its request.
const WAITING: usize = 1024;
/// Acknowledgements for each transaction.
const TOGETHER: usize = 256;

/// One that is to be written, and where to say what became of it.
struct Waiting {
    acknowledged: Acknowledged,
    written: oneshot::Sender<sluice_store::Result<()>>,
}

/// Acknowledgements on their way to the database.
pub(super) struct Acknowledgements {
    sender: mpsc::Sender<Waiting>,
    /// Until the writer takes it.
    receiver: Mutex<Option<mpsc::Receiver<Waiting>>>,
}

impl Default for Acknowledgements {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Acknowledgements {
    /// Writes an acknowledgement, together with others.
    async fn write(&self, acknowledged: Acknowledged) -> Result<(), ApiError> {
        let (written, result) = oneshot::channel();
        let stopping = || ApiError::busy("the control plane is stopping");
        self.sender.send(Waiting { acknowledged, written }).await.map_err(|_| stopping())?;
        Ok(result.await.map_err(|_| stopping())??)
    }
}

/// Notes that the gateway serves a position. 409 `incarnation_changed`: it must take a snapshot.
pub(super) async fn create_acknowledgement(
    State(app): State<App>,
    gateway: LinkedGateway,
    Json(acknowledgement): Json<Acknowledgement>,
) -> Result<StatusCode, ApiError> {
    let received_at = sluice_store::now();
    app.link.run(&app);
    gateways::check_acknowledgement(app.store.read(), gateway.environment, &acknowledgement).await?;
    for failed in &acknowledgement.failed {
        tracing::warn!(gateway = %gateway.id, api = %failed.api, part = %failed.part, reason = failed.reason,
            "a gateway could not use a part");
    }
    let acknowledged = Acknowledged { gateway: gateway.id, received_at, acknowledgement };
    app.link.acknowledgements.write(acknowledged).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes acknowledgements until the control plane stops.
pub(super) fn start(app: &App, acknowledgements: &Arc<Acknowledgements>) {
    let receiver = acknowledgements.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut receiver) = receiver else { return };
    let (store, stopping) = (app.store.clone(), app.stopping.clone());
    tokio::spawn(async move {
        let mut group = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = receiver.recv_many(&mut group, TOGETHER) => write_group(&store, std::mem::take(&mut group)).await,
            }
        }
    });
}

/// When the group cannot be written, each is tried by itself: one must not hold up the others.
async fn write_group(store: &Store, group: Vec<Waiting>) {
    let (all, written): (Vec<_>, Vec<_>) =
        group.into_iter().map(|Waiting { acknowledged, written }| (acknowledged, written)).unzip();
    let together = all.len() > 1 && write(store, &all).await.is_ok();
    for (acknowledged, written) in all.iter().zip(written) {
        let result = if together { Ok(()) } else { write(store, std::slice::from_ref(acknowledged)).await };
        // The gateway may have hung up.
        let _ = written.send(result);
    }
}

async fn write(store: &Store, all: &[Acknowledged]) -> sluice_store::Result<()> {
    let tx = store.begin().await?;
    gateways::acknowledge(&tx, all).await?;
    tx.commit().await
}
