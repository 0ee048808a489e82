//! All at once: clients that leave, origins that fail, purges, reloads and evictions, on two cores. Every byte that comes
//! whole is right, nobody is stuck, and nothing is left over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::harness::origin::Reply;

use super::*;

/// Number of the version that the origin serves: raised before each purge.
static VERSION: AtomicU64 = AtomicU64::new(0);

const PATHS: usize = 40;
const CLIENTS: u64 = 6;
const STORM_MS: u64 = 2_000;

/// The body of a version of a path: its name, then bytes that follow from it.
fn body_of(target: &str, version: u64) -> Vec<u8> {
    let name = format!("{target} {version}\n");
    let seed = target.bytes().fold(version + 7, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut chance = Chance(seed | 1);
    let size = chance.below(if seed % 7 == 0 { 300_000 } else { 9_000 });
    name.bytes().chain(std::iter::repeat_with(|| chance.below(256) as u8).take(size)).collect()
}

/// What the origin does with a request: mostly a storable answer, sometimes anything else.
fn served(request: &Request) -> Reply {
    let body = body_of(&request.target, VERSION.load(Ordering::SeqCst));
    let mut chance = Chance((unix_ms() ^ body.len() as u64) | 1);
    chance.below(2);
    let kind = chance.below(20);
    let control = if kind == 0 { "no-store" } else { "max-age=60, stale-while-revalidate=5" };
    let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {control}\r\n");
    let mut bytes = head.into_bytes();
    if kind.is_multiple_of(2) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
    } else {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        body.chunks(5_000).for_each(|piece| bytes.extend_from_slice(&chunk(piece)));
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    match kind {
        1 => Reply { bytes: Vec::new(), close: true },
        2 | 3 => Reply { bytes: bytes[..bytes.len() / 2].to_vec(), close: true },
        _ => Reply { bytes, close: false },
    }
}

/// One client until the end of the storm; returns how many whole answers it had.
fn client_of(address: std::net::SocketAddr, seed: u64, over: &AtomicBool) -> usize {
    let mut chance = Chance(seed);
    let (mut client, mut whole) = (connect(address), 0);
    while !over.load(Ordering::SeqCst) {
        let path = format!("/{}", chance.below(PATHS));
        let least = VERSION.load(Ordering::SeqCst).saturating_sub(1);
        if client.try_send(get(&path).as_bytes()).is_err() {
            client = connect(address);
            continue;
        }
        let leaves = chance.below(12) == 0;
        let answer = if leaves { None } else { client.try_head().ok().map(Response::of) };
        let Some(head) = answer else {
            client = connect(address);
            continue;
        };
        let response = client.finish_response(head, false);
        assert_ne!(response.body.cut, Some(End::Silent), "{path} is stuck");
        if response.body.cut.is_none() && response.status == 200 {
            judge(&path, &response, least);
            whole += 1;
        }
        if response.body.cut.is_some() || response.says_close() {
            client = connect(address);
        }
    }
    whole
}

/// A whole answer is that of a version, and of none that was purged before it was asked for.
#[track_caller]
fn judge(path: &str, response: &Response, least: u64) {
    let name = response.body.bytes.split(|byte| *byte == b'\n').next().expect("a first line");
    let name = String::from_utf8_lossy(name).into_owned();
    let (target, version) = name.split_once(' ').expect("path and version");
    let version: u64 = version.parse().expect("a version");
    assert_eq!(target, path);
    assert!(response.body.bytes == body_of(path, version), "every byte of {name}");
    assert!(version >= least, "{path}: version {version} after {least} was purged; {:?}", response.head);
}

/// The storm.
#[test]
fn all_at_once() {
    let origin = Origin::new().serve(served);
    let config = Config::to(&origin).cache("object_max = \"256KiB\"").more("[cache]\nmemory = \"1MiB\"");
    let gateway = Gateway::start_on_cores(&config.toml(), 2);
    let (address, before) = (gateway.address(), gateway.descriptors());
    let over = AtomicBool::new(false);
    let whole: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|seed| {
                scope.spawn({
                    let over = &over;
                    move || client_of(address, seed, over)
                })
            })
            .collect();
        let start = now_ms();
        let mut round = 0;
        while now_ms() - start < STORM_MS && !clients.iter().any(|client| client.is_finished()) {
            round += 1;
            // First the new version is served, then the old one is purged: who asks after the purge sees no older one.
            VERSION.fetch_add(1, Ordering::SeqCst);
            gateway.admin_post("/cache/purge", if round % 2 == 1 { "{\"all\":true}" } else { "{\"prefix\":\"t/\"}" });
            if round % 20 == 0 {
                let cache = format!("jitter = {}", round % 50);
                assert!(gateway.reload(&config.clone().cache(&cache).toml()).0);
            }
            origin::pace(10);
        }
        over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().expect("the client saw nothing wrong")).sum()
    });
    assert!(whole > 100, "{whole} whole answers");
    eventually("nothing is left over", || gateway.metric("ringway_exchanges_active", &[]) < 1.0);
    eventually("no descriptor is left over", || gateway.descriptors() <= before + origin.open() + 4);
    assert!(gateway.metric("ringway_cache_bytes", &[]) <= 1024.0 * 1024.0);
    gateway.admin_post("/cache/purge", "{\"all\":true}");
    eventually("the memory is given back", || gateway.metric("ringway_cache_bytes", &[]) < 64.0 * 1024.0);
    gateway.stop();
}
