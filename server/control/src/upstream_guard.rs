//! Upstream targets are refused when they are saved or released, if they lead into a network that is not allowed.
//!
//! This is for people, who read it at once; what protects is the same guard at connect, on every gateway.

use std::net::IpAddr;
use std::time::Duration;

use sluice_contract::definition::ApiDefinition;
use sluice_contract::guard::{Forbidden, Guard};
use sluice_contract::ids::TenantId;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::environments::Environment;
use sluice_store::environments;
use tokio::task::JoinSet;
use url::{Host, Url};

use crate::problem::ApiError;
use crate::state::App;

/// A resolver that is slower says nothing: the name is decided at connect.
const RESOLVE: Duration = Duration::from_secs(3);

/// Lets through what any environment that the tenant may use allows: a draft has no environment yet.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_tenant(app: &App, tenant: TenantId) -> Result<Guard, ApiError> {
    let environments = environments::all(app.store.read()).await?;
    let usable = environments.iter().filter(|e| e.dedicated_to.is_none_or(|dedicated| dedicated == tenant));
    let networks = usable.flat_map(|environment| &environment.settings.allowed_networks);
    Guard::parse(networks.map(String::as_str)).map_err(ApiError::internal)
}

/// Lets through what this environment allows.
///
/// # Errors
/// When its settings name what is no network.
pub(crate) fn of_environment(environment: &Environment) -> Result<Guard, ApiError> {
    let networks = environment.settings.allowed_networks.iter();
    Guard::parse(networks.map(String::as_str)).map_err(ApiError::internal)
}

/// Looks at every target. `at` is where the definition is in the request.
///
/// # Errors
/// 422 with each target that is in a forbidden network, or whose name leads there.
pub(crate) async fn check(definition: &ApiDefinition, guard: &Guard, at: &str) -> Result<(), ApiError> {
    let mut lookups = JoinSet::new();
    for (i, upstream) in definition.upstreams.iter().enumerate() {
        for (j, target) in upstream.targets.iter().enumerate() {
            // What is no URL is reported by the checks of the definition.
            let Ok(url) = Url::parse(&target.url) else { continue };
            let guard = guard.clone();
            let pointer = format!("{at}/upstreams/{i}/targets/{j}/url");
            lookups.spawn(async move { (pointer, forbidden(&guard, &url).await) });
        }
    }
    let mut problems: Vec<_> = lookups
        .join_all()
        .await
        .into_iter()
        .filter_map(|(pointer, forbidden)| Some(problem(pointer, forbidden?)))
        .collect();
    problems.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    if problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(problems)) }
}

fn problem(pointer: String, forbidden: Forbidden) -> FieldProblem {
    let message = format!("{forbidden}; a platform admin can allow it in the environment's settings");
    FieldProblem::new(pointer, "forbidden_network", message)
}

async fn forbidden(guard: &Guard, url: &Url) -> Option<Forbidden> {
    let addresses = addresses(url).await;
    addresses.into_iter().find_map(|address| guard.check(address).err())
}

/// None when the name does not resolve (now, from here).
pub(crate) async fn addresses(url: &Url) -> Vec<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => {
            let port = url.port_or_known_default().unwrap_or(443);
            let lookup = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name, port))).await;
            let found = lookup.ok().and_then(Result::ok);
            found.map(|found| found.map(|socket| socket.ip()).collect()).unwrap_or_default()
        }
        None => Vec::new(),
    }
}
