//! What came from a source, and what became of it.

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Select, Set};
use serde::{Deserialize, Serialize};
use sluice_contract::ids::{ApiId, EventDeliveryId, EventSourceId, TenantId};
use sluice_contract::journal::PurgeScope;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::event_sources::{DeliveryOutcome, EventDelivery};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::{event_deliveries, event_sources};

use super::Receiver;
use crate::Tx;
use crate::error::Result;
use crate::keyset::{Listing, Sort};

/// Refused ones that are written down in a minute. Who may not send must not be able to fill the database.
const REFUSED_KEPT: u64 = 10;

const LISTING: Listing<event_deliveries::Entity> = Listing {
    sorts: &[Sort { name: "at", column: event_deliveries::Column::At }],
    descending: true,
    id: event_deliveries::Column::Id,
    search: &[event_deliveries::Column::Message, event_deliveries::Column::Outcome],
};

/// What is written down of a delivery.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Detail {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<PurgeScope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

/// What came from a source, newest first. Sorts: `at`.
///
/// # Errors
/// [`crate::Error::NotFound`] when the source is not of this API; see [`Listing::page`].
pub async fn deliveries(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    (api, id): (ApiId, EventSourceId),
    page: &PageQuery,
) -> Result<Page<EventDelivery>> {
    super::get(db, tenant, api, id).await?;
    let Page { items, next } = LISTING.page(db, of(id), page).await?;
    Ok(Page { items: items.into_iter().map(view).collect::<Result<_>>()?, next })
}

/// Writes down that something was not taken, unless that happens all the time.
///
/// # Errors
/// When the database fails.
pub async fn refuse(tx: &Tx, source: &Receiver, message: &str, code: &str) -> Result<()> {
    let refused = event_deliveries::Column::Outcome.eq(stored(DeliveryOutcome::Refused));
    if since(source.id, last_minute()).filter(refused).count(tx).await? >= REFUSED_KEPT {
        return Ok(());
    }
    let detail = Detail { code: Some(code.to_owned()), ..Detail::default() };
    note(tx, source, message, DeliveryOutcome::Refused, &detail).await
}

/// Removes what came before a time.
///
/// # Errors
/// When the database fails.
pub async fn delete_old(tx: &Tx, before: DateTime<Utc>) -> Result<()> {
    let old = event_deliveries::Column::At.lt(before);
    event_deliveries::Entity::delete_many().filter(old).exec(tx).await?;
    Ok(())
}

/// How many the source itself sent in the last minute.
pub(super) async fn recent(tx: &Tx, source: EventSourceId) -> Result<u64> {
    let own = event_deliveries::Column::Outcome.ne(stored(DeliveryOutcome::Refused));
    Ok(since(source, last_minute()).filter(own).count(tx).await?)
}

/// Whether the message was carried out before.
pub(super) async fn was_carried_out(tx: &Tx, source: EventSourceId, message: &str) -> Result<bool> {
    let same = event_deliveries::Column::CarriedOut.eq(message);
    Ok(of(source).filter(same).count(tx).await? > 0)
}

/// Writes a delivery down.
pub(super) async fn note(
    tx: &Tx,
    source: &Receiver,
    message: &str,
    outcome: DeliveryOutcome,
    detail: &Detail,
) -> Result<()> {
    let carried_out = matches!(outcome, DeliveryOutcome::Purged | DeliveryOutcome::Nothing);
    let at = crate::now();
    let row = event_deliveries::ActiveModel {
        id: Set(EventDeliveryId::generate().0),
        tenant_id: Set(source.tenant.0),
        source_id: Set(source.id.0),
        message: Set(message.to_owned()),
        carried_out: Set(carried_out.then(|| message.to_owned())),
        at: Set(at),
        outcome: Set(stored(outcome).to_owned()),
        detail: Set(serde_json::to_value(detail)?),
    };
    event_deliveries::Entity::insert(row).exec_without_returning(tx).await?;
    event_sources::Entity::update_many()
        .col_expr(event_sources::Column::LastAt, Expr::value(at))
        .col_expr(event_sources::Column::LastOutcome, Expr::value(stored(outcome)))
        .filter(event_sources::Column::Id.eq(source.id.0))
        .exec(tx)
        .await?;
    Ok(())
}

fn of(source: EventSourceId) -> Select<event_deliveries::Entity> {
    event_deliveries::Entity::find().filter(event_deliveries::Column::SourceId.eq(source.0))
}

fn since(source: EventSourceId, at: DateTime<Utc>) -> Select<event_deliveries::Entity> {
    of(source).filter(event_deliveries::Column::At.gt(at))
}

fn last_minute() -> DateTime<Utc> {
    crate::now() - Duration::minutes(1)
}

fn view(row: event_deliveries::Model) -> Result<EventDelivery> {
    let event_deliveries::Model {
        id,
        tenant_id: _,
        source_id: _,
        message,
        carried_out: _,
        at,
        outcome: stored,
        detail,
    } = row;
    let Detail { scopes, code, fields } = serde_json::from_value(detail)?;
    let outcome = outcome(&stored);
    Ok(EventDelivery { id: EventDeliveryId(id), message, at, outcome, scopes, code, fields })
}

const fn stored(outcome: DeliveryOutcome) -> &'static str {
    match outcome {
        DeliveryOutcome::Purged => "purged",
        DeliveryOutcome::Nothing => "nothing",
        DeliveryOutcome::Repeated => "repeated",
        DeliveryOutcome::Invalid => "invalid",
        DeliveryOutcome::Refused => "refused",
    }
}

pub(super) fn outcome(stored: &str) -> DeliveryOutcome {
    match stored {
        "purged" => DeliveryOutcome::Purged,
        "nothing" => DeliveryOutcome::Nothing,
        "repeated" => DeliveryOutcome::Repeated,
        "invalid" => DeliveryOutcome::Invalid,
        _ => DeliveryOutcome::Refused,
    }
}
