//! First-run setup by a one-time link.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether somebody still has to set the installation up. `GET /setup`, open to anybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SetupStatus {
    pub needed: bool,
    /// SQLite (one machine, one control plane) or Postgres.
    pub database: DatabaseKind,
    /// Whether loopback upstreams are allowed (`sluice up` on one machine).
    pub loopback_allowed: bool,
}

/// The database behind the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// Makes the first tenant and its platform admin. `POST /setup`; signs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteSetup {
    /// The secret of the one-time link.
    pub token: String,
    pub organisation: String,
    pub name: String,
    pub email: String,
    /// At least 12 characters.
    pub password: String,
}
