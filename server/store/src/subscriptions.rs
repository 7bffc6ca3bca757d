//! Subscriptions: who asked for what, who decided, and what may be decided next.

mod decide;
mod view;

use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select,
    Set,
};
use sluice_contract::ids::{SubscriptionId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::plans::Approval;
use sluice_contract::rest::subscriptions::{
    RequestSubscription, Subscription, SubscriptionFilter, SubscriptionState,
};
use sluice_entity::{apis as api_rows, applications as application_rows, subscriptions};

use crate::applications::{self, Reach};
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::keyset::{Listing, Sort};
use crate::{Tx, access, apis, plans, text};

pub use decide::{Decision, decide};

/// Longest message or reason, in characters.
const TEXT_MAX: usize = 2_000;

const LISTING: Listing<subscriptions::Entity> = Listing {
    sorts: &[
        Sort { name: "created_at", column: subscriptions::Column::CreatedAt },
        Sort { name: "state", column: subscriptions::Column::State },
    ],
    descending: true,
    id: subscriptions::Column::Id,
    search: &[],
};

/// Subscriptions of applications within reach, newest first; `q` looks into the names of application and API. Sorts:
/// `created_at`, `state`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    filter: &SubscriptionFilter,
    page: &PageQuery,
) -> Result<Page<Subscription>> {
    let SubscriptionFilter { state, api, application } = filter;
    let mut select = of(tenant, reach);
    if let Some(state) = state {
        select = select.filter(subscriptions::Column::State.eq(stored(*state)));
    }
    if let Some(api) = api {
        select = select.filter(subscriptions::Column::ApiId.eq(api.0));
    }
    if let Some(application) = application {
        select = select.filter(subscriptions::Column::ApplicationId.eq(application.0));
    }
    if let Some(q) = page.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        select = select.filter(named(tenant, q));
    }
    let page = PageQuery { q: None, ..page.clone() };
    let Page { items, next } = LISTING.page(db, select, &page).await?;
    Ok(Page { items: view::subscriptions(db, tenant, items).await?, next })
}

/// One subscription.
///
/// # Errors
/// [`Error::NotFound`] when its application is not within reach.
pub async fn get(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    id: SubscriptionId,
) -> Result<Subscription> {
    let row = row(db, tenant, reach, id).await?;
    view::subscriptions(db, tenant, vec![row]).await?.pop().ok_or(Error::NotFound)
}

/// Asks for a subscription. Under a plan that approves by itself it is approved at once. `anything`: whether the caller
/// may also ask for APIs that the catalogue does not show.
///
/// # Errors
/// [`Error::Invalid`] for an application, API or plan that is not there for the caller, and the conflicts `plan_closed`
/// and `already_subscribed`.
pub async fn request(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    reach: &Reach,
    anything: bool,
    new: &RequestSubscription,
) -> Result<Subscription> {
    let RequestSubscription { application, api, plan, message } = new;
    let message = text::free("/message", message, TEXT_MAX)?;
    let visible = if anything { apis::of(tenant) } else { apis::in_catalogue(tenant) };
    let visible = visible.filter(api_rows::Column::Id.eq(api.0)).lock_shared().one(tx).await?;
    visible.ok_or_else(|| Error::invalid("/api", "unknown", "There is no such API."))?;
    let plan =
        plans::lock(tx, tenant, *api, *plan).await.map_err(unknown("/plan", "The API has no such plan."))?;
    if plan.closed {
        return Err(Error::conflict("plan_closed", "The plan takes no new subscriptions."));
    }
    applications::lock(tx, tenant, reach, *application)
        .await
        .map_err(unknown("/application", "There is no such application."))?;
    let now = crate::now();
    let automatic = plans::approval(&plan.approval) == Approval::Automatic;
    let state = if automatic { SubscriptionState::Approved } else { SubscriptionState::Pending };
    let row = subscriptions::ActiveModel {
        id: Set(SubscriptionId::generate().0),
        tenant_id: Set(tenant.0),
        application_id: Set(application.0),
        api_id: Set(api.0),
        plan_id: Set(plan.id),
        state: Set(stored(state).to_owned()),
        message: Set(message),
        reason: Set(String::new()),
        requested_by: Set(actor.name.clone()),
        decided_by: Set(automatic.then(|| "system".to_owned())),
        version: Set(1),
        created_at: Set(now),
        decided_at: Set(automatic.then_some(now)),
    };
    let row = row.insert(tx).await.map_err(one_at_a_time)?;
    if automatic {
        access::announce(tx, tenant, &[*application]).await?;
    }
    let after = get(tx, tenant, &Reach::Tenant, SubscriptionId(row.id)).await?;
    view::record(tx, actor, "create_subscription", tenant, None, &after).await?;
    Ok(after)
}

/// A state as the database keeps it.
pub(crate) fn stored(state: SubscriptionState) -> &'static str {
    match state {
        SubscriptionState::Pending => "pending",
        SubscriptionState::Approved => "approved",
        SubscriptionState::Rejected => "rejected",
        SubscriptionState::Suspended => "suspended",
        SubscriptionState::Ended => "ended",
    }
}

fn state(stored: &str) -> SubscriptionState {
    match stored {
        "pending" => SubscriptionState::Pending,
        "approved" => SubscriptionState::Approved,
        "rejected" => SubscriptionState::Rejected,
        "suspended" => SubscriptionState::Suspended,
        // Anything unknown allows nothing.
        _ => SubscriptionState::Ended,
    }
}

fn of(tenant: TenantId, reach: &Reach) -> Select<subscriptions::Entity> {
    let select = subscriptions::Entity::find().filter(subscriptions::Column::TenantId.eq(tenant.0));
    if *reach == Reach::Tenant {
        return select;
    }
    let within = Query::select()
        .column(application_rows::Column::Id)
        .from(application_rows::Entity)
        .cond_where(reach.within(tenant))
        .take();
    select.filter(subscriptions::Column::ApplicationId.in_subquery(within))
}

/// Application or API called something with `q` in it.
fn named(tenant: TenantId, q: &str) -> Condition {
    let applications = Query::select()
        .column(application_rows::Column::Id)
        .from(application_rows::Entity)
        .and_where(application_rows::Column::TenantId.eq(tenant.0))
        .and_where(crate::keyset::contains(application_rows::Column::Name, q))
        .take();
    let apis = Query::select()
        .column(api_rows::Column::Id)
        .from(api_rows::Entity)
        .and_where(api_rows::Column::TenantId.eq(tenant.0))
        .and_where(crate::keyset::contains(api_rows::Column::Name, q))
        .take();
    Condition::any()
        .add(subscriptions::Column::ApplicationId.in_subquery(applications))
        .add(subscriptions::Column::ApiId.in_subquery(apis))
}

async fn row(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    id: SubscriptionId,
) -> Result<subscriptions::Model> {
    let select = of(tenant, reach).filter(subscriptions::Column::Id.eq(id.0));
    select.one(db).await?.ok_or(Error::NotFound)
}

fn unknown(pointer: &'static str, message: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound => Error::invalid(pointer, "unknown", message),
        other => other,
    }
}

fn one_at_a_time(error: sea_orm::DbErr) -> Error {
    match crate::not_unique("/api")(error) {
        Error::NotUnique { .. } => {
            let message = "The application has a subscription to this API already: end it first.";
            Error::conflict("already_subscribed", message)
        }
        other => other,
    }
}
