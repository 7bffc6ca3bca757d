//! What gateways say when they are asked, each for itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::GatewayId;

/// What became of a question to one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FromGateway<T> {
    pub gateway: GatewayId,
    pub name: String,
    pub outcome: AskOutcome,
    /// Microseconds that the gateway took to find the answer.
    pub took_us: Option<u64>,
    /// There when the outcome is `answered`.
    pub answer: Option<T>,
}

/// Whether a gateway has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskOutcome {
    Answered,
    /// It was asked and did not answer in time.
    NoAnswer,
    /// It was not asked: it is not connected, or to another process of the control plane.
    NotReached,
    /// It answers as many questions as it does at a time.
    Busy,
    /// Its version does not know the question.
    Outdated,
}
