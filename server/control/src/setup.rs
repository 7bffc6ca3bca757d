//! First-run setup by a one-time link. There is no default password anywhere.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Duration;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::setup::{CompleteSetup, SetupStatus};
use sluice_contract::rest::tenants::CreateTenant;
use sluice_contract::rest::users::{CreateUser, Role};
use sluice_store::one_time_tokens::{self, Purpose};
use sluice_store::users::NewAccount;
use sluice_store::{Store, Tx, tenants, text, users};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::Origin;
use crate::extract::Json;
use crate::invitations::spent;
use crate::problem::ApiError;
use crate::state::App;
use crate::{random, session};

const VALID: Duration = Duration::hours(24);

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_setup, complete_setup))
}

/// Makes the one-time setup link (path and query on the console) when nobody has set the installation up yet.
/// Links that were made before stop working.
///
/// # Errors
/// When the database fails.
pub async fn issue_link(store: &Store) -> anyhow::Result<Option<String>> {
    if users::any_account(store.read()).await? {
        return Ok(None);
    }
    let secret =
        random::secret("").map_err(|error| anyhow::anyhow!("no random numbers: {}", error.code()))?;
    let tx = store.begin().await?;
    one_time_tokens::issue(&tx, Purpose::Setup, &secret, VALID).await?;
    tx.commit().await?;
    Ok(Some(format!("/setup?token={secret}")))
}

/// Whether the installation has to be set up.
#[utoipa::path(
    get, path = "/setup", tag = "setup", security(()), responses((status = 200, body = SetupStatus)),
)]
async fn get_setup(State(app): State<App>) -> Result<Json<SetupStatus>, ApiError> {
    Ok(Json(SetupStatus {
        needed: !users::any_account(app.store.read()).await?,
        database: app.store.kind(),
        loopback_allowed: app.settings.loopback_allowed,
    }))
}

/// Makes the first tenant and its platform admin; signs in.
#[utoipa::path(
    post, path = "/setup", tag = "setup", security(()),
    request_body = CompleteSetup,
    responses((status = 201, body = Session)),
)]
async fn complete_setup(
    State(app): State<App>,
    origin: Origin,
    cookie: tower_sessions::Session,
    Json(setup): Json<CompleteSetup>,
) -> Result<(StatusCode, Json<Session>), ApiError> {
    check(&setup)?;
    // Hashing takes time and memory on purpose: not for who only guesses.
    one_time_tokens::check(app.store.read(), &setup.token).await.map_err(spent)?;
    let hash = app.passwords.hash("/password", &setup.password).await?;
    let tx = app.store.begin().await?;
    one_time_tokens::redeem_setup(&tx, &setup.token).await.map_err(spent)?;
    let user = first_admin(&tx, origin, &setup, hash).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(session::begin(&app, &cookie, user).await?)))
}

fn check(setup: &CompleteSetup) -> Result<(), ApiError> {
    let CompleteSetup { token: _, organisation, name, email, password: _ } = setup;
    Ok(text::all([
        text::name("/organisation", organisation).map(drop),
        text::name("/name", name).map(drop),
        text::email("/email", email).map(drop),
    ])?)
}

async fn first_admin(
    tx: &Tx,
    origin: Origin,
    setup: &CompleteSetup,
    password_hash: String,
) -> Result<sluice_contract::ids::UserId, ApiError> {
    if users::any_account(tx).await? {
        return Err(ApiError::conflict("already_set_up", "somebody has set this installation up; sign in"));
    }
    let CompleteSetup { token: _, organisation, name, email, password: _ } = setup;
    let actor = origin.actor(text::email("/email", email)?);
    let new = NewAccount { email, name, password_hash: Some(password_hash), platform_admin: true };
    users::create_account(tx, &new).await?;
    let slug = text::slug_of(organisation).unwrap_or_else(|| "main".to_owned());
    let tenant = tenants::create(tx, &actor, &CreateTenant { slug, name: organisation.clone() }).await?;
    let new = CreateUser { email: email.clone(), name: name.clone(), roles: vec![Role::TenantAdmin] };
    let (user, _) = users::create(tx, &actor, tenant.id, &new).await?;
    users::signed_in(tx, user.id, sluice_store::now()).await?;
    Ok(user.id)
}
