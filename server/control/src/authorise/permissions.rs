//! What each role may do: the one table.

use sluice_contract::rest::session::Permission;
use sluice_contract::rest::users::Role;

/// What a role allows in its tenant.
const fn allows(role: Role) -> &'static [Permission] {
    use Permission::*;
    match role {
        Role::TenantAdmin => &[
            ManageTenant,
            ManageApis,
            ManageCache,
            ApproveSubscriptions,
            ManageApplications,
            ReadManagement,
            ReadCalls,
            ReadAudit,
            ReadCatalogue,
        ],
        Role::Publisher => &[ManageApis, ManageCache, ReadManagement, ReadCalls, ReadAudit, ReadCatalogue],
        Role::Approver => &[ApproveSubscriptions, ReadManagement, ReadCalls, ReadCatalogue],
        Role::Consumer => &[ManageApplications, ReadCatalogue],
        Role::Viewer => &[ReadManagement, ReadCalls, ReadCatalogue],
    }
}

/// What these roles allow together, sorted.
pub fn permissions_of(roles: &[Role]) -> Vec<Permission> {
    let mut permissions: Vec<_> = roles.iter().flat_map(|role| allows(*role)).copied().collect();
    permissions.sort_unstable();
    permissions.dedup();
    permissions
}

/// What a platform admin may do, in every tenant: everything.
pub fn platform_permissions() -> Vec<Permission> {
    let mut permissions = vec![Permission::ManagePlatform];
    permissions.extend(allows(Role::TenantAdmin));
    permissions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_of_a_tenant_manages_the_platform() {
        let roles = [Role::TenantAdmin, Role::Publisher, Role::Approver, Role::Consumer, Role::Viewer];
        assert!(!permissions_of(&roles).contains(&Permission::ManagePlatform));
    }

    #[test]
    fn a_viewer_changes_nothing() {
        let reads = [Permission::ReadManagement, Permission::ReadCalls, Permission::ReadCatalogue];
        assert_eq!(permissions_of(&[Role::Viewer]), reads);
    }
}
