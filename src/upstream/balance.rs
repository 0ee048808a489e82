//! Which address of an upstream is asked next, on one core: round-robin, those that failed of late last.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::options::{EndpointOptions, EndpointTls, Protocol, UpstreamOptions};
use super::pool::{PoolId, PoolKey, Pools};
use super::sessions::Sessions;
use crate::bounds;

/// The addresses of one upstream as one core sees them.
pub struct Target {
    addresses: Vec<Address>,
    next: Cell<usize>,
}

/// One address to connect to.
pub struct Address {
    pub address: SocketAddr,
    pub pool: PoolId,
    pub tls: Option<EndpointTls>,
    pub protocol: Protocol,
    /// Where HTTP/2 may be spoken: the connections that do.
    pub sessions: Option<Rc<Sessions>>,
    /// Longest wait for room to send, milliseconds.
    pub send_ms: u64,
    /// What Host says unless the upstream names another.
    pub authority: Box<str>,
    cool_until_ms: Cell<u64>,
    /// Failures since connecting worked last.
    failures: Cell<u32>,
}

impl Target {
    /// The target of an upstream, its pools opened.
    pub fn new(options: &UpstreamOptions, pools: &Pools) -> Self {
        let addresses = options.endpoints.iter().flat_map(|endpoint| {
            endpoint.addresses.iter().map(|address| {
                let pool = pools.open(key(endpoint, *address, options));
                Address {
                    address: *address,
                    pool,
                    tls: endpoint.tls.clone(),
                    protocol: options.protocol,
                    sessions: pools.sessions(pool),
                    send_ms: options.send_ms,
                    authority: endpoint.authority.clone(),
                    cool_until_ms: Cell::new(0),
                    failures: Cell::new(0),
                }
            })
        });
        Self { addresses: addresses.collect(), next: Cell::new(0) }
    }

    /// The pools of its addresses.
    pub fn pools(&self) -> impl Iterator<Item = PoolId> {
        self.addresses.iter().map(|address| address.pool)
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether no address is known.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The addresses to try for one request, in order, at most [`bounds::ATTEMPTS_MAX`]. Taken at once: an address that
    /// fails in the meantime must not come up a second time among the cool ones.
    pub fn order(&self, now_ms: u64) -> [Option<&Address>; bounds::ATTEMPTS_MAX] {
        let count = self.addresses.len();
        let first = self.next.get();
        self.next.set(if first + 1 >= count { 0 } else { first + 1 });
        let (head, tail) = self.addresses.split_at(first.min(count));
        let turn = |cool: bool| tail.iter().chain(head).filter(move |a| (a.cool_until_ms.get() > now_ms) == cool);
        let mut order = turn(false).chain(turn(true));
        std::array::from_fn(|_| order.next())
    }
}

impl Address {
    /// An address that failed the last time is about to be tried: until that is over, the others are asked first, so
    /// that one request finds out and not every request of the next seconds.
    pub fn trying(&self, now_ms: u64, connect_ms: u64) {
        if self.failures.get() > 0 {
            self.cool_until_ms.set(now_ms + connect_ms + bounds::COOL_DOWN_MS);
        }
    }

    /// Remembers that connecting failed: the cool-down doubles each time.
    pub fn failed(&self, now_ms: u64) {
        let factor = 1u64 << self.failures.get().min(16);
        self.failures.set(self.failures.get().saturating_add(1));
        self.cool_until_ms.set(now_ms + (bounds::COOL_DOWN_MS * factor).min(bounds::COOL_DOWN_MS_MAX));
    }

    /// Remembers that connecting worked.
    pub fn worked(&self) {
        self.failures.set(0);
        self.cool_until_ms.set(0);
    }
}

fn key(endpoint: &EndpointOptions, address: SocketAddr, options: &UpstreamOptions) -> PoolKey {
    PoolKey {
        address,
        protocol: options.protocol,
        tls: endpoint.tls.as_ref().map(|tls| (tls.server_name.clone(), tls.identity.clone())),
        idle_ms: options.idle_ms,
        idle_max: options.pool_idle_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(ports: &[u16]) -> Target {
        let endpoints = ports.iter().map(|port| EndpointOptions {
            authority: "localhost".into(),
            addresses: vec![SocketAddr::from(([127, 0, 0, 1], *port))],
            tls: None,
        });
        let options = UpstreamOptions {
            name: "u".into(),
            endpoints: endpoints.collect(),
            host: None,
            protocol: Protocol::Auto,
            connect_ms: 1,
            read_ms: 1,
            send_ms: 1,
            idle_ms: 1,
            pool_idle_max: 1,
            credential: None,
            capacity: None,
        };
        Target::new(&options, &Pools::default())
    }

    fn ports(target: &Target, now_ms: u64) -> Vec<u16> {
        target.order(now_ms).into_iter().flatten().map(|a| a.address.port()).collect()
    }

    #[test]
    fn requests_take_turns_and_a_failed_address_comes_last_until_it_has_cooled_down() {
        let target = target(&[1, 2, 3]);
        assert_eq!(ports(&target, 0), [1, 2, 3]);
        assert_eq!(ports(&target, 0), [2, 3, 1]);
        target.addresses[2].failed(0);
        assert_eq!(ports(&target, 10), [1, 2, 3]);
        assert_eq!(ports(&target, 10), [1, 2, 3]);
        assert_eq!(ports(&target, bounds::COOL_DOWN_MS + 1), [2, 3, 1]);
        assert!(ports(&self::target(&[]), 0).is_empty());
        let again = bounds::COOL_DOWN_MS + 1;
        target.addresses[0].failed(again);
        target.addresses[0].failed(again);
        assert_eq!(*ports(&target, again + bounds::COOL_DOWN_MS + 1).last().expect("three"), 1, "it doubles");
        target.addresses[0].worked();
        target.addresses[0].trying(0, 1_000);
        assert_eq!(target.addresses[0].cool_until_ms.get(), 0, "only one that failed is probed");
    }
}
