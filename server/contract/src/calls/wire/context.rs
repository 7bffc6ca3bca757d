//! What is the same for call after call: each is written once in a section, and calls name it by its number.

use std::net::IpAddr;

use super::bytes::{Bytes, put_id, put_number, put_option, put_text};
use super::{CallRecord, Malformed, WITH_SIGNS};
use crate::calls::{CacheOutcome, CacheSigns};
use crate::ids::{ApiId, ApplicationId, CredentialId, PlanId, SubscriptionId, TenantId};
use crate::problem::ErrorSource;

pub(super) const MINUTE_US: i64 = 60_000_000;
/// Most stages of a call: far more than there are, and far fewer than could fill a memory.
const STAGES_MAX: usize = 1_000;

/// Something that calls have in common.
pub(super) trait Context: Sized {
    /// A number that tends to differ between contexts, found without reading their texts whole.
    fn hint(call: &CallRecord<'_>) -> u64;

    fn is_of(&self, call: &CallRecord<'_>) -> bool;

    fn of(call: &CallRecord<'_>) -> Self;

    fn write(&self, out: &mut Vec<u8>);

    /// As this version of the layout has it.
    fn read(bytes: &mut Bytes<'_>, version: u8) -> Result<Self, Malformed>;

    /// Bytes of text, which every call of this context has once it is read.
    fn weight(&self) -> usize;
}

/// What was called, in which minute, and how it was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Since the Unix epoch.
    pub(super) minute: i64,
    pub(super) tenant: Option<TenantId>,
    pub(super) api: Option<ApiId>,
    pub(super) route: Option<Box<str>>,
    pub(super) method: Box<str>,
    pub(super) host: Box<str>,
    pub(super) status: u16,
    pub(super) error: Option<Box<str>>,
    pub(super) error_source: Option<ErrorSource>,
    pub(super) cache: CacheOutcome,
    pub(super) signs: CacheSigns,
    pub(super) target: Option<Box<str>>,
    /// Names of the stages, in order.
    pub(super) stages: Vec<Box<str>>,
}

/// By what right.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Consumer {
    pub(super) application: Option<ApplicationId>,
    pub(super) credential: Option<CredentialId>,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) plan: Option<PlanId>,
}

/// From where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Client {
    pub(super) ip: IpAddr,
    pub(super) user_agent: Option<Box<str>>,
}

impl Context for Place {
    fn hint(call: &CallRecord<'_>) -> u64 {
        let sample_of = |text: Option<&str>| text.map_or(0, sample);
        call.api
            .map_or(0, |id| id.0.as_u64_pair().1)
            .wrapping_add(sample_of(call.route))
            .wrapping_add(sample_of(call.target).rotate_left(16))
            .wrapping_add(sample(call.method).rotate_left(32))
            .wrapping_add(u64::from(call.status) << 16 | (call.cache as u64) << 8)
            .wrapping_add(call.host.len() as u64)
    }

    fn is_of(&self, call: &CallRecord<'_>) -> bool {
        let Self {
            minute,
            tenant,
            api,
            route,
            method,
            host,
            status,
            error,
            error_source,
            cache,
            signs,
            target,
            stages,
        } = self;
        *status == call.status
            && *cache == call.cache
            && *signs == call.signs
            && *minute == call.minute()
            && *tenant == call.tenant
            && *api == call.api
            && *error_source == call.error_source
            && route.as_deref() == call.route
            && **method == *call.method
            && **host == *call.host
            && error.as_deref() == call.error
            && target.as_deref() == call.target
            && stages.iter().map(|stage| &**stage).eq(call.stages.iter().map(|stage| stage.stage))
    }

    fn of(call: &CallRecord<'_>) -> Self {
        Self {
            minute: call.minute(),
            tenant: call.tenant,
            api: call.api,
            route: call.route.map(Box::from),
            method: call.method.into(),
            host: call.host.into(),
            status: call.status,
            error: call.error.map(Box::from),
            error_source: call.error_source,
            cache: call.cache,
            signs: call.signs,
            target: call.target.map(Box::from),
            stages: call.stages.iter().map(|stage| stage.stage.into()).collect(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self {
            minute,
            tenant,
            api,
            route,
            method,
            host,
            status,
            error,
            error_source,
            cache,
            signs,
            target,
            stages,
        } = self;
        // Times before 1970 take ten bytes.
        put_number(out, minute.cast_unsigned());
        put_option(out, tenant.map(|id| id.0), put_id);
        put_option(out, api.map(|id| id.0), put_id);
        put_option(out, route.as_deref(), put_text);
        put_text(out, method);
        put_text(out, host);
        put_number(out, u64::from(*status));
        put_option(out, error.as_deref(), put_text);
        put_option(out, *error_source, |out, source| out.push(source_code(source)));
        out.push(cache_code(*cache));
        out.push(signs.bits());
        put_option(out, target.as_deref(), put_text);
        put_number(out, stages.len() as u64);
        stages.iter().for_each(|stage| put_text(out, stage));
    }

    fn read(bytes: &mut Bytes<'_>, version: u8) -> Result<Self, Malformed> {
        Ok(Self {
            minute: bytes.number()?.cast_signed(),
            tenant: bytes.option(Bytes::id)?.map(TenantId),
            api: bytes.option(Bytes::id)?.map(ApiId),
            route: bytes.option(Bytes::text)?.map(Box::from),
            method: bytes.text()?.into(),
            host: bytes.text()?.into(),
            status: u16::try_from(bytes.number()?).map_err(|_| Malformed::Number)?,
            error: bytes.option(Bytes::text)?.map(Box::from),
            error_source: bytes.option(|bytes| source_of(bytes.byte()?))?,
            cache: cache_of(bytes.byte()?)?,
            signs: if version < WITH_SIGNS { CacheSigns::default() } else { signs_of(bytes.byte()?)? },
            target: bytes.option(Bytes::text)?.map(Box::from),
            stages: bytes.list(STAGES_MAX, |bytes| bytes.text().map(Box::from))?,
        })
    }

    fn weight(&self) -> usize {
        /// What a stage takes beside its name.
        const STAGE: usize = 40;
        let optional = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        optional(&self.route)
            + self.method.len()
            + self.host.len()
            + optional(&self.error)
            + optional(&self.target)
            + self.stages.iter().map(|stage| STAGE + stage.len()).sum::<usize>()
    }
}

impl Context for Consumer {
    fn hint(call: &CallRecord<'_>) -> u64 {
        call.credential.map_or(0, |id| id.0.as_u64_pair().1)
    }

    fn is_of(&self, call: &CallRecord<'_>) -> bool {
        *self == Self::of(call)
    }

    fn of(call: &CallRecord<'_>) -> Self {
        let CallRecord { application, credential, subscription, plan, .. } = *call;
        Self { application, credential, subscription, plan }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { application, credential, subscription, plan } = self;
        put_option(out, application.map(|id| id.0), put_id);
        put_option(out, credential.map(|id| id.0), put_id);
        put_option(out, subscription.map(|id| id.0), put_id);
        put_option(out, plan.map(|id| id.0), put_id);
    }

    fn read(bytes: &mut Bytes<'_>, _version: u8) -> Result<Self, Malformed> {
        Ok(Self {
            application: bytes.option(Bytes::id)?.map(ApplicationId),
            credential: bytes.option(Bytes::id)?.map(CredentialId),
            subscription: bytes.option(Bytes::id)?.map(SubscriptionId),
            plan: bytes.option(Bytes::id)?.map(PlanId),
        })
    }

    fn weight(&self) -> usize {
        0
    }
}

impl Context for Client {
    fn hint(call: &CallRecord<'_>) -> u64 {
        let ip = match call.client_ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits() as u64 ^ (ip.to_bits() >> 64) as u64,
        };
        ip << 16 ^ call.user_agent.map_or(0, str::len) as u64
    }

    fn is_of(&self, call: &CallRecord<'_>) -> bool {
        self.ip == call.client_ip && self.user_agent.as_deref() == call.user_agent
    }

    fn of(call: &CallRecord<'_>) -> Self {
        Self { ip: call.client_ip, user_agent: call.user_agent.map(Box::from) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self.ip {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        put_option(out, self.user_agent.as_deref(), put_text);
    }

    fn read(bytes: &mut Bytes<'_>, _version: u8) -> Result<Self, Malformed> {
        let ip = match bytes.byte()? {
            4 => IpAddr::from(bytes.array::<4>()?),
            6 => IpAddr::from(bytes.array::<16>()?),
            _ => return Err(Malformed::Code("address")),
        };
        Ok(Self { ip, user_agent: bytes.option(Bytes::text)?.map(Box::from) })
    }

    fn weight(&self) -> usize {
        self.user_agent.as_deref().map_or(0, str::len)
    }
}

/// The length and the ends of a text.
fn sample(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(&first), Some(&last)) => u64::from_le_bytes(first) ^ u64::from_le_bytes(last).rotate_left(32),
        _ => bytes.iter().fold(0, |ends, &byte| ends << 8 | u64::from(byte)),
    };
    ends ^ (bytes.len() as u64) << 56
}

fn source_code(source: ErrorSource) -> u8 {
    match source {
        ErrorSource::Client => 1,
        ErrorSource::Gateway => 2,
        ErrorSource::Upstream => 3,
        ErrorSource::Control => 4,
    }
}

fn source_of(code: u8) -> Result<ErrorSource, Malformed> {
    use ErrorSource::{Client, Control, Gateway, Upstream};
    let sources = [Client, Gateway, Upstream, Control];
    sources
        .into_iter()
        .find(|source| source_code(*source) == code)
        .ok_or(Malformed::Code("source of an error"))
}

fn cache_code(outcome: CacheOutcome) -> u8 {
    match outcome {
        CacheOutcome::Bypass => 1,
        CacheOutcome::Hit => 2,
        CacheOutcome::Revalidated => 3,
        CacheOutcome::Coalesced => 4,
        CacheOutcome::Stale => 5,
        CacheOutcome::Miss => 6,
        CacheOutcome::Uncached => 7,
        CacheOutcome::Method => 8,
        CacheOutcome::VaryMiss => 9,
        CacheOutcome::Expired => 10,
        CacheOutcome::Request => 11,
    }
}

fn signs_of(bits: u8) -> Result<CacheSigns, Malformed> {
    CacheSigns::from_bits(bits).ok_or(Malformed::Code("signs for caches"))
}

fn cache_of(code: u8) -> Result<CacheOutcome, Malformed> {
    CacheOutcome::ALL
        .into_iter()
        .find(|outcome| cache_code(*outcome) == code)
        .ok_or(Malformed::Code("outcome of the cache"))
}
