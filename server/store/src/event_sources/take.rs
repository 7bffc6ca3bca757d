//! Takes an event: what its source's rules find in it is purged, in the transaction that remembers the event, so that
//! an event which comes twice is carried out once.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect};
use serde_json::Value;
use sluice_contract::event_mapping::{self, EventRule, EventTarget, Found};
use sluice_contract::ids::{ApiId, EnvironmentId, EventSourceId, PurgeId, TenantId};
use sluice_contract::journal::PurgeScope;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::event_sources::DeliveryOutcome;
use sluice_contract::rest::purges::CreatePurge;
use sluice_entity::event_sources;

use super::deliveries::{Detail, note, recent, was_carried_out};
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::{Tx, purges};

/// A source as it receives.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub id: EventSourceId,
    pub tenant: TenantId,
    pub api: ApiId,
    pub environment: EnvironmentId,
    pub name: String,
    pub enabled: bool,
    pub rules: Vec<EventRule>,
    pub soft: bool,
    pub per_minute: u64,
    /// Sealed: the current one and, while it is taken, the one before.
    pub secrets: Vec<String>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// These were made; none when the event names nothing.
    Purged(Vec<PurgeId>),
    /// It had been carried out before.
    Repeated,
    /// It does not fit the rules: where, by pointers into the event.
    Invalid(Vec<FieldProblem>),
    /// There were too many in the last minute; nothing is written down of this one.
    TooMany,
}

/// The source of this id that takes webhooks, of whatever tenant.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn receiver(db: &impl ConnectionTrait, id: EventSourceId) -> Result<Receiver> {
    let row = event_sources::Entity::find_by_id(id.0).one(db).await?;
    receives(row.filter(|row| row.stream.is_none()).ok_or(Error::NotFound)?, crate::now())
}

pub(super) fn receives(row: event_sources::Model, now: DateTime<Utc>) -> Result<Receiver> {
    let old = row.old_secret.filter(|_| row.old_secret_until.is_some_and(|until| until > now));
    Ok(Receiver {
        id: EventSourceId(row.id),
        tenant: TenantId(row.tenant_id),
        api: ApiId(row.api_id),
        environment: EnvironmentId(row.environment_id),
        name: row.name,
        enabled: row.enabled,
        rules: serde_json::from_value(row.rules)?,
        soft: row.soft,
        per_minute: u64::from(row.per_minute.cast_unsigned()),
        secrets: std::iter::once(row.secret).chain(old).collect(),
    })
}

/// Takes an event, whose sender calls it `message`. What is returned is true once the transaction is committed.
///
/// # Errors
/// [`Error::NotFound`] when the source was removed meanwhile; when the database fails.
pub async fn take(tx: &Tx, actor: &Actor, source: &Receiver, message: &str, event: &[u8]) -> Result<Taken> {
    if !admit(tx, source).await? {
        return Ok(Taken::TooMany);
    }
    if was_carried_out(tx, source.id, message).await? {
        note(tx, source, message, DeliveryOutcome::Repeated, &Detail::default()).await?;
        return Ok(Taken::Repeated);
    }
    match scopes(tx, source, event).await? {
        Ok(scopes) => carry_out(tx, actor, source, message, scopes).await.map(Taken::Purged),
        Err(fields) => refuse_unfit(tx, source, message, fields).await,
    }
}

/// Takes what cannot be an event at all: it is written down, as one that does not fit the rules.
///
/// # Errors
/// [`Error::NotFound`] when the source was removed meanwhile; when the database fails.
pub async fn unfit(tx: &Tx, source: &Receiver, message: &str, why: Vec<FieldProblem>) -> Result<Taken> {
    if admit(tx, source).await? { refuse_unfit(tx, source, message, why).await } else { Ok(Taken::TooMany) }
}

/// Whether another one is taken this minute. One at a time for each source: the same message may be on its way twice.
async fn admit(tx: &Tx, source: &Receiver) -> Result<bool> {
    let lock = event_sources::Entity::find_by_id(source.id.0).lock_exclusive();
    lock.one(tx).await?.ok_or(Error::NotFound)?;
    Ok(recent(tx, source.id).await? < source.per_minute)
}

async fn refuse_unfit(tx: &Tx, source: &Receiver, message: &str, fields: Vec<FieldProblem>) -> Result<Taken> {
    let detail = Detail { fields: fields.clone(), ..Detail::default() };
    note(tx, source, message, DeliveryOutcome::Invalid, &detail).await?;
    Ok(Taken::Invalid(fields))
}

async fn carry_out(
    tx: &Tx,
    actor: &Actor,
    source: &Receiver,
    message: &str,
    scopes: Vec<PurgeScope>,
) -> Result<Vec<PurgeId>> {
    let mut made = Vec::with_capacity(scopes.len());
    for scope in &scopes {
        let new = CreatePurge { environment: source.environment, scope: scope.clone(), soft: source.soft };
        made.push(purges::create(tx, actor, source.tenant, &new).await?);
    }
    let outcome = if made.is_empty() { DeliveryOutcome::Nothing } else { DeliveryOutcome::Purged };
    note(tx, source, message, outcome, &Detail { scopes, ..Detail::default() }).await?;
    Ok(made)
}

/// What the event names, or what is wrong with it.
async fn scopes(
    tx: &Tx,
    source: &Receiver,
    event: &[u8],
) -> Result<std::result::Result<Vec<PurgeScope>, Vec<FieldProblem>>> {
    let event: Value = match serde_json::from_slice(event) {
        Ok(event) => event,
        Err(error) => return Ok(Err(vec![FieldProblem::new("", "not_json", error.to_string())])),
    };
    let found = match event_mapping::apply(&source.rules, &event) {
        Ok(found) => found,
        Err(fields) => return Ok(Err(fields)),
    };
    let (mut scopes, mut wrong) = (Vec::new(), Vec::new());
    for Found { pointer, purge, text } in found {
        let scope = scope(source.api, purge, text);
        match purges::check(tx, source.tenant, &scope).await {
            Ok(_) => scopes.push(scope),
            // Where it stands in the event is what its sender can see.
            Err(Error::Invalid(fields)) => {
                wrong.extend(
                    fields.into_iter().map(|field| FieldProblem { pointer: pointer.clone(), ..field }),
                );
            }
            Err(other) => return Err(other),
        }
    }
    Ok(if wrong.is_empty() { Ok(scopes) } else { Err(wrong) })
}

const fn scope(api: ApiId, purge: EventTarget, text: String) -> PurgeScope {
    match purge {
        EventTarget::Tag => PurgeScope::Tag { api: Some(api), tag: text },
        EventTarget::Path => PurgeScope::Url { api, path: text },
        EventTarget::Prefix => PurgeScope::Prefix { api, path: text },
    }
}
