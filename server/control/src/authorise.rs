//! Who is calling, and what they may do. Every operation states its need in its signature, as the type of its scope,
//! and is decided here before anything else of the request is read.
//!
//! A tenant that the caller does not belong to does not exist for them (404); a permission that they lack there is 403.

mod caller;
mod permissions;

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::session::Permission;
use sluice_store::tenants;

use crate::problem::ApiError;
use crate::state::App;

pub use caller::Caller;
pub(crate) use caller::{Origin, SESSION_USER, bearer};
pub(crate) use permissions::{permissions_of, platform_permissions};

/// What an operation needs: any one of these permissions, or nothing but membership when there are none.
pub trait Need: Send + Sync + 'static {
    const ANY_OF: &'static [Permission];
}

/// The needs of operations.
pub mod need {
    use super::{Need, Permission};

    macro_rules! needs {
        ($($(#[$doc:meta])* $name:ident = [$($permission:ident),*]),+ $(,)?) => {$(
            $(#[$doc])*
            pub struct $name;

            impl Need for $name {
                const ANY_OF: &'static [Permission] = &[$(Permission::$permission),*];
            }
        )+};
    }

    needs! {
        /// Any member of the tenant.
        Membership = [],
        ManageTenant = [ManageTenant],
        ManageApis = [ManageApis],
        ManageCache = [ManageCache],
        ApproveSubscriptions = [ApproveSubscriptions],
        /// Which applications a caller may manage is narrowed down to those that they or their teams own.
        ManageApplications = [ManageApplications],
        /// Consumers see their own, managers see all.
        ReadApplications = [ReadManagement, ManageApplications],
        /// Approvers end any subscription, consumers those of their applications.
        EndSubscriptions = [ApproveSubscriptions, ManageApplications],
        ReadManagement = [ReadManagement],
        ReadCalls = [ReadCalls],
        ReadAudit = [ReadAudit],
        ReadCatalogue = [ReadCatalogue],
    }
}

/// A caller who may do `N` in the tenant of the path.
pub struct Scope<N> {
    pub tenant: TenantId,
    pub caller: Caller,
    need: PhantomData<N>,
}

impl<N> Scope<N> {
    /// Whether the caller may also do this in the tenant.
    pub fn may(&self, permission: Permission) -> bool {
        self.caller.may_in(self.tenant, permission)
    }
}

impl<N: Need> FromRequestParts<App> for Scope<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let tenant = tenant_of_path(parts, app).await?;
        if !caller.belongs_to(tenant) {
            return Err(ApiError::not_found());
        }
        tenants::get(app.store.read(), tenant).await?;
        let allowed = N::ANY_OF.is_empty() || N::ANY_OF.iter().any(|need| caller.may_in(tenant, *need));
        if !allowed {
            return Err(lacks(N::ANY_OF));
        }
        Ok(Self { tenant, caller, need: PhantomData })
    }
}

/// A caller who may manage the platform.
pub struct Platform {
    pub caller: Caller,
}

impl FromRequestParts<App> for Platform {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if !caller.manages_platform() {
            return Err(lacks(&[Permission::ManagePlatform]));
        }
        Ok(Self { caller })
    }
}

async fn tenant_of_path(parts: &mut Parts, app: &App) -> Result<TenantId, ApiError> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| ApiError::not_found())?;
    let tenant = params.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value);
    tenant.and_then(|tenant| tenant.parse().ok()).ok_or_else(ApiError::not_found)
}

fn lacks(needs: &[Permission]) -> ApiError {
    let names: Vec<_> = needs.iter().filter_map(|need| serde_json::to_value(need).ok()).collect();
    let names: Vec<_> = names.iter().filter_map(|name| name.as_str()).collect();
    ApiError::forbidden(format!("this needs the permission {}", names.join(" or ")))
}
