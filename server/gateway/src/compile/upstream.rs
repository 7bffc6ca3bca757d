//! Upstreams: targets with their addresses taken apart, and the order in which they take turns.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use http::uri::Authority;
use sluice_contract::definition::{HostHeader, Target as TargetDefinition, UpstreamProtocol};
use sluice_contract::definition::{Timeouts as TimeoutsDefinition, Upstream as UpstreamDefinition};
use sluice_contract::ids::ApiId;

use super::{CompileError, Compiler};
use crate::upstream::Breaker;

/// Turns in one round at most; weights beyond are rounded.
const MAX_TURNS: u64 = 1_000;

/// Where a route's calls go.
pub struct Upstream {
    pub name: Box<str>,
    pub targets: Vec<Target>,
    /// Indexes of targets in the order of a round.
    turns: Vec<u16>,
    /// The turn that is next, kept over versions.
    next: Arc<AtomicUsize>,
    pub host: HostRule,
    pub timeouts: Timeouts,
}

/// What `Host` the targets see.
pub enum HostRule {
    Target,
    Client,
    Fixed(HeaderValue),
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Option<Duration>,
}

/// One address.
pub struct Target {
    /// As it was written; what call records name.
    pub url: Box<str>,
    pub pool: PoolKey,
    pub slot: PoolSlot,
    /// Host and, unless it is the scheme's own, port.
    pub authority: HeaderValue,
    /// Path before every call's own; without a slash at its end.
    pub base_path: Box<str>,
    pub breaker: Option<Breaker>,
}

/// What connections have to have in common to be used for one another's calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub tls: bool,
    pub host: HostName,
    pub port: u16,
    pub http2: bool,
}

/// A host as it stands in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostName {
    Name(Arc<str>),
    Address(IpAddr),
}

/// Number of a pool, the same in every thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSlot(pub usize);

impl Upstream {
    /// The targets in the order in which a call tries them: whose turn it is, then the others that have a share.
    pub fn order(&self) -> impl Iterator<Item = (usize, &Target)> {
        let turn = if self.turns.len() > 1 { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let first = self.turns.get(turn % self.turns.len().max(1)).copied();
        let others = (0..self.targets.len() as u16)
            .filter(move |index| Some(*index) != first && self.turns.contains(index));
        let indexes = first.into_iter().chain(others).map(usize::from);
        indexes.filter_map(|index| Some((index, self.targets.get(index)?)))
    }
}

impl Compiler {
    pub(super) fn upstream(
        &self,
        api: ApiId,
        definition: &UpstreamDefinition,
    ) -> Result<Upstream, CompileError> {
        let UpstreamDefinition { name, targets, protocol, host, timeouts, breaker } = definition;
        let error = |reason: String| CompileError::Upstream { upstream: name.clone(), reason };
        let breaker = |url: &str| {
            let record = |definition| {
                let key = (api, name.as_str().into(), url.into());
                Breaker::new(definition, Arc::clone(self.breakers.lock().entry(key).or_default()))
            };
            breaker.map(record)
        };
        let compiled: Vec<Target> = targets
            .iter()
            .map(|target| self.target(target, *protocol, breaker(&target.url)))
            .collect::<Result<_, _>>()
            .map_err(error)?;
        let host = match host {
            HostHeader::Target => HostRule::Target,
            HostHeader::Client => HostRule::Client,
            HostHeader::Fixed(host) => {
                let value =
                    HeaderValue::from_str(host).map_err(|_| error(format!("`{host}` is not a host")))?;
                HostRule::Fixed(value)
            }
        };
        let next = Arc::clone(self.rotations.lock().entry((api, name.as_str().into())).or_default());
        let turns = turns(&targets.iter().map(|target| target.weight).collect::<Vec<_>>());
        Ok(Upstream {
            name: name.as_str().into(),
            targets: compiled,
            turns,
            next,
            host,
            timeouts: Timeouts::new(timeouts),
        })
    }

    fn target(
        &self,
        definition: &TargetDefinition,
        protocol: UpstreamProtocol,
        breaker: Option<Breaker>,
    ) -> Result<Target, String> {
        let TargetDefinition { url, weight: _, zone: _ } = definition;
        let uri: http::Uri = url.parse().map_err(|error| format!("`{url}`: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("`{url}` does not start with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| format!("`{url}` has no host"))?;
        let pool = PoolKey {
            tls,
            host: HostName::of(authority),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            http2: protocol == UpstreamProtocol::Http2,
        };
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        Ok(Target {
            url: url.as_str().into(),
            slot: self.slot(&pool),
            pool,
            authority,
            base_path: uri.path().trim_end_matches('/').into(),
            breaker,
        })
    }

    fn slot(&self, pool: &PoolKey) -> PoolSlot {
        let mut pools = self.pools.lock();
        let next = PoolSlot(pools.len());
        *pools.entry(pool.clone()).or_insert(next)
    }
}

impl HostName {
    fn of(authority: &Authority) -> Self {
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(bare.to_ascii_lowercase().into()),
        }
    }
}

impl Timeouts {
    fn new(definition: &TimeoutsDefinition) -> Self {
        let TimeoutsDefinition { connect_ms, first_byte_ms, idle_ms, total_ms } = *definition;
        Self {
            connect: Duration::from_millis(connect_ms),
            first_byte: Duration::from_millis(first_byte_ms),
            idle: Duration::from_millis(idle_ms),
            total: total_ms.map(Duration::from_millis),
        }
    }
}

/// Smooth weighted round robin: each turn goes to the target that is furthest behind its share.
fn turns(weights: &[u32]) -> Vec<u16> {
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let divisor = weights.iter().fold(0, |a, &b| gcd(a, u64::from(b))).max(1);
    let scale = |weight: u32| match u64::from(weight) {
        0 => 0,
        weight if total / divisor <= MAX_TURNS => (weight / divisor) as i64,
        weight => (weight * MAX_TURNS / total).max(1) as i64,
    };
    let shares: Vec<i64> = weights.iter().map(|&weight| scale(weight)).collect();
    let length: i64 = shares.iter().sum();
    let mut credit = vec![0_i64; shares.len()];
    (0..length)
        .filter_map(|_| {
            credit.iter_mut().zip(&shares).for_each(|(credit, share)| *credit += share);
            let best = (0..credit.len()).rev().max_by_key(|&i| credit[i])?;
            credit[best] -= length;
            u16::try_from(best).ok()
        })
        .collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_by_weight() {
        assert_eq!(turns(&[1, 1]), [0, 1]);
        assert_eq!(turns(&[2, 1]), [0, 1, 0]);
        assert_eq!(turns(&[5, 0, 1]), [0, 0, 0, 2, 0, 0]);
        assert_eq!(turns(&[100, 100]), [0, 1]);
        assert!(turns(&[0, 0]).is_empty());
        let many = turns(&[1_000_000, 1, 500_000]);
        assert!(many.len() <= 1_000 && many.contains(&1));
    }
}
