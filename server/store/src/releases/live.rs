//! What each environment serves now, and on which hosts.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use sluice_contract::ids::{ApiId, EnvironmentId, ReleaseId, TenantId};
use sluice_contract::rest::apis::LiveRevision;
use sluice_entity::{environments, live_apis, live_hosts, releases};

use crate::Tx;
use crate::error::{Error, Result};

/// What is live where, of each of these APIs; by the environments' slugs.
///
/// # Errors
/// When the database fails.
pub async fn live(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    apis: &[ApiId],
) -> Result<HashMap<ApiId, Vec<LiveRevision>>> {
    let rows = live_apis::Entity::find()
        .filter(live_apis::Column::TenantId.eq(tenant.0))
        .filter(live_apis::Column::ApiId.is_in(apis.iter().map(|api| api.0)))
        .all(db)
        .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let slugs = environments::Entity::find().order_by_asc(environments::Column::Slug).all(db).await?;
    let mut live: HashMap<_, Vec<_>> = HashMap::new();
    for environment in slugs {
        for row in rows.iter().filter(|row| row.environment_id == environment.id) {
            live.entry(ApiId(row.api_id)).or_default().push(LiveRevision {
                environment: EnvironmentId(row.environment_id),
                environment_slug: environment.slug.clone(),
                revision: row.revision.unsigned_abs(),
                release: ReleaseId(row.release_id),
            });
        }
    }
    Ok(live)
}

/// The revision that an environment serves.
///
/// # Errors
/// When the database fails.
pub async fn revision(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    api: ApiId,
) -> Result<Option<u32>> {
    let row = live_apis::Entity::find_by_id((environment.0, api.0)).one(db).await?;
    Ok(row.map(|row| row.revision.unsigned_abs()))
}

/// The release is what its environment serves from now on, on these hosts.
pub(super) async fn set(tx: &Tx, release: &releases::Model, revision: u32, hosts: &[String]) -> Result<()> {
    let row = live_apis::ActiveModel {
        environment_id: Set(release.environment_id),
        api_id: Set(release.api_id),
        tenant_id: Set(release.tenant_id),
        release_id: Set(release.id),
        revision: Set(super::stored(revision)),
    };
    let replace = OnConflict::columns([live_apis::Column::EnvironmentId, live_apis::Column::ApiId])
        .update_columns([live_apis::Column::ReleaseId, live_apis::Column::Revision])
        .to_owned();
    live_apis::Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await?;
    live_hosts::Entity::delete_many()
        .filter(live_hosts::Column::EnvironmentId.eq(release.environment_id))
        .filter(live_hosts::Column::ApiId.eq(release.api_id))
        .exec(tx)
        .await?;
    for host in hosts {
        take(tx, release, host).await?;
    }
    Ok(())
}

async fn take(tx: &Tx, release: &releases::Model, host: &str) -> Result<()> {
    let row = live_hosts::ActiveModel {
        environment_id: Set(release.environment_id),
        host: Set(host.to_owned()),
        api_id: Set(release.api_id),
    };
    let taken = |error: sea_orm::DbErr| match crate::not_unique("/hosts")(error) {
        // Whose it is would tell one tenant about another.
        Error::NotUnique { .. } => Error::conflict(
            "host_taken",
            format!("`{host}` already answers for another API in this environment."),
        ),
        other => other,
    };
    live_hosts::Entity::insert(row).exec_without_returning(tx).await.map_err(taken)?;
    Ok(())
}

/// The environment no longer serves the API.
pub(super) async fn unset(tx: &Tx, environment: EnvironmentId, api: ApiId) -> Result<()> {
    live_apis::Entity::delete_by_id((environment.0, api.0)).exec(tx).await?;
    Ok(())
}
