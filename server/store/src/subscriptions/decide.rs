//! What can be decided of a subscription, and what follows from it.

use sea_orm::{ActiveModelTrait, IntoActiveModel, Set};
use sluice_contract::ids::{ApiId, ApplicationId, PlanId, SubscriptionId, TenantId};
use sluice_contract::rest::subscriptions::SubscriptionState::{
    self, Approved, Ended, Pending, Rejected, Suspended,
};
use sluice_contract::rest::subscriptions::{DecideSubscription, Subscription};
use sluice_entity::subscriptions;

use super::{TEXT_MAX, get, row, state, stored, view};
use crate::applications::{self, Reach};
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::{Tx, access, check_version, plans, text};

/// What somebody decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Reject,
    Suspend,
    Resume,
    End,
}

impl Decision {
    /// From which states, to which.
    fn step(self) -> (&'static [SubscriptionState], SubscriptionState) {
        match self {
            Self::Approve => (&[Pending], Approved),
            Self::Reject => (&[Pending], Rejected),
            Self::Suspend => (&[Approved], Suspended),
            Self::Resume => (&[Suspended], Approved),
            Self::End => (&[Pending, Approved, Suspended], Ended),
        }
    }

    fn needs_reason(self) -> bool {
        matches!(self, Self::Reject | Self::Suspend)
    }

    fn action(self) -> &'static str {
        match self {
            Self::Approve => "approve_subscription",
            Self::Reject => "reject_subscription",
            Self::Suspend => "suspend_subscription",
            Self::Resume => "resume_subscription",
            Self::End => "end_subscription",
        }
    }
}

/// Decides a subscription that is still at `version`. Gateways learn of it with each of the application's keys, in the
/// same transaction.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`] without a reason where one is needed, and the conflict
/// `wrong_state`.
pub async fn decide(
    tx: &Tx,
    actor: &Actor,
    (tenant, reach): (TenantId, &Reach),
    (id, version): (SubscriptionId, u64),
    decision: Decision,
    new: &DecideSubscription,
) -> Result<Subscription> {
    let row = locked(tx, tenant, reach, id).await?;
    let next = check_version(row.version, version)?;
    let reason = text::free("/reason", &new.reason, TEXT_MAX)?;
    if decision.needs_reason() && reason.is_empty() {
        return Err(Error::invalid("/reason", "required", "Say why: the applicant reads it."));
    }
    let (from, to) = decision.step();
    let now = state(&row.state);
    if !from.contains(&now) {
        let message = format!("The subscription is {}: this cannot be decided of it.", stored(now));
        return Err(Error::conflict("wrong_state", message));
    }
    let before = get(tx, tenant, &Reach::Tenant, id).await?;
    let application = ApplicationId(row.application_id);
    let mut row = row.into_active_model();
    row.state = Set(stored(to).to_owned());
    row.reason = Set(reason);
    row.decided_by = Set(Some(actor.name.clone()));
    row.decided_at = Set(Some(crate::now()));
    row.version = Set(next);
    row.update(tx).await?;
    let known_to_gateways = |state| matches!(state, Approved | Suspended);
    if known_to_gateways(now) || known_to_gateways(to) {
        access::announce(tx, tenant, &[application]).await?;
    }
    let after = get(tx, tenant, &Reach::Tenant, id).await?;
    view::record(tx, actor, decision.action(), tenant, Some(&before), &after).await?;
    Ok(after)
}

/// The row, with everything that it will be announced with kept as it is: see [`access`] for the order.
async fn locked(
    tx: &Tx,
    tenant: TenantId,
    reach: &Reach,
    id: SubscriptionId,
) -> Result<subscriptions::Model> {
    let seen = row(tx, tenant, reach, id).await?;
    plans::lock(tx, tenant, ApiId(seen.api_id), PlanId(seen.plan_id)).await?;
    applications::lock(tx, tenant, reach, ApplicationId(seen.application_id)).await?;
    // Application, API and plan of a subscription never change; its state may have until now.
    row(tx, tenant, reach, id).await
}
