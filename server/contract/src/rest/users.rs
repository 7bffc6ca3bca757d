//! Users of a tenant and what they may do.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{TeamId, UserId};

/// What a person may do in a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything in the tenant.
    TenantAdmin,
    /// Creates, edits and releases APIs.
    Publisher,
    /// Decides subscriptions.
    Approver,
    /// Owns applications and asks for subscriptions.
    Consumer,
    /// Reads.
    Viewer,
}

/// A user as a tenant sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub platform_admin: bool,
    pub disabled: bool,
    pub roles: Vec<Role>,
    pub teams: Vec<TeamId>,
    pub last_sign_in_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub version: u64,
}

/// `POST /tenants/{tenant}/users`: adds a person. An account with this e-mail that exists already joins the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    pub email: String,
    pub name: String,
    pub roles: Vec<Role>,
}

/// The new user and a one-time link with which they choose a password (shown once; none when the account existed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreatedUser {
    pub user: User,
    /// Path and query on the console, `/welcome?token=...`; good for 7 days.
    pub invitation: Option<String>,
}

/// `PUT /tenants/{tenant}/users/{user}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    pub name: String,
    pub roles: Vec<Role>,
    pub disabled: bool,
}

/// `POST /invitations`: chooses a password with the one-time link; signs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    pub token: String,
    /// At least 12 characters.
    pub password: String,
}
