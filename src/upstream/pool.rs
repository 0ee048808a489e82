//! Warm upstream connections of one core, apart by everything that makes connections differ.
//!
//! Last in, first out: the warmest connection is used, the others grow old and are closed by the sweep.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ahash::AHashMap;
use rustls::pki_types::ServerName;

use crate::base::buf::BufferPool;
use crate::net::Stream;

/// What two connections must agree in to be exchangeable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub address: SocketAddr,
    /// `None` = plain TCP. The text stands for trust, verification and ALPN.
    pub tls: Option<(ServerName<'static>, Arc<str>)>,
}

/// Number of a pool on this core, stable for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolId(usize);

/// All pools of one core. They outlive plans, so a reload keeps warm connections.
#[derive(Default)]
pub struct Pools {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    ids: AHashMap<PoolKey, usize>,
    pools: Vec<Pool>,
}

#[derive(Default)]
struct Pool {
    /// Oldest first.
    idle: VecDeque<Idle>,
    idle_ms: u64,
    idle_max: usize,
}

struct Idle {
    stream: Rc<Stream>,
    since_ms: u64,
}

impl Pools {
    /// The pool for this key with the bounds of the plan in force.
    pub fn open(&self, key: PoolKey, idle_ms: u64, idle_max: usize) -> PoolId {
        let inner = &mut *self.inner.borrow_mut();
        let next = inner.pools.len();
        let index = *inner.ids.entry(key).or_insert(next);
        if index == next {
            inner.pools.push(Pool::default());
        }
        if let Some(pool) = inner.pools.get_mut(index) {
            (pool.idle_ms, pool.idle_max) = (idle_ms, idle_max);
        }
        PoolId(index)
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

    /// Keeps a connection whose exchange ended cleanly; returns one to be closed where there are too many.
    pub fn give(&self, id: PoolId, stream: Rc<Stream>, now_ms: u64) -> Option<Rc<Stream>> {
        self.with(id, |pool| {
            if pool.idle_max == 0 {
                return Some(stream);
            }
            pool.idle.push_back(Idle { stream, since_ms: now_ms });
            if pool.idle.len() > pool.idle_max { pool.idle.pop_front().map(|idle| idle.stream) } else { None }
        })
        .flatten()
    }

    /// Closes connections that are too old or that the upstream has closed. Returns how many are left.
    pub fn sweep(&self, now_ms: u64, buffers: &BufferPool) -> usize {
        let mut left = 0;
        let mut spent = Vec::new();
        for pool in &mut self.inner.borrow_mut().pools {
            let idle_ms = pool.idle_ms;
            for idle in std::mem::take(&mut pool.idle) {
                let fresh = now_ms.saturating_sub(idle.since_ms) < idle_ms;
                if fresh && idle.stream.is_quiet(buffers) {
                    pool.idle.push_back(idle);
                    left += 1;
                } else {
                    spent.push(idle);
                }
            }
        }
        // Closed outside of the borrow.
        drop(spent);
        left
    }

    /// Closes all idle connections: the core is going home.
    pub fn clear(&self) {
        let spent: Vec<_> = self.inner.borrow_mut().pools.iter_mut().map(|p| std::mem::take(&mut p.idle)).collect();
        drop(spent);
    }

    fn with<T>(&self, id: PoolId, work: impl FnOnce(&mut Pool) -> T) -> Option<T> {
        self.inner.borrow_mut().pools.get_mut(id.0).map(work)
    }
}
