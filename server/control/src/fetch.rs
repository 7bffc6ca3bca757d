//! A document from an address that a user gives: fetched behind the connection guard, which decides after name
//! resolution, for every redirect anew.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::LOCATION;
use sluice_contract::guard::Forbidden;
use sluice_contract::ids::TenantId;
use thiserror::Error;
use url::Url;

use crate::outbound::{OutboundGuard, Refused};
use crate::problem::ApiError;
use crate::state::App;
use crate::{outbound, upstream_guard};

const WHOLE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

/// Networks that the tenant's environments allow, and this machine itself where the settings say so.
pub(crate) async fn guard(app: &App, tenant: TenantId) -> Result<OutboundGuard, ApiError> {
    Ok(OutboundGuard::new(app, upstream_guard::of_tenant(app, tenant).await?))
}

/// Why a document could not be had.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    WrongUrl(String),
    #[error("{0}")]
    Forbidden(Forbidden),
    /// It has more bytes than were wanted.
    #[error("it is too large")]
    TooLarge,
    #[error("the document could not be fetched: {0}")]
    NotFetched(String),
    #[error(transparent)]
    Client(reqwest::Error),
}

impl From<Refused> for FetchError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forbidden(error) => Self::Forbidden(error),
            other => Self::WrongUrl(other.to_string()),
        }
    }
}

/// What the server sent, at most `most` bytes, and the address that it came from in the end.
pub(crate) async fn fetch(
    guard: &OutboundGuard,
    url: &str,
    most: usize,
) -> Result<(Vec<u8>, Url), FetchError> {
    let mut url = Url::parse(url.trim()).map_err(|error| FetchError::WrongUrl(error.to_string()))?;
    let client = guard.client(WHOLE).map_err(FetchError::Client)?;
    for _ in 0..=REDIRECTS {
        guard.check_url(&url)?;
        let response = client.get(url.clone()).send().await.map_err(|error| failed(&error))?;
        if !response.status().is_redirection() {
            return Ok((body(response, most).await?, url));
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| not_fetched("the server redirects without saying where to"))?;
        url = url
            .join(location)
            .map_err(|error| not_fetched(format!("it redirects to {location}: {error}")))?;
    }
    Err(not_fetched(format!("it redirects more than {REDIRECTS} times")))
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, FetchError> {
    if !response.status().is_success() {
        return Err(not_fetched(format!("the server answered {}", response.status())));
    }
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(FetchError::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if bytes.len() + chunk.len() > most {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn failed(error: &reqwest::Error) -> FetchError {
    match outbound::forbidden(error) {
        Some(error) => FetchError::Forbidden(*error),
        None => not_fetched(outbound::reason(error)),
    }
}

fn not_fetched(detail: impl Into<String>) -> FetchError {
    FetchError::NotFetched(detail.into())
}
