//! May the message be read at all: framing, sizes, readiness.

use http::Version;
use http::request::Parts;

use super::failure::{Kind, Outcome};
use super::{Arrived, Call};
use crate::state::Snapshot;
use crate::worker::Worker;

/// Gateways that a call may pass through; more is a circle.
const MAX_HOPS: usize = 8;

/// Whether there is anything to decide calls with.
pub(super) fn ready(worker: &Worker) -> Outcome<()> {
    if worker.shared.is_ready() {
        return Ok(());
    }
    Err(Kind::NotReady
        .because("The gateway has not heard from its control plane for too long.")
        .retry_after(1))
}

/// Heads that are malformed or too large, messages that two readers could read differently (RFC 9112 §6.3 and §11.2), and
/// requests without exactly one host.
pub(super) fn framing(call: &Call, arrived: &Arrived) -> Outcome<()> {
    if let Some(violation) = arrived.violation {
        return Err(violation.kind().because(violation.message()).closing());
    }
    let version = arrived.head.version;
    if version >= Version::HTTP_2 {
        return Ok(());
    }
    if call.told.hosts > 1 || (call.told.hosts == 0 && version == Version::HTTP_11) {
        return Err(Kind::BadRequest.because("A request has exactly one Host.").closing());
    }
    Ok(())
}

/// What can be told from the head alone; the rest is told while the body flows.
pub(super) fn sizes(snapshot: &Snapshot, call: &Call, arrived: &Arrived) -> Outcome<()> {
    let (limits, headers) = (&snapshot.settings.limits, &arrived.head.headers);
    let least = call.told.content_length.unwrap_or_default().max(arrived.body.size_hint().lower());
    if least > limits.body_bytes {
        let detail = format!("A body may have {} bytes; this one has {least}.", limits.body_bytes);
        return Err(Kind::BodyTooLarge.because(detail).closing());
    }
    // Of HTTP/1 the head's reader has counted the bytes as they came.
    if arrived.head.version == Version::HTTP_2 && list_bytes(&arrived.head) > limits.header_bytes as usize {
        let detail = format!("The header fields of a request may have {} bytes.", limits.header_bytes);
        return Err(Kind::HeadTooLarge.because(detail));
    }
    if headers.len() > limits.header_count as usize {
        let detail = format!("A request may have {} header fields.", limits.header_count);
        return Err(Kind::HeadTooLarge.because(detail).closing());
    }
    if call.told.hops >= MAX_HOPS {
        return Err(Kind::Loop.because("An upstream seems to lead back to the gateway."));
    }
    Ok(())
}

/// The size of a header list (RFC 9113 §6.5.2), with the fields that HTTP/2 writes the target as.
fn list_bytes(head: &Parts) -> usize {
    const EACH: usize = 32;
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len() + ":path".len() + EACH);
    let authority = head.uri.authority().map_or(0, |name| name.as_str().len() + ":authority".len() + EACH);
    let scheme = head.uri.scheme_str().map_or(0, |scheme| scheme.len() + ":scheme".len() + EACH);
    let method = head.method.as_str().len() + ":method".len() + EACH;
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + EACH);
    target + authority + scheme + method + fields.sum::<usize>()
}
