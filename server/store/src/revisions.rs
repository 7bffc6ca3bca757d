//! Revisions: immutable, numbered copies of an API's draft; and differences between any two.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Select, Set,
};
use serde_json::Value;
use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::{ApiId, RevisionId, TenantId};
use sluice_contract::rest::apis::LiveRevision;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::revisions::{CreateRevision, Diff, Revision, RevisionSummary};
use sluice_entity::{revision_definitions, revisions};

use crate::audit::{self, Actor, Change, seen};
use crate::error::{Error, Result};
use crate::keyset::{Listing, Sort};
use crate::{Tx, apis, check_version, diff, environments, releases, text};

/// Longest note, in characters.
const NOTE_MAX: usize = 2_000;

const LISTING: Listing<revisions::Entity> = Listing {
    sorts: &[Sort { name: "number", column: revisions::Column::Number }],
    descending: true,
    id: revisions::Column::Id,
    search: &[revisions::Column::Note, revisions::Column::CreatedBy],
};

/// Revisions of an API, newest first. Sorts: `number`.
///
/// # Errors
/// [`Error::NotFound`] when the API is not in this tenant; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    page: &PageQuery,
) -> Result<Page<RevisionSummary>> {
    apis::row(db, tenant, api).await?;
    let Page { items, next } = LISTING.page(db, of(tenant, api), page).await?;
    let live = live(db, tenant, api).await?;
    Ok(Page { items: items.into_iter().map(|row| summary(row, &live)).collect(), next })
}

/// One revision with its definition.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId, number: u32) -> Result<Revision> {
    let row = row(db, tenant, api, number).await?;
    let definition = serde_json::from_value(definition(db, tenant, row.id).await?)?;
    let live = live(db, tenant, api).await?;
    Ok(Revision { summary: summary(row, &live), definition })
}

/// Freezes the draft of an API that is still at `version`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`], and the conflict `unchanged` when the newest revision is
/// the same as the draft.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    api: ApiId,
    version: u64,
    new: &CreateRevision,
) -> Result<Revision> {
    let api_row = apis::lock(tx, tenant, api).await?;
    check_version(api_row.version, version)?;
    let note = text::free("/note", &new.note, NOTE_MAX)?;
    let newest = newest(tx, tenant, api).await?;
    if let Some(newest) = newest.as_ref().filter(|newest| newest.hash == api_row.draft_hash) {
        let message = format!("The draft is the same as revision {}.", newest.number);
        return Err(Error::conflict("unchanged", message));
    }
    let draft = apis::draft(tx, tenant, api).await?;
    let row = revisions::ActiveModel {
        id: Set(RevisionId::generate().0),
        tenant_id: Set(tenant.0),
        api_id: Set(api.0),
        number: Set(newest.map_or(1, |newest| stored(newest.number) + 1)),
        hash: Set(api_row.draft_hash),
        note: Set(note),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
    };
    let row = row.insert(tx).await?;
    let frozen = revision_definitions::ActiveModel {
        tenant_id: Set(tenant.0),
        revision_id: Set(row.id),
        definition: Set(serde_json::to_value(&draft)?),
    };
    revision_definitions::Entity::insert(frozen).exec_without_returning(tx).await?;
    let summary = summary(row, &[]);
    record(tx, actor, tenant, &api_row.name, &summary).await?;
    Ok(Revision { summary, definition: draft })
}

/// Differences between two of: a revision's number, `draft`, `live:<environment slug>`.
///
/// # Errors
/// [`Error::NotFound`] for a revision or environment that is not there, [`Error::Invalid`] for anything else.
pub async fn compare(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    from: &str,
    to: &str,
) -> Result<Diff> {
    apis::row(db, tenant, api).await?;
    let before = side(db, tenant, api, "from", from).await?;
    let after = side(db, tenant, api, "to", to).await?;
    let changes = diff::diff(before.as_ref(), after.as_ref());
    Ok(Diff { from: from.to_owned(), to: to.to_owned(), changes })
}

/// The definition that `name` stands for; none where nothing is live.
async fn side(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    parameter: &str,
    name: &str,
) -> Result<Option<Value>> {
    if name == "draft" {
        return Ok(Some(serde_json::to_value(apis::draft(db, tenant, api).await?)?));
    }
    let number = match name.strip_prefix("live:") {
        Some(slug) => {
            let environment = environments::by_slug_for(db, tenant, slug).await?;
            let live = live(db, tenant, api).await?;
            match live.iter().find(|live| live.environment == environment.id) {
                Some(live) => live.revision,
                None => return Ok(None),
            }
        }
        None => name.parse().map_err(|_| {
            Error::invalid(parameter, "unknown", "A revision's number, `draft`, or `live:<environment>`.")
        })?,
    };
    let row = row(db, tenant, api, number).await?;
    // Through the type, so that fields left at their defaults compare equal to fields that were not there yet.
    let definition: ApiDefinition = serde_json::from_value(definition(db, tenant, row.id).await?)?;
    Ok(Some(serde_json::to_value(definition)?))
}

/// Number and hash of a revision.
pub(crate) struct Newest {
    pub(crate) number: u32,
    pub(crate) hash: String,
}

pub(crate) async fn newest(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
) -> Result<Option<Newest>> {
    let row = of(tenant, api).order_by_desc(revisions::Column::Number).one(db).await?;
    Ok(row.map(|row| Newest { number: row.number.unsigned_abs(), hash: row.hash }))
}

fn of(tenant: TenantId, api: ApiId) -> Select<revisions::Entity> {
    revisions::Entity::find()
        .filter(revisions::Column::TenantId.eq(tenant.0))
        .filter(revisions::Column::ApiId.eq(api.0))
}

async fn row(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    number: u32,
) -> Result<revisions::Model> {
    let select = of(tenant, api).filter(revisions::Column::Number.eq(stored(number)));
    select.one(db).await?.ok_or(Error::NotFound)
}

async fn definition(db: &impl ConnectionTrait, tenant: TenantId, revision: uuid::Uuid) -> Result<Value> {
    let select = revision_definitions::Entity::find_by_id(revision)
        .filter(revision_definitions::Column::TenantId.eq(tenant.0));
    Ok(select.one(db).await?.ok_or(Error::NotFound)?.definition)
}

async fn live(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId) -> Result<Vec<LiveRevision>> {
    Ok(releases::live(db, tenant, &[api]).await?.remove(&api).unwrap_or_default())
}

fn stored(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn summary(row: revisions::Model, live: &[LiveRevision]) -> RevisionSummary {
    let revisions::Model { id, tenant_id: _, api_id: _, number, hash: _, note, created_by, created_at } = row;
    let number = number.unsigned_abs();
    let live = live.iter().filter(|live| live.revision == number);
    let live_in = live.map(|live| live.environment_slug.clone()).collect();
    RevisionSummary { id: RevisionId(id), number, note, created_by, created_at, live_in }
}

async fn record(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    api_name: &str,
    summary: &RevisionSummary,
) -> Result<()> {
    let change = Change {
        tenant: Some(tenant),
        action: "create_revision",
        resource: "revision",
        id: summary.id.to_string(),
        name: &format!("{api_name} #{}", summary.number),
        before: None,
        after: seen(summary)?,
    };
    audit::record(tx, actor, change).await
}
