//! What becomes of questions to gateways, in words.

use sluice_contract::rest::asked::AskOutcome;

/// Why there is no answer, or that there is one.
pub(super) fn outcome_words(outcome: AskOutcome) -> &'static str {
    match outcome {
        AskOutcome::Answered => "answered",
        AskOutcome::NoAnswer => "did not answer in time",
        AskOutcome::NotReached => "not reached: it is not connected to this process of the control plane",
        AskOutcome::Busy => "busy with other questions: ask again",
        AskOutcome::Outdated => "its version does not know the question",
    }
}
