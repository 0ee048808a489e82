//! Addresses: sets of them, rules made of two sets, and whose address counts behind proxies.
//!
//! Pure. A look into a set is a binary search, whatever its size; an IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2)
//! counts as the IPv4 address. Never guesses: what a proxy wrote that is no address ends the search for one.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::http::{FieldId, RequestHead, syntax};

/// A set of addresses. 32 bytes for each IPv6 range, 8 for each of IPv4; ranges that touch are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// First and last, ascending, apart from each other.
    v4: Box<[(u32, u32)]>,
    /// As `v4`.
    v6: Box<[(u128, u128)]>,
}

/// Who may come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRule {
    /// Empty = everybody who is not denied.
    pub allow: AddressSet,
    /// Wins over `allow`.
    pub deny: AddressSet,
}

/// Whose address is the client's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddress {
    /// The connection's peer.
    #[default]
    Peer,
    /// Where the peer is trusted: what X-Forwarded-For says.
    XForwardedFor,
    /// Where the peer is trusted: what Forwarded says (RFC 7239 §5.2).
    Forwarded,
}

/// IPv4 addresses within IPv6 have these bits in front of them.
const MAPPED: u128 = 0xffff << 32;
/// How many there are.
const MAPPED_BITS: u8 = 96;

impl AddressSet {
    /// The addresses of these ranges.
    pub fn new(ranges: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => {
                    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                    if net.prefix_len() >= MAPPED_BITS && first >> 32 == MAPPED >> 32 {
                        v4.push((first as u32, last as u32)); // the 32 bits behind the common ones
                    } else {
                        v6.push((first, last));
                    }
                }
            }
        }
        Self { v4: merged(v4, |last| last.checked_add(1)), v6: merged(v6, |last| last.checked_add(1)) }
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(ip) => covers(&self.v4, ip.to_bits()),
            // `::/0` and its like hold the IPv6 addresses alone: an IPv4 client is not meant by them.
            IpAddr::V6(ip) => covers(&self.v6, ip.to_bits()),
        }
    }
}

impl AccessRule {
    /// Whether this address may come.
    pub fn admits(&self, address: IpAddr) -> bool {
        !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
    }

    /// Whether everybody may come.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

/// Ascending ranges, those that overlap or touch made one.
fn merged<N: Ord + Copy>(mut ranges: Vec<(N, N)>, next: impl Fn(N) -> Option<N>) -> Box<[(N, N)]> {
    ranges.sort_unstable();
    let mut whole: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match whole.last_mut() {
            Some(before) if next(before.1).is_none_or(|behind| first <= behind) => before.1 = before.1.max(last),
            _ => whole.push((first, last)),
        }
    }
    whole.into()
}

fn covers<N: Ord + Copy>(ranges: &[(N, N)], address: N) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    behind.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|(_, last)| address <= *last)
}

/// Reads the address of an element.
type ReadElement = fn(&[u8]) -> Option<IpAddr>;

/// The client's address, behind a peer that `trusts` holds: the last address of the field that is not trusted itself.
/// Where all are trusted it is the first of them, and where the field says nothing usable, `peer`.
///
/// Only what stands to the right of everything untrusted was written by somebody trusted, so the look goes from there.
pub fn behind_proxies(head: &RequestHead, how: ClientAddress, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let (id, read): (_, ReadElement) = match how {
        ClientAddress::Peer => return peer,
        ClientAddress::XForwardedFor => (FieldId::XForwardedFor, |element| node(element)),
        ClientAddress::Forwarded => (FieldId::Forwarded, for_of),
    };
    let mut client = peer;
    // No address holds a comma, and a client's unclosed quote must not swallow what a proxy wrote behind it. What stands
    // to the left of the first stranger, or of what is no address, is not even read: it may be long.
    let lines = head.fields().rev().filter(|field| field.id == id && !field.value.is_empty());
    for element in lines.flat_map(|field| field.value.rsplit(|b| *b == b',')) {
        let Some(address) = read(syntax::trim(element)) else { break };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    client.to_canonical()
}

/// The `for` of an element of Forwarded (RFC 7239 §4).
fn for_of(element: &[u8]) -> Option<IpAddr> {
    element.split(|b| *b == b';').map(syntax::trim).find_map(|pair| {
        let (name, value) = pair.split_at_checked(4)?;
        if !name.eq_ignore_ascii_case(b"for=") {
            return None;
        }
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        node(bare.unwrap_or(value))
    })
}

/// An address with or without a port, IPv6 in brackets or not.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::testing::request_head;
    use proptest::prelude::*;

    fn set(ranges: &[&str]) -> AddressSet {
        AddressSet::new(ranges.iter().map(|range| range.parse().unwrap()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_set_holds_its_ranges_and_nothing_else() {
        let set = set(&["10.0.0.0/8", "192.0.2.7/32", "192.0.2.8/32", "fd00::/8", "::ffff:203.0.113.0/120"]);
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "192.0.2.8", "fdff::1", "::ffff:10.1.2.3"] {
            assert!(set.contains(ip(inside)), "{inside}");
        }
        assert!(set.contains(ip("203.0.113.9")), "a mapped range is one of IPv4");
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.9", "fe00::", "::", "::a00:1"] {
            assert!(!set.contains(ip(outside)), "{outside}");
        }
        assert_eq!(set.v4.len(), 3, "those that touch are one");
        assert!(super::AddressSet::default().is_empty());
        assert!(!self::set(&["::/0"]).contains(ip("192.0.2.1")));
        assert!(self::set(&["0.0.0.0/0", "255.255.255.255/32"]).contains(ip("255.255.255.255")));
    }

    #[test]
    fn deny_wins_and_an_allow_list_excludes_the_rest() {
        let rule = AccessRule { allow: set(&["10.0.0.0/8"]), deny: set(&["10.9.0.0/16"]) };
        assert!(rule.admits(ip("10.1.0.1")) && !rule.admits(ip("10.9.0.1")) && !rule.admits(ip("192.0.2.1")));
        let rule = AccessRule { allow: AddressSet::default(), deny: set(&["10.9.0.0/16"]) };
        assert!(rule.admits(ip("192.0.2.1")) && !rule.admits(ip("10.9.0.1")) && !rule.is_open());
        assert!(AccessRule::default().is_open() && AccessRule::default().admits(ip("::1")));
    }

    fn behind(how: ClientAddress, fields: &str) -> String {
        let head = request_head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let proxies = set(&["10.0.0.0/8"]);
        behind_proxies(&head, how, ip("10.0.0.1"), |address| proxies.contains(address)).to_string()
    }

    #[test]
    fn the_last_untrusted_address_is_the_client() {
        for (field, client) in [
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.1 , 10.0.0.2\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 198.51.100.1\r\nx-forwarded-for: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            ("X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: 192.0.2.1, unknown\r\n", "10.0.0.1"),
            ("X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1"),
            ("X-Forwarded-For: 192.0.2.1:443\r\n", "192.0.2.1"),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
            ("Forwarded: for=192.0.2.1\r\n", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(behind(ClientAddress::XForwardedFor, field), client, "{field:?}");
        }
        for (field, client) in [
            ("Forwarded: for=192.0.2.1;proto=https\r\n", "192.0.2.1"),
            ("Forwarded: proto=https; For=\"[2001:db8::1]:47\", for=10.0.0.2\r\n", "2001:db8::1"),
            ("Forwarded: for=\"198.51.100.1, for=192.0.2.1\r\n", "192.0.2.1"),
            ("Forwarded: for=_hidden, for=10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: 192.0.2.1\r\n", "10.0.0.1"),
        ] {
            assert_eq!(behind(ClientAddress::Forwarded, field), client, "{field:?}");
        }
        assert_eq!(behind(ClientAddress::Peer, "X-Forwarded-For: 192.0.2.1\r\n"), "10.0.0.1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// A set says what looking at its ranges one by one says.
        #[test]
        fn a_set_is_the_sum_of_its_ranges(
            ranges in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..12),
            asked in proptest::collection::vec(any::<u32>(), 8),
        ) {
            let nets: Vec<IpNet> = ranges.iter()
                .map(|(address, bits)| IpNet::new(IpAddr::V4((*address).into()), *bits).unwrap().trunc())
                .collect();
            let set = AddressSet::new(nets.clone());
            let edges = nets.iter().flat_map(|net| [net.network(), net.broadcast()]);
            for address in edges.chain(asked.into_iter().map(|bits| IpAddr::V4(bits.into()))) {
                prop_assert_eq!(set.contains(address), nets.iter().any(|net| net.contains(&address)));
            }
        }
    }
}
