//! Questions of the control plane, answered beside everything else that the link does.

use std::sync::Arc;
use std::time::Instant;

use sluice_contract::questions::{ANSWER_MAX, Answer, Question, Reply};
use tokio::sync::Semaphore;

use super::session::Connection;
use crate::questions::answer;
use crate::shared::Shared;

/// Questions that are answered at a time.
const TOGETHER: usize = 4;

/// Answers questions.
pub(super) struct Questions {
    shared: Arc<Shared>,
    free: Arc<Semaphore>,
}

impl Questions {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, free: Arc::new(Semaphore::new(TOGETHER)) }
    }

    /// Finds the answer, however long that takes, and sends it. The stream is not kept waiting.
    pub(super) fn take(&self, question: Question, connection: &Arc<Connection>) {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok();
        let (shared, connection) = (Arc::clone(&self.shared), Arc::clone(connection));
        tokio::spawn(async move {
            let begun = Instant::now();
            let Question { id, tenant, ask } = question;
            let reply = match permit {
                Some(_) => answer(&shared, tenant, ask).await,
                None => Reply::Busy,
            };
            let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            send(&connection, &Answer { question: id, took_us, reply }).await;
            drop(permit);
        });
    }
}

async fn send(connection: &Connection, answer: &Answer) {
    // Answers are bounded where they are made; this is for those of which somebody has forgotten it.
    let size = serde_json::to_vec(answer).map_or(usize::MAX, |json| json.len());
    if size > ANSWER_MAX {
        tracing::warn!(size, "an answer is too large to be sent");
        return;
    }
    if let Err(error) = connection.control.answer(&connection.session, answer).await {
        tracing::debug!(%error, "an answer did not arrive");
    }
}
