//! A call record as JSON: what [`sluice_contract::calls::Call`] reads. Written by hand because every call pays for it on
//! the thread that serves it; serde's way costs ten times the instructions.

use std::io::Write as _;
use std::net::IpAddr;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::problem::ErrorSource;
use uuid::Uuid;

use super::record::{CallRecord, Stage};
use crate::hex;

/// Bytes of a record without the texts that callers choose, at most; only to grow the buffer once.
const USUAL: usize = 1_024;

/// Appends the record; what it has not is left out.
pub(super) fn write(call: &CallRecord<'_>, out: &mut Vec<u8>) {
    out.reserve(USUAL + call.path.len() + call.query.map_or(0, str::len));
    out.extend_from_slice(b"{\"id\":\"");
    uuid(out, call.id.0);
    out.extend_from_slice(b"\",\"at\":\"");
    time(out, call.at);
    out.push(b'"');
    id(out, b",\"tenant\":", call.tenant.map(|id| id.0));
    id(out, b",\"api\":", call.api.map(|id| id.0));
    text(out, b",\"route\":", call.route);
    word(out, b",\"method\":", Some(call.method));
    text(out, b",\"host\":", Some(call.host));
    text(out, b",\"path\":", Some(call.path));
    text(out, b",\"query\":", call.query);
    number(out, b",\"status\":", u64::from(call.status));
    word(out, b",\"error\":", call.error);
    word(out, b",\"error_source\":", call.error_source.map(source));
    id(out, b",\"application\":", call.application.map(|id| id.0));
    id(out, b",\"credential\":", call.credential.map(|id| id.0));
    id(out, b",\"subscription\":", call.subscription.map(|id| id.0));
    id(out, b",\"plan\":", call.plan.map(|id| id.0));
    word(out, b",\"cache\":", Some(outcome(call.cache)));
    text(out, b",\"target\":", call.target);
    number(out, b",\"duration_us\":", call.duration_us);
    if let Some(upstream_us) = call.upstream_us {
        number(out, b",\"upstream_us\":", upstream_us);
    }
    number(out, b",\"bytes_in\":", call.bytes_in);
    number(out, b",\"bytes_out\":", call.bytes_out);
    out.extend_from_slice(b",\"client_ip\":\"");
    address(out, call.client_ip);
    out.push(b'"');
    text(out, b",\"user_agent\":", call.user_agent);
    text(out, b",\"request_id\":", Some(call.request_id));
    if let Some(trace) = call.trace_id {
        out.extend_from_slice(b",\"trace_id\":\"");
        let mut digits = [0; 32];
        hex::encode(&trace, &mut digits);
        out.extend_from_slice(&digits);
        out.push(b'"');
    }
    stages(out, call.stages);
    out.push(b'}');
}

fn stages(out: &mut Vec<u8>, stages: &[Stage]) {
    let mut before: &[u8] = b",\"stages\":[";
    for stage in stages {
        out.extend_from_slice(before);
        before = b",";
        word(out, b"{\"stage\":", Some(stage.stage));
        number(out, b",\"start_us\":", stage.start_us);
        number(out, b",\"took_us\":", stage.took_us);
        out.push(b'}');
    }
    if !stages.is_empty() {
        out.push(b']');
    }
}

fn id(out: &mut Vec<u8>, name: &[u8], id: Option<Uuid>) {
    let Some(id) = id else { return };
    out.extend_from_slice(name);
    out.push(b'"');
    uuid(out, id);
    out.push(b'"');
}

fn uuid(out: &mut Vec<u8>, id: Uuid) {
    let mut digits = Uuid::encode_buffer();
    out.extend_from_slice(id.hyphenated().encode_lower(&mut digits).as_bytes());
}

/// Text that is ours, or a token: nothing in it needs an escape.
fn word(out: &mut Vec<u8>, name: &[u8], word: Option<&str>) {
    let Some(word) = word else { return };
    out.extend_from_slice(name);
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

fn text(out: &mut Vec<u8>, name: &[u8], text: Option<&str>) {
    let Some(text) = text else { return };
    out.extend_from_slice(name);
    // Without an early end, so that the compiler looks at many bytes at once.
    let escaped =
        text.bytes().fold(false, |any, byte| any | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
    if escaped {
        // Writing to memory and text as a value: neither can fail.
        let _ = serde_json::to_writer(out, text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

fn number(out: &mut Vec<u8>, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// RFC 3339 with microseconds, in UTC.
fn time(out: &mut Vec<u8>, at: DateTime<Utc>) {
    let (date, time) = (at.date_naive(), at.time());
    let year = u32::try_from(date.year()).unwrap_or_default();
    let micros = (time.nanosecond() / 1_000).min(999_999);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (0..4, year),
        (5..7, date.month()),
        (8..10, date.day()),
        (11..13, time.hour()),
        (14..16, time.minute()),
        (17..19, time.second()),
        (20..26, micros),
    ];
    for (place, mut value) in parts {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    out.extend_from_slice(&text);
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            for (octet, after) in [(a, "."), (b, "."), (c, "."), (d, "")] {
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
                out.extend_from_slice(after.as_bytes());
            }
        }
        IpAddr::V6(v6) => {
            let _ = write!(out, "{v6}");
        }
    }
}

fn outcome(cache: CacheOutcome) -> &'static str {
    match cache {
        CacheOutcome::Bypass => "bypass",
        CacheOutcome::Hit => "hit",
        CacheOutcome::Revalidated => "revalidated",
        CacheOutcome::Coalesced => "coalesced",
        CacheOutcome::Stale => "stale",
        CacheOutcome::Miss => "miss",
    }
}

fn source(source: ErrorSource) -> &'static str {
    match source {
        ErrorSource::Client => "client",
        ErrorSource::Gateway => "gateway",
        ErrorSource::Upstream => "upstream",
        ErrorSource::Control => "control",
    }
}

#[cfg(test)]
mod tests {
    use sluice_contract::calls::{Call, StageTime};

    use super::super::record::tests::a_call;
    use super::*;

    fn read_back(call: &CallRecord<'_>) -> Call {
        let mut json = Vec::new();
        write(call, &mut json);
        serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{error}: {}", json.escape_ascii()))
    }

    /// What the contract should read of a record.
    fn meant(call: &CallRecord<'_>) -> Call {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Call {
            id: call.id,
            at: call.at,
            tenant: call.tenant,
            api: call.api,
            route: owned(call.route),
            method: call.method.to_owned(),
            host: call.host.to_owned(),
            path: call.path.to_owned(),
            query: owned(call.query),
            status: call.status,
            error: owned(call.error),
            error_source: call.error_source,
            application: call.application,
            credential: call.credential,
            subscription: call.subscription,
            plan: call.plan,
            cache: call.cache,
            target: owned(call.target),
            duration_us: call.duration_us,
            upstream_us: call.upstream_us,
            bytes_in: call.bytes_in,
            bytes_out: call.bytes_out,
            client_ip: call.client_ip.to_string(),
            user_agent: owned(call.user_agent),
            request_id: call.request_id.to_owned(),
            trace_id: call.trace_id.map(|trace| format!("{:032x}", u128::from_be_bytes(trace))),
            stages: call
                .stages
                .iter()
                .map(|stage| StageTime {
                    stage: stage.stage.to_owned(),
                    start_us: stage.start_us,
                    took_us: stage.took_us,
                })
                .collect(),
        }
    }

    #[test]
    fn a_record_reads_back_as_the_contract_s_call() {
        let whole = a_call();
        assert_eq!(read_back(&whole), meant(&whole));
        let at = DateTime::from_timestamp_micros(1_799_999_999_012_034).unwrap();
        let least = CallRecord {
            at,
            tenant: None,
            api: None,
            route: None,
            query: None,
            error_source: None,
            application: None,
            plan: None,
            target: None,
            upstream_us: None,
            client_ip: "2001:db8::1".parse().unwrap(),
            user_agent: None,
            trace_id: None,
            stages: &[],
            duration_us: u64::MAX,
            ..a_call()
        };
        assert_eq!(read_back(&least), meant(&least));
    }

    #[test]
    fn text_that_callers_choose_cannot_break_out_of_its_quotes() {
        for hostile in ["\"", "\\", "a\",\"status\":200,\"x\":\"", "\n\t\0\u{1f}", "\u{7f}é😀", ""] {
            let call = CallRecord {
                path: hostile,
                host: hostile,
                query: Some(hostile),
                user_agent: Some(hostile),
                request_id: hostile,
                ..a_call()
            };
            assert_eq!(read_back(&call), meant(&call), "{hostile:?}");
        }
    }

    #[test]
    fn every_outcome_and_source_has_the_contract_s_name() {
        use CacheOutcome::{Bypass, Coalesced, Hit, Miss, Revalidated, Stale};
        for cache in [Bypass, Hit, Revalidated, Coalesced, Stale, Miss] {
            assert_eq!(serde_json::to_value(cache).unwrap(), outcome(cache));
        }
        for error_source in
            [ErrorSource::Client, ErrorSource::Gateway, ErrorSource::Upstream, ErrorSource::Control]
        {
            assert_eq!(serde_json::to_value(error_source).unwrap(), source(error_source));
        }
    }
}
