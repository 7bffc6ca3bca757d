//! The audit log: every change with who, when, from where and the difference, in the transaction of the change.

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select, Set};
use serde::Serialize;
use serde_json::Value;
use sluice_contract::ids::{AuditId, TenantId};
use sluice_contract::rest::audit::{AuditEntry, AuditFilter};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::audit;

use crate::error::Result;
use crate::keyset::{Listing, Sort};
use crate::{Tx, diff};

/// Who does something, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// E-mail of the user, `token:<name>`, `gateway:<name>` or `system`.
    pub name: String,
    pub address: Option<String>,
    pub request_id: Option<String>,
}

impl Actor {
    /// The control plane itself.
    pub fn system() -> Self {
        Self { name: "system".to_owned(), address: None, request_id: None }
    }
}

/// A change to record.
pub struct Change<'a> {
    /// None for changes of the platform.
    pub tenant: Option<TenantId>,
    /// Operation id, for example `update_api`.
    pub action: &'a str,
    /// For example `api`.
    pub resource: &'a str,
    pub id: String,
    pub name: &'a str,
    /// As callers see it, so without secrets. None before it existed.
    pub before: Option<Value>,
    /// None when it is gone.
    pub after: Option<Value>,
}

/// What a thing looks like to callers, for [`Change::before`] and [`Change::after`].
///
/// # Errors
/// When it cannot be JSON.
pub fn seen(thing: &impl Serialize) -> Result<Option<Value>> {
    let mut value = serde_json::to_value(thing)?;
    if let Some(fields) = value.as_object_mut() {
        // They differ on every change and say nothing.
        fields.remove("version");
        fields.remove("updated_at");
    }
    Ok(Some(value))
}

/// A thing of a tenant whose making, changes and removal are recorded.
pub trait Recorded: Serialize + Sized {
    /// For example `api`.
    const RESOURCE: &'static str;

    fn id(&self) -> String;

    /// What people know it by: its name, of people their e-mail.
    fn known_as(&self) -> &str;

    /// What it looks like to callers, but for what is no change of it.
    ///
    /// # Errors
    /// When it cannot be JSON.
    fn told(&self) -> Result<Option<Value>> {
        seen(self)
    }
}

/// Records in its own transaction what a thing was and is: nothing before it was made, nothing once it is gone.
///
/// # Errors
/// When the database fails.
pub async fn changed<T: Recorded>(
    tx: &Tx,
    actor: &Actor,
    action: &str,
    tenant: TenantId,
    before: Option<&T>,
    after: Option<&T>,
) -> Result<()> {
    let Some(thing) = after.or(before) else { return Ok(()) };
    let change = Change {
        tenant: Some(tenant),
        action,
        resource: T::RESOURCE,
        id: thing.id(),
        name: thing.known_as(),
        before: before.map(T::told).transpose()?.flatten(),
        after: after.map(T::told).transpose()?.flatten(),
    };
    record(tx, actor, change).await
}

/// Records a change in its own transaction.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &Tx, actor: &Actor, change: Change<'_>) -> Result<()> {
    let Change { tenant, action, resource, id, name, before, after } = change;
    let changes = diff::diff(before.as_ref(), after.as_ref());
    audit::ActiveModel {
        id: Set(AuditId::generate().0),
        tenant_id: Set(tenant.map(|tenant| tenant.0)),
        at: Set(crate::now()),
        actor: Set(actor.name.clone()),
        address: Set(actor.address.clone()),
        action: Set(action.to_owned()),
        resource: Set(resource.to_owned()),
        resource_id: Set(id),
        resource_name: Set(name.to_owned()),
        changes: Set(serde_json::to_value(changes)?),
        request_id: Set(actor.request_id.clone()),
    }
    .insert(tx)
    .await?;
    Ok(())
}

const LISTING: Listing<audit::Entity> = Listing {
    sorts: &[Sort { name: "at", column: audit::Column::At }],
    descending: true,
    id: audit::Column::Id,
    search: &[audit::Column::ResourceName, audit::Column::Actor, audit::Column::Action],
};

/// Changes of a tenant, or of the platform, newest first. Sorts: `at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: Option<TenantId>,
    filter: &AuditFilter,
    page: &PageQuery,
) -> Result<Page<AuditEntry>> {
    let of_tenant = match tenant {
        Some(tenant) => audit::Column::TenantId.eq(tenant.0),
        None => audit::Column::TenantId.is_null(),
    };
    let select = filtered(audit::Entity::find().filter(of_tenant), filter);
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: items.into_iter().map(entry).collect::<Result<_>>()?, next })
}

fn filtered(mut select: Select<audit::Entity>, filter: &AuditFilter) -> Select<audit::Entity> {
    let AuditFilter { actor, action, resource, resource_id, from, to } = filter;
    let exact = [
        (audit::Column::Actor, actor),
        (audit::Column::Action, action),
        (audit::Column::Resource, resource),
        (audit::Column::ResourceId, resource_id),
    ];
    for (column, value) in exact {
        if let Some(value) = value {
            select = select.filter(column.eq(value.as_str()));
        }
    }
    if let Some(from) = from {
        select = select.filter(audit::Column::At.gte(*from));
    }
    if let Some(to) = to {
        select = select.filter(audit::Column::At.lt(*to));
    }
    select
}

/// Removes what is older than the retention. Returns how many lines went.
///
/// # Errors
/// When the database fails.
pub async fn retain(tx: &Tx, since: chrono::DateTime<chrono::Utc>) -> Result<u64> {
    Ok(audit::Entity::delete_many().filter(audit::Column::At.lt(since)).exec(tx).await?.rows_affected)
}

fn entry(row: audit::Model) -> Result<AuditEntry> {
    let audit::Model {
        id,
        tenant_id: _,
        at,
        actor,
        address,
        action,
        resource,
        resource_id,
        resource_name,
        changes,
        request_id,
    } = row;
    Ok(AuditEntry {
        id: AuditId(id),
        at,
        actor,
        address,
        action,
        resource,
        resource_id,
        resource_name,
        changes: serde_json::from_value(changes)?,
        request_id,
    })
}
