//! One finished call as the data path hands it over: borrowed, so that recording allocates nothing of its own.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::ids::{ApiId, ApplicationId, CallId, CredentialId, PlanId, SubscriptionId, TenantId};
use sluice_contract::problem::ErrorSource;
use sluice_contract::rollup::Measure;

/// A finished call; see [`sluice_contract::calls::Call`] for the units.
#[derive(Clone, Debug)]
pub struct CallRecord<'a> {
    pub id: CallId,
    pub at: DateTime<Utc>,
    pub tenant: Option<TenantId>,
    pub api: Option<ApiId>,
    pub route: Option<&'a str>,
    pub method: &'a str,
    pub host: &'a str,
    /// As the client sent it, without the query.
    pub path: &'a str,
    /// With every key taken out: what is here is stored and shown.
    pub query: Option<&'a str>,
    pub status: u16,
    pub error: Option<&'a str>,
    pub error_source: Option<ErrorSource>,
    pub application: Option<ApplicationId>,
    pub credential: Option<CredentialId>,
    pub subscription: Option<SubscriptionId>,
    pub plan: Option<PlanId>,
    pub cache: CacheOutcome,
    pub target: Option<&'a str>,
    pub duration_us: u64,
    pub upstream_us: Option<u64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub client_ip: IpAddr,
    pub user_agent: Option<&'a str>,
    pub request_id: &'a str,
    pub trace_id: Option<[u8; 16]>,
    pub stages: &'a [Stage],
}

/// Time that one stage took, in microseconds; see [`sluice_contract::calls::StageTime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub stage: &'static str,
    pub start_us: u64,
    pub took_us: u64,
}

impl CallRecord<'_> {
    /// Whether the call counts as failed in rollups: an answer that is an error of the gateway or the upstream.
    pub fn failed(&self) -> bool {
        self.status >= 500
    }

    pub(super) fn measure(&self) -> Measure {
        Measure {
            status: self.status,
            cache: self.cache,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_us: self.duration_us,
            upstream_us: self.upstream_us,
        }
    }

    /// The minute in which the call began, since the Unix epoch.
    pub(super) fn minute(&self) -> u32 {
        u32::try_from(self.at.timestamp() / 60).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;

    pub(crate) fn a_call() -> CallRecord<'static> {
        CallRecord {
            id: CallId(Uuid::from_u128(1)),
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            tenant: Some(TenantId(Uuid::from_u128(2))),
            api: Some(ApiId(Uuid::from_u128(3))),
            route: Some("getThing"),
            method: "GET",
            host: "api.example",
            path: "/acme/things/1",
            query: Some("q=\"quoted\""),
            status: 200,
            error: None,
            error_source: Some(ErrorSource::Upstream),
            application: Some(ApplicationId(Uuid::from_u128(4))),
            credential: None,
            subscription: None,
            plan: Some(PlanId(Uuid::from_u128(5))),
            cache: CacheOutcome::Miss,
            target: Some("http://10.0.0.1:80"),
            duration_us: 1_234,
            upstream_us: Some(1_000),
            bytes_in: 10,
            bytes_out: 20,
            client_ip: IpAddr::from([192, 0, 2, 1]),
            user_agent: Some("curl/8"),
            request_id: "abc",
            trace_id: Some([0xAB; 16]),
            stages: &[Stage { stage: "route", start_us: 1, took_us: 2 }],
        }
    }
}
