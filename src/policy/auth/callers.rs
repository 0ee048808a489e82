//! Callers: who has a key of the house, and what each may do. Immutable once made; a change makes another.
//!
//! Pure. Looking a caller up costs one hash of its id and one SHA-256, whether or not the id is known, and secrets are
//! compared in constant time. Never holds a secret.

use std::sync::Arc;

use ahash::AHashMap;
use subtle::ConstantTimeEq;

use super::key::{Id, Key, SecretHash};
use super::model::Pattern;
use crate::policy::limit::Limit;

/// All callers.
#[derive(Default)]
pub struct Callers {
    by_id: AHashMap<Id, Caller>,
}

/// Who asks. About 200 bytes and its lists.
pub struct Caller {
    parts: CallerParts,
}

/// What a caller is made of.
#[derive(Default)]
pub struct CallerParts {
    pub id: Id,
    /// Shown in the access log; not secret.
    pub name: Box<str>,
    pub sha256: SecretHash,
    /// The secret before the last rotation.
    pub former: Option<Former>,
    /// Unix epoch, milliseconds: from then on the key is unknown. `None` = never.
    pub expires_ms: Option<u64>,
    /// Names of routes that it may use; empty = all.
    pub routes: Box<[Box<str>]>,
    /// Models that it may ask; empty = all.
    pub models: Box<[Pattern]>,
    /// Limits that its requests have to pass beside those of the route; at most
    /// [`crate::bounds::LIMITS_PER_KEY_MAX`], each once.
    pub limits: Box<[Arc<Limit>]>,
    pub disabled: bool,
}

/// A secret that still counts for a while.
#[derive(Clone, Copy)]
pub struct Former {
    pub sha256: SecretHash,
    /// Unix epoch, milliseconds.
    pub until_ms: u64,
}

/// Why a key does not count. Only who has its secret learns more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Unknown,
    Expired,
    Disabled,
}

impl Callers {
    /// These callers; of two with one id the later one counts.
    pub fn new(callers: impl IntoIterator<Item = CallerParts>) -> Self {
        Self { by_id: callers.into_iter().map(|parts| (parts.id, Caller { parts })).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The limits that keys have, each as often as keys have it.
    pub fn limits(&self) -> impl Iterator<Item = &Arc<Limit>> {
        self.by_id.values().flat_map(|caller| &caller.parts.limits)
    }

    /// Whose key it is. `now_ms`: Unix epoch.
    ///
    /// # Errors
    /// The key does not count.
    pub fn find(&self, key: &Key, now_ms: u64) -> Result<&Caller, Refused> {
        const NOBODY: (SecretHash, Option<Former>) = ([0; 32], None);
        let sent = key.secret_hash();
        let caller = self.by_id.get(&key.id);
        let (current, former) = caller.map_or(NOBODY, |caller| (caller.parts.sha256, caller.parts.former));
        let (former, until_ms) = former.map_or((NOBODY.0, 0), |former| (former.sha256, former.until_ms));
        // Both are compared, whatever comes of the first.
        let is_current = sent.ct_eq(&current);
        let is_former = sent.ct_eq(&former) & subtle::Choice::from(u8::from(now_ms < until_ms));
        let is_right = bool::from(is_current | is_former);
        match caller.filter(|_| is_right) {
            None => Err(Refused::Unknown),
            Some(caller) if caller.parts.disabled => Err(Refused::Disabled),
            Some(caller) if caller.parts.expires_ms.is_some_and(|at| at <= now_ms) => Err(Refused::Expired),
            Some(caller) => Ok(caller),
        }
    }
}

impl Caller {
    /// Its name, for the log.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Limits that its requests have to pass beside those of the route.
    pub fn limits(&self) -> &[Arc<Limit>] {
        &self.parts.limits
    }

    /// Models that it may ask; empty = all.
    pub fn models(&self) -> &[Pattern] {
        &self.parts.models
    }

    /// Whether it may use this route.
    pub fn may_use(&self, route: &str) -> bool {
        self.parts.routes.is_empty() || self.parts.routes.iter().any(|name| **name == *route)
    }
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Callers({})", self.len())
    }
}

impl std::fmt::Debug for Caller {
    /// Without the hashes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caller({:?})", self.parts.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{NewKey, RANDOM_BYTES};
    use super::*;

    fn key(seed: u8) -> (Key, NewKey) {
        let made = NewKey::of(&[seed; RANDOM_BYTES]);
        (Key::parse(made.text.as_bytes()).unwrap(), made)
    }

    #[test]
    fn a_key_counts_while_it_is_known_and_valid() {
        let (known, made) = key(1);
        let parts = |change: fn(&mut CallerParts)| {
            let mut parts =
                CallerParts { id: known.id, name: "ci".into(), sha256: made.sha256, ..CallerParts::default() };
            change(&mut parts);
            Callers::new([parts])
        };
        let asked = |callers: &Callers, key: &Key| callers.find(key, 1_000).map(|caller| caller.name().to_owned());
        let callers = parts(|_| {});
        assert_eq!(asked(&callers, &known), Ok("ci".to_owned()));
        assert_eq!(asked(&callers, &key(2).0), Err(Refused::Unknown), "another id");
        let mut random = [1; RANDOM_BYTES];
        random[40] = 9;
        let other = Key::parse(NewKey::of(&random).text.as_bytes()).unwrap();
        assert_eq!(other.id, known.id);
        assert_eq!(asked(&callers, &other), Err(Refused::Unknown), "another secret");
        assert_eq!(asked(&parts(|p| p.disabled = true), &known), Err(Refused::Disabled));
        assert_eq!(asked(&parts(|p| p.expires_ms = Some(1_000)), &known), Err(Refused::Expired));
        assert!(asked(&parts(|p| p.expires_ms = Some(1_001)), &known).is_ok());
        assert_eq!(asked(&Callers::default(), &known), Err(Refused::Unknown));
        assert!(!format!("{callers:?} {:?}", callers.find(&known, 0)).contains("sha"));
    }

    #[test]
    fn a_former_secret_counts_until_its_time_is_over() {
        let (old, former) = key(1);
        let mut random = [1; RANDOM_BYTES];
        random[40] = 9;
        let new = NewKey::of(&random);
        let callers = Callers::new([CallerParts {
            id: old.id,
            sha256: new.sha256,
            former: Some(Former { sha256: former.sha256, until_ms: 500 }),
            ..CallerParts::default()
        }]);
        assert!(callers.find(&old, 499).is_ok());
        assert_eq!(callers.find(&old, 500).unwrap_err(), Refused::Unknown);
        assert!(callers.find(&Key::parse(new.text.as_bytes()).unwrap(), 500).is_ok());
    }

    #[test]
    fn routes_are_all_or_those_that_are_named() {
        let caller = |routes: &[&str]| Caller {
            parts: CallerParts { routes: routes.iter().map(|r| (*r).into()).collect(), ..CallerParts::default() },
        };
        assert!(caller(&[]).may_use("any"));
        assert!(caller(&["a", "b"]).may_use("b") && !caller(&["a", "b"]).may_use("c"));
    }
}
