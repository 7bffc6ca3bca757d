//! One call: what differs from call to call.

use std::net::IpAddr;

use super::bytes::{Bytes, put_number, put_text};
use super::context::{Client, Consumer, MINUTE_US, Place};
use super::{CALL_WEIGHT, Malformed};
use crate::calls::{CacheOutcome, CacheSigns, Call, SecondLevelAnswer, SecondLevelAsked, StageTime};
use crate::ids::{ApiId, ApplicationId, CallId, CredentialId, PlanId, SubscriptionId, TenantId};
use crate::problem::ErrorSource;

/// What a call has of what not every call has, and how its id is written.
const QUERY: u8 = 1;
const REQUEST_ID: u8 = 2;
const TRACE: u8 = 4;
const UPSTREAM: u8 = 8;
/// The id begins with the milliseconds of the call's time (UUID version 7), so that those six bytes are left out.
const TIMED_ID: u8 = 16;
const SECOND_LEVEL: u8 = 32;
const KNOWN: u8 = QUERY | REQUEST_ID | TRACE | UPSTREAM | TIMED_ID | SECOND_LEVEL;

/// One finished call; see [`Call`] for the units. Borrowed, so that recording copies nothing twice.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord<'a> {
    pub id: CallId,
    /// Microseconds since the Unix epoch.
    pub at_us: i64,
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
    pub signs: CacheSigns,
    pub second_level: Option<SecondLevelAsked>,
    pub target: Option<&'a str>,
    pub duration_us: u64,
    pub upstream_us: Option<u64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub client_ip: IpAddr,
    pub user_agent: Option<&'a str>,
    /// None: the call's own id.
    pub request_id: Option<&'a str>,
    pub trace_id: Option<u128>,
    pub stages: &'a [Stage<'a>],
}

/// Time that one stage took; see [`StageTime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage<'a> {
    pub stage: &'a str,
    pub start_us: u64,
    pub took_us: u64,
}

impl CallRecord<'_> {
    /// The minute in which the call began, since the Unix epoch.
    pub fn minute(&self) -> i64 {
        self.at_us.div_euclid(MINUTE_US)
    }

    /// What the call weighs beside its contexts.
    pub(super) fn weight(&self) -> usize {
        CALL_WEIGHT + self.path.len() + self.query.map_or(0, str::len) + self.request_id.map_or(0, str::len)
    }

    /// Appends what no context says.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let id = self.id.0.as_bytes();
        let is_timed = i64::try_from(self.id.0.as_u128() >> 80) == Ok(self.at_us.div_euclid(1_000));
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        out.push(
            flag(self.query.is_some(), QUERY)
                | flag(self.request_id.is_some(), REQUEST_ID)
                | flag(self.trace_id.is_some(), TRACE)
                | flag(self.upstream_us.is_some(), UPSTREAM)
                | flag(self.second_level.is_some(), SECOND_LEVEL)
                | flag(is_timed, TIMED_ID),
        );
        out.extend_from_slice(if is_timed { &id[6..] } else { id });
        if let Some(trace_id) = self.trace_id {
            out.extend_from_slice(&trace_id.to_be_bytes());
        }
        put_number(out, self.at_us.rem_euclid(MINUTE_US) as u64);
        put_text(out, self.path);
        if let Some(query) = self.query {
            put_text(out, query);
        }
        if let Some(request_id) = self.request_id {
            put_text(out, request_id);
        }
        put_number(out, self.bytes_in);
        put_number(out, self.bytes_out);
        self.write_times(out);
        if let Some(SecondLevelAsked { answer, took_us }) = self.second_level {
            out.push(code(answer));
            put_number(out, took_us);
        }
    }

    /// Mostly a stage begins where the one before ended, and the call ends with the last: differences are 0, one byte.
    fn write_times(&self, out: &mut Vec<u8>) {
        let mut end = 0_u64;
        for stage in self.stages {
            put_number(out, stage.start_us.wrapping_sub(end));
            put_number(out, stage.took_us);
            end = stage.start_us.wrapping_add(stage.took_us);
        }
        put_number(out, self.duration_us.wrapping_sub(end));
        if let Some(upstream_us) = self.upstream_us {
            put_number(out, upstream_us);
        }
    }
}

/// What [`CallRecord::write`] wrote, as the call of these contexts.
pub(super) fn read(
    bytes: &mut Bytes<'_>,
    place: &Place,
    consumer: &Consumer,
    client: &Client,
) -> Result<Call, Malformed> {
    let flags = bytes.byte()?;
    if flags & !KNOWN != 0 {
        return Err(Malformed::Code("flags"));
    }
    let has = |flag: u8| flags & flag != 0;
    let id_bytes = if has(TIMED_ID) { Id::Timed(bytes.array()?) } else { Id::Whole(bytes.array()?) };
    let trace_id = has(TRACE).then(|| bytes.array().map(u128::from_be_bytes)).transpose()?;
    let at_us = at_us(place, bytes.number()?)?;
    let id = id_bytes.at(at_us)?;
    let path = bytes.text()?.to_owned();
    let query = has(QUERY).then(|| bytes.text().map(str::to_owned)).transpose()?;
    let request_id = has(REQUEST_ID).then(|| bytes.text().map(str::to_owned)).transpose()?;
    let (bytes_in, bytes_out) = (bytes.number()?, bytes.number()?);
    let (stages, end) = read_stages(bytes, place)?;
    let duration_us = bytes.number()?.wrapping_add(end);
    let upstream_us = has(UPSTREAM).then(|| bytes.number()).transpose()?;
    let second_level = has(SECOND_LEVEL).then(|| read_second_level(bytes)).transpose()?;
    let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    Ok(Call {
        id,
        at: chrono::DateTime::from_timestamp_micros(at_us).ok_or(Malformed::Time)?,
        tenant: place.tenant,
        api: place.api,
        route: owned(&place.route),
        method: (*place.method).to_owned(),
        host: (*place.host).to_owned(),
        path,
        query,
        status: place.status,
        error: owned(&place.error),
        error_source: place.error_source,
        application: consumer.application,
        credential: consumer.credential,
        subscription: consumer.subscription,
        plan: consumer.plan,
        cache: place.cache,
        signs: place.signs,
        second_level,
        target: owned(&place.target),
        duration_us,
        upstream_us,
        bytes_in,
        bytes_out,
        client_ip: client.ip.to_string(),
        user_agent: owned(&client.user_agent),
        request_id: request_id.unwrap_or_else(|| id.to_string()),
        trace_id: trace_id.map(|id| format!("{id:032x}")),
        stages,
    })
}

fn read_second_level(bytes: &mut Bytes<'_>) -> Result<SecondLevelAsked, Malformed> {
    let code_read = bytes.byte()?;
    let answer = SecondLevelAnswer::ALL.into_iter().find(|answer| code(*answer) == code_read);
    Ok(SecondLevelAsked { answer: answer.ok_or(Malformed::Code("second level"))?, took_us: bytes.number()? })
}

fn code(answer: SecondLevelAnswer) -> u8 {
    match answer {
        SecondLevelAnswer::Found => 0,
        SecondLevelAnswer::Nothing => 1,
        SecondLevelAnswer::Failed => 2,
    }
}

/// A call's id as it is written.
enum Id {
    Timed([u8; 10]),
    Whole([u8; 16]),
}

impl Id {
    fn at(self, at_us: i64) -> Result<CallId, Malformed> {
        let bytes = match self {
            Self::Whole(bytes) => u128::from_be_bytes(bytes),
            Self::Timed(rest) => {
                let millis = u64::try_from(at_us.div_euclid(1_000)).map_err(|_| Malformed::Time)?;
                let rest = rest.iter().fold(0_u128, |id, &byte| id << 8 | u128::from(byte));
                u128::from(millis) << 80 | rest
            }
        };
        Ok(CallId(uuid::Uuid::from_u128(bytes)))
    }
}

fn at_us(place: &Place, within: u64) -> Result<i64, Malformed> {
    let within = i64::try_from(within).ok().filter(|within| *within < MINUTE_US);
    let start = place.minute.checked_mul(MINUTE_US);
    start.zip(within).and_then(|(start, within)| start.checked_add(within)).ok_or(Malformed::Time)
}

/// The stages and the end of the last.
fn read_stages(bytes: &mut Bytes<'_>, place: &Place) -> Result<(Vec<StageTime>, u64), Malformed> {
    let mut end = 0_u64;
    let mut stages = Vec::with_capacity(place.stages.len());
    for stage in &place.stages {
        let start_us = bytes.number()?.wrapping_add(end);
        let took_us = bytes.number()?;
        end = start_us.wrapping_add(took_us);
        stages.push(StageTime { stage: (**stage).to_owned(), start_us, took_us });
    }
    Ok((stages, end))
}
