//! Keys of applications. A key is shown once; what is kept is the SHA-256 of its 256 random bits.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, Set,
};
use sluice_contract::ids::{ApplicationId, CredentialId, EnvironmentId, TenantId};
use sluice_contract::journal::Change as JournalChange;
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::applications::{CreateCredential, Credential, RevokedCredential};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::{credentials, environments as environment_rows};

use crate::applications::{self, Reach};
use crate::audit::{self, Actor, Change, seen};
use crate::error::{Error, Result};
use crate::keyset::{Listing, Sort};
use crate::progress::{Awaited, progress};
use crate::{Tx, access, environments, journal, text};

/// Characters of a key that are kept to recognise it by: the mark `slk_` and 36 bits.
const PREFIX: usize = 10;

const LISTING: Listing<credentials::Entity> = Listing {
    sorts: &[
        Sort { name: "created_at", column: credentials::Column::CreatedAt },
        Sort { name: "name", column: credentials::Column::Name },
    ],
    descending: true,
    id: credentials::Column::Id,
    search: &[credentials::Column::Name, credentials::Column::Prefix],
};

/// Keys of an application, revoked ones too, newest first. Sorts: `created_at`, `name`.
///
/// # Errors
/// [`Error::NotFound`] when the application is not within reach; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    application: ApplicationId,
    page: &PageQuery,
) -> Result<Page<Credential>> {
    applications::get(db, tenant, reach, application).await?;
    let select = credentials::Entity::find().filter(of(tenant, application));
    let Page { items, next } = LISTING.page(db, select, page).await?;
    let mut views = Vec::with_capacity(items.len());
    let slugs = environment_rows::Entity::find().all(db).await?;
    for row in items {
        let slug = slugs.iter().find(|environment| environment.id == row.environment_id);
        views.push(view(row, slug.map(|environment| environment.slug.clone()).unwrap_or_default()));
    }
    Ok(Page { items: views, next })
}

/// One key, and how far its revocation is. Of one that is not revoked: how far the gateways are altogether.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    application: ApplicationId,
    id: CredentialId,
) -> Result<RevokedCredential> {
    applications::get(db, tenant, reach, application).await?;
    let row = row(db, tenant, application, id).await?;
    let environment = EnvironmentId(row.environment_id);
    let awaited = Awaited {
        environment,
        position: match row.revoked_position {
            Some(stored) => journal::position(stored),
            None => journal::head(db, environment).await?,
        },
        at: row.revoked_at.unwrap_or(row.created_at),
        part: None,
    };
    let progress = progress(db, &awaited).await?;
    let slug = environments::get(db, environment).await?.slug;
    Ok(RevokedCredential { credential: view(row, slug), progress })
}

/// Makes `key` a key of the application; gateways learn of it through the journal.
///
/// # Errors
/// [`Error::NotFound`] for the application, [`Error::Invalid`].
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    reach: &Reach,
    application: ApplicationId,
    new: &CreateCredential,
    key: &str,
) -> Result<Credential> {
    let owner = applications::lock(tx, tenant, reach, application).await?;
    let CreateCredential { name, environment, expires_at } = new;
    text::all([text::name("/name", name).map(drop), check_expiry(*expires_at)])?;
    let environment = environments::named(tx, tenant, *environment).await?;
    let row = credentials::ActiveModel {
        id: Set(CredentialId::generate().0),
        tenant_id: Set(tenant.0),
        application_id: Set(application.0),
        environment_id: Set(environment.id.0),
        name: Set(text::name("/name", name)?),
        prefix: Set(key.chars().take(PREFIX).collect()),
        hash: Set(Sha256Hash::of(key.as_bytes()).to_string()),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
        expires_at: Set(*expires_at),
        revoked_at: Set(None),
        revoked_position: Set(None),
    };
    let credential = view(row.insert(tx).await?, environment.slug);
    access::announce_new(tx, tenant, application, credential.id).await?;
    record(tx, actor, "create_credential", tenant, &owner.name, None, &credential).await?;
    Ok(credential)
}

/// Ends a key. Every gateway of its environment refuses it once it has the journal's entry. Again: nothing happens.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    reach: &Reach,
    application: ApplicationId,
    id: CredentialId,
) -> Result<()> {
    let owner = applications::lock(tx, tenant, reach, application).await?;
    let row = row(tx, tenant, application, id).await?;
    if row.revoked_at.is_some() {
        return Ok(());
    }
    let environment = EnvironmentId(row.environment_id);
    let slug = environments::get(tx, environment).await?.slug;
    let before = view(row.clone(), slug.clone());
    let removed = JournalChange::CredentialRemoved { hash: access::hash(&row.hash)? };
    let position = journal::append(tx, environment, removed).await?;
    let mut row = row.into_active_model();
    row.revoked_at = Set(Some(crate::now()));
    row.revoked_position = Set(Some(journal::stored(position)));
    let after = view(row.update(tx).await?, slug);
    record(tx, actor, "delete_credential", tenant, &owner.name, Some(&before), &after).await
}

/// Tells the gateways that no key of the application is valid any longer.
pub(crate) async fn end_all(tx: &Tx, tenant: TenantId, application: ApplicationId) -> Result<()> {
    let rows = credentials::Entity::find()
        .filter(of(tenant, application))
        .filter(credentials::Column::RevokedAt.is_null())
        // By environment, as everywhere that appends to several.
        .order_by_asc(credentials::Column::EnvironmentId)
        .all(tx)
        .await?;
    for of_environment in rows.chunk_by(|a, b| a.environment_id == b.environment_id) {
        let removed = |row: &credentials::Model| {
            Ok(JournalChange::CredentialRemoved { hash: access::hash(&row.hash)? })
        };
        let removed = of_environment.iter().map(removed).collect::<Result<Vec<_>>>()?;
        let environment = of_environment.iter().map(|row| EnvironmentId(row.environment_id)).next();
        if let Some(environment) = environment {
            journal::append_all(tx, environment, removed).await?;
        }
    }
    Ok(())
}

/// Neither revoked nor expired.
pub(crate) fn active() -> Condition {
    let lasting = Condition::any()
        .add(credentials::Column::ExpiresAt.is_null())
        .add(credentials::Column::ExpiresAt.gt(crate::now()));
    Condition::all().add(credentials::Column::RevokedAt.is_null()).add(lasting)
}

fn of(tenant: TenantId, application: ApplicationId) -> Condition {
    Condition::all()
        .add(credentials::Column::TenantId.eq(tenant.0))
        .add(credentials::Column::ApplicationId.eq(application.0))
}

async fn row(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    application: ApplicationId,
    id: CredentialId,
) -> Result<credentials::Model> {
    let select = credentials::Entity::find_by_id(id.0).filter(of(tenant, application));
    select.one(db).await?.ok_or(Error::NotFound)
}

fn check_expiry(at: Option<DateTime<Utc>>) -> Result<()> {
    match at {
        Some(at) if at <= crate::now() => {
            Err(Error::invalid("/expires_at", "in_the_past", "Choose a time to come."))
        }
        _ => Ok(()),
    }
}

fn view(row: credentials::Model, environment_slug: String) -> Credential {
    let credentials::Model {
        id,
        tenant_id: _,
        application_id: _,
        environment_id,
        name,
        prefix,
        hash: _,
        created_by: _,
        created_at,
        expires_at,
        revoked_at,
        revoked_position: _,
    } = row;
    Credential {
        id: CredentialId(id),
        name,
        environment: EnvironmentId(environment_id),
        environment_slug,
        prefix,
        created_at,
        expires_at,
        revoked_at,
    }
}

async fn record(
    tx: &Tx,
    actor: &Actor,
    action: &str,
    tenant: TenantId,
    application_name: &str,
    before: Option<&Credential>,
    after: &Credential,
) -> Result<()> {
    let change = Change {
        tenant: Some(tenant),
        action,
        resource: "credential",
        id: after.id.to_string(),
        name: &format!("{application_name}: {}", after.name),
        before: before.map(seen).transpose()?.flatten(),
        after: seen(after)?,
    };
    audit::record(tx, actor, change).await
}
