//! Enrolment: a gateway comes to be with a token, and ends when an admin removes it.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::{EnvironmentId, GatewayId};
use sluice_contract::part::Sha256Hash;
use sluice_entity::{enrolment_tokens, gateways};

use crate::{Error, Result, Tx};

/// Names that are tried for one gateway: `name`, `name-2`, ... before a random one.
const NAMES: u32 = 1000;

/// A gateway that wants to enrol.
#[derive(Clone, Debug)]
pub struct NewGateway {
    /// Hash of the secret of the enrolment token.
    pub token: Sha256Hash,
    /// Name for people; made unique within the environment.
    pub name: String,
    pub region: Option<String>,
    /// Hash of the secret with which it will open sessions.
    pub secret: Sha256Hash,
}

/// A gateway that has enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    pub gateway: GatewayId,
    pub environment: EnvironmentId,
    pub name: String,
}

/// Gives a gateway an identity in the environment of its token.
///
/// # Errors
/// [`Error::NotFound`] when there is no such token; [`Error::Conflict`] `enrolment_token_expired` or
/// `enrolment_token_revoked`; when the database fails.
pub async fn enrol(tx: &Tx, new: NewGateway) -> Result<Enrolled> {
    let NewGateway { token, name, region, secret } = new;
    let token = use_token(tx, token).await?;
    let id = GatewayId::generate();
    let name = free_name(tx, token.environment_id, &name).await?;
    gateways::ActiveModel {
        id: Set(id.0),
        environment_id: Set(token.environment_id),
        enrolment_token_id: Set(Some(token.id)),
        name: Set(name.clone()),
        region: Set(region),
        version: Set(String::new()),
        public_url: Set(None),
        secret_hash: Set(secret.to_string()),
        enrolled_at: Set(crate::now()),
        removed_at: Set(None),
        last_seen_at: Set(None),
        boot: Set(None),
        warmed_boot: Set(None),
        heartbeat: Set(None),
        applied: Set(0),
        applied_incarnation: Set(None),
        failed_parts: Set("[]".to_owned()),
        lost_calls: Set(0),
        dropped_calls: Set(0),
    }
    .insert(tx)
    .await?;
    Ok(Enrolled { gateway: id, environment: EnvironmentId(token.environment_id), name })
}

/// Finds the token, counts its use (which also makes enrolments with it wait for each other) and checks it.
async fn use_token(tx: &Tx, hash: Sha256Hash) -> Result<enrolment_tokens::Model> {
    use enrolment_tokens::Column::{SecretHash, Used};
    let used = enrolment_tokens::Entity::update_many()
        .col_expr(Used, Expr::col(Used).add(1))
        .filter(SecretHash.eq(hash.to_string()))
        .exec_with_returning(tx)
        .await?;
    let token = used.into_iter().next().ok_or(Error::NotFound)?;
    if token.revoked_at.is_some() {
        return Err(Error::conflict(
            "enrolment_token_revoked",
            "this enrolment token was revoked; make a new one",
        ));
    }
    if token.expires_at <= crate::now() {
        return Err(Error::conflict(
            "enrolment_token_expired",
            "this enrolment token has expired; make a new one",
        ));
    }
    Ok(token)
}

async fn free_name(tx: &Tx, environment: uuid::Uuid, wanted: &str) -> Result<String> {
    let taken: Vec<String> = gateways::Entity::find()
        .filter(gateways::Column::EnvironmentId.eq(environment))
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::Name.starts_with(wanted))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| row.name)
        .collect();
    let names = std::iter::once(wanted.to_owned()).chain((2..NAMES).map(|n| format!("{wanted}-{n}")));
    let free = names.into_iter().find(|name| !taken.contains(name));
    Ok(free.unwrap_or_else(|| format!("{wanted}-{}", GatewayId::generate())))
}

/// Removes a gateway: its sessions are refused from now on, and its name is free. Returns its name.
///
/// # Errors
/// [`Error::NotFound`] when there is none, or it was removed before.
pub async fn remove(tx: &Tx, gateway: GatewayId) -> Result<String> {
    let removed = gateways::Entity::update_many()
        .col_expr(gateways::Column::RemovedAt, Expr::value(crate::now()))
        .filter(gateways::Column::Id.eq(gateway.0))
        .filter(gateways::Column::RemovedAt.is_null())
        .exec_with_returning(tx)
        .await?;
    tx.appended();
    Ok(removed.into_iter().next().ok_or(Error::NotFound)?.name)
}
