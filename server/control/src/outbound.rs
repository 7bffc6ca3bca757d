//! Requests of the control plane to addresses that users give: behind the connection guard, which decides after name
//! resolution, at connect.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use sluice_contract::guard::{Forbidden, Guard};
use sluice_contract::ids::EnvironmentId;
use sluice_store::environments;
use url::{Host, Url};

use crate::problem::ApiError;
use crate::state::App;
use crate::upstream_guard;

const CONNECT: Duration = Duration::from_secs(5);

/// What may be connected to.
#[derive(Clone, Debug)]
pub(crate) struct OutboundGuard {
    networks: Guard,
    /// Whether this machine's own addresses are in question at all: what gateways may reach on their machine is not
    /// what runs on this one.
    loopback: bool,
}

/// Why an address is not connected to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it starts with http:// or https://")]
    Scheme,
    #[error("it has no host")]
    Host,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl OutboundGuard {
    /// These networks, and this machine itself where the settings say so.
    pub(crate) fn new(app: &App, networks: Guard) -> Self {
        let loopback = app.settings.loopback_allowed;
        let networks = if loopback { networks.with_loopback() } else { networks };
        Self { networks, loopback }
    }

    /// What is connected to is asked about, once its name is resolved.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let own = address.to_canonical().is_loopback() || address.is_unspecified();
        let guard = if own && !self.loopback { &Guard::default() } else { &self.networks };
        guard.check(address)
    }

    /// Addresses that are written as such never reach the resolver: to be asked before each request.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Refused::Host),
        };
        Ok(self.check(address)?)
    }

    /// What connections for this environment may reach: what its upstreams may, and this machine where the settings
    /// say so.
    pub(crate) async fn of_environment(app: &App, environment: EnvironmentId) -> Result<Self, ApiError> {
        let environment = environments::get(app.store.read(), environment).await?;
        Ok(Self::new(app, upstream_guard::of_environment(&environment)?))
    }

    /// The same, and where its name leads now, for people who read it at once: the name is decided again at connect.
    pub(crate) async fn check_name(&self, url: &Url) -> Result<(), Refused> {
        self.check_url(url)?;
        Ok(self.check_place(url).await?)
    }

    /// Where the name of a host leads now, whatever is spoken with it.
    pub(crate) async fn check_place(&self, url: &Url) -> Result<(), Forbidden> {
        for address in upstream_guard::addresses(url).await {
            self.check(address)?;
        }
        Ok(())
    }

    /// A client of its own for each use: no connection is ever reused that another guard has let through. It follows
    /// no redirects.
    pub(crate) fn client(&self, whole: Duration) -> reqwest::Result<Client> {
        // Whoever was first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .dns_resolver(Arc::new(GuardedNames(self.clone())))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(whole)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .build()
    }
}

/// Names resolve to what the guard lets through; a name that leads anywhere else is refused as a whole.
#[derive(Debug)]
struct GuardedNames(OutboundGuard);

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

/// The guard's refusal, where that is why a request failed.
pub(crate) fn forbidden(error: &reqwest::Error) -> Option<&Forbidden> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<Forbidden>() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// Why a request failed, in words.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() { "it took too long" } else { "no answer could be had from it" };
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("{what} ({cause})")
}
