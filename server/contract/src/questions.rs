//! What the control plane asks its gateways, and what they answer: a question comes as a frame of the journal's stream, the
//! answer goes to [`crate::link::ANSWERS_PATH`]. Neither is kept: who asks waits for [`PATIENCE`] and no longer.
//!
//! A new question is a variant of [`Ask`] and one of [`Reply`], an arm of `answer` in the gateway's `questions.rs`, and a caller of
//! `Questions::ask` in the control plane. Gateways that do not know it say [`Reply::Unknown`], so that no version has to be
//! looked at. A question is answered at once and changes nothing that lasts; what takes longer is begun by one and asked
//! about by others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ApiId, QuestionId, TenantId, WarmJobId};
use crate::journal::PurgeScope;
use crate::rest::cache::{CacheEntries, CacheRequest, ExplainedRequest};
use crate::rest::purges::PurgeAmount;
use crate::warming::{WarmAnswer, WarmAsk};

/// How long answers are waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Most bytes of a question, and of an answer, as JSON.
pub const QUESTION_MAX: usize = 64 << 10;
pub const ANSWER_MAX: usize = 512 << 10;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub id: QuestionId,
    /// On whose behalf: a gateway tells nothing of others.
    pub tenant: TenantId,
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// How much a purge would cover.
    PurgeAmount { scope: PurgeScope },
    /// Begins, looks after or stops a job of warming: what it fetches lasts in the cache, as if callers had asked for it.
    Warm { job: WarmJobId, what: WarmAsk },
    /// What is stored of a URL; `path` is below the API's base, with its query.
    CacheEntries {
        api: ApiId,
        path: String,
        #[serde(default)]
        host: String,
        #[serde(default)]
        https: bool,
    },
    /// What the cache would do with a request to an API.
    CacheKey { api: ApiId, request: Box<CacheRequest> },
    /// What a newer control plane asks.
    #[serde(other)]
    Unknown,
}

/// A gateway's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub question: QuestionId,
    /// Microseconds that the gateway took.
    pub took_us: u64,
    pub reply: Reply,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    PurgeAmount(PurgeAmount),
    Warm {
        answer: WarmAnswer,
    },
    CacheEntries(CacheEntries),
    CacheKey(Box<ExplainedRequest>),
    /// The gateway answers as many questions as it does at a time.
    Busy,
    /// The gateway does not know the question; or the answer is a newer gateway's, to nothing that was asked.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_a_newer_control_plane_can_be_read_and_is_unknown() {
        let json = serde_json::json!({
            "id": QuestionId::generate(), "tenant": TenantId::generate(), "ask": {"ask": "tomorrow", "when": 7},
        });
        assert_eq!(serde_json::from_value::<Question>(json).unwrap().ask, Ask::Unknown);
        let reply = serde_json::json!({"reply": "tomorrow", "then": 8});
        assert_eq!(serde_json::from_value::<Reply>(reply).unwrap(), Reply::Unknown);
        assert_eq!(serde_json::to_value(Reply::Unknown).unwrap(), serde_json::json!({"reply": "unknown"}));
    }
}
