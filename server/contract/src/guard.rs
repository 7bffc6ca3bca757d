//! Which addresses a connection that users can aim may go to: upstream targets, imports by URL, webhooks.
//!
//! Decided on the address after name resolution, at connect; a name that resolves anew is decided anew. Loopback,
//! link-local (cloud metadata among them), private and otherwise special networks are refused unless a platform admin
//! allows them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Decides addresses by the networks that are allowed although they are special.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is in a {kind} network, which this installation does not allow")]
pub struct Forbidden {
    pub address: IpAddr,
    pub kind: SpecialNetwork,
}

/// A text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network: write it like 10.0.0.0/8, 127.0.0.1 or fd00::/8")]
pub struct NotANetwork(pub String);

/// Networks that are not simply the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialNetwork {
    Loopback,
    LinkLocal,
    Private,
    Reserved,
}

impl Guard {
    /// A guard that lets connections into these networks.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Reads networks (`10.0.0.0/8`) and single addresses.
    ///
    /// # Errors
    /// Names the first text that is neither.
    pub fn parse<'t>(allowed: impl IntoIterator<Item = &'t str>) -> Result<Self, NotANetwork> {
        allowed.into_iter().map(parse_network).collect::<Result<_, _>>().map(Self::new)
    }

    /// A guard that lets connections to this machine itself, for `sluice up`.
    pub fn with_loopback(mut self) -> Self {
        self.allowed.extend([
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
            IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ]);
        self
    }

    /// Decides an address.
    ///
    /// # Errors
    /// When it is special and not allowed.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = embedded(address);
        let Some(kind) = special(address) else { return Ok(()) };
        if self.allowed.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        Err(Forbidden { address, kind })
    }
}

/// Reads a network or a single address.
///
/// # Errors
/// When the text is neither.
pub fn parse_network(text: &str) -> Result<IpNet, NotANetwork> {
    let text = text.trim();
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| NotANetwork(text.to_owned()))
}

/// The IPv4 address inside an IPv6 one that routers translate: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0, 0, 0, 0, 0, 0) if (g, h) != (0, 0) && (g, h) != (0, 1) => v4(g, h),
        (0x2002, ..) => v4(b, c),
        _ => address,
    }
}

fn special(address: IpAddr) -> Option<SpecialNetwork> {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

/// RFC 6890 and its registry.
fn special_v4(address: Ipv4Addr) -> Option<SpecialNetwork> {
    use SpecialNetwork::{LinkLocal, Loopback, Private, Reserved};
    match address.octets() {
        [127, ..] => Some(Loopback),
        [169, 254, ..] => Some(LinkLocal),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Some(Private),
        [0 | 224..=255, ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => Some(Reserved),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => Some(Reserved),
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> Option<SpecialNetwork> {
    use SpecialNetwork::{LinkLocal, Loopback, Private, Reserved};
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Loopback),
        [0xfe80..=0xfebf, ..] => Some(LinkLocal),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some(Private),
        // Only 2000::/3 is the internet; of it not Teredo, documentation, ORCHID and benchmarking.
        [0x2001, 0 | 2 | 0xdb8 | 0x10..=0x2f, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Reserved),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Reserved),
    }
}

impl fmt::Display for SpecialNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Reserved => "reserved",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn special_networks_are_refused_however_they_are_written() {
        let guard = Guard::default();
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.100.100.200",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.192",
            "::",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(refused(&guard, address), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(!refused(&guard, address), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_let_through_and_nothing_else() {
        let guard = Guard::parse(["10.0.0.0/8", "192.168.1.7", "fd00::/8"]).unwrap();
        assert!(!refused(&guard, "10.200.0.1"));
        assert!(!refused(&guard, "::ffff:10.200.0.1"));
        assert!(!refused(&guard, "192.168.1.7"));
        assert!(refused(&guard, "192.168.1.8"));
        assert!(!refused(&guard, "fd12::1"));
        assert!(refused(&guard, "127.0.0.1"));
        let up = Guard::default().with_loopback();
        assert!(!refused(&up, "127.8.0.1") && !refused(&up, "::1") && refused(&up, "10.0.0.1"));
    }

    #[test]
    fn a_text_that_is_no_network_is_named() {
        assert_eq!(Guard::parse(["10.0.0.0/8", "here"]), Err(NotANetwork("here".to_owned())));
    }
}
