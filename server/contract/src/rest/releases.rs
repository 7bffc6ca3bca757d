//! Releases: a revision put into an environment, and how far each gateway is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, EnvironmentId, GatewayId, ReleaseId};

/// The putting of a revision into an environment (or the withdrawal of an API from it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Release {
    pub id: ReleaseId,
    pub api: ApiId,
    pub environment: EnvironmentId,
    pub environment_slug: String,
    /// None: the API was withdrawn.
    pub revision: Option<u32>,
    /// What was live before.
    pub replaces: Option<u32>,
    /// Whether it went back to an older revision.
    pub rollback: bool,
    /// Journal position at which it became true.
    pub position: u64,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub progress: Progress,
}

/// How far a journal position has got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    pub state: ProgressState,
    pub gateways: Vec<GatewayProgress>,
}

impl Progress {
    /// Whether nothing more will come: every live gateway has it, or has said why it cannot. While it waits for the first
    /// gateway it is not settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.state {
            ProgressState::Done => true,
            ProgressState::Waiting | ProgressState::Running | ProgressState::Lagging => false,
            ProgressState::Failed => self.gateways.iter().all(|gateway| gateway.applied || !gateway.live),
        }
    }
}

/// Summary of all gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProgressState {
    /// No gateway is up.
    Waiting,
    /// Some live gateway has not acknowledged yet.
    Running,
    /// Every live gateway has acknowledged.
    Done,
    /// A gateway is alive but has not acknowledged for 30 seconds.
    Lagging,
    /// A gateway could not compile the part; it still serves the version before.
    Failed,
}

/// How far one gateway is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayProgress {
    pub gateway: GatewayId,
    pub name: String,
    /// A heartbeat arrived within 10 seconds.
    pub live: bool,
    pub applied: bool,
    /// Milliseconds from the change to the acknowledgement.
    pub took_ms: Option<u64>,
    /// Alive (or lately alive) and behind for more than 30 seconds.
    pub laggard: bool,
    /// Why the part did not compile there.
    pub failure: Option<String>,
}

/// `POST /tenants/{tenant}/apis/{api}/releases`: puts a revision (older ones too) into an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRelease {
    pub environment: EnvironmentId,
    /// Number of the revision; none withdraws the API.
    pub revision: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(live: bool, applied: bool) -> GatewayProgress {
        GatewayProgress {
            gateway: GatewayId::generate(),
            name: "frankfurt".to_owned(),
            live,
            applied,
            took_ms: None,
            laggard: false,
            failure: None,
        }
    }

    #[test]
    fn a_change_that_failed_on_one_gateway_is_settled_once_the_other_live_ones_have_taken_it() {
        let after = |gateways| Progress { state: ProgressState::Failed, gateways }.is_settled();
        assert!(!after(vec![gateway(true, true), gateway(true, false)]));
        assert!(after(vec![gateway(true, true), gateway(false, false)]));
    }

    #[test]
    fn a_change_that_waits_for_a_first_gateway_is_not_settled() {
        assert!(!Progress { state: ProgressState::Waiting, gateways: vec![] }.is_settled());
    }
}
