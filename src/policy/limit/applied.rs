//! Which limits apply to a request: those of its route and those of its caller's key, as one list without a copy.
//!
//! The order is fixed, so that a place in it can stand for a limit while a request runs.

use std::sync::Arc;

use super::{KeyPart, Limit};

/// The limits that apply to a request. One that both lists have applies once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applied<'l> {
    /// At most [`crate::bounds::LIMITS_PER_ROUTE_MAX`].
    pub of_route: &'l [Arc<Limit>],
    /// At most [`crate::bounds::LIMITS_PER_KEY_MAX`], each once.
    pub of_caller: &'l [Arc<Limit>],
    /// Only those that tell addresses apart.
    pub by_address: bool,
}

impl<'l> Applied<'l> {
    /// Those of a route alone.
    pub fn route(of_route: &'l [Arc<Limit>]) -> Self {
        Self { of_route, ..Self::default() }
    }

    /// For somebody who has shown no key that counts: those of the route that tell addresses apart. A bucket that callers
    /// share is not for them, or whoever has no key could use it up.
    pub fn strangers(of_route: &'l [Arc<Limit>]) -> Self {
        Self { of_route, by_address: true, ..Self::default() }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.of_route.is_empty() && self.of_caller.is_empty()
    }

    /// The limits, each once: the route's, then the caller's.
    pub fn iter(self) -> impl Iterator<Item = &'l Limit> {
        let is_new = move |own: &&Arc<Limit>| !self.of_route.iter().any(|limit| Arc::ptr_eq(limit, own));
        let counts = move |limit: &&Limit| !self.by_address || limit.key.contains(&KeyPart::Address);
        self.of_route.iter().chain(self.of_caller.iter().filter(is_new)).map(|limit| &**limit).filter(counts)
    }
}
