//! What belongs to an API of a tenant, and is found by its id among what that API has.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};
use sluice_contract::ids::{ApiId, TenantId};
use uuid::Uuid;

use crate::Tx;
use crate::error::{Error, Result};

/// A table of such things.
pub(crate) trait OfApi: EntityTrait {
    const ID: Self::Column;
    const TENANT: Self::Column;
    const API: Self::Column;
}

/// All that an API has.
pub(crate) fn all<E: OfApi>(tenant: TenantId, api: ApiId) -> Select<E> {
    E::find().filter(E::TENANT.eq(tenant.0)).filter(E::API.eq(api.0))
}

/// One of them, or [`Error::NotFound`].
pub(crate) async fn one<E: OfApi>(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    (api, id): (ApiId, Uuid),
) -> Result<E::Model> {
    all::<E>(tenant, api).filter(E::ID.eq(id)).one(db).await?.ok_or(Error::NotFound)
}

/// The same, kept as it is until the transaction ends.
pub(crate) async fn lock<E: OfApi>(tx: &Tx, tenant: TenantId, (api, id): (ApiId, Uuid)) -> Result<E::Model> {
    let select = all::<E>(tenant, api).filter(E::ID.eq(id)).lock_exclusive();
    select.one(tx).await?.ok_or(Error::NotFound)
}
