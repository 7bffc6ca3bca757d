//! What the command line does on the database directly: accounts, links and tokens for who runs the installation.
//!
//! Who can run this has the database anyway; each change is in the audit log as `system`.

use anyhow::{Context, Result, bail};
use sluice_contract::rest::api_tokens::{CreateApiToken, CreatedApiToken};
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::users::{CreateUser, Role, User};
use sluice_store::audit::{Actor, Change};
use sluice_store::{Store, Tx, api_tokens, audit, tenants, users};

use crate::{api_tokens::PREFIX, invitations, random};

/// Adds a person to a tenant; a new account comes with a link (path and query on the console) to choose a password.
///
/// # Errors
/// When there is no such tenant, the person is in it already, or the database fails.
pub async fn create_user(
    store: &Store,
    tenant: &str,
    email: &str,
    name: &str,
    roles: &[Role],
    platform_admin: bool,
) -> Result<(User, Option<String>)> {
    let tx = store.begin().await?;
    let tenant = tenants::by_slug(&tx, tenant).await.with_context(|| format!("the tenant {tenant}"))?;
    let new = CreateUser { email: email.to_owned(), name: name.to_owned(), roles: roles.to_vec() };
    let (user, is_new) = users::create(&tx, &Actor::system(), tenant.id, &new).await?;
    if platform_admin {
        users::set_platform_admin(&tx, user.id, true).await?;
    }
    let link = if is_new { Some(link(&tx, &user).await?) } else { None };
    let user = users::get(&tx, tenant.id, user.id).await?;
    tx.commit().await?;
    Ok((user, link))
}

/// A new link to choose a password, for who has lost theirs: the way back in when no admin can sign in.
///
/// # Errors
/// When there is no such account or the database fails.
pub async fn password_link(store: &Store, email: &str) -> Result<String> {
    let tx = store.begin().await?;
    let Some(account) = users::account_by_email(&tx, email).await? else {
        bail!("there is no account with the e-mail {email}")
    };
    let link = invitations::issue(&tx, account.id).await.map_err(|error| failure(&error))?;
    let change = Change {
        tenant: None,
        action: "create_invitation",
        resource: "account",
        id: account.id.to_string(),
        name: &account.email,
        before: None,
        after: None,
    };
    audit::record(&tx, &Actor::system(), change).await?;
    tx.commit().await?;
    Ok(link)
}

/// Makes a token for automation in a tenant; its secret is shown this once.
///
/// # Errors
/// When there is no such tenant, the name is taken, or the database fails.
pub async fn create_api_token(
    store: &Store,
    tenant: &str,
    name: &str,
    permissions: &[Permission],
) -> Result<CreatedApiToken> {
    let secret = random::secret(PREFIX).map_err(|error| failure(&error))?;
    let tx = store.begin().await?;
    let tenant = tenants::by_slug(&tx, tenant).await.with_context(|| format!("the tenant {tenant}"))?;
    let new = CreateApiToken { name: name.to_owned(), permissions: permissions.to_vec(), expires_at: None };
    let token = api_tokens::create(&tx, &Actor::system(), tenant.id, &new, &secret).await?;
    tx.commit().await?;
    Ok(CreatedApiToken { token, secret })
}

async fn link(tx: &Tx, user: &User) -> Result<String> {
    invitations::issue(tx, user.id).await.map_err(|error| failure(&error))
}

fn failure(error: &crate::problem::ApiError) -> anyhow::Error {
    anyhow::anyhow!("{} (see the log)", error.code())
}
