//! What unsafe methods have changed on a gateway, for the caches of others.

use serde::{Deserialize, Serialize};

use crate::ids::{ApiId, PurgeId};

/// `POST` [`ChangedUrls`] → 204. What unsafe methods have changed, for the caches of other gateways.
pub const CHANGED_PATH: &str = "/gateway/v1/changed";
/// Most URLs of a [`ChangedUrls`].
pub const CHANGED_MOST: usize = 64;
/// Bytes of the longest path of a [`ChangedUrl`], with its query.
const CHANGED_PATH_MAX: usize = 8 << 10;

/// URLs that unsafe methods have changed on a gateway (RFC 9111 §4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedUrls {
    /// What their purges are called: by it the gateway that tells knows its own, which it has made true by itself.
    pub by: PurgeId,
    pub urls: Vec<ChangedUrl>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChangedUrl {
    pub api: ApiId,
    /// Below the API's base, with its query, if any, as callers send it.
    pub path: String,
}

impl ChangedUrl {
    /// Whether it is a path, and none too long to be told.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.path.starts_with('/') && self.path.len() <= CHANGED_PATH_MAX
    }
}
