//! `POST /gateway/v1/changed`: URLs that unsafe methods have changed on a gateway. Others forget them as by a purge, in the
//! journal's order; the list of purges, which people read, does not have them.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::link::{CHANGED_MOST, ChangedUrls};
use sluice_store::purges;

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

/// Passes them on. What is not served in the gateway's environment is passed over.
pub(super) async fn create_changed(
    State(app): State<App>,
    gateway: LinkedGateway,
    Json(changed): Json<ChangedUrls>,
) -> Result<StatusCode, ApiError> {
    app.link.run(&app);
    let ChangedUrls { by, mut urls } = changed;
    urls.truncate(CHANGED_MOST);
    urls.retain(|url| url.is_usable());
    let tx = app.store.begin().await?;
    purges::pass_on(&tx, gateway.environment, gateway.id, by, urls).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
