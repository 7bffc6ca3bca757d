//! Reads the streams of sources of events. Several control planes may run; the database says which of them reads what.

mod feed;
mod nats;
mod reader;
mod redis;

use std::collections::HashMap;
use std::time::Duration;

use sluice_contract::ids::EventSourceId;
use sluice_store::event_sources;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::problem::ApiError;
use crate::seal::Sealed;
use crate::state::App;

/// How often it is looked whether there is something that nobody reads.
const EVERY: Duration = Duration::from_secs(1);
/// How long a control plane that stops waits until its streams are given back, so that another reads them at once.
const GIVING_BACK: Duration = Duration::from_secs(3);

/// Starts; it ends soon after the control plane began to stop, when all streams are given back.
pub(crate) fn start(app: &App) -> JoinHandle<()> {
    let app = app.clone();
    tokio::spawn(async move {
        let mut readers = HashMap::<EventSourceId, JoinHandle<()>>::new();
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while tokio::select! {
            () = app.stopping.cancelled() => false,
            _ = clock.tick() => true,
        } {
            readers.retain(|_, reader| !reader.is_finished());
            match event_sources::unread(app.store.read()).await {
                Ok(unread) => {
                    for id in unread {
                        // One that is behind with saying so reads on here.
                        readers.entry(id).or_insert_with(|| tokio::spawn(reader::read(app.clone(), id)));
                    }
                }
                Err(error) => tracing::warn!(%error, "streams of events could not be looked for"),
            }
        }
        let given_back = async {
            for (_, reader) in readers {
                drop(reader.await);
            }
        };
        if tokio::time::timeout(GIVING_BACK, given_back).await.is_err() {
            tracing::warn!("not all streams of events could be given back; their leases end by themselves");
        }
    })
}

/// Seals the password of a stream: none where it stays, and nothing where there is to be none.
pub(crate) fn seal(
    app: &App,
    id: EventSourceId,
    password: Option<&str>,
) -> Result<Option<Option<String>>, ApiError> {
    match password {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(password) => {
            let Sealed(sealed) =
                app.sealer.seal(&about(id), password.as_bytes()).map_err(ApiError::internal)?;
            Ok(Some(Some(sealed)))
        }
    }
}

fn about(id: EventSourceId) -> String {
    format!("event-stream/{id}")
}
