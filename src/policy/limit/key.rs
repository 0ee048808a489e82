//! Whose requests are counted together: the parts of a limit's key and their keyed hash.
//!
//! A key is only ever kept as a hash of 128 bits whose seed is made at start: nobody can aim at the cell of another
//! one, and no credential stays in memory. Hashing formats nothing and allocates nothing.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use ahash::RandomState;

use crate::http::{FieldId, RequestHead};

/// A part of a limit's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPart {
    /// The client's address, as far as the limit's prefix lengths say.
    Address,
    /// The name of the caller's key; where there is none the credential of the request, and where there is none of that
    /// either the address.
    Caller,
    /// The name of the route.
    Route,
    /// A request field, in lower case: all requests without it count together.
    Header(Box<str>),
    /// Nothing: all requests count together.
    All,
}

/// How much of an address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// At most 32.
    pub v4: u8,
    /// At most 128.
    pub v6: u8,
}

/// Who asks for what, as far as keys are made of it.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Without an IPv4-in-IPv6 wrapping.
    pub address: IpAddr,
    /// The name of the caller's key.
    pub caller: Option<&'a str>,
    pub route: &'a str,
    /// `None` = a connection, which has not asked for anything yet.
    pub head: Option<&'a RequestHead>,
}

/// The hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Says which bucket.
    pub(super) place: u64,
    /// Says which cell of the bucket.
    pub(super) print: u64,
}

/// The seed of the hashes of one table.
pub(super) struct Seed([RandomState; 2]);

impl Seed {
    /// A new one.
    pub fn new() -> Self {
        Self([RandomState::new(), RandomState::new()])
    }

    /// The key of a request under a limit, whose number keeps the limits apart.
    pub fn key(&self, limit: u64, parts: &[KeyPart], prefixes: Prefixes, asker: &Asker<'_>) -> Key {
        let [place, print] = self.0.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            hasher.write_u64(limit);
            parts.iter().for_each(|part| part.write(&mut hasher, prefixes, asker));
            hasher.finish()
        });
        Key { place, print }
    }
}

impl KeyPart {
    /// Each value is preceded by its kind and its length: no two lists of values look alike.
    fn write(&self, hasher: &mut impl Hasher, prefixes: Prefixes, asker: &Asker<'_>) {
        match self {
            Self::All => {}
            Self::Address => write_address(hasher, prefixes, asker.address),
            Self::Route => write_bytes(hasher, 2, asker.route.as_bytes()),
            Self::Caller => match (asker.caller, asker.head.and_then(credential)) {
                (Some(name), _) => write_bytes(hasher, 3, name.as_bytes()),
                (None, Some(secret)) => write_bytes(hasher, 4, secret),
                (None, None) => write_address(hasher, prefixes, asker.address),
            },
            Self::Header(name) => {
                let values = asker.head.map(|head| field(head, name)).into_iter().flatten();
                values.for_each(|value| write_bytes(hasher, 5, value));
                hasher.write_u8(6);
            }
        }
    }
}

fn write_bytes(hasher: &mut impl Hasher, kind: u8, bytes: &[u8]) {
    hasher.write_u8(kind);
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

fn write_address(hasher: &mut impl Hasher, prefixes: Prefixes, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => hasher.write_u64((1 << 32) | u64::from(v4.to_bits() & mask(32, prefixes.v4) as u32)),
        IpAddr::V6(v6) => {
            hasher.write_u8(1);
            hasher.write_u128(v6.to_bits() & mask(128, prefixes.v6));
        }
    }
}

/// The first `kept` of `bits` bits, at the right end.
fn mask(bits: u32, kept: u8) -> u128 {
    let dropped = bits.saturating_sub(u32::from(kept));
    u128::MAX.checked_shl(dropped).unwrap_or(0)
}

/// What the request shows as its credential.
fn credential(head: &RequestHead) -> Option<&[u8]> {
    head.find(FieldId::Authorization).or_else(|| head.find(FieldId::XApiKey))
}

fn field<'a>(head: &'a RequestHead, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let id = FieldId::of(name.as_bytes());
    head.fields()
        .filter(move |field| field.id == id && field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|f| f.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::testing::request_head;

    fn head(fields: &str) -> RequestHead {
        request_head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn what_counts_together_has_one_key_and_nothing_else_has() {
        let seed = Seed::new();
        let (plain, alice, bob) = (head(""), head("Authorization: Bearer a\r\n"), head("X-Api-Key: b\r\n"));
        let (team, other) = (head("X-Team: red\r\nx-team: blue\r\n"), head("x-team: redblue\r\n"));
        let of = |parts: &[KeyPart], address: &str, caller, head| {
            let asker = Asker { address: address.parse().unwrap(), caller, route: "r", head: Some(head) };
            seed.key(1, parts, Prefixes { v4: 24, v6: 64 }, &asker)
        };
        use KeyPart::*;
        assert_eq!(of(&[Address], "10.0.0.1", None, &plain), of(&[Address], "10.0.0.2", Some("x"), &alice));
        assert_ne!(of(&[Address], "10.0.0.1", None, &plain), of(&[Address], "10.0.1.1", None, &plain));
        assert_eq!(of(&[Address], "2001:db8::1", None, &plain), of(&[Address], "2001:db8::2:3", None, &plain));
        assert_ne!(of(&[Address], "2001:db8::1", None, &plain), of(&[Address], "2001:db8:0:1::1", None, &plain));
        assert_eq!(of(&[Caller], "10.0.0.1", None, &alice), of(&[Caller], "10.9.0.2", None, &alice));
        assert_ne!(of(&[Caller], "10.0.0.1", None, &alice), of(&[Caller], "10.0.0.1", None, &bob));
        assert_ne!(of(&[Caller], "10.0.0.1", Some("alice"), &alice), of(&[Caller], "10.0.0.1", None, &alice));
        assert_eq!(of(&[Caller], "10.0.0.1", None, &plain), of(&[Address], "10.0.0.1", None, &plain));
        let header = [Header("x-team".into())];
        assert_ne!(of(&header, "10.0.0.1", None, &team), of(&header, "10.0.0.1", None, &other));
        assert_ne!(of(&header, "10.0.0.1", None, &plain), of(&header, "10.0.0.1", None, &other));
        assert_eq!(of(&header, "10.0.0.1", None, &plain), of(&header, "10.3.3.3", None, &alice));
        assert_eq!(of(&[All], "10.0.0.1", None, &plain), of(&[All], "10.9.9.9", Some("x"), &bob));
        assert_ne!(of(&[All], "10.0.0.1", None, &plain), of(&[Route], "10.0.0.1", None, &plain));
    }

    #[test]
    fn limits_and_tables_have_keys_of_their_own() {
        let asker = Asker { address: IpAddr::from([10, 0, 0, 1]), caller: None, route: "", head: None };
        let prefixes = Prefixes { v4: 32, v6: 64 };
        let (one, two) = (Seed::new(), Seed::new());
        assert_ne!(
            one.key(1, &[KeyPart::Address], prefixes, &asker),
            one.key(2, &[KeyPart::Address], prefixes, &asker)
        );
        assert_ne!(
            one.key(1, &[KeyPart::Address], prefixes, &asker),
            two.key(1, &[KeyPart::Address], prefixes, &asker)
        );
        assert_eq!(
            (mask(32, 32) as u32, mask(32, 0) as u32, mask(128, 128), mask(128, 0)),
            (u32::MAX, 0, u128::MAX, 0)
        );
    }
}
