//! Who is calling, by address: the peer, or whom a trusted proxy says that it speaks for.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName};

use crate::listen::Connection;
use crate::state::Snapshot;
use crate::worker::Worker;

pub(crate) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address. Reading from the right, each address was added by the proxy before it; the first that is not a
/// trusted proxy is as far as anybody can be believed.
pub(super) fn client(snapshot: &Snapshot, connection: &Connection, headers: &HeaderMap) -> IpAddr {
    let settings = &snapshot.settings;
    let mut client = connection.address();
    if settings.trusted_proxies.is_empty() || !settings.trusts(client) {
        return client;
    }
    let chain = if headers.contains_key(FORWARDED) { forwarded(headers) } else { x_forwarded_for(headers) };
    for address in chain.into_iter().rev() {
        let Some(address) = address else { break };
        client = address;
        if !settings.trusts(client) {
            break;
        }
    }
    client
}

/// Whether nobody between the client and here can have read along: the client is this machine, or a trusted proxy says that
/// it was called over HTTPS.
pub(super) fn is_private(snapshot: &Snapshot, peer: IpAddr, client: IpAddr, headers: &HeaderMap) -> bool {
    client.is_loopback() || is_https(snapshot, peer, headers)
}

/// Whether the client called over HTTPS, as far as the upstream will be told so.
pub(crate) fn is_https(snapshot: &Snapshot, peer: IpAddr, headers: &HeaderMap) -> bool {
    snapshot.settings.trusts(peer) && says_https(headers)
}

/// Whether a call that the gateway makes itself stands for one over HTTPS.
pub(crate) fn stands_for_https(worker: &Worker, headers: &HeaderMap) -> bool {
    worker.internal && says_https(headers)
}

/// What the nearest proxy says: the last element that there is.
fn says_https(headers: &HeaderMap) -> bool {
    let last =
        |name: &HeaderName| headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next();
    let proto = match last(&FORWARDED) {
        Some(element) => {
            let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(name, _)| name.eq_ignore_ascii_case("proto")).map(|(_, proto)| proto)
        }
        None => last(&X_FORWARDED_PROTO),
    };
    proto.is_some_and(|proto| proto.trim().trim_matches('"').eq_ignore_ascii_case("https"))
}

/// `for=` of each element (RFC 7239 §4); None for an unknown or hidden one.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let elements = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    elements
        .flat_map(|text| text.split(','))
        .map(|element| {
            let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
            let node =
                pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, node)| node);
            node.and_then(address)
        })
        .collect()
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lists = headers.get_all(&X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|text| text.split(',')).map(|node| address(node.trim())).collect()
}

/// An address with or without port, quotes and brackets.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim().trim_matches('"');
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let bare = match node.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => node.rsplit_once(':')?.0,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_notation() {
        for (node, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("\"[2001:db8::1]:80\"", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
        ] {
            assert_eq!(address(node), expected.map(|text| text.parse().unwrap()), "{node}");
        }
    }
}
