//! How the memory of a gateway's cache is used, as its heartbeats tell.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, TenantId};

/// Most APIs that a [`super::Heartbeat`] tells of: those that hold most of the gateway's cache.
pub const CACHE_APIS_MOST: usize = 100;
/// Most routes that a [`super::Heartbeat`] tells of, of all these APIs together.
pub const CACHE_ROUTES_MOST: usize = 100;

/// How the memory of a gateway's cache is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheHealth {
    /// Bytes that it may hold.
    pub capacity_bytes: u64,
    /// What goes when there is no room, as the gateway's setting `cache_eviction` names it.
    pub eviction: String,
    /// Hundredths of it that one API, and one tenant, may hold while others need room.
    pub api_share: u64,
    pub tenant_share: u64,
    pub evictions: CacheEvictions,
    /// Bodies on their way in; gateways of before did not say.
    #[serde(default)]
    pub arriving: CacheArriving,
    /// What APIs hold, or held before, the largest first; the hundred that hold most.
    pub apis: Vec<CacheUse>,
}

/// Bodies on their way into the memory of a gateway's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheArriving {
    /// Bytes that they take beside what is stored, and may take.
    pub bytes: u64,
    pub max_bytes: u64,
    /// Responses that were not stored because there was no more room, since it started.
    pub crowded_out: u64,
}

/// Responses that left the memory of a gateway's cache since it started, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheEvictions {
    /// There was no room.
    pub size: u64,
    /// They were too old to be of use.
    pub age: u64,
    /// Their API, or their tenant, held more than its share while others needed room.
    pub api_share: u64,
    pub tenant_share: u64,
    /// Newer ones took their place.
    pub replaced: u64,
    pub purged: u64,
}

impl CacheEvictions {
    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// How many of these are not among those of before.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        let Self { size, age, api_share, tenant_share, replaced, purged } = self;
        Self {
            size: join(size, other.size),
            age: join(age, other.age),
            api_share: join(api_share, other.api_share),
            tenant_share: join(tenant_share, other.tenant_share),
            replaced: join(replaced, other.replaced),
            purged: join(purged, other.purged),
        }
    }

    /// Each reason with its count.
    pub fn by_reason(self) -> [(&'static str, u64); 6] {
        let Self { size, age, api_share, tenant_share, replaced, purged } = self;
        [
            ("size", size),
            ("age", age),
            ("api_share", api_share),
            ("tenant_share", tenant_share),
            ("replaced", replaced),
            ("purged", purged),
        ]
    }
}

/// What an API holds of a gateway's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheUse {
    pub api: ApiId,
    pub slug: String,
    pub tenant: TenantId,
    pub entries: u64,
    pub bytes: u64,
    /// Its responses that left since the gateway started; gateways of before did not say.
    #[serde(default)]
    pub evictions: CacheEvictions,
}

/// What a route of an API holds of a gateway's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRouteUse {
    pub route: String,
    pub entries: u64,
    pub bytes: u64,
    /// Its responses that left since the gateway started.
    pub evictions: CacheEvictions,
}

impl CacheRouteUse {
    /// Whether a route may be told of by its id. Ids have no bound of their own, but heartbeats and what databases find rows by have:
    /// one odd route must not keep a gateway from being heard.
    #[must_use]
    pub fn can_name(route: &str) -> bool {
        (1..=512).contains(&route.len()) && !route.contains(char::is_control)
    }
}
