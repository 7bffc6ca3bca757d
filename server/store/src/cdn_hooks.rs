//! What is told to a CDN when something of an API is purged. Secrets come sealed and never go.

mod outbox;

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Set};
use serde_json::Value;
use sluice_contract::cdn_request;
use sluice_contract::ids::{ApiId, CdnHookId, EnvironmentId, TenantId};
use sluice_contract::rest::cdn_hooks::{CdnHook, LastCall, SaveCdnHook};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::cdn_hooks;

use crate::audit::{self, Actor, Recorded, seen};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::of_api::{self, OfApi};
use crate::{Tx, apis, check_version, environments, text};

pub(crate) use outbox::tell;
pub use outbox::{Due, Sent, calls, delete_old, due, next_due, sent};

const LISTING: Listing<cdn_hooks::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: cdn_hooks::Column::Name },
        Sort { name: "created_at", column: cdn_hooks::Column::CreatedAt },
    ],
    descending: false,
    id: cdn_hooks::Column::Id,
    search: &[cdn_hooks::Column::Name, cdn_hooks::Column::Url],
};

/// Hooks of an API. Sorts: `name`, `created_at`.
///
/// # Errors
/// [`Error::NotFound`] when the API is not in this tenant; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    page: &PageQuery,
) -> Result<Page<CdnHook>> {
    apis::row(db, tenant, api).await?;
    let Page { items, next } = LISTING.page(db, of_api::all(tenant, api), page).await?;
    Ok(Page { items: items.into_iter().map(view).collect::<Result<_>>()?, next })
}

/// One hook.
///
/// # Errors
/// [`Error::NotFound`] when it is not of this API.
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId, id: CdnHookId) -> Result<CdnHook> {
    view(of_api::one::<cdn_hooks::Entity>(db, tenant, (api, id.0)).await?)
}

/// Makes a hook under an id for which its secret was sealed.
///
/// # Errors
/// [`Error::NotFound`] for the API, [`Error::Invalid`], [`Error::NotUnique`] for the name.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    api: ApiId,
    (id, sealed): (CdnHookId, Option<String>),
    new: &SaveCdnHook,
) -> Result<CdnHook> {
    apis::row(tx, tenant, api).await?;
    check(tx, tenant, new).await?;
    let SaveCdnHook { name, environment, kinds, method, url, headers, body, enabled, secret: _ } = new;
    let row = cdn_hooks::ActiveModel {
        id: Set(id.0),
        tenant_id: Set(tenant.0),
        api_id: Set(api.0),
        environment_id: Set(environment.0),
        name: Set(text::name("/name", name)?),
        enabled: Set(*enabled),
        kinds: Set(serde_json::to_value(kinds)?),
        method: Set(method.clone()),
        url: Set(url.clone()),
        headers: Set(serde_json::to_value(headers)?),
        body: Set(body.clone()),
        secret: Set(sealed),
        last_at: Set(None),
        last_state: Set(None),
        version: Set(1),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
    };
    let hook = view(row.insert(tx).await.map_err(not_unique("/name"))?)?;
    audit::changed(tx, actor, "create_cdn_hook", tenant, None, Some(&hook)).await?;
    Ok(hook)
}

/// Changes a hook that is still at `version`. `sealed` is its new secret, if it gets another or none.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and those of [`create`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, CdnHookId),
    version: u64,
    (new, sealed): (&SaveCdnHook, Option<Option<String>>),
) -> Result<CdnHook> {
    let row = of_api::lock::<cdn_hooks::Entity>(tx, tenant, (api, id.0)).await?;
    let next = check_version(row.version, version)?;
    check(tx, tenant, new).await?;
    let before = view(row.clone())?;
    let SaveCdnHook { name, environment, kinds, method, url, headers, body, enabled, secret: _ } = new;
    let mut row = row.into_active_model();
    row.name = Set(text::name("/name", name)?);
    row.environment_id = Set(environment.0);
    row.enabled = Set(*enabled);
    row.kinds = Set(serde_json::to_value(kinds)?);
    row.method = Set(method.clone());
    row.url = Set(url.clone());
    row.headers = Set(serde_json::to_value(headers)?);
    row.body = Set(body.clone());
    if let Some(sealed) = sealed {
        row.secret = Set(sealed);
    }
    row.version = Set(next);
    let hook = view(row.update(tx).await.map_err(not_unique("/name"))?)?;
    audit::changed(tx, actor, "update_cdn_hook", tenant, Some(&before), Some(&hook)).await?;
    Ok(hook)
}

/// Removes a hook that is still at `version`, with what was still to be sent.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`].
pub async fn delete(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, CdnHookId),
    version: u64,
) -> Result<()> {
    let row = of_api::lock::<cdn_hooks::Entity>(tx, tenant, (api, id.0)).await?;
    check_version(row.version, version)?;
    let before = view(row)?;
    cdn_hooks::Entity::delete_by_id(id.0).exec(tx).await?;
    audit::changed(tx, actor, "delete_cdn_hook", tenant, Some(&before), None).await
}

impl OfApi for cdn_hooks::Entity {
    const ID: cdn_hooks::Column = cdn_hooks::Column::Id;
    const TENANT: cdn_hooks::Column = cdn_hooks::Column::TenantId;
    const API: cdn_hooks::Column = cdn_hooks::Column::ApiId;
}

async fn check(tx: &Tx, tenant: TenantId, new: &SaveCdnHook) -> Result<()> {
    let problems = cdn_request::problems(new);
    text::all([
        text::name("/name", &new.name).map(drop),
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) },
    ])?;
    environments::named(tx, tenant, new.environment).await.map(drop)
}

fn view(row: cdn_hooks::Model) -> Result<CdnHook> {
    let cdn_hooks::Model {
        id,
        tenant_id: _,
        api_id,
        environment_id,
        name,
        enabled,
        kinds,
        method,
        url,
        headers,
        body,
        secret,
        last_at,
        last_state,
        version,
        created_by,
        created_at,
    } = row;
    let last = last_at.zip(last_state);
    Ok(CdnHook {
        id: CdnHookId(id),
        api: ApiId(api_id),
        environment: EnvironmentId(environment_id),
        name,
        enabled,
        kinds: serde_json::from_value(kinds)?,
        method,
        url,
        headers: serde_json::from_value(headers)?,
        body,
        has_secret: secret.is_some(),
        last: last.map(|(at, state)| LastCall { at, state: outbox::state(&state) }),
        version: crate::version(version),
        created_by,
        created_at,
    })
}

impl Recorded for CdnHook {
    const RESOURCE: &'static str = "cdn_hook";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }

    /// What was sent is no change of it.
    fn told(&self) -> Result<Option<Value>> {
        seen(&Self { last: None, ..self.clone() })
    }
}
