//! How a gateway sends its calls. Every call pays for its record on the thread that serves it, so little is written of it.
//!
//! Most of a record is the same for call after call. That is written once, as a context, and calls name it by its number:
//!
//! ```text
//! batch    := version (one byte: 4) form (one byte) length head section*
//! head     := the MessagePack map of `Head`, with the rollups; as it is (form 0) or compressed by zstd (form 1)
//! section  := number of calls, call*
//! call     := (0 place | number) (0 consumer | number) (0 client | number) rest
//! place    := minute tenant? api? route? method host status error? source? cache signs target? count of stages, their names
//! consumer := application? credential? subscription? plan?
//! client   := (4 | 6) address user-agent?
//! rest     := flags id trace? microseconds-in-the-minute path query? request-id? bytes-in bytes-out
//!             (start took)* duration upstream?
//! ```
//!
//! A context gets the next number of its kind in its section: 1, 2, ... Numbers have seven bits a byte, the lowest first
//! (LEB128); a text is its length and its bytes; an id is 16 bytes. What a context may lack (`?`) has a byte before it, 0
//! or 1; what a call may lack is said by its flags, of which the last leaves out six bytes of an id that begins with the
//! call's time. A stage's start counts from the end of the one before, the duration from that of the last, modulo 2^64.
//!
//! A batch can be read without any other, a section without the others of its batch: each thread writes its own. There is
//! no compression beyond this: half of what is left of a call is random (its id, its trace's).
//!
//! Whatever changes here gets another version; who does not know it refuses the batch and says so.

mod bytes;
mod context;
mod read;
mod record;
mod section;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::{Call, CallBatch, StageTime};
use crate::ids::BootId;
use crate::link::CALL_BATCH_MAX;
use crate::rollup::RollupDelta;
use bytes::{Bytes, put_number};
pub use record::{CallRecord, Stage};
pub use section::{Likeness, PackedCalls, Seat, Section};

/// Which layout this is.
pub const VERSION: u8 = 4;
/// The oldest that is still read: 2 knew fewer outcomes of the cache, and neither 2 nor 3 had signs.
const OLDEST: u8 = 2;
/// The first whose places have signs.
const WITH_SIGNS: u8 = 4;
/// What each call weighs beside the bytes of its texts. All weights of a batch together are at most [`CALL_BATCH_MAX`]:
/// a long text is sent once and then kept with every call.
pub const CALL_WEIGHT: usize = 128;

/// Forms of the head.
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Bytes of a head from which it is compressed: that of a gateway with many routes and consumers.
const COMPRESSED_FROM: usize = 4 << 10;
/// zstd's level. This takes time from calls: level 1 makes heads 0.6 times as large, but takes twice as long.
const LEVEL: i32 = -1;

/// What a batch begins with; see [`CallBatch`].
#[derive(Clone, Debug, PartialEq)]
pub struct BatchHead<'a> {
    pub boot: BootId,
    pub sequence: u64,
    pub dropped: u64,
    pub rollups: &'a [RollupDelta],
}

/// [`BatchHead`] as it is written. Fields have their names, as heads are few and rollups leave fields out.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    boot: BootId,
    sequence: u64,
    dropped: u64,
    rollups: Cow<'a, [RollupDelta]>,
    /// Calls of all sections.
    calls: u64,
}

/// Why bytes are no batch.
#[derive(Debug, thiserror::Error)]
pub enum NoBatch {
    #[error("it is empty")]
    Empty,
    #[error("it has version {0} of the layout; versions {OLDEST} to {VERSION} can be read")]
    Version(u8),
    #[error("the frame of its head: {0}")]
    Frame(#[source] Malformed),
    #[error("its head is not what zstd makes: {0}")]
    Compression(#[source] io::Error),
    #[error("its head: {0}")]
    Head(#[source] rmp_serde::decode::Error),
    #[error("the beginning of a section: {0}")]
    Section(#[source] Malformed),
    /// Counted from 1.
    #[error("call {0}: {1}")]
    Call(u64, #[source] Malformed),
    #[error("it unfolds to more than {CALL_BATCH_MAX} bytes")]
    TooLarge,
    #[error("something follows the last call")]
    Trailing,
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it ends too early")]
    Cut,
    #[error("a number is too large")]
    Number,
    #[error("a text is not UTF-8")]
    Text,
    #[error("no such code: {0}")]
    Code(&'static str),
    #[error("no such context")]
    Context,
    #[error("no such time")]
    Time,
}

/// Why a call cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum NoRecord {
    #[error("the client's address: {0}")]
    Address(#[from] std::net::AddrParseError),
    #[error("the trace id: {0}")]
    Trace(#[from] std::num::ParseIntError),
    #[error(transparent)]
    Head(#[from] NoHead),
}

/// Why a batch cannot be written. Never happens: these types can be written, and writing to memory does not fail.
#[derive(Debug, thiserror::Error)]
pub enum NoHead {
    #[error("the head of a batch: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("compressing the head of a batch: {0}")]
    Compress(#[from] io::Error),
}

impl BatchHead<'_> {
    /// The batch with this head and these calls.
    ///
    /// # Errors
    /// Never.
    pub fn batch(&self, sections: &[PackedCalls]) -> Result<Vec<u8>, NoHead> {
        let &Self { boot, sequence, dropped, rollups } = self;
        let calls = sections.iter().map(PackedCalls::calls).sum();
        let head = Head { boot, sequence, dropped, rollups: rollups.into(), calls };
        let plain = rmp_serde::to_vec_named(&head)?;
        let (form, head) = if plain.len() < COMPRESSED_FROM {
            (PLAIN, plain)
        } else {
            (ZSTD, zstd::bulk::compress(&plain, LEVEL)?)
        };
        let mut out = vec![VERSION, form];
        put_number(&mut out, head.len() as u64);
        out.extend_from_slice(&head);
        sections.iter().for_each(|section| section.write(&mut out));
        Ok(out)
    }
}

impl CallBatch {
    /// Reads what [`BatchHead::batch`] wrote.
    ///
    /// # Errors
    /// When the bytes are anything else: says where.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, NoBatch> {
        let (&version, rest) = bytes.split_first().ok_or(NoBatch::Empty)?;
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(NoBatch::Version(version));
        }
        let mut rest = Bytes::new(rest);
        let form = rest.byte().map_err(NoBatch::Frame)?;
        let head = read_head(form, rest.counted().map_err(NoBatch::Frame)?)?;
        let mut calls = read::Calls::new(rest, version);
        calls.read_sections(head.calls)?;
        let Head { boot, sequence, dropped, rollups, calls: _ } = head;
        Ok(Self { boot, sequence, calls: calls.finish()?, rollups: rollups.into_owned(), dropped })
    }

    /// The batch as a gateway would send it: for tests and benchmarks of who receives them.
    ///
    /// # Errors
    /// When the address of a client or a trace id is none.
    pub fn to_wire(&self) -> Result<Vec<u8>, NoRecord> {
        let Self { boot, sequence, calls, rollups, dropped } = self;
        let mut section = Section::default();
        for call in calls {
            let stages = call.stages.iter().map(Stage::of).collect::<Vec<_>>();
            section.append(&CallRecord::of(call, &stages)?);
        }
        let head = BatchHead { boot: *boot, sequence: *sequence, dropped: *dropped, rollups };
        let sections = if calls.is_empty() { Vec::new() } else { vec![section.take()] };
        Ok(head.batch(&sections)?)
    }
}

fn read_head(form: u8, bytes: &[u8]) -> Result<Head<'static>, NoBatch> {
    let plain = match form {
        PLAIN => Cow::Borrowed(bytes),
        ZSTD => Cow::Owned(decompress(bytes)?),
        _ => return Err(NoBatch::Frame(Malformed::Code("form of the head"))),
    };
    rmp_serde::from_slice(&plain).map_err(NoBatch::Head)
}

/// At most [`CALL_BATCH_MAX`] bytes: little can unfold to much.
fn decompress(bytes: &[u8]) -> Result<Vec<u8>, NoBatch> {
    let decoder = zstd::Decoder::with_buffer(bytes).map_err(NoBatch::Compression)?;
    let mut plain = Vec::new();
    decoder.take(CALL_BATCH_MAX as u64 + 1).read_to_end(&mut plain).map_err(NoBatch::Compression)?;
    if plain.len() > CALL_BATCH_MAX { Err(NoBatch::TooLarge) } else { Ok(plain) }
}

impl<'a> CallRecord<'a> {
    fn of(call: &'a Call, stages: &'a [Stage<'a>]) -> Result<Self, NoRecord> {
        let trace_id = call.trace_id.as_deref().map(|id| u128::from_str_radix(id, 16)).transpose()?;
        Ok(Self {
            id: call.id,
            at_us: call.at.timestamp_micros(),
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
            signs: call.signs,
            second_level: call.second_level,
            target: call.target.as_deref(),
            duration_us: call.duration_us,
            upstream_us: call.upstream_us,
            bytes_in: call.bytes_in,
            bytes_out: call.bytes_out,
            client_ip: call.client_ip.parse()?,
            user_agent: call.user_agent.as_deref(),
            request_id: (call.request_id != call.id.to_string()).then_some(&*call.request_id),
            trace_id,
            stages,
        })
    }
}

impl<'a> Stage<'a> {
    fn of(time: &'a StageTime) -> Self {
        Self { stage: &time.stage, start_us: time.start_us, took_us: time.took_us }
    }
}
