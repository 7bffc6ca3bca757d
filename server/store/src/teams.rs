//! Teams: groups inside a tenant. The model for other resources.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
};
use sluice_contract::ids::{TeamId, TenantId, UserId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::teams::{SaveTeam, Team};
use sluice_entity::{memberships, team_members, teams};

use crate::audit::{self, Actor, Recorded};
use crate::error::{Error, Result, in_use, not_unique};
use crate::keyset::{Listing, Sort};
use crate::{Tx, check_version, text};

const LISTING: Listing<teams::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: teams::Column::Name },
        Sort { name: "created_at", column: teams::Column::CreatedAt },
    ],
    descending: false,
    id: teams::Column::Id,
    search: &[teams::Column::Name],
};

/// Teams of a tenant. Sorts: `name`, `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(db: &impl ConnectionTrait, tenant: TenantId, page: &PageQuery) -> Result<Page<Team>> {
    let Page { items, next } = LISTING.page(db, of(tenant), page).await?;
    let mut members = members(db, tenant, items.iter().map(|row| row.id).collect()).await?;
    let items = items
        .into_iter()
        .map(|row| {
            let members = members.remove(&row.id).unwrap_or_default();
            team(row, members)
        })
        .collect();
    Ok(Page { items, next })
}

/// One team.
///
/// # Errors
/// [`Error::NotFound`] when it is not in this tenant.
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, id: TeamId) -> Result<Team> {
    let row = of(tenant).filter(teams::Column::Id.eq(id.0)).one(db).await?.ok_or(Error::NotFound)?;
    let mut members = members(db, tenant, vec![row.id]).await?;
    let members = members.remove(&row.id).unwrap_or_default();
    Ok(team(row, members))
}

/// Makes a team.
///
/// # Errors
/// [`Error::Invalid`] for an empty name or a member from elsewhere, [`Error::NotUnique`] for a name that is taken.
pub async fn create(tx: &Tx, actor: &Actor, tenant: TenantId, new: &SaveTeam) -> Result<Team> {
    let row = teams::ActiveModel {
        id: Set(TeamId::generate().0),
        tenant_id: Set(tenant.0),
        name: Set(text::name("/name", &new.name)?),
        version: Set(1),
        created_at: Set(crate::now()),
    };
    let row = row.insert(tx).await.map_err(not_unique("/name"))?;
    let members = set_members(tx, tenant, TeamId(row.id), &new.members).await?;
    let team = team(row, members);
    audit::changed(tx, actor, "create_team", tenant, None, Some(&team)).await?;
    Ok(team)
}

/// Changes a team that is still at `version`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and those of [`create`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    id: TeamId,
    version: u64,
    new: &SaveTeam,
) -> Result<Team> {
    let before = lock(tx, tenant, id, version).await?;
    let mut row = before.row.into_active_model();
    row.name = Set(text::name("/name", &new.name)?);
    row.version = Set(before.next_version);
    let row = row.update(tx).await.map_err(not_unique("/name"))?;
    let members = set_members(tx, tenant, id, &new.members).await?;
    let team = team(row, members);
    audit::changed(tx, actor, "update_team", tenant, Some(&before.team), Some(&team)).await?;
    Ok(team)
}

/// Removes a team that is still at `version`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and a conflict `in_use` when it owns APIs or applications.
pub async fn delete(tx: &Tx, actor: &Actor, tenant: TenantId, id: TeamId, version: u64) -> Result<()> {
    let before = lock(tx, tenant, id, version).await?;
    teams::Entity::delete_by_id(id.0)
        .exec(tx)
        .await
        .map_err(in_use("the team owns APIs or applications; give them to another team first"))?;
    audit::changed(tx, actor, "delete_team", tenant, Some(&before.team), None).await
}

/// Teams of a tenant that the user is in.
///
/// # Errors
/// When the database fails.
pub async fn of_user(db: &impl ConnectionTrait, tenant: TenantId, user: UserId) -> Result<Vec<TeamId>> {
    let rows = team_members::Entity::find()
        .filter(team_members::Column::TenantId.eq(tenant.0))
        .filter(team_members::Column::UserId.eq(user.0))
        .order_by_asc(team_members::Column::TeamId)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| TeamId(row.team_id)).collect())
}

struct Locked {
    team: Team,
    row: teams::Model,
    next_version: i64,
}

async fn lock(tx: &Tx, tenant: TenantId, id: TeamId, version: u64) -> Result<Locked> {
    let row = of(tenant).filter(teams::Column::Id.eq(id.0)).lock_exclusive().one(tx).await?;
    let row = row.ok_or(Error::NotFound)?;
    let next_version = check_version(row.version, version)?;
    Ok(Locked { team: get(tx, tenant, id).await?, row, next_version })
}

fn of(tenant: TenantId) -> Select<teams::Entity> {
    teams::Entity::find().filter(teams::Column::TenantId.eq(tenant.0))
}

async fn members(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    teams: Vec<uuid::Uuid>,
) -> Result<HashMap<uuid::Uuid, Vec<UserId>>> {
    let rows = team_members::Entity::find()
        .filter(team_members::Column::TenantId.eq(tenant.0))
        .filter(team_members::Column::TeamId.is_in(teams))
        .order_by_asc(team_members::Column::UserId)
        .all(db)
        .await?;
    let mut members: HashMap<_, Vec<UserId>> = HashMap::new();
    for row in rows {
        members.entry(row.team_id).or_default().push(UserId(row.user_id));
    }
    Ok(members)
}

async fn set_members(tx: &Tx, tenant: TenantId, team: TeamId, wanted: &[UserId]) -> Result<Vec<UserId>> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let known = memberships::Entity::find()
        .filter(memberships::Column::TenantId.eq(tenant.0))
        .filter(memberships::Column::UserId.is_in(wanted.iter().map(|user| user.0)))
        .all(tx)
        .await?;
    if known.len() != wanted.len() {
        return Err(Error::invalid("/members", "unknown", "each member must be a user of this tenant"));
    }
    team_members::Entity::delete_many().filter(team_members::Column::TeamId.eq(team.0)).exec(tx).await?;
    for user in &wanted {
        let member = team_members::ActiveModel {
            tenant_id: Set(tenant.0),
            team_id: Set(team.0),
            user_id: Set(user.0),
        };
        team_members::Entity::insert(member).exec_without_returning(tx).await?;
    }
    Ok(wanted)
}

fn team(row: teams::Model, members: Vec<UserId>) -> Team {
    let teams::Model { id, tenant_id: _, name, version, created_at } = row;
    Team { id: TeamId(id), name, members, version: crate::version(version), created_at }
}

impl Recorded for Team {
    const RESOURCE: &'static str = "team";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }
}
