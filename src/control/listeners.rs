//! The listening sockets of the process: opened for all cores at once, kept over reloads by their address.
//!
//! A plan is bound as a whole or not at all, before any core hears of it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::net::listen;
use crate::order::ListenerOrder;
use crate::plan::Plan;

/// What is bound at the moment.
#[derive(Default)]
pub struct Bound {
    listeners: Vec<One>,
    next_id: u64,
}

#[derive(Clone)]
struct One {
    id: u64,
    /// As configured; its port may be 0.
    configured: SocketAddr,
    /// As the system gave it.
    actual: SocketAddr,
}

/// Why a plan could not be bound.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub error: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, error } = self;
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another process listens there, or this gateway does on an address that overlaps; choose another"
            }
            io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE",
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
            _ => "choose another address",
        };
        write!(f, "cannot listen on {address}: {error}; {hint}")
    }
}

impl Bound {
    /// Binds what is new in `plan`. Returns one list of orders per core, each parallel to the plan's listeners.
    ///
    /// # Errors
    /// The first address that cannot be bound; everything is as before then.
    pub fn bind(&mut self, plan: &Plan, cores: usize) -> Result<Vec<Vec<ListenerOrder>>, BindError> {
        let mut known = self.listeners.clone();
        let mut next_id = self.next_id;
        let mut listeners = Vec::new();
        let mut orders: Vec<Vec<ListenerOrder>> = (0..cores).map(|_| Vec::new()).collect();
        for options in &plan.listeners {
            let kept = known.iter().position(|one| one.configured == options.address).map(|i| known.remove(i));
            let (one, sockets) = match kept {
                Some(one) => (one, Vec::new()),
                None => {
                    next_id += 1;
                    open(options.address, cores, next_id)?
                }
            };
            let mut sockets = sockets.into_iter();
            for core in &mut orders {
                core.push(ListenerOrder { id: one.id, socket: sockets.next() });
            }
            listeners.push(one);
        }
        (self.listeners, self.next_id) = (listeners, next_id);
        Ok(orders)
    }

    /// The addresses bound, in the order of the plan.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|one| one.actual)
    }
}

fn open(configured: SocketAddr, cores: usize, id: u64) -> Result<(One, Vec<TcpListener>), BindError> {
    let (actual, sockets) =
        listen::open(configured, cores).map_err(|error| BindError { address: configured, error })?;
    Ok((One { id, configured, actual }, sockets))
}
