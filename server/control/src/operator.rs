//! What the command line does on the database directly: accounts, links and tokens for who runs the installation.
//!
//! Who can run this has the database anyway; each change is in the audit log as `system`.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use sluice_contract::ids::UserId;
use sluice_contract::rest::api_tokens::{CreateApiToken, CreatedApiToken};
use sluice_contract::rest::tenants::Tenant;
use sluice_contract::rest::users::{CreateUser, User};
use sluice_store::audit::{Actor, Change};
use sluice_store::{Error, Store, Tx, api_tokens, audit, tenants, users};

use crate::{api_tokens::PREFIX, invitations, random};

/// Adds a person to a tenant; a new account comes with a link (path and query on the console) to choose a password.
///
/// # Errors
/// When there is no such tenant, the person is in it already, or the database fails.
pub async fn create_user(
    store: &Store,
    tenant: &str,
    new: &CreateUser,
    platform_admin: bool,
) -> Result<(User, Option<String>)> {
    let tx = store.begin().await?;
    let tenant = tenant_by_slug(&tx, tenant).await?;
    let (user, is_new) = users::create(&tx, &Actor::system(), tenant.id, new).await?;
    if platform_admin && !user.platform_admin {
        grant_platform(&tx, &user).await?;
    }
    let link = if is_new { Some(link(&tx, user.id).await?) } else { None };
    let user = users::get(&tx, tenant.id, user.id).await?;
    tx.commit().await?;
    Ok((user, link))
}

async fn grant_platform(tx: &Tx, user: &User) -> Result<()> {
    users::set_platform_admin(tx, user.id, true).await?;
    let (before, after) = (json!({ "platform_admin": false }), json!({ "platform_admin": true }));
    record(tx, "grant_platform_admin", user.id, &user.email, Some((before, after))).await
}

/// A new link to choose a password, for who has lost theirs: the way back in when no admin can sign in.
///
/// # Errors
/// When there is no such account or the database fails.
pub async fn password_link(store: &Store, email: &str) -> Result<String> {
    let tx = store.begin().await?;
    let Some(account) = users::account_by_email(&tx, email).await? else {
        bail!("nobody has the e-mail address {email}")
    };
    let link = link(&tx, account.id).await?;
    record(&tx, "create_invitation", account.id, &account.email, None).await?;
    tx.commit().await?;
    Ok(link)
}

/// Makes a token for automation in a tenant; its secret is shown this once.
///
/// # Errors
/// When there is no such tenant, the name is taken, or the database fails.
pub async fn create_api_token(store: &Store, tenant: &str, new: &CreateApiToken) -> Result<CreatedApiToken> {
    let secret = random::secret(PREFIX).map_err(|error| failure(&error))?;
    let tx = store.begin().await?;
    let tenant = tenant_by_slug(&tx, tenant).await?;
    let token = api_tokens::create(&tx, &Actor::system(), tenant.id, new, &secret).await?;
    tx.commit().await?;
    Ok(CreatedApiToken { token, secret })
}

async fn tenant_by_slug(tx: &Tx, slug: &str) -> Result<Tenant> {
    match tenants::by_slug(tx, slug).await {
        Err(Error::NotFound) => bail!("there is no tenant `{slug}`"),
        found => Ok(found?),
    }
}

/// A change of the platform: an account belongs to no tenant.
async fn record(
    tx: &Tx,
    action: &str,
    account: UserId,
    name: &str,
    changed: Option<(Value, Value)>,
) -> Result<()> {
    let (before, after) = changed.unzip();
    let change =
        Change { tenant: None, action, resource: "account", id: account.to_string(), name, before, after };
    Ok(audit::record(tx, &Actor::system(), change).await?)
}

async fn link(tx: &Tx, user: UserId) -> Result<String> {
    invitations::issue(tx, user).await.map_err(|error| failure(&error))
}

fn failure(error: &crate::problem::ApiError) -> anyhow::Error {
    anyhow::anyhow!("{} (see the log)", error.code())
}
