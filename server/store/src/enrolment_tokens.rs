//! Enrolment tokens: what new gateways of an environment prove themselves with. Only the hash of a secret is kept.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::{EnrolmentTokenId, EnvironmentId};
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::gateways::EnrolmentTokenInfo;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::enrolment_tokens;

use crate::keyset::{Listing, Sort};
use crate::{Error, Result, Tx};

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewEnrolmentToken {
    pub environment: EnvironmentId,
    pub name: String,
    /// Hash of its secret.
    pub secret: Sha256Hash,
    /// Who makes it.
    pub created_by: String,
    pub expires_at: DateTime<Utc>,
}

const LISTING: Listing<enrolment_tokens::Entity> = Listing {
    sorts: &[
        Sort { name: "created_at", column: enrolment_tokens::Column::CreatedAt },
        Sort { name: "name", column: enrolment_tokens::Column::Name },
        Sort { name: "expires_at", column: enrolment_tokens::Column::ExpiresAt },
    ],
    descending: true,
    id: enrolment_tokens::Column::Id,
    search: &[enrolment_tokens::Column::Name],
};

/// Tokens of an environment, newest first. Sorts: `created_at`, `name`, `expires_at`.
///
/// # Errors
/// [`Error::Invalid`] for a page that cannot be; when the database fails.
pub async fn list(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    page: &PageQuery,
) -> Result<Page<EnrolmentTokenInfo>> {
    let select =
        enrolment_tokens::Entity::find().filter(enrolment_tokens::Column::EnvironmentId.eq(environment.0));
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: items.into_iter().map(info).collect(), next })
}

/// Makes a token.
///
/// # Errors
/// When the database fails.
pub async fn create(tx: &Tx, new: NewEnrolmentToken) -> Result<EnrolmentTokenInfo> {
    let NewEnrolmentToken { environment, name, secret, created_by, expires_at } = new;
    let row = enrolment_tokens::ActiveModel {
        id: Set(EnrolmentTokenId::generate().0),
        environment_id: Set(environment.0),
        name: Set(name),
        secret_hash: Set(secret.to_string()),
        created_by: Set(created_by),
        created_at: Set(crate::now()),
        expires_at: Set(expires_at),
        revoked_at: Set(None),
        used: Set(0),
    };
    Ok(info(row.insert(tx).await?))
}

/// Revokes a token of an environment: nobody can enrol with it from now on; gateways that have keep their identity.
///
/// # Errors
/// [`Error::NotFound`] when there is none, or it was revoked before; when the database fails.
pub async fn revoke(
    tx: &Tx,
    environment: EnvironmentId,
    token: EnrolmentTokenId,
) -> Result<EnrolmentTokenInfo> {
    let revoked = enrolment_tokens::Entity::update_many()
        .col_expr(enrolment_tokens::Column::RevokedAt, Expr::value(crate::now()))
        .filter(enrolment_tokens::Column::EnvironmentId.eq(environment.0))
        .filter(enrolment_tokens::Column::Id.eq(token.0))
        .filter(enrolment_tokens::Column::RevokedAt.is_null())
        .exec_with_returning(tx)
        .await?;
    revoked.into_iter().next().map(info).ok_or(Error::NotFound)
}

fn info(row: enrolment_tokens::Model) -> EnrolmentTokenInfo {
    let enrolment_tokens::Model {
        id,
        environment_id,
        name,
        secret_hash: _,
        created_by: _,
        created_at,
        expires_at,
        revoked_at,
        used,
    } = row;
    EnrolmentTokenInfo {
        id: EnrolmentTokenId(id),
        environment: EnvironmentId(environment_id),
        name,
        created_at,
        expires_at,
        revoked_at,
        used: used.unsigned_abs(),
    }
}
