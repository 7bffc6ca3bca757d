//! The catalogue: what consumers find, read and subscribe to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::{Access, PolicyAttachment};
use crate::rest::apis::ApiSummary;
use crate::rest::plans::Plan;

/// A listed API that is live somewhere, as consumers read it (`GET /tenants/{tenant}/catalogue/{api}`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CatalogueEntry {
    pub api: ApiSummary,
    /// Base path on the shared host: `/{tenant}/{api}`.
    pub base_path: String,
    /// Hosts of its own on which it answers without the base path.
    pub hosts: Vec<String>,
    /// Number of the revision that the routes are from: the newest that is live.
    pub revision: u32,
    pub routes: Vec<CatalogueRoute>,
    /// Where it is live.
    pub releases: Vec<CatalogueRelease>,
    /// Plans that take subscriptions.
    pub plans: Vec<Plan>,
}

/// An API in one environment, and its own policies that a caller must know of to reach it there: `cors` and `key-auth`,
/// as far as they are enabled. The most specific attachment decides alone: the route's, then the API's, then the
/// environment's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CatalogueRelease {
    pub environment_slug: String,
    /// Of the whole API.
    pub policies: Vec<PolicyAttachment>,
    /// Of the routes that have some, by their ids.
    pub routes: BTreeMap<String, Vec<PolicyAttachment>>,
}

/// An operation of an API, without anything that concerns only its publisher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CatalogueRoute {
    pub id: String,
    pub summary: String,
    /// Markdown.
    pub description: String,
    pub tags: Vec<String>,
    pub deprecated: bool,
    /// Upper-case methods; empty means any.
    pub methods: Vec<String>,
    pub path: String,
    pub access: Access,
}
