//! How a gateway sends its calls: MessagePack, since every call pays for its record on the thread that serves it.
//!
//! A batch is a [`BatchHead`] followed by as many [`CallRecord`]s as it says. A record is an array of its fields: a new
//! field goes to the end, with `#[serde(default)]`, so that what an older gateway sends is still read.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use rmp_serde::decode::{Deserializer, ReadRefReader};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{CacheOutcome, Call, CallBatch, StageTime};
use crate::ids::{ApiId, ApplicationId, BootId, CallId, CredentialId, PlanId, SubscriptionId, TenantId};
use crate::problem::ErrorSource;
use crate::rollup::RollupDelta;

type Reader<'a> = Deserializer<ReadRefReader<'a, [u8]>>;

/// One finished call; see [`Call`] for the units. Borrowed, so that recording allocates nothing of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord<'a> {
    pub id: CallId,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
    pub tenant: Option<TenantId>,
    pub api: Option<ApiId>,
    #[serde(borrow)]
    pub route: Option<&'a str>,
    pub method: &'a str,
    pub host: &'a str,
    /// As the client sent it, without the query.
    pub path: &'a str,
    /// With every key taken out: what is here is stored and shown.
    #[serde(borrow)]
    pub query: Option<&'a str>,
    pub status: u16,
    #[serde(borrow)]
    pub error: Option<&'a str>,
    pub error_source: Option<ErrorSource>,
    pub application: Option<ApplicationId>,
    pub credential: Option<CredentialId>,
    pub subscription: Option<SubscriptionId>,
    pub plan: Option<PlanId>,
    pub cache: CacheOutcome,
    #[serde(borrow)]
    pub target: Option<&'a str>,
    pub duration_us: u64,
    pub upstream_us: Option<u64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub client_ip: IpAddr,
    #[serde(borrow)]
    pub user_agent: Option<&'a str>,
    /// None: the call's own id.
    #[serde(borrow)]
    pub request_id: Option<&'a str>,
    pub trace_id: Option<u128>,
    #[serde(borrow)]
    pub stages: Cow<'a, [Stage<'a>]>,
}

/// Time that one stage took; see [`StageTime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage<'a> {
    pub stage: &'a str,
    pub start_us: u64,
    pub took_us: u64,
}

/// What a batch begins with; see [`CallBatch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchHead<'a> {
    pub boot: BootId,
    pub sequence: u64,
    pub dropped: u64,
    pub rollups: Cow<'a, [RollupDelta]>,
    /// Records that follow.
    pub calls: u64,
}

/// Why bytes are no batch.
#[derive(Debug, thiserror::Error)]
pub enum NoBatch {
    #[error("the head of the batch: {0}")]
    Head(#[source] rmp_serde::decode::Error),
    /// Counted from 1.
    #[error("call {0} of the batch: {1}")]
    Call(u64, #[source] rmp_serde::decode::Error),
    #[error("something follows the last call of the batch")]
    Trailing,
}

/// As many calls as bytes of [`CallRecord::append_to`] hold.
///
/// # Errors
/// When the bytes are anything else.
pub fn calls(bytes: &[u8], count: u64) -> Result<Vec<Call>, NoBatch> {
    read_calls(&mut Deserializer::from_read_ref(bytes), count)
}

fn read_calls(reader: &mut Reader<'_>, count: u64) -> Result<Vec<Call>, NoBatch> {
    let mut calls = Vec::new();
    for number in 1..=count {
        let record = CallRecord::deserialize(&mut *reader);
        calls.push(record.map_err(|error| NoBatch::Call(number, error))?.into());
    }
    Ok(calls)
}

/// Why a call cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum NoRecord {
    #[error("the client's address: {0}")]
    Address(#[from] std::net::AddrParseError),
    #[error("the trace id: {0}")]
    Trace(#[from] std::num::ParseIntError),
    #[error(transparent)]
    Encode(#[from] rmp_serde::encode::Error),
}

impl CallRecord<'_> {
    /// Appends the record.
    ///
    /// # Errors
    /// Never: neither these types nor writing to memory can fail.
    pub fn append_to(&self, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
        rmp_serde::encode::write(out, self)
    }
}

impl BatchHead<'_> {
    /// The head's bytes; fields have their names, as heads are few and rollups leave fields out.
    ///
    /// # Errors
    /// Never: these types can be written.
    pub fn bytes(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }
}

impl CallBatch {
    /// Reads what [`BatchHead::bytes`] and [`CallRecord::append_to`] wrote.
    ///
    /// # Errors
    /// When the bytes are anything else: says where.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, NoBatch> {
        let mut reader = Deserializer::from_read_ref(bytes);
        let head = BatchHead::deserialize(&mut reader).map_err(NoBatch::Head)?;
        let calls = read_calls(&mut reader, head.calls)?;
        if IgnoredAny::deserialize(&mut reader).is_ok() {
            return Err(NoBatch::Trailing);
        }
        let BatchHead { boot, sequence, dropped, rollups, calls: _ } = head;
        Ok(Self { boot, sequence, calls, rollups: rollups.into_owned(), dropped })
    }

    /// The batch as a gateway would send it, before compression: for tests and benchmarks of who receives them.
    ///
    /// # Errors
    /// When the address of a client or a trace id is none.
    pub fn to_wire(&self) -> Result<Vec<u8>, NoRecord> {
        let Self { boot, sequence, calls, rollups, dropped } = self;
        let rollups = Cow::Borrowed(&**rollups);
        let head = BatchHead {
            boot: *boot,
            sequence: *sequence,
            dropped: *dropped,
            rollups,
            calls: calls.len() as u64,
        };
        let mut out = head.bytes()?;
        for call in calls {
            let stages = call.stages.iter().map(Stage::of).collect::<Vec<_>>();
            CallRecord::of(call, &stages)?.append_to(&mut out)?;
        }
        Ok(out)
    }
}

impl<'a> CallRecord<'a> {
    fn of(call: &'a Call, stages: &'a [Stage<'a>]) -> Result<Self, NoRecord> {
        let trace_id = call.trace_id.as_deref().map(|id| u128::from_str_radix(id, 16)).transpose()?;
        Ok(Self {
            id: call.id,
            at: call.at,
            tenant: call.tenant,
            api: call.api,
            route: call.route.as_deref(),
            method: &call.method,
            host: &call.host,
            path: &call.path,
            query: call.query.as_deref(),
            status: call.status,
            error: call.error.as_deref(),
            error_source: call.error_source,
            application: call.application,
            credential: call.credential,
            subscription: call.subscription,
            plan: call.plan,
            cache: call.cache,
            target: call.target.as_deref(),
            duration_us: call.duration_us,
            upstream_us: call.upstream_us,
            bytes_in: call.bytes_in,
            bytes_out: call.bytes_out,
            client_ip: call.client_ip.parse()?,
            user_agent: call.user_agent.as_deref(),
            request_id: (call.request_id != call.id.to_string()).then_some(&*call.request_id),
            trace_id,
            stages: Cow::Borrowed(stages),
        })
    }
}

impl From<CallRecord<'_>> for Call {
    fn from(record: CallRecord<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: record.id,
            at: record.at,
            tenant: record.tenant,
            api: record.api,
            route: owned(record.route),
            method: record.method.to_owned(),
            host: record.host.to_owned(),
            path: record.path.to_owned(),
            query: owned(record.query),
            status: record.status,
            error: owned(record.error),
            error_source: record.error_source,
            application: record.application,
            credential: record.credential,
            subscription: record.subscription,
            plan: record.plan,
            cache: record.cache,
            target: owned(record.target),
            duration_us: record.duration_us,
            upstream_us: record.upstream_us,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            client_ip: record.client_ip.to_string(),
            user_agent: owned(record.user_agent),
            request_id: record.request_id.map_or_else(|| record.id.to_string(), str::to_owned),
            trace_id: record.trace_id.map(|id| format!("{id:032x}")),
            stages: record.stages.iter().map(StageTime::from).collect(),
        }
    }
}

impl<'a> Stage<'a> {
    fn of(time: &'a StageTime) -> Self {
        Self { stage: &time.stage, start_us: time.start_us, took_us: time.took_us }
    }
}

impl From<&Stage<'_>> for StageTime {
    fn from(time: &Stage<'_>) -> Self {
        Self { stage: time.stage.to_owned(), start_us: time.start_us, took_us: time.took_us }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use uuid::Uuid;

    use super::*;
    use crate::rollup::{Cell, Counts, Measure};

    const FULL: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;

    fn whole() -> Call {
        Call {
            id: CallId(Uuid::from_u128(FULL)),
            at: DateTime::from_timestamp_micros(1_799_999_999_012_034).unwrap(),
            tenant: Some(TenantId(Uuid::from_u128(2))),
            api: Some(ApiId(Uuid::from_u128(3))),
            route: Some("getThing".to_owned()),
            method: "GET".to_owned(),
            host: "api.example".to_owned(),
            path: "/acme/things/1".to_owned(),
            query: Some("q=\"\u{0}\u{7f}é😀".to_owned()),
            status: 502,
            error: Some("upstream_refused".to_owned()),
            error_source: Some(ErrorSource::Upstream),
            application: Some(ApplicationId(Uuid::from_u128(4))),
            credential: Some(CredentialId(Uuid::from_u128(5))),
            subscription: Some(SubscriptionId(Uuid::from_u128(6))),
            plan: Some(PlanId(Uuid::from_u128(7))),
            cache: CacheOutcome::Revalidated,
            target: Some("http://10.0.0.1:80".to_owned()),
            duration_us: u64::MAX,
            upstream_us: Some(1_000),
            bytes_in: 10,
            bytes_out: 20,
            client_ip: Ipv6Addr::from(FULL).to_string(),
            user_agent: Some("curl/8".to_owned()),
            request_id: "abc".to_owned(),
            trace_id: Some(format!("{:032x}", 0xab)),
            stages: vec![StageTime { stage: "route".to_owned(), start_us: 1, took_us: 2 }],
        }
    }

    fn least() -> Call {
        Call {
            tenant: None,
            api: None,
            route: None,
            query: None,
            error: None,
            error_source: None,
            application: None,
            credential: None,
            subscription: None,
            plan: None,
            target: None,
            upstream_us: None,
            client_ip: "192.0.2.255".to_owned(),
            user_agent: None,
            request_id: CallId(Uuid::from_u128(FULL)).to_string(),
            trace_id: None,
            stages: Vec::new(),
            ..whole()
        }
    }

    fn batch() -> CallBatch {
        let measure = Measure {
            status: 502,
            cache: CacheOutcome::Miss,
            bytes_in: 1,
            bytes_out: 2,
            duration_us: 3,
            upstream_us: None,
        };
        let mut counts = Counts::default();
        counts.record(&measure);
        let (tenant, api) = (TenantId(Uuid::from_u128(2)), ApiId(Uuid::from_u128(3)));
        let cells = [
            Cell::Traffic {
                tenant: Some(tenant),
                api: None,
                route: None,
                status: 502,
                cache: CacheOutcome::Miss,
            },
            Cell::Consumer { tenant, application: ApplicationId(Uuid::nil()), plan: None, api, failed: true },
            Cell::Target { tenant, api, target: "http://t".to_owned(), failed: false },
        ];
        let rollups = cells.map(|cell| RollupDelta { minute: 7, cell, counts: counts.clone() });
        CallBatch {
            boot: BootId(Uuid::from_u128(9)),
            sequence: 3,
            calls: vec![whole(), least(), whole()],
            rollups: rollups.into(),
            dropped: 5,
        }
    }

    #[test]
    fn a_batch_reads_back_as_it_was() {
        let batch = batch();
        assert_eq!(CallBatch::from_wire(&batch.to_wire().unwrap()).unwrap(), batch);
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused_and_says_where() {
        let bytes = batch().to_wire().unwrap();
        for end in 0..bytes.len() {
            assert!(CallBatch::from_wire(&bytes[..end]).is_err(), "cut at {end}");
        }
        let last = CallBatch::from_wire(&bytes[..bytes.len() - 1]).unwrap_err();
        assert!(last.to_string().starts_with("call 3 of the batch: "), "{last}");
        let more = CallBatch::from_wire(&[&*bytes, &[0xc0]].concat()).unwrap_err();
        assert!(matches!(more, NoBatch::Trailing), "{more}");
        assert!(matches!(CallBatch::from_wire(b"{\"boot\":1}").unwrap_err(), NoBatch::Head(_)));
    }
}
