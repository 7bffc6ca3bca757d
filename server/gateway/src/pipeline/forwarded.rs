//! `X-Forwarded-*` and `Forwarded` (RFC 7239): whom the gateway speaks for.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::{Entry, FORWARDED, HeaderName, HeaderValue};

use super::address::X_FORWARDED_FOR;
use crate::listen::Connection;

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is said of a connection's client. Made once: the requests of a connection seldom differ in it.
pub(crate) struct Client {
    peer: HeaderValue,
    /// The host of the last request, and what was said of it.
    last: RefCell<Option<(HeaderValue, HeaderValue)>>,
}

impl Client {
    pub(crate) fn new(peer: IpAddr) -> Self {
        let peer = value(&peer.to_string());
        Self { peer, last: RefCell::default() }
    }

    /// An element of `Forwarded`.
    fn element(&self, peer: IpAddr, host: Option<&HeaderValue>) -> HeaderValue {
        let Some(host) = host else { return element(peer, None) };
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((of, said)) if of == host => said.clone(),
            _ => {
                let said = element(peer, host.to_str().ok());
                *last = Some((host.clone(), said.clone()));
                said
            }
        }
    }
}

/// Adds the peer to what a trusted proxy said; what anybody else said is gone already.
pub(super) fn add(connection: &Connection, host: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let client = &connection.client;
    append(headers, &X_FORWARDED_FOR, client.peer.clone());
    headers.entry(&X_FORWARDED_PROTO).or_insert_with(|| HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.entry(&X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    append(headers, &FORWARDED, client.element(connection.peer.ip().to_canonical(), host));
}

/// Puts a value at the end of a list, which may be spread over several fields.
fn append(headers: &mut HeaderMap, name: &HeaderName, last: HeaderValue) {
    let mut before = match headers.entry(name) {
        Entry::Vacant(none) => {
            none.insert(last);
            return;
        }
        Entry::Occupied(before) => before,
    };
    let mut list = String::new();
    for said in before.iter().filter_map(|said| said.to_str().ok()) {
        list.push_str(said);
        list.push_str(", ");
    }
    list.push_str(last.to_str().unwrap_or_default());
    before.insert(value(&list));
}

fn element(peer: IpAddr, host: Option<&str>) -> HeaderValue {
    let mut text = String::with_capacity(96);
    let _ = match peer {
        IpAddr::V4(v4) => write!(text, "for={v4}"),
        IpAddr::V6(v6) => write!(text, "for=\"[{v6}]\""),
    };
    if let Some(host) = host.filter(|host| !host.contains(['"', '\\'])) {
        let _ = write!(text, ";host=\"{host}\"");
    }
    text.push_str(";proto=http");
    value(&text)
}

/// Made of addresses and of field values, so that it is one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}
