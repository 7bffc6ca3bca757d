//! A key and what it allows.

use chrono::{DateTime, Utc};
use sluice_contract::ids::{ApiId, ApplicationId, CredentialId, PlanId, SubscriptionId, TenantId};
use sluice_contract::journal::{CredentialEntry, SubscriptionEntry};
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::policy_types::PolicyScope;

use super::policies::{BoundLimit, LimitOf, Policies, bind_limits};
use super::{CompileError, Compiler};

/// A key of an application, with all that is needed to decide a request.
pub struct Credential {
    pub hash: Sha256Hash,
    pub id: CredentialId,
    pub application: ApplicationId,
    pub tenant: TenantId,
    pub expires_at: Option<DateTime<Utc>>,
    /// Limits of the application.
    pub limits: Vec<BoundLimit>,
    pub subscriptions: Vec<Subscription>,
}

/// The right to call one API.
pub struct Subscription {
    pub id: SubscriptionId,
    pub api: ApiId,
    pub plan: PlanId,
    pub suspended: bool,
    /// Limits of the plan.
    pub limits: Vec<BoundLimit>,
}

impl Credential {
    /// The subscription for an API: an active one before a suspended one.
    pub fn subscription(&self, api: ApiId) -> Option<&Subscription> {
        let mut of_api = self.subscriptions.iter().filter(|subscription| subscription.api == api);
        let first = of_api.next()?;
        if first.suspended { of_api.find(|other| !other.suspended).or(Some(first)) } else { Some(first) }
    }

    #[cfg(test)]
    pub(crate) fn for_test(key: &str) -> Self {
        let id = uuid::Uuid::nil();
        Self {
            hash: Sha256Hash::of(key.as_bytes()),
            id: CredentialId(id),
            application: ApplicationId(id),
            tenant: TenantId(id),
            expires_at: None,
            limits: Vec::new(),
            subscriptions: Vec::new(),
        }
    }
}

impl Compiler {
    /// Compiles a key.
    ///
    /// # Errors
    /// When a policy of its application or of a plan is not one.
    pub fn credential(&self, entry: &CredentialEntry) -> Result<Credential, CompileError> {
        let CredentialEntry {
            hash,
            credential,
            application,
            application_name: _,
            tenant,
            expires_at,
            policies,
            subscriptions,
        } = entry;
        let policies = Policies::read(policies.iter(), PolicyScope::Application)?;
        Ok(Credential {
            hash: *hash,
            id: *credential,
            application: *application,
            tenant: *tenant,
            expires_at: *expires_at,
            limits: bind_limits(&policies.limits, LimitOf::Application(*application), &self.counters),
            subscriptions: subscriptions
                .iter()
                .map(|entry| self.subscription(entry))
                .collect::<Result<_, _>>()?,
        })
    }

    fn subscription(&self, entry: &SubscriptionEntry) -> Result<Subscription, CompileError> {
        let SubscriptionEntry { subscription, api, plan, plan_name: _, suspended, policies } = entry;
        let policies = Policies::read(policies.iter(), PolicyScope::Plan)?;
        Ok(Subscription {
            id: *subscription,
            api: *api,
            plan: *plan,
            suspended: *suspended,
            limits: bind_limits(&policies.limits, LimitOf::Plan(*subscription), &self.counters),
        })
    }
}
