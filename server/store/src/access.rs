//! What keys may do, as gateways are told: one entry for each key, with the application's subscriptions and plans in it.
//!
//! Whoever changes anything that goes into those entries holds the application's row until the transaction ends, so that
//! an entry made from older rows can never follow a newer one. Locks are taken in this order: API, plans, applications by
//! id, then keys and subscriptions.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::ids::{
    ApiId, ApplicationId, CredentialId, EnvironmentId, PlanId, SubscriptionId, TenantId,
};
use sluice_contract::journal::{Change, CredentialEntry, SubscriptionEntry};
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::subscriptions::SubscriptionState;
use sluice_entity::{applications, credentials, plans, subscriptions};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::subscriptions::stored;
use crate::{Tx, journal};

/// Rows for each query: well below the databases' limits on parameters.
const ROWS: usize = 500;

/// States that gateways know of.
const IN_FORCE: [SubscriptionState; 2] = [SubscriptionState::Approved, SubscriptionState::Suspended];

/// Applications whose keys may call the API.
///
/// # Errors
/// When the database fails.
pub async fn subscribers_of_api(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
) -> Result<Vec<ApplicationId>> {
    subscribers(db, tenant, subscriptions::Column::ApiId, api.0).await
}

/// Applications whose keys call under the plan.
///
/// # Errors
/// When the database fails.
pub async fn subscribers_of_plan(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    plan: PlanId,
) -> Result<Vec<ApplicationId>> {
    subscribers(db, tenant, subscriptions::Column::PlanId, plan.0).await
}

async fn subscribers(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    column: subscriptions::Column,
    id: Uuid,
) -> Result<Vec<ApplicationId>> {
    let ids: Vec<Uuid> = subscriptions::Entity::find()
        .select_only()
        .column(subscriptions::Column::ApplicationId)
        .filter(subscriptions::Column::TenantId.eq(tenant.0))
        .filter(column.eq(id))
        .filter(subscriptions::Column::State.is_in(IN_FORCE.map(stored)))
        .distinct()
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().map(ApplicationId).collect())
}

/// Keeps these applications, and what their keys may do, as they are until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`] when one is not in this tenant.
pub async fn lock(tx: &Tx, tenant: TenantId, ids: &[ApplicationId]) -> Result<Vec<applications::Model>> {
    let mut ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut rows = Vec::with_capacity(ids.len());
    for some in ids.chunks(ROWS) {
        let found = applications::Entity::find()
            .filter(applications::Column::TenantId.eq(tenant.0))
            .filter(applications::Column::Id.is_in(some.iter().copied()))
            .order_by_asc(applications::Column::Id)
            .lock_exclusive()
            .all(tx)
            .await?;
        rows.extend(found);
    }
    if rows.len() == ids.len() { Ok(rows) } else { Err(Error::NotFound) }
}

/// Tells the gateways of every environment what the keys of these applications may do now.
///
/// # Errors
/// When the database fails.
pub async fn announce(tx: &Tx, tenant: TenantId, ids: &[ApplicationId]) -> Result<()> {
    announce_keys(tx, tenant, ids, None).await
}

/// Tells the gateways of its environment of a new key; what the application's other keys may do stays as it was.
///
/// # Errors
/// When the database fails.
pub async fn announce_new(tx: &Tx, tenant: TenantId, id: ApplicationId, key: CredentialId) -> Result<()> {
    announce_keys(tx, tenant, &[id], Some(key)).await
}

async fn announce_keys(
    tx: &Tx,
    tenant: TenantId,
    ids: &[ApplicationId],
    only: Option<CredentialId>,
) -> Result<()> {
    let mut changes: BTreeMap<Uuid, Vec<Change>> = BTreeMap::new();
    for applications in lock(tx, tenant, ids).await?.chunks(ROWS) {
        let ids: Vec<_> = applications.iter().map(|row| row.id).collect();
        let mut keys = keys(tx, tenant, &ids, only).await?;
        let mut granted = granted(tx, tenant, &ids).await?;
        for application in applications {
            let granted = granted.remove(&application.id).unwrap_or_default();
            for key in keys.remove(&application.id).unwrap_or_default() {
                let environment = key.environment_id;
                let entry = entry(key, application, &granted)?;
                changes.entry(environment).or_default().push(Change::CredentialSet(Box::new(entry)));
            }
        }
    }
    // By the environments' ids: two transactions that meet in several do not wait for each other.
    for (environment, changes) in changes {
        journal::append_all(tx, EnvironmentId(environment), changes).await?;
    }
    Ok(())
}

type ByApplication<T> = HashMap<Uuid, Vec<T>>;

/// Keys that have not been revoked. An expired one stays until then: gateways know when it expired.
async fn keys(
    tx: &Tx,
    tenant: TenantId,
    applications: &[Uuid],
    only: Option<CredentialId>,
) -> Result<ByApplication<credentials::Model>> {
    let mut select = credentials::Entity::find()
        .filter(credentials::Column::TenantId.eq(tenant.0))
        .filter(credentials::Column::ApplicationId.is_in(applications.iter().copied()))
        .filter(credentials::Column::RevokedAt.is_null())
        .order_by_asc(credentials::Column::Id);
    if let Some(only) = only {
        select = select.filter(credentials::Column::Id.eq(only.0));
    }
    let rows = select.all(tx).await?;
    let mut keys: ByApplication<_> = HashMap::new();
    for row in rows {
        keys.entry(row.application_id).or_default().push(row);
    }
    Ok(keys)
}

async fn granted(
    tx: &Tx,
    tenant: TenantId,
    applications: &[Uuid],
) -> Result<ByApplication<SubscriptionEntry>> {
    let rows = subscriptions::Entity::find()
        .filter(subscriptions::Column::TenantId.eq(tenant.0))
        .filter(subscriptions::Column::ApplicationId.is_in(applications.iter().copied()))
        .filter(subscriptions::Column::State.is_in(IN_FORCE.map(stored)))
        .order_by_asc(subscriptions::Column::Id)
        .all(tx)
        .await?;
    let plans = plans_of(tx, tenant, &rows).await?;
    let mut granted: ByApplication<_> = HashMap::new();
    for row in rows {
        let (plan_name, policies) = plans.get(&row.plan_id).cloned().ok_or(Error::NotFound)?;
        granted.entry(row.application_id).or_default().push(SubscriptionEntry {
            subscription: SubscriptionId(row.id),
            api: ApiId(row.api_id),
            plan: PlanId(row.plan_id),
            plan_name,
            suspended: row.state == stored(SubscriptionState::Suspended),
            policies,
        });
    }
    Ok(granted)
}

async fn plans_of(
    tx: &Tx,
    tenant: TenantId,
    subscriptions: &[subscriptions::Model],
) -> Result<HashMap<Uuid, (String, Vec<PolicyAttachment>)>> {
    let mut ids: Vec<_> = subscriptions.iter().map(|row| row.plan_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut plans = HashMap::new();
    for ids in ids.chunks(ROWS) {
        let rows = plans::Entity::find()
            .filter(plans::Column::TenantId.eq(tenant.0))
            .filter(plans::Column::Id.is_in(ids.iter().copied()))
            .all(tx)
            .await?;
        for row in rows {
            plans.insert(row.id, (row.name, serde_json::from_value(row.policies)?));
        }
    }
    Ok(plans)
}

fn entry(
    key: credentials::Model,
    application: &applications::Model,
    granted: &[SubscriptionEntry],
) -> Result<CredentialEntry> {
    Ok(CredentialEntry {
        hash: hash(&key.hash)?,
        credential: CredentialId(key.id),
        application: ApplicationId(application.id),
        application_name: application.name.clone(),
        tenant: TenantId(application.tenant_id),
        expires_at: key.expires_at,
        policies: serde_json::from_value(application.policies.clone())?,
        subscriptions: granted.to_vec(),
    })
}

/// A key's hash as the database keeps it.
pub(crate) fn hash(stored: &str) -> Result<Sha256Hash> {
    stored.parse().map_err(|error: sluice_contract::part::NotAHash| {
        Error::Database(sea_orm::DbErr::Type(error.to_string()))
    })
}
