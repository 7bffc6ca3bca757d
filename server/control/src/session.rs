//! Signing in and out, and who is signed in.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse};
use sluice_contract::ids::UserId;
use sluice_contract::rest::page::{MAX_LIMIT, PageQuery};
use sluice_contract::rest::session::{ChangePassword, Session, SessionTenant, SignIn};
use sluice_contract::rest::tenants::Tenant;
use sluice_contract::rest::users::Role;
use sluice_store::audit::Change;
use sluice_store::users::{Account, Membership};
use sluice_store::{audit, tenants, users};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Caller, Origin, SESSION_USER, permissions_of, platform_permissions};
use crate::client_address::ClientAddress;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::session_store;
use crate::state::App;
use crate::throttle::Attempt;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_session, sign_in, sign_out)).routes(routes!(change_password))
}

/// Begins a session under a new id, so that an id from before is worth nothing (session fixation).
pub(crate) async fn begin(
    app: &App,
    cookie: &tower_sessions::Session,
    user: UserId,
) -> Result<Session, ApiError> {
    cookie.clear().await;
    cookie.cycle_id().await?;
    cookie.insert(SESSION_USER, user).await?;
    describe(app, users::account(app.store.read(), user).await?).await
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = Session)))]
async fn get_session(State(app): State<App>, caller: Caller) -> Result<Json<Session>, ApiError> {
    let user = caller.user().ok_or_else(|| ApiError::forbidden("an API token has no session"))?;
    Ok(Json(describe(&app, users::account(app.store.read(), user).await?).await?))
}

/// Signs in.
#[utoipa::path(
    post, path = "/session", tag = "session", security(()),
    request_body = SignIn,
    responses((status = 200, body = Session)),
)]
async fn sign_in(
    State(app): State<App>,
    origin: Origin,
    axum::Extension(ClientAddress(address)): axum::Extension<ClientAddress>,
    cookie: tower_sessions::Session,
    Json(SignIn { email, password }): Json<SignIn>,
) -> Result<Json<Session>, ApiError> {
    let attempt = Attempt::begin(&app.store, &email, address).await?;
    let account = users::account_by_email(app.store.read(), &email).await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.as_deref());
    let right = app.passwords.verify(&password, stored).await?;
    let Some(account) = account.filter(|_| right) else {
        tracing::info!(%address, "a sign-in failed");
        return Err(ApiError::wrong_credentials());
    };
    attempt.succeeded(&app.store).await?;
    refuse_disabled(&app, &account).await?;
    let tx = app.store.begin().await?;
    users::signed_in(&tx, account.id, sluice_store::now()).await?;
    record(&tx, origin, "sign_in", &account).await?;
    app.commit(tx).await?;
    Ok(Json(begin(&app, &cookie, account.id).await?))
}

/// Signs out. Fine when nobody is signed in.
#[utoipa::path(delete, path = "/session", tag = "session", security(()), responses((status = 204)))]
async fn sign_out(cookie: tower_sessions::Session) -> Result<impl IntoResponse, ApiError> {
    cookie.flush().await?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(SET_COOKIE, session_store::REMOVAL)])))
}

/// Changes one's own password; ends all other sessions.
#[utoipa::path(
    put, path = "/session/password", tag = "session",
    request_body = ChangePassword,
    responses((status = 204)),
)]
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    origin: Origin,
    axum::Extension(ClientAddress(address)): axum::Extension<ClientAddress>,
    cookie: tower_sessions::Session,
    Json(ChangePassword { current, new }): Json<ChangePassword>,
) -> Result<StatusCode, ApiError> {
    let user = caller.user().ok_or_else(|| ApiError::forbidden("an API token has no password"))?;
    let account = users::account(app.store.read(), user).await?;
    let attempt = Attempt::begin(&app.store, &account.email, address).await?;
    if !app.passwords.verify(&current, account.password_hash.as_deref()).await? {
        return Err(ApiError::invalid_field("/current", "wrong", "this is not your password"));
    }
    attempt.succeeded(&app.store).await?;
    let hash = app.passwords.hash("/new", &new).await?;
    let tx = app.store.begin().await?;
    users::set_password(&tx, user, hash).await?;
    record(&tx, origin, "change_password", &account).await?;
    app.commit(tx).await?;
    begin(&app, &cookie, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is disabled in every tenant may not come in.
async fn refuse_disabled(app: &App, account: &Account) -> Result<(), ApiError> {
    let memberships = users::memberships_of(app.store.read(), account.id).await?;
    if account.platform_admin || memberships.iter().any(|membership| !membership.disabled) {
        return Ok(());
    }
    Err(ApiError::forbidden("this account is disabled; ask an admin of your organisation")
        .with_code("disabled"))
}

async fn describe(app: &App, account: Account) -> Result<Session, ApiError> {
    let memberships = users::memberships_of(app.store.read(), account.id).await?;
    let tenants = if account.platform_admin {
        everywhere(all_tenants(app).await?, &memberships)
    } else {
        memberships.into_iter().filter(|m| !m.disabled).map(member).collect()
    };
    let Account { id, email, name, password_hash: _, platform_admin } = account;
    Ok(Session { user: id, name, email, platform_admin, tenants })
}

fn member(membership: Membership) -> SessionTenant {
    let Membership { tenant: Tenant { id, slug, name, .. }, roles, disabled: _ } = membership;
    SessionTenant { id, slug, name, permissions: permissions_of(&roles), roles }
}

fn everywhere(tenants: Vec<Tenant>, memberships: &[Membership]) -> Vec<SessionTenant> {
    let roles = |tenant: &Tenant| -> Vec<Role> {
        let membership = memberships.iter().find(|membership| membership.tenant.id == tenant.id);
        membership.map(|membership| membership.roles.clone()).unwrap_or_default()
    };
    let seen = |tenant: Tenant| {
        let roles = roles(&tenant);
        let Tenant { id, slug, name, .. } = tenant;
        SessionTenant { id, slug, name, roles, permissions: platform_permissions() }
    };
    tenants.into_iter().map(seen).collect()
}

/// As many as a person can choose from; the console searches among more.
async fn all_tenants(app: &App) -> Result<Vec<Tenant>, ApiError> {
    let first = PageQuery { limit: Some(MAX_LIMIT), ..PageQuery::default() };
    Ok(tenants::list(app.store.read(), &first).await?.items)
}

async fn record(
    tx: &sluice_store::Tx,
    origin: Origin,
    action: &str,
    account: &Account,
) -> Result<(), ApiError> {
    let change = Change {
        tenant: None,
        action,
        resource: "account",
        id: account.id.to_string(),
        name: &account.email,
        before: None,
        after: None,
    };
    Ok(audit::record(tx, &origin.actor(account.email.clone()), change).await?)
}
