//! Questions to the gateways of an environment, on the streams that they hold open here, and their answers:
//! `POST /gateway/v1/answers`.
//!
//! Nothing is kept. Who asks waits for a bounded time and is told of every gateway what became of the question: one that is
//! connected to another process of the control plane is not reached.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use sluice_contract::ids::{GatewayId, QuestionId, TenantId};
use sluice_contract::journal::Frame;
use sluice_contract::questions::{Answer, Ask, PATIENCE, QUESTION_MAX, Question, Reply};
use sluice_contract::rest::asked::{AskOutcome, FromGateway};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::LinkedGateway;
use super::journal::line;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

/// Questions that may be open at a time; whoever asks then is told to ask again.
const MOST: usize = 64;
/// Questions that may wait for a stream; a gateway that reads no faster is not reached.
const WAITING: usize = 16;

/// Gateways that listen here, and questions that wait for answers.
#[derive(Default)]
pub(crate) struct Questions {
    streams: Mutex<HashMap<GatewayId, Stream>>,
    open: Mutex<HashMap<QuestionId, Open>>,
    numbers: AtomicU64,
}

/// The newest stream of a gateway.
struct Stream {
    number: u64,
    questions: mpsc::Sender<Bytes>,
}

/// Who has not answered yet, and where answers go.
struct Open {
    missing: HashSet<GatewayId>,
    answers: mpsc::Sender<(GatewayId, Answer)>,
}

impl Questions {
    /// Passes questions on to a gateway for as long as what is returned lives.
    pub(super) fn listen(questions: &Arc<Self>, gateway: LinkedGateway) -> Listening {
        let (sender, receiver) = mpsc::channel(WAITING);
        let number = questions.numbers.fetch_add(1, Ordering::Relaxed);
        locked(&questions.streams).insert(gateway.id, Stream { number, questions: sender });
        Listening { questions: Arc::clone(questions), gateway: gateway.id, number, receiver }
    }

    /// Whether the gateway could be asked here.
    pub(crate) fn is_listening(&self, gateway: GatewayId) -> bool {
        locked(&self.streams).contains_key(&gateway)
    }

    /// Asks these gateways, on behalf of a tenant, and waits until all have answered or [`PATIENCE`] is over. `read` takes the
    /// answer out of the reply that belongs to the question.
    ///
    /// # Errors
    /// 503 when too much is asked already.
    pub(crate) async fn ask<T>(
        &self,
        gateways: Vec<(GatewayId, String)>,
        tenant: TenantId,
        ask: Ask,
        read: impl Fn(Reply) -> Option<T>,
    ) -> Result<Vec<FromGateway<T>>, ApiError> {
        let until = Instant::now() + PATIENCE;
        let id = QuestionId::generate();
        let line = line(&Frame::Question(Box::new(Question { id, tenant, ask })))?;
        if line.len() > QUESTION_MAX {
            return Err(ApiError::too_large("question_too_large", "gateways cannot be asked about so much"));
        }
        let (sender, mut receiver) = mpsc::channel(gateways.len().max(1));
        let _forgotten = self.open(id, &gateways, sender)?;
        let reached = self.send(&gateways, &line);
        self.keep_only(id, &reached);
        let mut answers = HashMap::new();
        while answers.len() < reached.len() {
            let Ok(Some((gateway, answer))) = timeout_at(until, receiver.recv()).await else { break };
            answers.insert(gateway, answer);
        }
        let told = gateways.into_iter().map(|(gateway, name)| {
            let (outcome, took_us, answer) = match answers.remove(&gateway) {
                Some(answer) => outcome(answer, &read),
                None if reached.contains(&gateway) => (AskOutcome::NoAnswer, None, None),
                None => (AskOutcome::NotReached, None, None),
            };
            FromGateway { gateway, name, outcome, took_us, answer }
        });
        Ok(told.collect())
    }

    fn open(
        &self,
        id: QuestionId,
        gateways: &[(GatewayId, String)],
        answers: mpsc::Sender<(GatewayId, Answer)>,
    ) -> Result<Forget<'_>, ApiError> {
        let mut open = locked(&self.open);
        if open.len() >= MOST {
            return Err(ApiError::busy("as many questions to gateways are open as may be"));
        }
        let missing = gateways.iter().map(|(gateway, _)| *gateway).collect();
        open.insert(id, Open { missing, answers });
        Ok(Forget { questions: self, id })
    }

    /// Sends a line to those that listen here, and says who these are.
    fn send(&self, gateways: &[(GatewayId, String)], line: &Bytes) -> HashSet<GatewayId> {
        let streams = locked(&self.streams);
        let sent = |gateway: &GatewayId| {
            streams.get(gateway).is_some_and(|stream| stream.questions.try_send(line.clone()).is_ok())
        };
        gateways.iter().map(|(gateway, _)| *gateway).filter(sent).collect()
    }

    /// Only who was asked may answer.
    fn keep_only(&self, id: QuestionId, reached: &HashSet<GatewayId>) {
        if let Some(open) = locked(&self.open).get_mut(&id) {
            open.missing.retain(|gateway| reached.contains(gateway));
        }
    }

    /// Takes the first answer of a gateway that was asked.
    fn answer(&self, gateway: LinkedGateway, answer: Answer) {
        let mut open = locked(&self.open);
        let Some(question) = open.get_mut(&answer.question) else { return };
        if question.missing.remove(&gateway.id) {
            // There is room for one of each. Who asked may have gone.
            let _ = question.answers.try_send((gateway.id, answer));
        }
    }
}

fn outcome<T>(answer: Answer, read: &impl Fn(Reply) -> Option<T>) -> (AskOutcome, Option<u64>, Option<T>) {
    let Answer { question: _, took_us, reply } = answer;
    if matches!(reply, Reply::Busy) {
        return (AskOutcome::Busy, None, None);
    }
    match read(reply) {
        Some(answer) => (AskOutcome::Answered, Some(took_us), Some(answer)),
        None => (AskOutcome::Outdated, None, None),
    }
}

fn locked<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who asked waits no more, also when they hang up.
struct Forget<'q> {
    questions: &'q Questions,
    id: QuestionId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        locked(&self.questions.open).remove(&self.id);
    }
}

/// A stream that passes questions on.
pub(super) struct Listening {
    questions: Arc<Questions>,
    gateway: GatewayId,
    number: u64,
    receiver: mpsc::Receiver<Bytes>,
}

impl Listening {
    /// The next question, as a line. There is none any more when the gateway has a newer stream.
    pub(super) async fn next(&mut self) -> Bytes {
        match self.receiver.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut streams = locked(&self.questions.streams);
        if streams.get(&self.gateway).is_some_and(|stream| stream.number == self.number) {
            streams.remove(&self.gateway);
        }
    }
}

/// Takes an answer. One that comes late is not wanted any more, which is no error.
pub(super) async fn create_answer(
    State(app): State<App>,
    gateway: LinkedGateway,
    Json(answer): Json<Answer>,
) -> Result<StatusCode, ApiError> {
    app.link.questions.answer(gateway, answer);
    Ok(StatusCode::NO_CONTENT)
}
