//! The catalogue: listed APIs that are live, as consumers read them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use sluice_contract::definition::{ApiDefinition, PolicyAttachment, Route};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::apis::{ApiSummary, LiveRevision};
use sluice_contract::rest::catalogue::{CatalogueEntry, CatalogueRelease, CatalogueRoute};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::apis as api_rows;

use crate::error::{Error, Result};
use crate::{apis, plans, revisions};

/// Listed APIs that are live. Sorts: `name`, `slug`, `created_at`, `updated_at`.
///
/// # Errors
/// See [`crate::Listing::page`].
pub async fn list(db: &impl ConnectionTrait, tenant: TenantId, page: &PageQuery) -> Result<Page<ApiSummary>> {
    let Page { items, next } = apis::LISTING.page(db, apis::in_catalogue(tenant), page).await?;
    Ok(Page { items: apis::summaries(db, tenant, items).await?, next })
}

/// One API with the routes of the newest revision that is live, and its open plans.
///
/// # Errors
/// [`Error::NotFound`] also when it is there but not in the catalogue.
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, id: ApiId) -> Result<CatalogueEntry> {
    let select = apis::in_catalogue(tenant).filter(api_rows::Column::Id.eq(id.0));
    let row = select.one(db).await?.ok_or(Error::NotFound)?;
    let api = apis::summaries(db, tenant, vec![row]).await?.pop().ok_or(Error::NotFound)?;
    let mut definitions = BTreeMap::new();
    for live in &api.live {
        if let Entry::Vacant(unread) = definitions.entry(live.revision) {
            unread.insert(revisions::get(db, tenant, id, live.revision).await?.definition);
        }
    }
    let release = |live: &LiveRevision| {
        definitions.get(&live.revision).map(|there| release(live.environment_slug.clone(), there))
    };
    let releases = api.live.iter().filter_map(release).collect();
    let (revision, definition) = definitions.pop_last().ok_or(Error::NotFound)?;
    let tenant_slug = crate::tenants::get(db, tenant).await?.slug;
    Ok(CatalogueEntry {
        base_path: apis::base_path(&tenant_slug, &api.slug),
        hosts: definition.hosts.clone(),
        revision,
        routes: routes(definition),
        releases,
        plans: plans::open(db, tenant, id).await?,
        api,
    })
}

fn release(environment_slug: String, definition: &ApiDefinition) -> CatalogueRelease {
    let of_route = |route: &Route| (route.id.clone(), for_callers(&route.policies));
    let routes = definition.routes.iter().map(of_route).filter(|(_, policies)| !policies.is_empty());
    CatalogueRelease {
        environment_slug,
        policies: for_callers(&definition.policies),
        routes: routes.collect(),
    }
}

/// What a caller must know of. Everything else concerns only the publisher.
fn for_callers(policies: &[PolicyAttachment]) -> Vec<PolicyAttachment> {
    let concerns =
        |policy: &&PolicyAttachment| policy.enabled && matches!(&*policy.kind, "cors" | "key-auth");
    policies.iter().filter(concerns).cloned().collect()
}

fn routes(definition: ApiDefinition) -> Vec<CatalogueRoute> {
    let access = definition.access;
    let route = |route: Route| {
        let Route {
            id,
            summary,
            description,
            tags,
            deprecated,
            methods,
            path,
            headers: _,
            upstream: _,
            access: own,
            policies: _,
            imported: _,
        } = route;
        let access = own.unwrap_or(access);
        CatalogueRoute { id, summary, description, tags, deprecated, methods, path, access }
    };
    definition.routes.into_iter().map(route).collect()
}
