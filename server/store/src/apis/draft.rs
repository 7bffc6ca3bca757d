//! The draft of an API, in a table of its own.

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_entity::api_drafts;

use crate::Tx;
use crate::error::{Error, Result};

/// What is being edited of an API.
///
/// # Errors
/// [`Error::NotFound`] when the API is not in this tenant.
pub async fn draft(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId) -> Result<ApiDefinition> {
    let select = api_drafts::Entity::find_by_id(api.0).filter(api_drafts::Column::TenantId.eq(tenant.0));
    let row = select.one(db).await?.ok_or(Error::NotFound)?;
    Ok(serde_json::from_value(row.definition)?)
}

pub(super) async fn insert(tx: &Tx, tenant: TenantId, api: ApiId, definition: &ApiDefinition) -> Result<()> {
    let row = api_drafts::ActiveModel {
        tenant_id: Set(tenant.0),
        api_id: Set(api.0),
        definition: Set(serde_json::to_value(definition)?),
    };
    api_drafts::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

pub(super) async fn update(tx: &Tx, tenant: TenantId, api: ApiId, definition: &ApiDefinition) -> Result<()> {
    let row = api_drafts::ActiveModel {
        tenant_id: Set(tenant.0),
        api_id: Set(api.0),
        definition: Set(serde_json::to_value(definition)?),
    };
    row.update(tx).await?;
    Ok(())
}
