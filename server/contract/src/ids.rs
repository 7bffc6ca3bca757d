//! Identifiers: one type for each kind of thing, so that none can be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier (UUID version 7: sorts by the time it was made).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

ids! {
    /// An organisation.
    TenantId,
    /// A person who signs in.
    UserId,
    /// A group inside a tenant.
    TeamId,
    /// What a person may do in a tenant: one grant of one role.
    MembershipId,
    /// A token for automation.
    ApiTokenId,
    /// Where APIs are released to.
    EnvironmentId,
    /// A published interface.
    ApiId,
    /// What a subscription allows.
    PlanId,
    /// An immutable copy of an API's definition.
    RevisionId,
    /// The putting of a revision into an environment.
    ReleaseId,
    /// A consumer: who calls APIs.
    ApplicationId,
    /// A key of an application.
    CredentialId,
    /// An application's right to call one API under one plan.
    SubscriptionId,
    /// One running worker of the data plane.
    GatewayId,
    /// A token with which gateways enrol.
    EnrolmentTokenId,
    /// One removal of cached responses.
    PurgeId,
    /// A question to gateways.
    QuestionId,
    /// One warming of an API's cache.
    WarmingId,
    /// A handful of URLs of a warming that one gateway is given.
    WarmJobId,
    /// What purges the cache of an API when something happens elsewhere.
    EventSourceId,
    /// Something that came from such a source.
    EventDeliveryId,
    /// What a CDN is told of purges.
    CdnHookId,
    /// One request to a CDN.
    CdnCallId,
    /// A line of the audit log.
    AuditId,
    /// One request through a gateway; what clients see as `x-request-id` when they send none.
    CallId,
    /// The life of one control-plane database. Changes when a backup is restored.
    IncarnationId,
    /// One life of a gateway process.
    BootId,
}
