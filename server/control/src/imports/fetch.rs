//! A document from an address that a user gives: fetched behind the connection guard, which decides after name
//! resolution, for every redirect anew.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use sluice_contract::guard::{Forbidden, Guard};
use sluice_contract::ids::TenantId;
use sluice_contract::rest::imports::MAX_DOCUMENT_BYTES;
use url::{Host, Url};

use super::body::too_large;
use crate::problem::ApiError;
use crate::state::App;
use crate::upstream_guard;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

/// What documents may be fetched from.
#[derive(Clone, Debug)]
pub(super) struct FetchGuard {
    networks: Guard,
    /// Whether this machine's own addresses are in question at all: what gateways may reach on their machine is not
    /// what runs on this one.
    loopback: bool,
}

/// Networks that the tenant's environments allow, and this machine itself where the settings say so.
pub(super) async fn guard(app: &App, tenant: TenantId) -> Result<FetchGuard, ApiError> {
    let networks = upstream_guard::of_tenant(app, tenant).await?;
    let loopback = app.settings.loopback_allowed;
    let networks = if loopback { networks.with_loopback() } else { networks };
    Ok(FetchGuard { networks, loopback })
}

impl FetchGuard {
    fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let own = address.to_canonical().is_loopback() || address.is_unspecified();
        let guard = if own && !self.loopback { &Guard::default() } else { &self.networks };
        guard.check(address)
    }
}

/// The text at `url` and the address that it came from in the end.
pub(super) async fn document(guard: &FetchGuard, url: &str) -> Result<(String, Url), ApiError> {
    let mut url = Url::parse(url.trim()).map_err(|error| wrong_url(error.to_string()))?;
    let client = client(guard)?;
    for _ in 0..=REDIRECTS {
        check(guard, &url)?;
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

/// A client of its own for each fetch: no connection is ever reused that another guard has let through.
fn client(guard: &FetchGuard) -> Result<Client, ApiError> {
    // Whoever was first has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .dns_resolver(Arc::new(GuardedNames(guard.clone())))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")));
    client.build().map_err(ApiError::internal)
}

/// Addresses that are written as such never reach the resolver.
fn check(guard: &FetchGuard, url: &Url) -> Result<(), ApiError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong_url("it starts with http:// or https://".to_owned()));
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(wrong_url("it has no host".to_owned())),
    };
    guard.check(address).map_err(|error| forbidden(&error))
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

/// Names resolve to what the guard lets through; a name that leads anywhere else is refused as a whole.
#[derive(Debug)]
struct GuardedNames(FetchGuard);

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for socket in &found {
                guard.check(socket.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn failed(error: &reqwest::Error) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<Forbidden>() {
            return forbidden(error);
        }
        cause = error.source();
    }
    let what = if error.is_timeout() { "it took too long" } else { "no answer could be had from it" };
    not_fetched(format!("{what} ({})", root_cause(error)))
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
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
