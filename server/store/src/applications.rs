//! Applications: who calls APIs. Consumers reach those that they or their teams own.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};
use sluice_contract::ids::{ApplicationId, TeamId, TenantId, UserId};
use sluice_contract::rest::applications::{Application, SaveApplication};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::policy_types::PolicyScope;
use sluice_contract::rest::subscriptions::SubscriptionState;
use sluice_entity::{applications, credentials, subscriptions, users as user_rows};
use uuid::Uuid;

use crate::audit::{self, Actor, Recorded};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::subscriptions::stored;
use crate::{Tx, access, apis, check_version, definition, text, users};

const DESCRIPTION_MAX: usize = 10_000;

const LISTING: Listing<applications::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: applications::Column::Name },
        Sort { name: "created_at", column: applications::Column::CreatedAt },
    ],
    descending: false,
    id: applications::Column::Id,
    search: &[applications::Column::Name, applications::Column::Description],
};

/// Which applications of a tenant somebody has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    Tenant,
    /// Those that this person or one of their teams owns.
    Own { user: UserId, teams: Vec<TeamId> },
}

impl Reach {
    /// The applications of `tenant` within reach.
    pub(crate) fn within(&self, tenant: TenantId) -> Condition {
        let of_tenant = Condition::all().add(applications::Column::TenantId.eq(tenant.0));
        match self {
            Self::Tenant => of_tenant,
            Self::Own { user, teams } => of_tenant.add(
                Condition::any()
                    .add(applications::Column::OwnerId.eq(user.0))
                    .add(applications::Column::TeamId.is_in(teams.iter().map(|team| team.0))),
            ),
        }
    }

    fn check_team(&self, team: Option<TeamId>) -> Result<()> {
        match (self, team) {
            (Self::Own { teams, .. }, Some(team)) if !teams.contains(&team) => {
                Err(Error::invalid("/team", "unknown", "You are not in such a team."))
            }
            _ => Ok(()),
        }
    }
}

/// Applications within reach. Sorts: `name`, `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    page: &PageQuery,
) -> Result<Page<Application>> {
    let Page { items, next } = LISTING.page(db, of(tenant, reach), page).await?;
    Ok(Page { items: views(db, tenant, items).await?, next })
}

/// One application.
///
/// # Errors
/// [`Error::NotFound`] when it is not within reach.
pub async fn get(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    reach: &Reach,
    id: ApplicationId,
) -> Result<Application> {
    let row = of(tenant, reach).filter(applications::Column::Id.eq(id.0)).one(db).await?;
    let mut views = views(db, tenant, vec![row.ok_or(Error::NotFound)?]).await?;
    views.pop().ok_or(Error::NotFound)
}

/// Makes an application. `owner`: the person who makes it; none for a token. A platform admin who is not a member of
/// the tenant makes one without an owner.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] for the name.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    reach: &Reach,
    owner: Option<UserId>,
    new: &SaveApplication,
) -> Result<Application> {
    let new = checked(tx, tenant, reach, new).await?;
    let owner = match owner {
        Some(owner) if users::keep_member(tx, tenant, owner).await? => Some(owner),
        _ => None,
    };
    let row = applications::ActiveModel {
        id: Set(ApplicationId::generate().0),
        tenant_id: Set(tenant.0),
        owner_id: Set(owner.map(|owner| owner.0)),
        team_id: Set(new.team.map(|team| team.0)),
        name: Set(new.name),
        description: Set(new.description),
        policies: Set(serde_json::to_value(new.policies)?),
        version: Set(1),
        created_at: Set(crate::now()),
    };
    let row = row.insert(tx).await.map_err(not_unique("/name"))?;
    let application = get(tx, tenant, &Reach::Tenant, ApplicationId(row.id)).await?;
    audit::changed(tx, actor, "create_application", tenant, None, Some(&application)).await?;
    Ok(application)
}

/// Changes an application that is still at `version`. Gateways learn of it with each of its keys.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and those of [`create`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    reach: &Reach,
    id: ApplicationId,
    version: u64,
    new: &SaveApplication,
) -> Result<Application> {
    let row = lock(tx, tenant, reach, id).await?;
    let next = check_version(row.version, version)?;
    let before = get(tx, tenant, reach, id).await?;
    let unchanged_team = new.team == before.team;
    let reach_for_team = if unchanged_team { &Reach::Tenant } else { reach };
    let new = checked(tx, tenant, reach_for_team, new).await?;
    let mut row = row.into_active_model();
    row.team_id = Set(new.team.map(|team| team.0));
    row.name = Set(new.name);
    row.description = Set(new.description);
    row.policies = Set(serde_json::to_value(new.policies)?);
    row.version = Set(next);
    row.update(tx).await.map_err(not_unique("/name"))?;
    let after = get(tx, tenant, &Reach::Tenant, id).await?;
    if (&before.name, &before.policies) != (&after.name, &after.policies) {
        access::announce(tx, tenant, &[id]).await?;
    }
    audit::changed(tx, actor, "update_application", tenant, Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Removes an application that is still at `version`. Its keys end with it, on every gateway.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`].
pub async fn delete(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    reach: &Reach,
    id: ApplicationId,
    version: u64,
) -> Result<()> {
    let row = lock(tx, tenant, reach, id).await?;
    check_version(row.version, version)?;
    let before = get(tx, tenant, reach, id).await?;
    crate::credentials::end_all(tx, tenant, id).await?;
    applications::Entity::delete_by_id(id.0).exec(tx).await?;
    audit::changed(tx, actor, "delete_application", tenant, Some(&before), None).await
}

/// Takes their applications from a person who leaves the tenant. The applications go on calling: their teams and the
/// tenant's admins reach them.
///
/// # Errors
/// When the database fails.
pub(crate) async fn disown(tx: &Tx, actor: &Actor, tenant: TenantId, owner: UserId) -> Result<()> {
    let owned = applications::Entity::find()
        .filter(applications::Column::TenantId.eq(tenant.0))
        .filter(applications::Column::OwnerId.eq(owner.0))
        .order_by_asc(applications::Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    for row in owned {
        let id = ApplicationId(row.id);
        let before = get(tx, tenant, &Reach::Tenant, id).await?;
        let next = row.version + 1;
        let mut row = row.into_active_model();
        row.owner_id = Set(None);
        row.version = Set(next);
        row.update(tx).await?;
        let after = get(tx, tenant, &Reach::Tenant, id).await?;
        audit::changed(tx, actor, "update_application", tenant, Some(&before), Some(&after)).await?;
    }
    Ok(())
}

/// The row, kept as it is until the transaction ends.
pub(crate) async fn lock(
    tx: &Tx,
    tenant: TenantId,
    reach: &Reach,
    id: ApplicationId,
) -> Result<applications::Model> {
    let select = of(tenant, reach).filter(applications::Column::Id.eq(id.0)).lock_exclusive();
    select.one(tx).await?.ok_or(Error::NotFound)
}

fn of(tenant: TenantId, reach: &Reach) -> Select<applications::Entity> {
    applications::Entity::find().filter(reach.within(tenant))
}

async fn checked(tx: &Tx, tenant: TenantId, reach: &Reach, new: &SaveApplication) -> Result<SaveApplication> {
    let SaveApplication { name, description, team, policies } = new;
    text::all([
        text::name("/name", name).map(drop),
        text::free("/description", description, DESCRIPTION_MAX).map(drop),
        definition::check_policies(PolicyScope::Application, policies),
        reach.check_team(*team),
    ])?;
    apis::check_team(tx, tenant, *team).await?;
    Ok(SaveApplication {
        name: text::name("/name", name)?,
        description: text::free("/description", description, DESCRIPTION_MAX)?,
        team: *team,
        policies: policies.clone(),
    })
}

async fn views(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    rows: Vec<applications::Model>,
) -> Result<Vec<Application>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let owners = owners(db, rows.iter().filter_map(|row| row.owner_id).collect()).await?;
    let keys = active_keys(db, tenant, &ids).await?;
    let active = active_subscriptions(db, tenant, &ids).await?;
    let view = |row: applications::Model| {
        let applications::Model {
            id,
            tenant_id: _,
            owner_id,
            team_id,
            name,
            description,
            policies,
            version,
            created_at,
        } = row;
        Ok(Application {
            id: ApplicationId(id),
            name,
            description,
            owner: owner_id.map(UserId),
            owner_name: owner_id.and_then(|owner| owners.get(&owner).cloned()).unwrap_or_default(),
            team: team_id.map(TeamId),
            policies: serde_json::from_value(policies)?,
            active_keys: keys.get(&id).copied().unwrap_or_default(),
            active_subscriptions: active.get(&id).copied().unwrap_or_default(),
            version: crate::version(version),
            created_at,
        })
    };
    rows.into_iter().map(view).collect()
}

async fn owners(db: &impl ConnectionTrait, ids: Vec<Uuid>) -> Result<HashMap<Uuid, String>> {
    let rows = user_rows::Entity::find().filter(user_rows::Column::Id.is_in(ids)).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

async fn active_keys(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, u32>> {
    let rows: Vec<(Uuid, i64)> = credentials::Entity::find()
        .select_only()
        .column(credentials::Column::ApplicationId)
        .column_as(credentials::Column::Id.count(), "keys")
        .filter(credentials::Column::TenantId.eq(tenant.0))
        .filter(credentials::Column::ApplicationId.is_in(ids.iter().copied()))
        .filter(crate::credentials::active())
        .group_by(credentials::Column::ApplicationId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(counts(rows))
}

async fn active_subscriptions(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, u32>> {
    let rows: Vec<(Uuid, i64)> = subscriptions::Entity::find()
        .select_only()
        .column(subscriptions::Column::ApplicationId)
        .column_as(subscriptions::Column::Id.count(), "subscriptions")
        .filter(subscriptions::Column::TenantId.eq(tenant.0))
        .filter(subscriptions::Column::ApplicationId.is_in(ids.iter().copied()))
        .filter(subscriptions::Column::State.eq(stored(SubscriptionState::Approved)))
        .group_by(subscriptions::Column::ApplicationId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(counts(rows))
}

fn counts(rows: Vec<(Uuid, i64)>) -> HashMap<Uuid, u32> {
    rows.into_iter().map(|(id, count)| (id, u32::try_from(count).unwrap_or(u32::MAX))).collect()
}

impl Recorded for Application {
    const RESOURCE: &'static str = "application";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }
}
