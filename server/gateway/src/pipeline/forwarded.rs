//! `X-Forwarded-*` and `Forwarded` (RFC 7239): whom the gateway speaks for.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut as _, BytesMut};
use http::HeaderMap;
use http::header::{Entry, FORWARDED, HeaderName, HeaderValue};

use super::address::X_FORWARDED_FOR;
use crate::http1::fields::write_one;
use crate::listen::Connection;

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is said of a connection's client. Made once: the requests of a connection seldom differ in it.
pub(crate) struct Client {
    peer: HeaderValue,
    /// What was said last.
    last: RefCell<Option<Said>>,
}

/// What is said of a client that asks for a host.
struct Said {
    host: Box<[u8]>,
    /// The element of `Forwarded`.
    element: HeaderValue,
    /// All fields, as HTTP/1 writes them.
    lines: Box<[u8]>,
}

impl Client {
    pub(crate) fn new(peer: IpAddr) -> Self {
        let peer = value(&peer.to_string());
        Self { peer, last: RefCell::default() }
    }

    fn said<T>(&self, peer: IpAddr, host: Option<&HeaderValue>, take: impl FnOnce(&Said) -> T) -> T {
        let asked = host.map_or(&b""[..], HeaderValue::as_bytes);
        let mut last = self.last.borrow_mut();
        let known = last.take().filter(|said| *said.host == *asked);
        take(last.insert(known.unwrap_or_else(|| Said::of(&self.peer, peer, asked))))
    }
}

impl Said {
    /// An empty host is none.
    fn of(peer_text: &HeaderValue, peer: IpAddr, host: &[u8]) -> Self {
        let named = (!host.is_empty()).then_some(host);
        let element = element(peer, named.and_then(|host| std::str::from_utf8(host).ok()));
        let mut lines = BytesMut::with_capacity(192);
        write_one(&X_FORWARDED_FOR, peer_text.as_bytes(), &mut lines);
        write_one(&X_FORWARDED_PROTO, b"http", &mut lines);
        if let Some(host) = named {
            write_one(&X_FORWARDED_HOST, host, &mut lines);
        }
        write_one(&FORWARDED, element.as_bytes(), &mut lines);
        Self { host: host.into(), element, lines: lines[..].into() }
    }
}

/// Writes what [`add`] adds where nothing was said before.
pub(super) fn write(connection: &Connection, host: Option<&HeaderValue>, into: &mut BytesMut) {
    connection.client.said(connection.address(), host, |said| into.put_slice(&said.lines));
}

/// Adds the peer to what a trusted proxy said; what anybody else said is gone already.
pub(super) fn add(connection: &Connection, host: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let client = &connection.client;
    append(headers, &X_FORWARDED_FOR, client.peer.clone());
    headers.entry(&X_FORWARDED_PROTO).or_insert_with(|| HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.entry(&X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    let element = client.said(connection.address(), host, |said| said.element.clone());
    append(headers, &FORWARDED, element);
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
