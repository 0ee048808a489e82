//! Speed of charging a request to its limits, on one core and on two that share a key; and of knowing whose key it has.
//!
//! Goal: a limit costs at most 0.3 µs on the way of a request that passes, and a refusal no more. Asked are: one address
//! again and again, so that leases are spent; addresses in turn, each of which has to be looked up in a table that is
//! larger than the caches; a key that is refused; three limits at once; a count of requests in flight. Beside the speed:
//! what ten million addresses do to memory and to a key that is used up. A caller costs at most 1 µs.
//!
//! Non-goal: the fields of a refusal, a wait, the rest of an exchange.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::base::clock;
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;
use ringway::policy::auth::key::{self, NewKey, Presented, RANDOM_BYTES};
use ringway::policy::auth::{CallerParts, Callers};
use ringway::policy::limit::{
    Applied, Asker, Capacity, Counters, Desk, KeyPart, Leases, Limit, LimitState, Prefixes, Rate, Seats, Table,
    Verdict, charge,
};

const SECOND_NS: u64 = 1_000_000_000;

fn limit(number: u64, table: &Arc<Table>, rate: Option<(u64, u64)>, in_flight: Option<u64>) -> Arc<Limit> {
    let crowd = Arc::default();
    let state = LimitState { number, table: Arc::clone(table), counters: Counters::new(1), crowd };
    Arc::new(Limit {
        name: "bench".into(),
        key: Box::new([KeyPart::Address]),
        prefixes: Prefixes { v4: 32, v6: 64 },
        rate: rate.and_then(|(count, burst)| Rate::new(count, SECOND_NS, burst, 0)),
        in_flight,
        waiting: Capacity { most: 0, crowd: Arc::default() },
        dry_run: false,
        status: 429,
        headers: false,
        state: Arc::new(state),
    })
}

/// Charges one request and counts it; whether it passes.
fn ask(limits: &[Arc<Limit>], leases: &Leases, address: u32) -> bool {
    let address = IpAddr::V4(Ipv4Addr::from_bits(address));
    let asker = Asker { address, caller: None, route: "r", head: None };
    let desk = Desk { leases, core: 0, now_ns: clock::now_ms() * 1_000_000 };
    let mut seats = Seats::default();
    let limits = Applied::route(limits);
    match charge(desk, limits, &asker, &mut seats) {
        Verdict::Passed(receipt) => {
            receipt.count(0, limits);
            true
        }
        Verdict::Refused(_) => false,
    }
}

fn limits(criterion: &mut Criterion) {
    let table = Table::new(64 << 20, 2);
    // So wide that not even this asks for more than it may have.
    let quick = Some((1_000_000_000, 1_000_000_000));
    let cases: [(&str, Vec<Arc<Limit>>, u32); 5] = [
        ("one address", vec![limit(1, &table, quick, None)], 1),
        ("a million addresses", vec![limit(2, &table, quick, None)], 1_000_000),
        ("refused", vec![limit(3, &table, Some((1, 0)), None)], 1),
        ("three limits", (4..7).map(|number| limit(number, &table, quick, None)).collect(), 1),
        ("in flight", vec![limit(7, &table, None, Some(10))], 1),
    ];
    let mut group = criterion.benchmark_group("limit");
    for (name, limits, addresses) in &cases {
        let leases = Leases::default();
        let mut at = 0u32;
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                at = (at + 1) % addresses;
                // Spread, so that the next one is not the neighbour of the last.
                let passes = ask(limits, &leases, at.wrapping_mul(2_654_435_761));
                assert!(passes || *name == "refused", "what is measured is passing");
                passes
            });
        });
    }
    let shared = [limit(8, &table, quick, None)];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let leases = Leases::default();
            while !stop.load(Ordering::Relaxed) {
                black_box(ask(&shared, &leases, 0));
            }
        });
        let leases = Leases::default();
        group.bench_function("one address from two cores", |bencher| {
            bencher.iter(|| assert!(ask(&shared, &leases, 0)));
        });
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

/// Ten million addresses in one second of made-up time, and among them one that asks as often as it can: what it is let
/// through, and how much memory all of them take. Printed, not timed.
fn ten_million_addresses(_: &mut Criterion) {
    const ADDRESSES: u32 = 10_000_000;
    let resident_kb = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
    };
    let table = Table::new(64 << 20, 2);
    let before_kb = resident_kb();
    let limits = [limit(9, &table, Some((10, 100)), None)];
    let leases = Leases::default();
    let ask = |address: u32, now_ns| {
        let address = IpAddr::V4(Ipv4Addr::from_bits(address));
        let asker = Asker { address, caller: None, route: "r", head: None };
        let desk = Desk { leases: &leases, core: 0, now_ns };
        matches!(charge(desk, Applied::route(&limits), &asker, &mut Seats::default()), Verdict::Passed(_))
    };
    let (start_ns, mut hot, mut others) = (1_000 * SECOND_NS, 0, 0);
    let begun_us = clock::now_us();
    for i in 0..ADDRESSES {
        let now_ns = start_ns + u64::from(i) * (SECOND_NS / u64::from(ADDRESSES));
        others += u32::from(ask(0x1000_0000 + i, now_ns));
        if i % 1_000 == 0 {
            hot += u32::from(ask(7, now_ns));
        }
    }
    println!(
        "ten million addresses: {hot} of 10000 requests of one that may 101 and 10 a second, {others} of the others; \
         memory {} kB more; {:.0} ns each",
        resident_kb().saturating_sub(before_kb),
        (clock::now_us() - begun_us) as f64 * 1e3 / f64::from(ADDRESSES),
    );
}

/// What it costs to know whose key a request carries: reading it, one SHA-256, one look-up; and one that nobody has.
fn callers(criterion: &mut Criterion) {
    let made = |number: u32| {
        let mut random = [7u8; RANDOM_BYTES];
        for (place, byte) in random.iter_mut().zip(number.to_be_bytes().iter().cycle().take(12)) {
            *place = place.wrapping_mul(31).wrapping_add(*byte);
        }
        NewKey::of(&random)
    };
    let keys = (0..10_000).map(made).filter_map(|new| {
        let id = new.id.as_bytes().try_into().ok()?;
        Some(CallerParts { id, name: "bench".into(), sha256: new.sha256, ..CallerParts::default() })
    });
    let callers = Callers::new(keys);
    let mut group = criterion.benchmark_group("caller");
    for (name, number) in [("known", 7), ("unknown", 2_000_000_000)] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", made(number).text);
        let mut head = RequestHead::default();
        let parsed = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
        assert!(parsed.is_ok());
        group.bench_function(name, |bencher| {
            bencher.iter(|| match key::presented(black_box(&head)) {
                Presented::Key(key) => callers.find(&key, 1_000).is_ok(),
                Presented::Nothing | Presented::Foreign => false,
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = limits, callers, ten_million_addresses
}
criterion_main!(benches);
