//! What came of one URL, read from the answer as a caller would get it.

use http::{StatusCode, response};
use http_body::Frame;
use serde::Deserialize;
use sluice_contract::problem::PROBLEM_JSON;
use sluice_contract::warming::WarmReport;

use crate::body::{Body, BodyError};
use crate::cache::CacheStatus;
use crate::pipeline::Kind;

/// Bytes of a problem that are read to find its code.
const PROBLEM_BYTES: usize = 4 << 10;

/// What became of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    TakenOver,
    Held,
    Failed(String),
    Skipped(&'static str),
}

impl Outcome {
    pub(super) fn invalid_path() -> Self {
        Self::Failed("invalid_path".to_owned())
    }

    /// Counts it.
    pub(super) fn note(self, report: &mut WarmReport) {
        let reason = match self {
            Self::Stored => return report.stored += 1,
            Self::TakenOver => return report.taken_over += 1,
            Self::Held => return report.held += 1,
            Self::Failed(reason) => {
                report.failed += 1;
                reason
            }
            Self::Skipped(reason) => {
                report.skipped += 1;
                reason.to_owned()
            }
        };
        *report.reasons.entry(reason).or_default() += 1;
    }
}

/// An answer that is being read.
pub(super) struct Reading {
    status: StatusCode,
    did: Option<CacheStatus>,
    /// The beginning of a body that may be a problem of the gateway's.
    problem: Option<Vec<u8>>,
    broken: bool,
}

impl Reading {
    pub(super) fn of(head: &response::Parts, body: &Body) -> Self {
        let kind = head.headers.get(http::header::CONTENT_TYPE);
        let may_be_problem = head.status.as_u16() >= 400 && kind.is_some_and(|kind| kind == PROBLEM_JSON);
        Self {
            status: head.status,
            did: CacheStatus::of(&head.headers, body.lead()),
            problem: may_be_problem.then(Vec::new),
            broken: false,
        }
    }

    pub(super) fn read(&mut self, frame: Result<Frame<bytes::Bytes>, BodyError>) {
        let Ok(frame) = frame else { return self.broken = true };
        if let (Some(problem), Some(data)) = (&mut self.problem, frame.data_ref()) {
            let room = PROBLEM_BYTES.saturating_sub(problem.len()).min(data.len());
            problem.extend_from_slice(&data[..room]);
        }
    }

    /// When the body has ended.
    pub(super) fn outcome(self) -> Outcome {
        if self.broken {
            return Outcome::Failed("upstream_closed".to_owned());
        }
        if !self.status.is_success() && !self.status.is_redirection() {
            return Outcome::Failed(
                self.code().unwrap_or_else(|| format!("status_{}", self.status.as_u16())),
            );
        }
        match self.did {
            Some(CacheStatus::Stored) => Outcome::Stored,
            Some(CacheStatus::Hit { second_level: true }) => Outcome::TakenOver,
            Some(CacheStatus::Hit { second_level: false }) => Outcome::Held,
            Some(CacheStatus::Passed) | None => Outcome::Skipped("not_storable"),
        }
    }

    /// The code of an error of the gateway's own.
    fn code(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Coded {
            code: String,
        }
        let Coded { code } = serde_json::from_slice(self.problem.as_ref()?).ok()?;
        Kind::ALL.iter().any(|kind| kind.code() == code).then_some(code)
    }
}
