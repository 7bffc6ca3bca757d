//! Subscriptions: an application's right to call one API under one plan.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, ApplicationId, PlanId, SubscriptionId};

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    Pending,
    Approved,
    Rejected,
    Suspended,
    Ended,
}

/// An application's right to call one API under one plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub application: ApplicationId,
    pub application_name: String,
    pub api: ApiId,
    pub api_name: String,
    pub plan: PlanId,
    pub plan_name: String,
    pub state: SubscriptionState,
    /// What the applicant wrote.
    pub message: String,
    /// Why it was rejected, suspended or ended.
    pub reason: String,
    pub requested_by: String,
    pub decided_by: Option<String>,
    pub version: u64,
    pub created_at: DateTime<Utc>,
    pub decided_at: Option<DateTime<Utc>>,
}

/// `POST /tenants/{tenant}/subscriptions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSubscription {
    pub application: ApplicationId,
    pub api: ApiId,
    pub plan: PlanId,
    #[serde(default)]
    pub message: String,
}

/// `POST /tenants/{tenant}/subscriptions/{subscription}/{approve|reject|suspend|resume|end}` with `If-Match`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideSubscription {
    /// Required to reject and to suspend.
    #[serde(default)]
    pub reason: String,
}

/// Filters of `GET /tenants/{tenant}/subscriptions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct SubscriptionFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<SubscriptionState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
}
