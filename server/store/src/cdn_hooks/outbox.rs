//! The outbox: a purge and what CDNs are to be told of it are committed together; each request is then sent until the
//! CDN has taken it, also by another control plane and after a restart.

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set};
use sluice_contract::cdn_request::PurgeFacts;
use sluice_contract::ids::{ApiId, CdnCallId, CdnHookId, EnvironmentId, PurgeId, TenantId};
use sluice_contract::journal::PurgeScope;
use sluice_contract::rest::cdn_hooks::{CdnCall, CdnCallState, PurgeKind, SaveCdnHook};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::releases::ProgressState;
use sluice_entity::{apis, cdn_calls, cdn_hooks, environments};

use crate::error::{Error, Result};
use crate::keyset::{Listing, Sort};
use crate::{Tx, purges};

/// For how long who has taken a request to send it has it for itself. Longer than sending may take.
const TAKEN_FOR: Duration = Duration::minutes(2);
/// How soon it is looked again whether the gateways have a purge.
const LOOK_AGAIN: Duration = Duration::milliseconds(200);
/// Seconds until a request is sent again, by how often it was sent; then it has failed. About a day in all.
const AGAIN_AFTER: [i64; 12] = [2, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 28_800];
/// Requests that are taken at once.
const AT_ONCE: u64 = 20;
/// Longest reason that is kept, in characters.
const ERROR_MAX: usize = 300;

const LISTING: Listing<cdn_calls::Entity> = Listing {
    sorts: &[Sort { name: "at", column: cdn_calls::Column::At }],
    descending: true,
    id: cdn_calls::Column::Id,
    search: &[cdn_calls::Column::State],
};

/// A request that is to be sent now.
#[derive(Clone, Debug)]
pub struct Due {
    pub id: CdnCallId,
    pub hook: CdnHookId,
    pub environment: EnvironmentId,
    /// Sealed.
    pub secret: Option<String>,
    pub templates: SaveCdnHook,
    pub facts: PurgeFacts,
    attempts: i32,
}

/// What became of sending it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The CDN has taken it, by this status.
    Taken(u16),
    /// It may be taken another time.
    Later { status: Option<u16>, error: String },
    /// It will never be taken as it is.
    Never { status: Option<u16>, error: String },
}

/// What a hook sent, and is to send, newest first. Sorts: `at`.
///
/// # Errors
/// [`crate::Error::NotFound`] when the hook is not of this API; see [`Listing::page`].
pub async fn calls(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    (api, hook): (ApiId, CdnHookId),
    page: &PageQuery,
) -> Result<Page<CdnCall>> {
    super::get(db, tenant, api, hook).await?;
    let select = cdn_calls::Entity::find().filter(cdn_calls::Column::HookId.eq(hook.0));
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: items.into_iter().map(view).collect::<Result<_>>()?, next })
}

/// Puts what CDNs are to be told of a purge into the outbox.
pub(crate) async fn tell(
    tx: &Tx,
    tenant: TenantId,
    environment: EnvironmentId,
    purge: PurgeId,
    (scope, soft): (&PurgeScope, bool),
) -> Result<()> {
    let Some(kind) = PurgeKind::of(scope) else { return Ok(()) };
    let mut hooks = cdn_hooks::Entity::find()
        .filter(cdn_hooks::Column::TenantId.eq(tenant.0))
        .filter(cdn_hooks::Column::EnvironmentId.eq(environment.0))
        .filter(cdn_hooks::Column::Enabled.eq(true));
    if let Some(api) = scope.api() {
        hooks = hooks.filter(cdn_hooks::Column::ApiId.eq(api.0));
    }
    for hook in hooks.all(tx).await? {
        let kinds: Vec<PurgeKind> = serde_json::from_value(hook.kinds)?;
        if kinds.contains(&kind) {
            put(tx, tenant, CdnHookId(hook.id), purge, (scope, soft)).await?;
        }
    }
    Ok(())
}

async fn put(
    tx: &Tx,
    tenant: TenantId,
    hook: CdnHookId,
    purge: PurgeId,
    (scope, soft): (&PurgeScope, bool),
) -> Result<()> {
    let now = crate::now();
    let row = cdn_calls::ActiveModel {
        id: Set(CdnCallId::generate().0),
        tenant_id: Set(tenant.0),
        hook_id: Set(hook.0),
        purge_id: Set(purge.0),
        scope: Set(serde_json::to_value(scope)?),
        soft: Set(soft),
        state: Set(stored(CdnCallState::Waiting).to_owned()),
        attempts: Set(0),
        at: Set(now),
        next_at: Set(now),
        status: Set(None),
        error: Set(None),
    };
    cdn_calls::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Takes what is to be sent now: nobody else sends it for a while.
///
/// # Errors
/// When the database fails.
pub async fn due(tx: &Tx) -> Result<Vec<Due>> {
    let now = crate::now();
    let rows = waiting()
        .filter(cdn_calls::Column::NextAt.lte(now))
        .order_by_asc(cdn_calls::Column::NextAt)
        .limit(AT_ONCE)
        .lock_exclusive()
        .all(tx)
        .await?;
    let mut taken = Vec::with_capacity(rows.len());
    for row in rows {
        if is_too_early(tx, &row).await? {
            put_off(tx, &row, now + LOOK_AGAIN, row.attempts).await?;
            continue;
        }
        let attempts = row.attempts + 1;
        put_off(tx, &row, now + TAKEN_FOR, attempts).await?;
        taken.extend(with_hook(tx, row, attempts).await?);
    }
    Ok(taken)
}

/// A CDN that forgets first would fetch the old response again from a gateway that has not heard of the purge yet.
async fn is_too_early(tx: &Tx, row: &cdn_calls::Model) -> Result<bool> {
    match purges::get(tx, TenantId(row.tenant_id), PurgeId(row.purge_id)).await {
        Ok(purge) => Ok(purge.progress.state == ProgressState::Running),
        Err(Error::NotFound) => Ok(false),
        Err(other) => Err(other),
    }
}

async fn put_off(tx: &Tx, row: &cdn_calls::Model, until: DateTime<Utc>, attempts: i32) -> Result<()> {
    cdn_calls::Entity::update_many()
        .col_expr(cdn_calls::Column::NextAt, Expr::value(until))
        .col_expr(cdn_calls::Column::Attempts, Expr::value(attempts))
        .filter(cdn_calls::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// None when the hook has gone meanwhile, and the request with it.
async fn with_hook(tx: &Tx, row: cdn_calls::Model, attempts: i32) -> Result<Option<Due>> {
    let Some(hook) = cdn_hooks::Entity::find_by_id(row.hook_id).one(tx).await? else { return Ok(None) };
    let api = apis::Entity::find_by_id(hook.api_id).one(tx).await?;
    let environment = environments::Entity::find_by_id(hook.environment_id).one(tx).await?;
    let (Some(api), Some(environment)) = (api, environment) else { return Ok(None) };
    Ok(Some(Due {
        id: CdnCallId(row.id),
        hook: CdnHookId(hook.id),
        environment: EnvironmentId(hook.environment_id),
        secret: hook.secret,
        facts: PurgeFacts {
            scope: serde_json::from_value(row.scope)?,
            soft: row.soft,
            purge: row.purge_id.to_string(),
            api: api.slug,
            environment: environment.slug,
        },
        templates: SaveCdnHook {
            name: hook.name,
            environment: EnvironmentId(hook.environment_id),
            kinds: serde_json::from_value(hook.kinds)?,
            method: hook.method,
            url: hook.url,
            headers: serde_json::from_value(hook.headers)?,
            body: hook.body,
            enabled: hook.enabled,
            secret: None,
        },
        attempts,
    }))
}

/// When something is to be sent next.
///
/// # Errors
/// When the database fails.
pub async fn next_due(db: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>> {
    let next = waiting().order_by_asc(cdn_calls::Column::NextAt).limit(1).one(db).await?;
    Ok(next.map(|row| row.next_at))
}

/// Writes down what became of sending a request.
///
/// # Errors
/// When the database fails.
pub async fn sent(tx: &Tx, call: &Due, outcome: Sent) -> Result<()> {
    let now = crate::now();
    let tried = usize::try_from(call.attempts - 1).unwrap_or_default();
    let (state, next_at, status, error) = match outcome {
        Sent::Taken(status) => (CdnCallState::Done, now, Some(status), None),
        Sent::Never { status, error } => (CdnCallState::Failed, now, status, Some(error)),
        Sent::Later { status, error } => match AGAIN_AFTER.get(tried) {
            Some(seconds) => (CdnCallState::Waiting, now + Duration::seconds(*seconds), status, Some(error)),
            None => (CdnCallState::Failed, now, status, Some(error)),
        },
    };
    let error = error.map(|error| error.chars().take(ERROR_MAX).collect::<String>());
    cdn_calls::Entity::update_many()
        .col_expr(cdn_calls::Column::State, Expr::value(stored(state)))
        .col_expr(cdn_calls::Column::NextAt, Expr::value(next_at))
        .col_expr(cdn_calls::Column::Status, Expr::value(status.map(i32::from)))
        .col_expr(cdn_calls::Column::Error, Expr::value(error))
        .filter(cdn_calls::Column::Id.eq(call.id.0))
        .exec(tx)
        .await?;
    cdn_hooks::Entity::update_many()
        .col_expr(cdn_hooks::Column::LastAt, Expr::value(now))
        .col_expr(cdn_hooks::Column::LastState, Expr::value(stored(state)))
        .filter(cdn_hooks::Column::Id.eq(call.hook.0))
        .exec(tx)
        .await?;
    Ok(())
}

/// Removes what was settled before a time.
///
/// # Errors
/// When the database fails.
pub async fn delete_old(tx: &Tx, before: DateTime<Utc>) -> Result<()> {
    cdn_calls::Entity::delete_many()
        .filter(cdn_calls::Column::State.ne(stored(CdnCallState::Waiting)))
        .filter(cdn_calls::Column::At.lt(before))
        .exec(tx)
        .await?;
    Ok(())
}

fn waiting() -> Select<cdn_calls::Entity> {
    cdn_calls::Entity::find().filter(cdn_calls::Column::State.eq(stored(CdnCallState::Waiting)))
}

fn view(row: cdn_calls::Model) -> Result<CdnCall> {
    let cdn_calls::Model {
        id,
        tenant_id: _,
        hook_id: _,
        purge_id,
        scope,
        soft: _,
        state: stored,
        attempts,
        at,
        next_at,
        status,
        error,
    } = row;
    let state = state(&stored);
    Ok(CdnCall {
        id: CdnCallId(id),
        purge: PurgeId(purge_id),
        scope: serde_json::from_value(scope)?,
        state,
        attempts: attempts.unsigned_abs(),
        at,
        next_at: (state == CdnCallState::Waiting).then_some(next_at),
        status: status.and_then(|status| u16::try_from(status).ok()),
        error,
    })
}

const fn stored(state: CdnCallState) -> &'static str {
    match state {
        CdnCallState::Waiting => "waiting",
        CdnCallState::Done => "done",
        CdnCallState::Failed => "failed",
    }
}

pub(super) fn state(stored: &str) -> CdnCallState {
    match stored {
        "done" => CdnCallState::Done,
        "failed" => CdnCallState::Failed,
        _ => CdnCallState::Waiting,
    }
}
