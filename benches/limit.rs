//! Speed of charging a request to its limits, on one core and on two that share a key.
//!
//! Goal: a limit costs at most 0.3 µs on the way of a request that passes, and a refusal no more. Asked are: one address
//! again and again, so that leases are spent; addresses in turn, each of which has to be looked up in a table that is
//! larger than the caches; a key that is refused; three limits at once; a count of requests in flight.
//!
//! Non-goal: the fields of a refusal, a wait, the rest of an exchange.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::base::clock;
use ringway::policy::limit::{
    Asker, Capacity, Counters, Desk, KeyPart, Leases, Limit, LimitState, Prefixes, Rate, Seats, Table, Verdict, charge,
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
    match charge(desk, limits.into(), &asker, &mut seats) {
        Verdict::Passed(receipt) => {
            receipt.count(0, limits.into());
            true
        }
        Verdict::Refused(_) => false,
    }
}

fn limits(criterion: &mut Criterion) {
    let table = Table::new(64 << 20, 2);
    let quick = Some((1_000_000, 1_000_000));
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
                black_box(ask(limits, &leases, at.wrapping_mul(2_654_435_761)))
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
            bencher.iter(|| black_box(ask(&shared, &leases, 0)));
        });
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = limits
}
criterion_main!(benches);
