//! APIs as callers see them.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::{ApiId, TeamId, TenantId};
use sluice_contract::rest::apis::{Api, ApiSummary};
use sluice_entity::apis;

use crate::audit::{Recorded, seen};
use crate::error::Result;
use crate::{releases, revisions};

/// Drafts with more JSON than this are recorded in the audit log by their hash: the revisions hold them whole.
const AUDITED_BYTES: usize = 256 << 10;

pub(super) async fn api(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    row: apis::Model,
    draft: ApiDefinition,
) -> Result<Api> {
    let apis::Model {
        id,
        tenant_id: _,
        team_id,
        slug,
        name,
        description,
        listed,
        routes: _,
        draft_hash,
        version,
        created_at,
        updated_at,
    } = row;
    let id = ApiId(id);
    let newest = revisions::newest(db, tenant, id).await?;
    let live = releases::live(db, tenant, &[id]).await?.remove(&id).unwrap_or_default();
    let tenant_slug = crate::tenants::get(db, tenant).await?.slug;
    Ok(Api {
        id,
        base_path: base_path(&tenant_slug, &slug),
        slug,
        name,
        description,
        team: team_id.map(TeamId),
        listed,
        draft,
        changed: newest.as_ref().is_none_or(|newest| newest.hash != draft_hash),
        newest_revision: newest.map(|newest| newest.number),
        live,
        version: crate::version(version),
        created_at,
        updated_at,
    })
}

/// Where an API answers on the shared host.
pub(crate) fn base_path(tenant_slug: &str, slug: &str) -> String {
    format!("/{tenant_slug}/{slug}")
}

/// Rows of a list with what is live of each.
///
/// # Errors
/// When the database fails.
pub async fn summaries(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    rows: Vec<apis::Model>,
) -> Result<Vec<ApiSummary>> {
    let ids: Vec<_> = rows.iter().map(|row| ApiId(row.id)).collect();
    let mut live = releases::live(db, tenant, &ids).await?;
    let summary = |row: apis::Model| ApiSummary {
        id: ApiId(row.id),
        slug: row.slug,
        name: row.name,
        description: row.description,
        team: row.team_id.map(TeamId),
        listed: row.listed,
        routes: row.routes.unsigned_abs(),
        live: live.remove(&ApiId(row.id)).unwrap_or_default(),
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(summary).collect())
}

impl Recorded for Api {
    const RESOURCE: &'static str = "api";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }

    fn told(&self) -> Result<Option<Value>> {
        let Some(mut value) = seen(self)? else { return Ok(None) };
        if value["draft"].to_string().len() > AUDITED_BYTES {
            let hash = crate::definition::hash(&self.draft)?;
            value["draft"] = json!({ "routes": self.draft.routes.len(), "sha256": hash });
        }
        Ok(Some(value))
    }
}
