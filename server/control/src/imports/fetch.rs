//! A document from an address that a user gives: fetched behind the connection guard, which decides after name
//! resolution, for every redirect anew.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::LOCATION;
use sluice_contract::guard::Forbidden;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::imports::MAX_DOCUMENT_BYTES;
use url::Url;

use super::body::too_large;
use crate::outbound::{OutboundGuard, Refused};
use crate::problem::ApiError;
use crate::state::App;
use crate::{outbound, upstream_guard};

const WHOLE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

/// Networks that the tenant's environments allow, and this machine itself where the settings say so.
pub(super) async fn guard(app: &App, tenant: TenantId) -> Result<OutboundGuard, ApiError> {
    Ok(OutboundGuard::new(app, upstream_guard::of_tenant(app, tenant).await?))
}

/// The text at `url` and the address that it came from in the end.
pub(super) async fn document(guard: &OutboundGuard, url: &str) -> Result<(String, Url), ApiError> {
    let mut url = Url::parse(url.trim()).map_err(|error| wrong_url(error.to_string()))?;
    let client = guard.client(WHOLE).map_err(ApiError::internal)?;
    for _ in 0..=REDIRECTS {
        guard.check_url(&url).map_err(refused)?;
        let response = client.get(url.clone()).send().await.map_err(|error| failed(&error))?;
        if !response.status().is_redirection() {
            return Ok((body(response).await?, url));
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| not_fetched("the server redirects without saying where to"))?;
        url = url
            .join(location)
            .map_err(|error| not_fetched(format!("it redirects to {location}: {error}")))?;
    }
    Err(not_fetched(format!("it redirects more than {REDIRECTS} times")))
}

async fn body(mut response: Response) -> Result<String, ApiError> {
    if !response.status().is_success() {
        return Err(not_fetched(format!("the server answered {}", response.status())));
    }
    if response.content_length().is_some_and(|length| length > MAX_DOCUMENT_BYTES as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if bytes.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| not_fetched("what the server sent is not UTF-8 text"))
}

fn failed(error: &reqwest::Error) -> ApiError {
    match outbound::forbidden(error) {
        Some(error) => forbidden(error),
        None => not_fetched(outbound::reason(error)),
    }
}

fn refused(refused: Refused) -> ApiError {
    match refused {
        Refused::Forbidden(error) => forbidden(&error),
        other => wrong_url(other.to_string()),
    }
}

fn forbidden(error: &Forbidden) -> ApiError {
    ApiError::invalid_field("/source/url", "forbidden_network", error.to_string())
}

fn wrong_url(message: String) -> ApiError {
    ApiError::invalid_field("/source/url", "invalid_url", message)
}

fn not_fetched(detail: impl Into<String>) -> ApiError {
    ApiError::upstream("not_fetched", format!("the document could not be fetched: {}", detail.into()))
}
