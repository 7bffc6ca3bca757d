//! `Cache-Status` (RFC 9211): what the cache did, for people who debug.

use bytes::{BufMut as _, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use sluice_contract::calls::CacheOutcome;
use sluice_policies::cache::Found;

use super::key::ShortDigest;
use super::serve::Lead;

const OWN: &str = "sluice; ";
const HIT: &str = "hit; ttl=";
const KEY: &str = "; key=\"";
const FROM_SECOND_LEVEL: &str = "; detail=L2";

static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What the cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// Served from the store; seconds for which it is still fresh (negative: stale), and whether it came from the level that
    /// gateways share.
    Hit { ttl: i64, key: ShortDigest, second_level: bool },
    /// Waited for another's fetch that went to the upstream.
    Joined { why: Forward, key: ShortDigest },
    /// Went to the upstream.
    Forwarded { why: Forward, status: Option<u16>, kept: Kept },
}

/// Whether a response is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    No,
    /// Under this key.
    Yes(ShortDigest),
    /// It depends on what its body has, which is passed on while it is looked at.
    Perhaps,
    /// It has this.
    Refused(Found),
}

/// Why a request went to the upstream (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    Request,
    Stale,
}

impl Forward {
    fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }

    /// As it is recorded of the call.
    pub(super) fn outcome(self) -> CacheOutcome {
        match self {
            Self::Bypass => CacheOutcome::Bypass,
            Self::Method => CacheOutcome::Method,
            Self::UriMiss => CacheOutcome::Miss,
            Self::VaryMiss => CacheOutcome::VaryMiss,
            Self::Request => CacheOutcome::Request,
            Self::Stale => CacheOutcome::Expired,
        }
    }
}

/// Writes that an answer is from the store as a line of HTTP/1.
pub(super) fn write_hit(ttl: i64, key: &ShortDigest, second_level: bool, into: &mut BytesMut) {
    let mut digits = itoa::Buffer::new();
    let ttl = digits.format(ttl);
    for piece in [CACHE_STATUS.as_str(), ": ", OWN, HIT, ttl, KEY, key.as_str(), "\""] {
        into.put_slice(piece.as_bytes());
    }
    into.put_slice(if second_level { FROM_SECOND_LEVEL.as_bytes() } else { b"" });
    into.put_slice(b"\r\n");
}

/// Says that a request went to the upstream and nothing was stored.
pub(super) fn forwarded(headers: &mut HeaderMap, why: Forward) {
    say(headers, Did::Forwarded { why, status: None, kept: Kept::No });
}

/// Says it, after what caches nearer to the origin say (RFC 9211 §2).
pub(super) fn say(headers: &mut HeaderMap, did: Did) {
    let mut text = String::with_capacity(80);
    text.push_str(OWN);
    match did {
        Did::Hit { ttl, key, second_level } => {
            text.push_str(HIT);
            text.push_str(itoa::Buffer::new().format(ttl));
            push_key(&key, &mut text);
            text.push_str(if second_level { FROM_SECOND_LEVEL } else { "" });
        }
        Did::Joined { why, key } => {
            text.push_str("fwd=");
            text.push_str(why.token());
            text.push_str("; collapsed");
            push_key(&key, &mut text);
        }
        Did::Forwarded { why, status, kept } => {
            text.push_str("fwd=");
            text.push_str(why.token());
            if let Some(status) = status {
                text.push_str("; fwd-status=");
                text.push_str(itoa::Buffer::new().format(status));
            }
            match kept {
                Kept::No => {}
                Kept::Yes(key) => {
                    text.push_str("; stored");
                    push_key(&key, &mut text);
                }
                Kept::Perhaps => text.push_str("; detail=looking"),
                Kept::Refused(found) => {
                    text.push_str("; detail=forbidden:");
                    text.push_str(found.name());
                }
            }
        }
    }
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(CACHE_STATUS.clone(), value);
    }
}

/// RFC 9211 §2.7.
fn push_key(key: &ShortDigest, text: &mut String) {
    text.push_str(KEY);
    text.push_str(key.as_str());
    text.push('"');
}

/// What the cache did, as its own answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    /// From the store, or along with another's fetch.
    Hit { second_level: bool },
    /// Fetched or validated, and stored.
    Stored,
    /// Fetched, and not stored.
    Passed,
}

impl CacheStatus {
    /// None: the answer has not passed the cache.
    pub(crate) fn of(headers: &HeaderMap, lead: Option<&Lead>) -> Option<Self> {
        if let Some(lead) = lead {
            return Some(Self::Hit { second_level: lead.is_from_second_level() });
        }
        // Ours stands behind what caches nearer to the origin say.
        let said = headers.get_all(&CACHE_STATUS).iter().next_back()?.to_str().ok()?;
        let did = said.strip_prefix(OWN)?;
        let says = |parameter| did.split("; ").any(|one| one == parameter);
        Some(if did.starts_with(HIT) || says("collapsed") {
            Self::Hit { second_level: did.ends_with(FROM_SECOND_LEVEL) }
        } else if says("stored") {
            Self::Stored
        } else {
            Self::Passed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_read_from_what_callers_are_told() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| _ = headers.append(&CACHE_STATUS, HeaderValue::from_static(line)));
            CacheStatus::of(&headers, None)
        };
        let hit = |second_level| Some(CacheStatus::Hit { second_level });
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["other; hit"]), None, "another cache's");
        assert_eq!(of(&["other; hit", "sluice; fwd=uri-miss"]), Some(CacheStatus::Passed));
        assert_eq!(of(&["sluice; hit; ttl=5; key=\"a\""]), hit(false));
        assert_eq!(of(&["sluice; hit; ttl=5; key=\"a\"; detail=L2"]), hit(true));
        assert_eq!(of(&["sluice; fwd=uri-miss; collapsed; key=\"a\""]), hit(false));
        assert_eq!(of(&["sluice; fwd=uri-miss; stored; key=\"a\""]), Some(CacheStatus::Stored));
    }
}
