//! Speed of the cache's front and table beside moka and quick_cache: hits, misses, puts that evict; one and two threads.
//!
//! Goal: what a look-up costs from a key's bytes to an answer in hand, on one key that everybody asks for and on 100,000
//! keys in no order, 1,024 bytes each. The table's figures hold the SHA-256 that it is asked with; the front is one per
//! thread, as in the gateway, and keeps at most 8,192 answers. A put is all that a miss costs the cache: object, fill, head,
//! body, charges, the object that goes. Non-goal: what makes a key out of a request, what sends an answer.
//!
//! A time is CPU time of a thread for one call; with two threads the slower of them. Where the machine is busy the two
//! seldom run at once: then contention shows less than it is.

mod traces;

use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use quick_cache::Weighter;
use ringway::bounds::FRONT_OBJECTS_MAX;
use ringway::cache::Cache;
use ringway::cache::front::{Front, Kept};
use rustix::time::{ClockId, clock_gettime};
use traces::stored::{self, Maker, place};
use traces::{BODY_BYTES, Random};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 100_000;
/// A power of two, so that a turn is found by a mask.
const TURNS: usize = 1 << 17;
/// Room for everything, and for a tenth of it.
const ROOMY: u64 = 1 << 30;
const TIGHT: u64 = KEYS as u64 * BODY_BYTES as u64 / 10;
const SALT: [u8; 32] = [7; 32];

/// Which key each turn asks for.
struct Order {
    name: &'static str,
    turns: Vec<usize>,
}

impl Order {
    fn new(name: &'static str, keys: u64) -> Self {
        let mut random = Random::new(9);
        Self { name, turns: (0..TURNS).map(|_| random.below(keys) as usize).collect() }
    }
}

/// Calls `call` so many times on each of the threads and returns what the slowest took.
fn timed<C: FnMut(usize)>(threads: usize, calls: u64, order: &Order, make: &(impl Fn() -> C + Sync)) -> Duration {
    let barrier = Barrier::new(threads);
    let work = |thread: usize| {
        let mut call = make();
        let first = thread * TURNS / 2;
        barrier.wait();
        let start = now();
        for turn in first..first + calls as usize {
            call(order.turns[turn & (TURNS - 1)]);
        }
        now() - start
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let own = work(0);
        let join = |other: std::thread::ScopedJoinHandle<'_, Duration>| other.join().expect("a time because it ended");
        others.into_iter().map(join).fold(own, Duration::max)
    })
}

/// CPU time of this thread: what else the machine does is not in it.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One group: every way of asking, for the threads and orders that it is asked with.
fn each<C: FnMut(usize)>(criterion: &mut Criterion, name: &str, orders: &[&Order], make: impl Fn() -> C + Sync) {
    for threads in [1, 2] {
        for order in orders {
            let mut group = criterion.benchmark_group(format!("{}, {threads} thread(s)", order.name));
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|calls| timed(threads, calls, order, &make));
            });
            group.finish();
        }
    }
}

fn keys() -> Vec<Vec<u8>> {
    let mut maker = Maker::new();
    (0..KEYS as u64).map(|number| maker.key(number).to_vec()).collect()
}

/// Keys of the rivals: the same bytes.
fn rival_keys() -> Vec<Key> {
    keys().into_iter().map(Vec::into_boxed_slice).collect()
}

fn full(keys: &[Vec<u8>]) -> Arc<Cache> {
    let cache = Cache::new(ROOMY, SALT);
    for key in &keys[..KEYS / 2] {
        assert!(stored::put(&cache, place(key), key, &[b'x'; BODY_BYTES as usize]).is_some());
    }
    cache
}

fn hits(criterion: &mut Criterion) {
    // The upper half of the keys is not stored.
    let one = Order::new("hit, one key", 1);
    let hot = Order::new("hit, 4,096 keys", 4_096);
    let any = Order::new("hit, 50,000 keys", KEYS as u64 / 2);
    let mut none = Order::new("miss", KEYS as u64 / 2);
    none.turns.iter_mut().for_each(|turn| *turn += KEYS / 2);
    let orders = [&one, &hot, &any, &none];
    ringway_hits(criterion, &orders);
    rival_hits(criterion, &orders);
}

fn ringway_hits(criterion: &mut Criterion, orders: &[&Order]) {
    let keys = keys();
    let cache = full(&keys);
    let front = || {
        let front = Front::default();
        for key in &keys[..FRONT_OBJECTS_MAX] {
            let object = cache.find(place(key), key).expect("an object because it was put");
            let content = object.content().expect("its answer because it is complete");
            front.keep(key, &Kept::new(object, content, cache.sequence()));
        }
        let (keys, cache) = (&keys, &cache);
        move |number: usize| {
            let found: Option<Rc<Kept>> = front.find(&keys[number]);
            black_box(found.is_some_and(|kept| kept.checked.get() == cache.sequence()));
        }
    };
    each(criterion, "ringway front", &orders[..2], front);
    let table = || {
        |number: usize| {
            let key = &keys[number];
            let found = cache.find(place(key), key);
            black_box(found.and_then(|object| object.content()));
        }
    };
    each(criterion, "ringway table", orders, table);
    let places: Vec<_> = keys.iter().map(|key| place(key)).collect();
    let hashed = || {
        |number: usize| {
            black_box(cache.find(places[number], &keys[number]).and_then(|object| object.content()));
        }
    };
    each(criterion, "ringway table without SHA-256", orders, hashed);
}

#[derive(Clone)]
struct Payload;

impl Weighter<Key, Bytes> for Payload {
    fn weight(&self, key: &Key, body: &Bytes) -> u64 {
        (key.len() + body.len()) as u64
    }
}

type Key = Box<[u8]>;
type Moka = moka::sync::Cache<Key, Bytes, ahash::RandomState>;
type Quick = quick_cache::sync::Cache<Key, Bytes, Payload>;

fn moka(capacity: u64) -> Moka {
    let weigher = |key: &Key, body: &Bytes| u32::try_from(key.len() + body.len()).unwrap_or(u32::MAX);
    moka::sync::Cache::builder().max_capacity(capacity).weigher(weigher).build_with_hasher(ahash::RandomState::new())
}

fn quick(capacity: u64) -> Quick {
    Quick::with_weighter(usize::try_from(capacity).unwrap_or(usize::MAX) / BODY_BYTES as usize, capacity, Payload)
}

fn body() -> Bytes {
    Bytes::copy_from_slice(&[b'x'; BODY_BYTES as usize])
}

fn rival_hits(criterion: &mut Criterion, orders: &[&Order]) {
    let keys = rival_keys();
    let (moka, quick) = (moka(ROOMY), quick(ROOMY));
    for key in &keys[..KEYS / 2] {
        moka.insert(key.clone(), body());
        quick.insert(key.clone(), body());
    }
    moka.run_pending_tasks();
    let get = || {
        |number: usize| {
            black_box(moka.get(&keys[number]));
        }
    };
    each(criterion, "moka", orders, get);
    let get = || {
        |number: usize| {
            black_box(quick.get(&keys[number]));
        }
    };
    each(criterion, "quick_cache", orders, get);
}

fn puts(criterion: &mut Criterion) {
    let turn = AtomicUsize::new(0);
    // Every key was evicted before its turn comes again.
    let next = || turn.fetch_add(1, Relaxed) % KEYS;
    let order = Order::new("put and evict", 1);
    let keys = keys();
    let cache = Cache::new(TIGHT, SALT);
    let put = || {
        |_| {
            let key = &keys[next()];
            black_box(stored::put(&cache, place(key), key, &[b'x'; BODY_BYTES as usize]));
        }
    };
    each(criterion, "ringway", &[&order], put);
    let keys = rival_keys();
    let moka = moka(TIGHT);
    let put = || |_| moka.insert(keys[next()].clone(), body());
    each(criterion, "moka", &[&order], put);
    let quick = quick(TIGHT);
    let put = || |_| quick.insert(keys[next()].clone(), body());
    each(criterion, "quick_cache", &[&order], put);
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = hits, puts
}
criterion_main!(benches);
