//! Plans of an API: what a subscription allows.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use sluice_contract::ids::{ApiId, PlanId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::plans::{Approval, Plan, SavePlan};
use sluice_contract::rest::policy_types::PolicyScope;
use sluice_entity::plans;

use crate::audit::{self, Actor, Recorded};
use crate::error::{Result, in_use, not_unique};
use crate::keyset::{Listing, Sort};
use crate::of_api::{self, OfApi};
use crate::{Tx, access, apis, check_version, definition, text};

const DESCRIPTION_MAX: usize = 10_000;

const LISTING: Listing<plans::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: plans::Column::Name },
        Sort { name: "created_at", column: plans::Column::CreatedAt },
    ],
    descending: false,
    id: plans::Column::Id,
    search: &[plans::Column::Name, plans::Column::Description],
};

/// Plans of an API. Sorts: `name`, `created_at`.
///
/// # Errors
/// [`crate::Error::NotFound`] when the API is not in this tenant; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    page: &PageQuery,
) -> Result<Page<Plan>> {
    apis::row(db, tenant, api).await?;
    let Page { items, next } = LISTING.page(db, of_api::all(tenant, api), page).await?;
    Ok(Page { items: items.into_iter().map(plan).collect::<Result<_>>()?, next })
}

/// Plans that take subscriptions, by name.
///
/// # Errors
/// When the database fails.
pub async fn open(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId) -> Result<Vec<Plan>> {
    let select = of_api::all::<plans::Entity>(tenant, api)
        .filter(plans::Column::Closed.eq(false))
        .order_by_asc(plans::Column::Name);
    select.all(db).await?.into_iter().map(plan).collect()
}

/// One plan.
///
/// # Errors
/// [`crate::Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId, id: PlanId) -> Result<Plan> {
    plan(of_api::one::<plans::Entity>(db, tenant, (api, id.0)).await?)
}

/// Makes a plan.
///
/// # Errors
/// [`crate::Error::NotFound`] for the API, [`crate::Error::Invalid`], [`crate::Error::NotUnique`] for the name.
pub async fn create(tx: &Tx, actor: &Actor, tenant: TenantId, api: ApiId, new: &SavePlan) -> Result<Plan> {
    apis::row(tx, tenant, api).await?;
    let new = checked(new)?;
    let row = plans::ActiveModel {
        id: Set(PlanId::generate().0),
        tenant_id: Set(tenant.0),
        api_id: Set(api.0),
        name: Set(new.name),
        description: Set(new.description),
        approval: Set(stored(new.approval).to_owned()),
        policies: Set(serde_json::to_value(new.policies)?),
        closed: Set(new.closed),
        version: Set(1),
        created_at: Set(crate::now()),
    };
    let plan = plan(row.insert(tx).await.map_err(not_unique("/name"))?)?;
    audit::changed(tx, actor, "create_plan", tenant, None, Some(&plan)).await?;
    Ok(plan)
}

/// Changes a plan that is still at `version`. Gateways learn of it with every key that it applies to.
///
/// # Errors
/// [`crate::Error::NotFound`], [`crate::Error::Stale`], and those of [`create`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, PlanId),
    version: u64,
    new: &SavePlan,
) -> Result<Plan> {
    let row = lock(tx, tenant, api, id).await?;
    let next = check_version(row.version, version)?;
    let before = plan(row.clone())?;
    let new = checked(new)?;
    let mut row = row.into_active_model();
    row.name = Set(new.name);
    row.description = Set(new.description);
    row.approval = Set(stored(new.approval).to_owned());
    row.policies = Set(serde_json::to_value(new.policies)?);
    row.closed = Set(new.closed);
    row.version = Set(next);
    let after = plan(row.update(tx).await.map_err(not_unique("/name"))?)?;
    if (&before.name, &before.policies) != (&after.name, &after.policies) {
        let subscribers = access::subscribers_of_plan(tx, tenant, id).await?;
        access::announce(tx, tenant, &subscribers).await?;
    }
    audit::changed(tx, actor, "update_plan", tenant, Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Removes a plan that is still at `version`.
///
/// # Errors
/// [`crate::Error::NotFound`], [`crate::Error::Stale`], and the conflict `in_use` once it has had a subscription.
pub async fn delete(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, PlanId),
    version: u64,
) -> Result<()> {
    let row = lock(tx, tenant, api, id).await?;
    check_version(row.version, version)?;
    let before = plan(row)?;
    plans::Entity::delete_by_id(id.0)
        .exec(tx)
        .await
        .map_err(in_use("The plan has had subscriptions, which keep it as history: close it instead."))?;
    audit::changed(tx, actor, "delete_plan", tenant, Some(&before), None).await
}

/// The row, kept as it is until the transaction ends.
pub(crate) async fn lock(tx: &Tx, tenant: TenantId, api: ApiId, id: PlanId) -> Result<plans::Model> {
    of_api::lock::<plans::Entity>(tx, tenant, (api, id.0)).await
}

/// All plans of an API, kept as they are until the transaction ends.
pub(crate) async fn lock_all(tx: &Tx, tenant: TenantId, api: ApiId) -> Result<()> {
    of_api::all::<plans::Entity>(tenant, api)
        .order_by_asc(plans::Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    Ok(())
}

impl OfApi for plans::Entity {
    const ID: plans::Column = plans::Column::Id;
    const TENANT: plans::Column = plans::Column::TenantId;
    const API: plans::Column = plans::Column::ApiId;
}

fn checked(new: &SavePlan) -> Result<SavePlan> {
    let SavePlan { name, description, approval, policies, closed } = new;
    text::all([
        text::name("/name", name).map(drop),
        text::free("/description", description, DESCRIPTION_MAX).map(drop),
        definition::check_policies(PolicyScope::Plan, policies),
    ])?;
    Ok(SavePlan {
        name: text::name("/name", name)?,
        description: text::free("/description", description, DESCRIPTION_MAX)?,
        approval: *approval,
        policies: policies.clone(),
        closed: *closed,
    })
}

fn stored(approval: Approval) -> &'static str {
    match approval {
        Approval::Automatic => "automatic",
        Approval::Manual => "manual",
    }
}

pub(crate) fn approval(stored: &str) -> Approval {
    // Anything unknown waits for a person.
    if stored == "automatic" { Approval::Automatic } else { Approval::Manual }
}

fn plan(row: plans::Model) -> Result<Plan> {
    let plans::Model {
        id,
        tenant_id: _,
        api_id,
        name,
        description,
        approval: stored,
        policies,
        closed,
        version,
        created_at,
    } = row;
    Ok(Plan {
        id: PlanId(id),
        api: ApiId(api_id),
        name,
        description,
        approval: approval(&stored),
        policies: serde_json::from_value(policies)?,
        closed,
        version: crate::version(version),
        created_at,
    })
}

impl Recorded for Plan {
    const RESOURCE: &'static str = "plan";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }
}
