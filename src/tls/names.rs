//! Which certificate a client gets: by the name it asks for (SNI, RFC 6066 §3) and by the signatures it knows.
//!
//! Exact names first, then `*.` wildcards of one label (RFC 9525 §6.3), then the default, which is the first pair.
//! A name may have an ECDSA and an RSA certificate; clients get the first one that they can verify. Immutable once
//! made; a lookup allocates nothing (choosing between two kinds of keys does, a few bytes).

use std::sync::Arc;

use ahash::AHashMap;
use rustls::SignatureScheme;
use rustls::pki_types::DnsName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::LoadedPair;

/// Bytes of a DNS name in text form (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// A name in lower case without a final dot, if it is a DNS name or `*.` and a DNS name.
pub(super) fn normalised(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).ok()?;
    (name.len() <= NAME_BYTES_MAX).then(|| name.to_ascii_lowercase())
}

/// Certificates by name. About 100 bytes per name.
#[derive(Debug)]
pub struct NameResolver {
    /// Invariant: each list has at least one key, and no two of one algorithm.
    exact: AHashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By the name without its `*.`; the same invariant.
    wildcard: AHashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// Invariant: at least one key.
    default: Vec<Arc<CertifiedKey>>,
}

impl NameResolver {
    /// A table of `pairs`, earlier ones before later ones; the second value says in words which names were taken
    /// already, for warnings. `None` without pairs.
    pub fn new(pairs: &[LoadedPair]) -> Option<(Self, Vec<String>)> {
        let first = pairs.first()?;
        let mut resolver =
            Self { exact: AHashMap::new(), wildcard: AHashMap::new(), default: vec![Arc::clone(&first.key)] };
        let mut shadowed = Vec::new();
        for pair in pairs {
            for name in &pair.names {
                if !resolver.add(name, &pair.key) {
                    shadowed.push(format!(
                        "{}: {name} is served with an earlier certificate of the same kind of key",
                        pair.cert.display()
                    ));
                }
            }
        }
        // The twin of the first pair, of another kind of key, serves as default too.
        let twins = first.names.first().and_then(|name| resolver.keys(name));
        resolver.default = twins.map_or(resolver.default.clone(), <[_]>::to_vec);
        Some((resolver, shadowed))
    }

    /// False when the name has a key of this algorithm already.
    fn add(&mut self, name: &str, key: &Arc<CertifiedKey>) -> bool {
        let (table, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name),
        };
        let keys = table.entry(name.into()).or_default();
        if keys.iter().any(|other| Arc::ptr_eq(other, key)) {
            return true;
        }
        let new = keys.iter().all(|other| other.key.algorithm() != key.key.algorithm());
        if new {
            keys.push(Arc::clone(key));
        }
        new
    }

    /// The keys of a name as it is configured: in lower case, possibly with `*.`.
    fn keys(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let found = match name.strip_prefix("*.") {
            Some(parent) => self.wildcard.get(parent),
            None => self.exact.get(name),
        };
        found.map(Vec::as_slice)
    }

    /// The keys for a name that a client asked for, in any case.
    fn matching(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let mut lower = [0; NAME_BYTES_MAX + 1];
        name.and_then(|name| self.by_name(lowered(name, &mut lower)?)).unwrap_or(&self.default)
    }

    fn by_name(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let found = self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1));
        found.map(Vec::as_slice)
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        match self.matching(name) {
            [only] => Some(only),
            keys => keys.iter().find(|key| key.key.choose_scheme(schemes).is_some()).or(keys.first()),
        }
    }
}

impl ResolvesServerCert for NameResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

/// `name` in lower case, inside `room`; `None` when it is too long for a name.
fn lowered<'a>(name: &str, room: &'a mut [u8]) -> Option<&'a str> {
    let room = room.get_mut(..name.len())?;
    room.copy_from_slice(name.as_bytes());
    room.make_ascii_lowercase();
    std::str::from_utf8(room).ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::certificate::load_pair;
    use super::super::testing::fixtures;
    use super::*;

    fn named(cert: &str, key: &str, names: &[&str]) -> LoadedPair {
        let mut files = fixtures(cert, key);
        files.names = names.iter().map(|&name| name.to_owned()).collect();
        let pair = load_pair(&files).unwrap();
        LoadedPair { cert: PathBuf::from(cert), ..pair }
    }

    fn ec(names: &[&str]) -> LoadedPair {
        named("ec.crt", "ec-sec1.key", names)
    }

    fn position(resolver: &NameResolver, pairs: &[LoadedPair], name: Option<&str>) -> Option<usize> {
        let chosen = resolver.choose(name, &[])?;
        pairs.iter().position(|pair| Arc::ptr_eq(&pair.key, chosen))
    }

    #[test]
    fn exact_names_go_before_wildcards_and_those_before_the_default() {
        let pairs = [ec(&["default.test"]), ec(&["*.a.test"]), ec(&["B.a.test"]), ec(&["a.test", "*.test"])];
        let (resolver, shadowed) = NameResolver::new(&pairs).unwrap();
        assert!(shadowed.is_empty());
        for (name, expected) in [
            (Some("default.test"), 0),
            (Some("b.a.test"), 2),
            (Some("B.A.Test"), 2),
            (Some("b.a.test."), 2),
            (Some("c.a.test"), 1),
            (Some("d.c.a.test"), 0),
            (Some("a.test"), 3),
            (Some("z.test"), 3),
            (Some("test"), 0),
            (Some("other.example"), 0),
            (Some(""), 0),
            (Some("."), 0),
            (None, 0),
        ] {
            assert_eq!(position(&resolver, &pairs, name), Some(expected), "{name:?}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 2);
        assert_eq!(position(&resolver, &pairs, Some(&long)), Some(0));
        assert!(NameResolver::new(&[]).is_none());
    }

    #[test]
    fn a_name_taken_twice_stays_with_the_first_and_is_reported_but_a_twin_of_another_kind_is_not() {
        let rsa = named("rsa.crt", "rsa-pkcs1.key", &["a.test"]);
        let pairs = [ec(&["a.test", "a.test"]), ec(&["a.test", "b.test"]), rsa];
        let (resolver, shadowed) = NameResolver::new(&pairs).unwrap();
        assert_eq!(shadowed, ["ec.crt: a.test is served with an earlier certificate of the same kind of key"]);
        assert_eq!(position(&resolver, &pairs, Some("b.test")), Some(1));
        for name in [Some("a.test"), None] {
            let chosen = |scheme| resolver.choose(name, &[scheme]).unwrap();
            assert!(Arc::ptr_eq(chosen(SignatureScheme::ECDSA_NISTP256_SHA256), &pairs[0].key));
            assert!(Arc::ptr_eq(chosen(SignatureScheme::RSA_PSS_SHA256), &pairs[2].key));
            assert!(Arc::ptr_eq(chosen(SignatureScheme::ED448), &pairs[0].key), "the handshake then names the cause");
        }
    }

    #[test]
    fn names_are_brought_to_one_form() {
        for (given, normal) in [
            ("API.Example.org.", Some("api.example.org")),
            ("*.Example.org", Some("*.example.org")),
            ("localhost", Some("localhost")),
            ("a_b.test", Some("a_b.test")),
            ("*", None),
            ("*.", None),
            ("a.*.test", None),
            ("10.0.0.1", None),
            ("a b", None),
            ("", None),
            ("ä.test", None),
        ] {
            assert_eq!(normalised(given).as_deref(), normal, "{given:?}");
        }
    }
}
