//! A stored response as it stands in the second level: a head in JSON, its length before it, and the body behind.
//!
//! JSON names its fields: what another version wrote is refused as soon as one is missing or not known.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sluice_contract::ids::IncarnationId;
use sluice_contract::journal::Position;

use crate::cache::rules::Storable;
use crate::cache::stored::Stored;
use crate::cache::vary::Selecting;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Responses of this key differ by these headers; each has a value of its own.
    Varies(Vec<HeaderName>),
    Response(Box<Response>),
}

/// A response as any gateway can use it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cache) struct Response {
    pub(in crate::cache) status: StatusCode,
    pub(in crate::cache) headers: HeaderMap,
    pub(in crate::cache) body: Bytes,
    pub(in crate::cache) selecting: Selecting,
    pub(in crate::cache) storable: Storable,
    /// See [`crate::cache::labels`].
    pub(in crate::cache) tags: Vec<u64>,
    pub(in crate::cache) origin: Origin,
}

/// Where and when a response was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cache) struct Origin {
    pub(in crate::cache) incarnation: IncarnationId,
    /// Journal position that was seen before the fetch.
    pub(in crate::cache) position: Position,
    /// Names the life of a gateway.
    pub(in crate::cache) boot: u64,
    /// When the fetch began, by that gateway's own clock.
    pub(in crate::cache) at: u64,
    /// The same in milliseconds of Unix time.
    pub(in crate::cache) begun_ms: u64,
    /// When its age was zero, in milliseconds of Unix time.
    pub(in crate::cache) made_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Head {
    Varies(Vec<String>),
    Response(Box<ResponseHead>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseHead {
    status: u16,
    /// Bytes as characters of Latin-1.
    headers: Vec<(String, String)>,
    selecting: Vec<(String, Option<String>)>,
    storable: Storable,
    tags: Vec<u64>,
    origin: Origin,
}

/// Milliseconds of Unix time.
pub(in crate::cache) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn encode_names<'n>(names: impl Iterator<Item = &'n HeaderName>) -> Option<Vec<u8>> {
    encode(&Head::Varies(names.map(|name| name.as_str().to_owned()).collect()), &[])
}

pub(super) fn encode_response(stored: &Stored, origin: Origin) -> Option<Vec<u8>> {
    let field =
        |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), latin1(value.as_bytes()));
    let selecting =
        stored.selecting.fields().map(|(name, value)| (name.as_str().to_owned(), value.map(latin1)));
    let head = ResponseHead {
        status: stored.status.as_u16(),
        headers: stored.headers.iter().map(field).collect(),
        selecting: selecting.collect(),
        storable: stored.storable,
        tags: stored.labels.tags.to_vec(),
        origin,
    };
    encode(&Head::Response(Box::new(head)), &stored.body)
}

fn encode(head: &Head, body: &[u8]) -> Option<Vec<u8>> {
    let head = serde_json::to_vec(head).ok()?;
    let mut bytes = Vec::with_capacity(4 + head.len() + body.len());
    bytes.extend_from_slice(&u32::try_from(head.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    Some(bytes)
}

/// None when it is not a value of ours.
pub(super) fn decode(bytes: Vec<u8>) -> Option<Value> {
    let bytes = Bytes::from(bytes);
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
    let end = length.checked_add(4).filter(|end| *end <= bytes.len())?;
    match serde_json::from_slice(&bytes[4..end]).ok()? {
        Head::Varies(names) => {
            Some(Value::Varies(names.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?))
        }
        Head::Response(head) => Some(Value::Response(Box::new(response(*head, bytes.slice(end..))?))),
    }
}

fn response(head: ResponseHead, body: Bytes) -> Option<Response> {
    let ResponseHead { status, headers: fields, selecting, storable, tags, origin } = head;
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in &fields {
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&bytes_of(value)?).ok()?);
    }
    let selecting = selecting.into_iter().map(|(name, value)| {
        let value = match value {
            Some(value) => Some(bytes_of(&value)?.into_boxed_slice()),
            None => None,
        };
        Some((name.parse().ok()?, value))
    });
    let selecting = Selecting::of(selecting.collect::<Option<Vec<_>>>()?);
    Some(Response {
        status: StatusCode::from_u16(status).ok()?,
        headers,
        body,
        selecting,
        storable,
        tags,
        origin,
    })
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes_of(latin1: &str) -> Option<Vec<u8>> {
    latin1.chars().map(|c| u8::try_from(c).ok()).collect()
}

impl Origin {
    /// The age of the response now.
    pub(in crate::cache) fn age(&self) -> Duration {
        Duration::from_millis(unix_ms().saturating_sub(self.made_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cache::purges::Stamp;
    use crate::cache::rules::Audience;

    fn stored(headers: &[(String, Vec<u8>)], body: Vec<u8>) -> Stored {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        Stored::for_tests(map, body.into(), Stamp { position: 7, at: 9 }, Audience::Caller)
    }

    fn origin() -> Origin {
        let incarnation = IncarnationId::generate();
        Origin { incarnation, position: 7, boot: 1, at: 9, begun_ms: 10, made_ms: unix_ms() - 5_000 }
    }

    proptest! {
        #[test]
        fn a_response_comes_back_as_it_was(
            headers in prop::collection::vec(("[a-z]{1,3}", prop::collection::vec(0x20..=0xff_u8, 0..6)), 0..5),
            body in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let headers: Vec<_> = headers.into_iter().map(|(name, value)| {
                (name, value.into_iter().filter(|byte| *byte != 0x7f).collect::<Vec<u8>>())
            }).collect();
            let (stored, origin) = (stored(&headers, body), origin());
            let Some(Value::Response(back)) = decode(encode_response(&stored, origin).unwrap()) else {
                return Err(TestCaseError::fail("no response"));
            };
            prop_assert_eq!(back.headers, stored.headers);
            prop_assert_eq!((back.status, back.body, back.storable), (stored.status, stored.body, stored.storable));
            prop_assert_eq!((back.selecting, back.origin), (stored.selecting, origin));
        }

        #[test]
        fn garbage_is_no_value(garbage in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(decode(garbage), None);
        }
    }

    #[test]
    fn names_come_back_and_a_field_that_is_not_known_is_refused() {
        let names = [http::header::ACCEPT, http::header::ACCEPT_LANGUAGE];
        assert_eq!(decode(encode_names(names.iter()).unwrap()), Some(Value::Varies(names.to_vec())));
        let stored = stored(&[], Vec::new());
        let whole = encode_response(&stored, origin()).unwrap();
        let text = String::from_utf8(whole[4..].to_vec()).unwrap();
        for changed in
            [text.replace("\"status\":200,", ""), text.replace("\"status\"", "\"new\":1,\"status\"")]
        {
            assert_ne!(changed, text);
            let length = (changed.len() as u32).to_le_bytes();
            assert_eq!(decode([&length[..], changed.as_bytes()].concat()), None);
        }
        assert!(origin().age() >= Duration::from_secs(5));
    }
}
