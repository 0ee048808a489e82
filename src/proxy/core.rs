//! What one core has at hand for every exchange: buffers, deadlines, pools, counters, the service in force.
//!
//! Belongs to one thread. What it shares with other cores: the cache, the bells of `wakes`, the counters, the log queue.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::in_flight::{InFlight, Purse};
use super::screen::overload::Overload;
use super::service::Service;
use super::wakes::Wakes;
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::base::rand::Random;
use crate::bounds;
use crate::cache::Cache;
use crate::cache::front::Front;
use crate::http::{RequestHead, ResponseHead};
use crate::log::CoreLog;
use crate::net::Deadlines;
use crate::policy::limit::{Desk, Leases};
use crate::policy::waf::transaction::Transaction;
use crate::stats::CoreStats;
use crate::upstream::{Pools, Target};

/// One core's means.
pub struct Core {
    /// Number of the CPU core, for the log.
    pub number: u16,
    /// Place of this core among those that serve, from 0.
    pub index: usize,
    pub cache: Arc<Cache>,
    pub front: Front,
    pub wakes: Rc<Wakes>,
    pub buffers: Rc<BufferPool>,
    pub deadlines: Rc<Deadlines>,
    pub pools: Pools,
    pub stats: Arc<CoreStats>,
    pub log: Rc<CoreLog>,
    pub random: Random,
    /// Tokens of limits that this core has taken.
    pub leases: Leases,
    /// No new connection, and each response says that the connection closes.
    pub draining: Cell<bool>,
    /// How late this core is.
    pub overload: Overload,
    /// Its share of the bytes that request bodies may take.
    pub purse: Rc<Purse>,
    /// Raised by each turn of the clockwork: who sees it stand still has kept the core to itself.
    pub beat: Cell<u32>,
    service: RefCell<Rc<CoreService>>,
    request_heads: RefCell<Vec<RequestHead>>,
    response_heads: RefCell<Vec<ResponseHead>>,
    date: RefCell<(u64, [u8; DATE_BYTES])>,
    keys: RefCell<Vec<Vec<u8>>>,
    #[expect(clippy::vec_box, reason = "it is lent to an exchange, and some kilobytes would move each time")]
    transactions: RefCell<Vec<Box<Transaction>>>,
    /// Long bodies that are being judged by rules of a firewall.
    pub judging: Cell<u32>,
}

/// What a core is made of.
pub struct Parts {
    pub number: u16,
    pub index: usize,
    pub service: Arc<Service>,
    pub stats: Arc<CoreStats>,
    pub log: CoreLog,
    pub cache: Arc<Cache>,
    pub wakes: Rc<Wakes>,
    pub in_flight: Arc<InFlight>,
}

impl Parts {
    /// A core that serves `service` by itself: for benchmarks and tests of what cores do.
    pub fn alone(service: Arc<Service>) -> Self {
        let cache = Cache::new(bounds::CACHE_BYTES_DEFAULT, [0; 32]);
        let (stats, log) = (CoreStats::new(), CoreLog::disabled());
        let in_flight = InFlight::new(bounds::IN_FLIGHT_BYTES_DEFAULT);
        Self { number: 0, index: 0, service, stats, log, cache, wakes: Wakes::new(0, Box::default()), in_flight }
    }
}

/// Bytes of an IMF-fixdate (RFC 9110 §5.6.7).
pub const DATE_BYTES: usize = 29;
/// Heads kept for reuse; more are freed.
const HEADS_FREE_MAX: usize = 128;
/// As many are in use at once on a busy core as bodies are read for them.
const TRANSACTIONS_FREE_MAX: usize = 16;

/// The service as this core sees it: the shared part and its own balance.
pub struct CoreService {
    pub shared: Arc<Service>,
    /// Parallel to `shared.upstreams`.
    pub targets: Vec<Target>,
}

impl Core {
    /// A core's means, serving `parts.service`.
    pub fn new(parts: Parts) -> Self {
        let Parts { number, index, service, stats, log, cache, wakes, in_flight } = parts;
        let purse = Purse::new(in_flight, Arc::clone(&stats));
        let pools = Pools::default();
        let service = RefCell::new(Rc::new(CoreService::new(service, &pools)));
        Self {
            number,
            index,
            cache,
            front: Front::default(),
            wakes,
            buffers: BufferPool::new(),
            deadlines: Deadlines::new(),
            pools,
            stats,
            log: Rc::new(log),
            random: Random::from_os(),
            leases: Leases::default(),
            draining: Cell::new(false),
            overload: Overload::default(),
            purse,
            beat: Cell::new(0),
            service,
            request_heads: RefCell::default(),
            response_heads: RefCell::default(),
            date: RefCell::new((0, [b' '; DATE_BYTES])),
            keys: RefCell::default(),
            transactions: RefCell::default(),
            judging: Cell::new(0),
        }
    }

    /// An empty buffer for a cache key, with memory of an earlier one.
    pub fn take_key(&self) -> Vec<u8> {
        self.keys.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a key's buffer back.
    pub fn give_key(&self, mut key: Vec<u8>) {
        let mut free = self.keys.borrow_mut();
        if free.len() < HEADS_FREE_MAX && key.capacity() <= bounds::HEAD_BYTES_DEFAULT {
            key.clear();
            free.push(key);
        }
    }

    /// What judges a request by the rules of a firewall, with memory of an earlier one.
    pub fn take_transaction(&self) -> Box<Transaction> {
        self.transactions.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes it back.
    pub fn give_transaction(&self, transaction: Box<Transaction>) {
        let mut free = self.transactions.borrow_mut();
        if free.len() < TRANSACTIONS_FREE_MAX {
            free.push(transaction);
        }
    }

    /// Where limits are charged at this time of the exact clock, microseconds: no earlier than the coarse clock says, for
    /// a request may have been long in coming.
    pub fn desk(&self, started_us: u64) -> Desk<'_> {
        let now_us = started_us.max(clock::now_ms() * 1_000);
        Desk { leases: &self.leases, core: self.index, now_ns: now_us * 1_000 }
    }

    /// The service in force: an exchange takes it once and keeps it to its end.
    pub fn service(&self) -> Rc<CoreService> {
        Rc::clone(&self.service.borrow())
    }

    /// Whether new exchanges use this service.
    pub fn is_current(&self, service: &CoreService) -> bool {
        std::ptr::eq(&raw const **self.service.borrow(), service)
    }

    /// New exchanges use `service` from now on; running ones finish on theirs.
    pub fn adopt(&self, service: Arc<Service>) {
        let adopted = Rc::new(CoreService::new(service, &self.pools));
        self.pools.retain(adopted.targets.iter().flat_map(Target::pools));
        let former = self.service.replace(adopted);
        drop(former);
        self.front.clear();
    }

    /// An empty request head with memory of an earlier one.
    pub fn take_request_head(&self) -> RequestHead {
        self.request_heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a request head back.
    pub fn give_request_head(&self, mut head: RequestHead) {
        head.clear();
        let mut free = self.request_heads.borrow_mut();
        if free.len() < HEADS_FREE_MAX && head.bytes.capacity() <= bounds::HEAD_BYTES_DEFAULT {
            free.push(head);
        }
    }

    /// An empty response head with memory of an earlier one.
    pub fn take_response_head(&self) -> ResponseHead {
        self.response_heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a response head back.
    pub fn give_response_head(&self, mut head: ResponseHead) {
        head.clear();
        let mut free = self.response_heads.borrow_mut();
        if free.len() < HEADS_FREE_MAX && head.bytes.capacity() <= bounds::HEAD_BYTES_DEFAULT {
            free.push(head);
        }
    }

    /// The value of a Date field now; rendered once per second.
    pub fn date(&self) -> [u8; DATE_BYTES] {
        let second = clock::unix_ms() / 1_000;
        let mut date = self.date.borrow_mut();
        if date.0 != second {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
            let text = httpdate::fmt_http_date(time);
            if let Ok(bytes) = text.as_bytes().try_into() {
                *date = (second, bytes);
            }
        }
        date.1
    }
}

impl CoreService {
    fn new(shared: Arc<Service>, pools: &Pools) -> Self {
        let targets = shared.upstreams.iter().map(|options| Target::new(options, pools)).collect();
        Self { shared, targets }
    }
}
