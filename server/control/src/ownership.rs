//! Which APIs and applications of a tenant a caller may change: those of their teams, or all.

use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::{ApiId, TeamId};
use sluice_contract::rest::session::Permission;
use sluice_store::applications::Reach;
use sluice_store::{apis, teams};

use crate::authorise::Scope;
use crate::problem::ApiError;
use crate::state::App;

/// Applications that the caller may look at: all for those who read the management, else their own.
pub(crate) async fn readable<N>(app: &App, scope: &Scope<N>) -> Result<Reach, ApiError> {
    if scope.may(Permission::ReadManagement) { Ok(Reach::Tenant) } else { changeable(app, scope).await }
}

/// Applications that the caller may change: all for the tenant's admins and for tokens, which belong to nobody, else
/// their own and their teams'.
pub(crate) async fn changeable<N>(app: &App, scope: &Scope<N>) -> Result<Reach, ApiError> {
    match scope.caller.user() {
        Some(user) if !scope.may(Permission::ManageTenant) => {
            let teams = teams::of_user(app.store.read(), scope.tenant, user).await?;
            Ok(Reach::Own { user, teams })
        }
        _ => Ok(Reach::Tenant),
    }
}

/// Whether the caller may change an API: it has no team, they are in its team, or they manage the tenant.
///
/// # Errors
/// 404 when it is not in the tenant, 403 when it is another team's.
pub(crate) async fn check_api<N>(app: &App, scope: &Scope<N>, api: ApiId) -> Result<(), ApiError> {
    check_team(app, scope, apis::team(app.store.read(), scope.tenant, api).await?).await
}

/// Whether the caller may do what touches every API of the tenant.
///
/// # Errors
/// 403 when they may change only those of their teams.
pub(crate) async fn check_every_api<N>(app: &App, scope: &Scope<N>) -> Result<(), ApiError> {
    match changeable(app, scope).await? {
        Reach::Tenant => Ok(()),
        Reach::Own { .. } => {
            Err(ApiError::forbidden("this touches every API, which only those who manage the tenant may"))
        }
    }
}

/// Whether the caller may act for a team, or for nobody's.
///
/// # Errors
/// 403 when they are not in it and do not manage the tenant.
pub(crate) async fn check_team<N>(app: &App, scope: &Scope<N>, team: Option<TeamId>) -> Result<(), ApiError> {
    match (team, changeable(app, scope).await?) {
        (Some(team), Reach::Own { teams, .. }) if !teams.contains(&team) => {
            Err(ApiError::forbidden("the API belongs to a team that you are not in"))
        }
        _ => Ok(()),
    }
}

/// A host of its own takes traffic from whoever had it. Until tenants can prove that a host is theirs, only those who
/// manage the platform give them out.
///
/// # Errors
/// 403 when somebody else changes them.
pub(crate) fn check_hosts<N>(
    scope: &Scope<N>,
    before: Option<&ApiDefinition>,
    after: &ApiDefinition,
) -> Result<(), ApiError> {
    let unchanged = before.map_or(&[][..], |before| &before.hosts) == after.hosts;
    if unchanged || scope.caller.manages_platform() {
        return Ok(());
    }
    Err(ApiError::forbidden("only a platform admin gives an API a host of its own"))
}
