//! Signing in and out, and who is signed in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{TenantId, UserId};
use crate::rest::users::Role;

/// `POST /session`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub email: String,
    pub password: String,
}

/// `PUT /session/password`: changes one's own password; ends all other sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    pub current: String,
    /// At least 12 characters.
    pub new: String,
}

/// Who is signed in. `GET /session`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    pub user: UserId,
    pub name: String,
    pub email: String,
    pub platform_admin: bool,
    pub tenants: Vec<SessionTenant>,
}

/// A tenant that the user belongs to (every tenant for a platform admin).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub roles: Vec<Role>,
    /// What the roles allow here, for the console to hide what would be refused.
    pub permissions: Vec<Permission>,
}

/// What an operation needs. Roles are sets of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Tenants, environments, gateways, platform settings.
    ManagePlatform,
    /// Users, teams, tokens and settings of the tenant.
    ManageTenant,
    /// Create and edit APIs, plans, policies; release, roll back.
    ManageApis,
    /// Purge cached responses, and look at what is cached.
    ManageCache,
    /// Decide subscriptions.
    ApproveSubscriptions,
    /// Create and edit applications, their keys and subscription requests.
    ManageApplications,
    /// Read APIs, applications, releases, gateways.
    ReadManagement,
    /// Read calls and analytics.
    ReadCalls,
    /// Read the audit log.
    ReadAudit,
    /// Browse the catalogue.
    ReadCatalogue,
}
