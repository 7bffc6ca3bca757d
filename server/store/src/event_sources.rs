//! Sources of events that purge the cache of an API. Secrets come and go sealed.

mod deliveries;
mod streams;
mod take;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Set};
use serde_json::Value;
use sluice_contract::ids::{ApiId, EnvironmentId, EventSourceId, TenantId};
use sluice_contract::rest::event_sources::{
    EventSource, EventStream, HOOK_PATH, LastDelivery, SaveEventSource,
};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::{event_mapping, event_streams};
use sluice_entity::event_sources;

use crate::audit::{self, Actor, Recorded, seen};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::of_api::{self, OfApi};
use crate::{Tx, apis, check_version, environments, text};

pub use deliveries::{delete_old, deliveries, refuse};
pub use streams::{Read, State, begin_to_read, go_on_reading, stop_reading, unread};
pub use take::{Receiver, Taken, receiver, take, unfit};

/// Most events in a minute that a source may be given.
const PER_MINUTE_MAX: u32 = 600;
/// How long signatures with the secret before the last are taken.
const OLD_SECRET: Duration = Duration::hours(24);

const LISTING: Listing<event_sources::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: event_sources::Column::Name },
        Sort { name: "created_at", column: event_sources::Column::CreatedAt },
    ],
    descending: false,
    id: event_sources::Column::Id,
    search: &[event_sources::Column::Name],
};

/// Sources of an API. Sorts: `name`, `created_at`.
///
/// # Errors
/// [`Error::NotFound`] when the API is not in this tenant; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    page: &PageQuery,
) -> Result<Page<EventSource>> {
    apis::row(db, tenant, api).await?;
    let Page { items, next } = LISTING.page(db, of_api::all(tenant, api), page).await?;
    Ok(Page { items: items.into_iter().map(view).collect::<Result<_>>()?, next })
}

/// One source.
///
/// # Errors
/// [`Error::NotFound`] when it is not of this API.
pub async fn get(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    id: EventSourceId,
) -> Result<EventSource> {
    view(of_api::one::<event_sources::Entity>(db, tenant, (api, id.0)).await?)
}

/// Makes a source under an id for which its secret and the password of its stream were sealed.
///
/// # Errors
/// [`Error::NotFound`] for the API, [`Error::Invalid`], [`Error::NotUnique`] for the name.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    api: ApiId,
    (id, sealed, password): (EventSourceId, String, Option<String>),
    new: &SaveEventSource,
) -> Result<EventSource> {
    apis::row(tx, tenant, api).await?;
    let SaveEventSource { name, environment, rules, soft, enabled, per_minute, stream, stream_password: _ } =
        new;
    check(tx, tenant, new).await?;
    let row = event_sources::ActiveModel {
        id: Set(id.0),
        tenant_id: Set(tenant.0),
        api_id: Set(api.0),
        environment_id: Set(environment.0),
        name: Set(text::name("/name", name)?),
        enabled: Set(*enabled),
        rules: Set(serde_json::to_value(rules)?),
        soft: Set(*soft),
        per_minute: Set(per_minute.cast_signed()),
        secret: Set(sealed),
        old_secret: Set(None),
        old_secret_until: Set(None),
        stream: Set(stored(stream.as_ref(), id)?),
        stream_password: Set(password),
        stream_state: Set(None),
        reader: Set(None),
        reader_until: Set(None),
        last_at: Set(None),
        last_outcome: Set(None),
        version: Set(1),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
    };
    let source = view(row.insert(tx).await.map_err(not_unique("/name"))?)?;
    audit::changed(tx, actor, "create_event_source", tenant, None, Some(&source)).await?;
    Ok(source)
}

/// Changes a source that is still at `version`. `password` is the new one of its stream, if it gets another or none.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and those of [`create`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, EventSourceId),
    version: u64,
    (new, password): (&SaveEventSource, Option<Option<String>>),
) -> Result<EventSource> {
    let row = of_api::lock::<event_sources::Entity>(tx, tenant, (api, id.0)).await?;
    let next = check_version(row.version, version)?;
    let before = view(row.clone())?;
    let SaveEventSource { name, environment, rules, soft, enabled, per_minute, stream, stream_password: _ } =
        new;
    check(tx, tenant, new).await?;
    if stream.is_some() != before.stream.is_some() {
        return Err(Error::invalid(
            "/stream",
            "fixed",
            "Whether a source takes webhooks or reads a stream stays.",
        ));
    }
    if password.is_none() && before.has_stream_password && is_elsewhere(&before, new) {
        let message = "The password goes with the address; another address needs it again.";
        return Err(Error::invalid("/stream_password", "required", message));
    }
    let mut row = row.into_active_model();
    row.name = Set(text::name("/name", name)?);
    row.environment_id = Set(environment.0);
    row.rules = Set(serde_json::to_value(rules)?);
    row.soft = Set(*soft);
    row.enabled = Set(*enabled);
    row.per_minute = Set(per_minute.cast_signed());
    row.stream = Set(stored(stream.as_ref(), id)?);
    if let Some(password) = password {
        row.stream_password = Set(password);
    }
    row.stream_state = Set(None);
    row.version = Set(next);
    let source = view(row.update(tx).await.map_err(not_unique("/name"))?)?;
    audit::changed(tx, actor, "update_event_source", tenant, Some(&before), Some(&source)).await?;
    Ok(source)
}

/// Gives a source another secret. The one that it had is taken for another day, so that its sender can change over.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it reads a stream.
pub async fn rotate(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, EventSourceId),
    sealed: String,
) -> Result<EventSource> {
    let row = of_api::lock::<event_sources::Entity>(tx, tenant, (api, id.0)).await?;
    let before = view(row.clone())?;
    if before.stream.is_some() {
        return Err(Error::conflict("reads_a_stream", "This source reads a stream; it has no secret."));
    }
    let next = row.version + 1;
    let old = row.secret.clone();
    let mut row = row.into_active_model();
    row.secret = Set(sealed);
    row.old_secret = Set(Some(old));
    row.old_secret_until = Set(Some(crate::now() + OLD_SECRET));
    row.version = Set(next);
    let source = view(row.update(tx).await?)?;
    audit::changed(tx, actor, "rotate_event_source_secret", tenant, Some(&before), Some(&source)).await?;
    Ok(source)
}

/// Removes a source that is still at `version`, and what came from it.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`].
pub async fn delete(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    (api, id): (ApiId, EventSourceId),
    version: u64,
) -> Result<()> {
    let row = of_api::lock::<event_sources::Entity>(tx, tenant, (api, id.0)).await?;
    check_version(row.version, version)?;
    let before = view(row)?;
    event_sources::Entity::delete_by_id(id.0).exec(tx).await?;
    audit::changed(tx, actor, "delete_event_source", tenant, Some(&before), None).await
}

/// With the group that is its own where none was named, so that it can be seen.
fn stored(stream: Option<&EventStream>, id: EventSourceId) -> Result<Option<serde_json::Value>> {
    let of_source = |stream: &EventStream| EventStream { group: Some(stream.group(id)), ..stream.clone() };
    Ok(stream.map(of_source).map(serde_json::to_value).transpose()?)
}

/// Whether the password would be told to somebody else than before.
fn is_elsewhere(before: &EventSource, new: &SaveEventSource) -> bool {
    let place = |stream: Option<&EventStream>| stream.map(|stream| (stream.kind, stream.url.clone()));
    place(before.stream.as_ref()) != place(new.stream.as_ref())
}

impl OfApi for event_sources::Entity {
    const ID: event_sources::Column = event_sources::Column::Id;
    const TENANT: event_sources::Column = event_sources::Column::TenantId;
    const API: event_sources::Column = event_sources::Column::ApiId;
}

async fn check(tx: &Tx, tenant: TenantId, new: &SaveEventSource) -> Result<()> {
    let rules = event_mapping::problems("/rules", &new.rules);
    let stream = event_streams::problems("/stream", new);
    let per_minute = (1..=PER_MINUTE_MAX).contains(&new.per_minute);
    text::all([
        text::name("/name", &new.name).map(drop),
        if rules.is_empty() { Ok(()) } else { Err(Error::Invalid(rules)) },
        if stream.is_empty() { Ok(()) } else { Err(Error::Invalid(stream)) },
        if per_minute { Ok(()) } else { Err(out_of_range()) },
    ])?;
    environments::named(tx, tenant, new.environment).await.map(drop)
}

fn out_of_range() -> Error {
    Error::invalid("/per_minute", "out_of_range", format!("From 1 to {PER_MINUTE_MAX} events a minute."))
}

fn view(row: event_sources::Model) -> Result<EventSource> {
    let reading = streams::reading(&row, crate::now())?;
    let event_sources::Model {
        id,
        tenant_id: _,
        api_id,
        environment_id,
        name,
        enabled,
        rules,
        soft,
        per_minute,
        secret: _,
        old_secret: _,
        old_secret_until,
        stream,
        stream_password,
        stream_state: _,
        reader: _,
        reader_until: _,
        last_at,
        last_outcome,
        version,
        created_by,
        created_at,
    } = row;
    Ok(EventSource {
        id: EventSourceId(id),
        api: ApiId(api_id),
        environment: EnvironmentId(environment_id),
        name,
        enabled,
        path: format!("{HOOK_PATH}{id}"),
        stream: stream.map(serde_json::from_value).transpose()?,
        has_stream_password: stream_password.is_some(),
        reading,
        rules: serde_json::from_value(rules)?,
        soft,
        per_minute: per_minute.cast_unsigned(),
        old_secret_until: old_secret_until.filter(|until| *until > crate::now()),
        last: last(last_at, last_outcome),
        version: crate::version(version),
        created_by,
        created_at,
    })
}

fn last(at: Option<DateTime<Utc>>, outcome: Option<String>) -> Option<LastDelivery> {
    Some(LastDelivery { at: at?, outcome: deliveries::outcome(&outcome?) })
}

impl Recorded for EventSource {
    const RESOURCE: &'static str = "event_source";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }

    /// What came from it, and how reading it goes, is no change of it.
    fn told(&self) -> Result<Option<Value>> {
        seen(&Self { last: None, reading: None, ..self.clone() })
    }
}
