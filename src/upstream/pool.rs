//! Warm upstream connections of one core, apart by everything that makes connections differ.
//!
//! Last in, first out: the warmest connection is used, the others grow old and are closed by the sweep.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use rustls::pki_types::ServerName;

use super::options::Protocol;
use super::sessions::Sessions;
use crate::base::buf::BufferPool;
use crate::bounds;
use crate::net::Stream;

/// What two connections must agree in to be exchangeable, and the bounds of their pool: upstreams that share an address
/// but not the bounds have pools of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub address: SocketAddr,
    /// What was written, not what an endpoint chose by ALPN.
    pub protocol: Protocol,
    /// `None` = plain TCP. The text stands for trust, verification and ALPN.
    pub tls: Option<(ServerName<'static>, Arc<str>)>,
    /// How long an idle connection is kept, milliseconds.
    pub idle_ms: u64,
    /// How many are kept; 0 closes after each exchange.
    pub idle_max: usize,
}

impl PoolKey {
    /// Whether HTTP/2 may be spoken on connections of this pool.
    fn may_be_http2(&self) -> bool {
        match self.protocol {
            Protocol::Auto => self.tls.is_some(),
            Protocol::H1 => false,
            Protocol::H2 | Protocol::H2c => true,
        }
    }
}

/// Number of a pool on this core; never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolId(u64);

/// All pools of one core. They outlive plans, so a reload keeps warm connections.
#[derive(Default)]
pub struct Pools {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    ids: AHashMap<PoolKey, PoolId>,
    pools: AHashMap<PoolId, Pool>,
    next: u64,
}

struct Pool {
    /// Oldest first.
    idle: VecDeque<Idle>,
    idle_ms: u64,
    idle_max: usize,
    /// Where the next sweep goes on to ask whether connections are still open.
    cursor: usize,
    /// Where HTTP/2 may be spoken: the connections that do.
    sessions: Option<Rc<Sessions>>,
}

struct Idle {
    stream: Rc<Stream>,
    since_ms: u64,
}

impl Pools {
    /// The pool for this key.
    pub fn open(&self, key: PoolKey) -> PoolId {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(id) = inner.ids.get(&key) {
            return *id;
        }
        inner.next += 1;
        let id = PoolId(inner.next);
        let sessions = key.may_be_http2().then(|| Sessions::new(key.idle_ms, key.idle_max));
        let pool = Pool { idle: VecDeque::new(), idle_ms: key.idle_ms, idle_max: key.idle_max, cursor: 0, sessions };
        inner.pools.insert(id, pool);
        inner.ids.insert(key, id);
        id
    }

    /// The connections of HTTP/2 of a pool, where there may be any.
    pub fn sessions(&self, id: PoolId) -> Option<Rc<Sessions>> {
        self.with(id, |pool| pool.sessions.clone())?
    }

    /// Forgets all pools but these: names move and plans change, and what nobody asks for any more is closed, shared
    /// connections with the last of their streams.
    pub fn retain(&self, ids: impl Iterator<Item = PoolId>) {
        let kept: AHashSet<PoolId> = ids.collect();
        let mut gone = Vec::new();
        {
            let inner = &mut *self.inner.borrow_mut();
            inner.ids.retain(|_, id| kept.contains(id));
            gone.extend(inner.pools.extract_if(|id, _| !kept.contains(id)));
        }
        // Closed outside of the borrow.
        gone.iter().filter_map(|(_, pool)| pool.sessions.as_ref()).for_each(|sessions| sessions.close());
    }

    /// The warmest connection that is still open and silent.
    pub fn take(&self, id: PoolId, now_ms: u64, buffers: &BufferPool) -> Option<Rc<Stream>> {
        loop {
            let idle = self.with(id, |pool| {
                let idle = pool.idle.pop_back()?;
                (now_ms.saturating_sub(idle.since_ms) < pool.idle_ms).then_some(idle.stream)
            })??;
            if idle.is_quiet(buffers) {
                return Some(idle);
            }
        }
    }

    /// Keeps a connection whose exchange ended cleanly; returns one to be closed where there are too many, or where its
    /// pool is gone.
    pub fn give(&self, id: PoolId, stream: Rc<Stream>, now_ms: u64) -> Option<Rc<Stream>> {
        let mut given = Some(stream);
        let surplus = self.with(id, |pool| {
            let stream = given.take().filter(|_| pool.idle_max > 0)?;
            pool.idle.push_back(Idle { stream, since_ms: now_ms });
            if pool.idle.len() > pool.idle_max { pool.idle.pop_front().map(|idle| idle.stream) } else { None }
        });
        surplus.flatten().or(given)
    }

    /// Closes connections that are too old, and of a bounded number those that the upstream has closed: a core with very
    /// many idle ones looks at all of them in the course of several sweeps. Returns how many are left.
    pub fn sweep(&self, now_ms: u64, buffers: &BufferPool) -> usize {
        let mut left = 0;
        let mut checks = bounds::POOL_CHECKS_PER_SWEEP;
        let mut spent = Vec::new();
        let mut shared = Vec::new();
        for pool in self.inner.borrow_mut().pools.values_mut() {
            pool.drop_old(now_ms, &mut spent);
            pool.drop_closed(buffers, &mut checks, &mut spent);
            left += pool.idle.len();
            shared.extend(pool.sessions.clone());
        }
        // Closed outside of the borrow.
        drop(spent);
        // Sessions end by themselves; but whoever waits for room may open another one by now.
        shared.iter().for_each(|sessions| sessions.changed());
        left + shared.iter().map(|sessions| sessions.idle()).sum::<usize>()
    }

    /// Closes all idle connections: the core is going home.
    pub fn clear(&self) {
        let spent = std::mem::take(&mut *self.inner.borrow_mut());
        spent.pools.values().filter_map(|pool| pool.sessions.as_ref()).for_each(|sessions| sessions.close());
    }

    fn with<T>(&self, id: PoolId, work: impl FnOnce(&mut Pool) -> T) -> Option<T> {
        self.inner.borrow_mut().pools.get_mut(&id).map(work)
    }
}

impl Pool {
    fn drop_old(&mut self, now_ms: u64, spent: &mut Vec<Idle>) {
        while self.idle.front().is_some_and(|idle| now_ms.saturating_sub(idle.since_ms) >= self.idle_ms) {
            spent.extend(self.idle.pop_front());
        }
    }

    fn drop_closed(&mut self, buffers: &BufferPool, checks: &mut usize, spent: &mut Vec<Idle>) {
        let mut looks = self.idle.len().min(*checks);
        *checks -= looks;
        while looks > 0 {
            looks -= 1;
            if self.cursor >= self.idle.len() {
                self.cursor = 0;
            }
            match self.idle.get(self.cursor) {
                None => return,
                Some(idle) if idle.stream.is_quiet(buffers) => self.cursor += 1,
                Some(_) => spent.extend(self.idle.remove(self.cursor)),
            }
        }
    }
}
