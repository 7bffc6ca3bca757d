//! What holds for every API of the environment.

use ipnet::IpNet;
use sluice_contract::environment::{EnvironmentSettings, RequestLimits};
use sluice_contract::guard::{Guard, parse_network};
use sluice_contract::rest::policy_types::PolicyScope;

use super::policies::{LimitOf, Policies};
use super::{CompileError, Compiler, RoutePolicies};

/// [`EnvironmentSettings`] as calls are decided with.
#[derive(Default)]
pub struct Settings {
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which addresses upstreams may have.
    pub guard: Guard,
    pub limits: RequestLimits,
    /// Seconds for which a gateway may serve without hearing from the control plane.
    pub max_offline_s: Option<u64>,
    /// What APIs and routes that say nothing themselves do.
    pub policies: RoutePolicies,
}

impl Settings {
    /// Whether forwarding headers from this address are believed.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

impl Compiler {
    /// Compiles settings.
    ///
    /// # Errors
    /// When a network or a policy is not one.
    pub fn settings(&self, settings: &EnvironmentSettings) -> Result<Settings, CompileError> {
        let EnvironmentSettings { trusted_proxies, allowed_networks, limits, max_offline_s, policies } =
            settings;
        let policies = Policies::read(policies.iter(), PolicyScope::Environment)?;
        Ok(Settings {
            trusted_proxies: trusted_proxies
                .iter()
                .map(|text| parse_network(text))
                .collect::<Result<_, _>>()?,
            guard: Guard::parse(allowed_networks.iter().map(String::as_str))?,
            limits: limits.clone(),
            max_offline_s: *max_offline_s,
            policies: policies.bind(LimitOf::Environment, &[], &self.counters)?,
        })
    }
}
