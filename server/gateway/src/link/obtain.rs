//! Gets parts ready to be served beside everything else: from disk or the control plane, checked, kept, compiled.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sluice_contract::ids::ApiId;
use sluice_contract::part::{ApiPart, PART_SCHEMA, Sha256Hash};
use tokio::sync::{Semaphore, mpsc};

use super::error::LinkError;
use super::failpoints::{Failpoints, Step};
use super::parts::Parts;
use super::session::Sessions;
use crate::compile::{Api, CompileError};
use crate::shared::Shared;

/// Parts that are fetched or compiled at a time.
const AT_ONCE: usize = 8;
/// Attempts to fetch a part before it is reported; the link tries again later.
const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(300);

/// A part is ready, or is not going to be.
pub(super) struct Obtained {
    pub(super) api: ApiId,
    pub(super) part: Sha256Hash,
    pub(super) outcome: Result<Arc<Api>, Failure>,
}

/// Why a part cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// Whether trying again may help.
    pub(super) passing: bool,
}

/// Gets parts ready.
pub(super) struct Obtainer {
    pub(super) shared: Arc<Shared>,
    pub(super) parts: Parts,
    pub(super) sessions: Arc<Sessions>,
    pub(super) failpoints: Arc<Failpoints>,
    permits: Semaphore,
    results: mpsc::UnboundedSender<Obtained>,
}

impl Obtainer {
    pub(super) fn new(
        shared: Arc<Shared>,
        parts: Parts,
        sessions: Arc<Sessions>,
        failpoints: Arc<Failpoints>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Obtained>) {
        let (results, receiver) = mpsc::unbounded_channel();
        let permits = Semaphore::new(AT_ONCE);
        (Arc::new(Self { shared, parts, sessions, failpoints, permits, results }), receiver)
    }

    /// Begins to get a part ready. The result comes through the channel, sooner or later.
    pub(super) fn begin(self: &Arc<Self>, api: ApiId, part: Sha256Hash) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = this.obtain(api, part).await;
            // Nobody listens any more when the gateway stops.
            let _ = this.results.send(Obtained { api, part, outcome });
        });
    }

    /// Compiles a part if it is on disk. None when it is not.
    pub(super) fn read_disk(&self, api: ApiId, part: &Sha256Hash) -> Option<Result<Arc<Api>, Failure>> {
        Some(self.compile(api, &self.parts.read(part)?))
    }

    async fn obtain(self: &Arc<Self>, api: ApiId, part: Sha256Hash) -> Result<Arc<Api>, Failure> {
        let _permit = self.permits.acquire().await.map_err(|error| passing(&error))?;
        let this = Arc::clone(self);
        if let Some(compiled) = blocking(move || this.read_disk(api, &part)).await? {
            return compiled;
        }
        let bytes = self.fetch(&part).await.map_err(|error| passing(&error))?;
        self.failpoints.reach(Step::AfterFetch);
        let this = Arc::clone(self);
        blocking(move || {
            // A part that cannot be kept can be served all the same; the next life fetches it again.
            if let Err(error) = this.parts.write(&part, &bytes, &this.failpoints) {
                tracing::warn!(%error, %part, "a part cannot be kept on disk");
            }
            this.compile(api, &bytes)
        })
        .await?
    }

    async fn fetch(&self, part: &Sha256Hash) -> Result<bytes::Bytes, LinkError> {
        let mut attempt = 1;
        loop {
            let connection = self.sessions.get().await;
            match connection.control.part(&connection.session, part).await {
                Ok(bytes) => return Ok(bytes),
                // A session that ends is no attempt: the next one begins when the control plane is there again.
                Err(error) if error.is_unauthorised() => self.sessions.end(&connection),
                Err(error) if attempt == ATTEMPTS || error.is_final() => return Err(error),
                Err(_) => {
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
            }
        }
    }

    fn compile(&self, api: ApiId, bytes: &[u8]) -> Result<Arc<Api>, Failure> {
        let part: ApiPart =
            serde_json::from_slice(bytes).map_err(|error| lasting(&explain(bytes, &error)))?;
        if part.api != api {
            return Err(lasting(&"the part is of another API"));
        }
        self.shared.compiler.api(&part).map_err(|error| lasting(&error))
    }
}

/// A part of a newer shape is refused by name, whatever else does not parse.
fn explain(bytes: &[u8], error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    match serde_json::from_slice::<Head>(bytes) {
        Ok(Head { schema }) if schema > PART_SCHEMA => {
            CompileError::Schema { found: schema, known: PART_SCHEMA }.to_string()
        }
        _ => format!("the part cannot be read: {error}"),
    }
}

/// Off the link's own thread: compiling a large API takes long.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| lasting(&error))
}

fn passing(reason: &impl ToString) -> Failure {
    Failure { reason: reason.to_string(), passing: true }
}

fn lasting(reason: &impl ToString) -> Failure {
    Failure { reason: reason.to_string(), passing: false }
}
