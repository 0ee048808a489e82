//! Limits as a whole: many cores, many keys, several limits of one request.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const START: u64 = 1_000 * SECOND;

fn limit(number: u64, table: &Arc<Table>, rate: Option<Rate>) -> Limit {
    let crowd = Arc::default();
    let state = LimitState { number, table: Arc::clone(table), counters: Counters::new(1), crowd };
    Limit {
        name: "test".into(),
        key: Box::new([KeyPart::Address]),
        prefixes: Prefixes { v4: 32, v6: 64 },
        rate,
        in_flight: None,
        waiting: Capacity { most: 10, crowd: Arc::default() },
        dry_run: false,
        status: 429,
        headers: false,
        state: Arc::new(state),
    }
}

fn asker(address: u32) -> Asker<'static> {
    Asker { address: IpAddr::V4(Ipv4Addr::from_bits(address)), caller: None, route: "r", head: None }
}

fn desk(leases: &Leases, now_ns: u64) -> Desk<'_> {
    Desk { leases, core: 0, now_ns }
}

/// Charges a request that goes on to hold its seats.
fn charge_once<'l>(limits: &'l [Arc<Limit>], leases: &Leases, seats: &mut Seats<'l>) -> bool {
    matches!(charge(desk(leases, START), Applied::route(limits), &asker(7), seats), Verdict::Passed(_))
}

fn passes(limits: &[Arc<Limit>], leases: &Leases, now_ns: u64, address: u32) -> bool {
    let mut seats = Seats::default();
    matches!(charge(desk(leases, now_ns), Applied::route(limits), &asker(address), &mut seats), Verdict::Passed(_))
}

/// All cores ask in turn, far more often than is allowed, for 30 seconds of made-up time.
#[test]
fn many_cores_together_admit_what_one_would() {
    for cores in [1usize, 2, 8, 64] {
        let table = Table::new(1 << 20, cores);
        let rate = Rate::new(100, SECOND, 200, 0).unwrap();
        let limits = [Arc::new(limit(1, &table, Some(rate)))];
        let leases: Vec<Leases> = (0..cores).map(|_| Leases::default()).collect();
        let mut admitted = 0u64;
        for step in 0..30_000u64 {
            // A millisecond in which each core asks, in an order that changes.
            for core in 0..cores {
                let now = START + step * MS + core as u64 * (MS / cores as u64);
                let core = (core + step as usize) % cores;
                admitted += u64::from(passes(&limits, &leases[core], now, 7));
            }
        }
        let ideal = 201 + 100 * 30;
        let bound = (cores as u64 * (rate.lease_max() - 1)).min(rate.quota() / 2);
        let most = ideal + ideal / 100 + bound;
        let least = ideal - ideal / 100 - bound;
        assert!((least..=most).contains(&admitted), "{cores} cores: {admitted} of {ideal}");
    }
}

/// Threads that race for one key get its burst, and nothing more.
#[test]
fn racing_threads_get_the_burst() {
    let threads = 4;
    let table = Table::new(1 << 20, threads);
    let rate = Rate::new(1, 3_600 * SECOND, 999, 0).unwrap();
    let limits = [Arc::new(limit(1, &table, Some(rate)))];
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let leases = Leases::default();
                let count = (0..5_000u64).filter(|i| passes(&limits, &leases, START + i, 7)).count();
                admitted.fetch_add(count as u64, Relaxed);
            });
        }
    });
    let admitted = admitted.into_inner();
    // Each thread spends all it has leased before it is refused; one may have met the new key beside another.
    assert!((1_000..=1_000 + threads as u64).contains(&admitted), "{admitted}");
}

/// Threads that meet new keys at the same moment, in one bucket from which they drive each other out: never more in
/// flight under a key than may be, no count on a stranger's cell, and nothing is left behind.
#[test]
fn racing_threads_never_sit_on_one_seat() {
    const KEYS: usize = 12;
    let threads = 4;
    let table = Table::new(BUCKET_BYTES, threads);
    let limits = [Arc::new(Limit { in_flight: Some(1), ..limit(1, &table, None) })];
    let seated: [AtomicU64; KEYS] = Default::default();
    let (most, refused_alone) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (limits, seated, most, refused_alone) = (&limits, &seated, &most, &refused_alone);
            scope.spawn(move || {
                let leases = Leases::default();
                for round in 0..60_000usize {
                    // Three turns with a key, then another one: few are met at once, and all are new again and again.
                    let address = (round / 3 + thread / 2 * 5) % KEYS;
                    let mut seats = Seats::default();
                    let asker = asker(address as u32);
                    match charge(desk(&leases, START), Applied::route(limits), &asker, &mut seats) {
                        Verdict::Passed(_) if !seats.is_empty() => {
                            most.fetch_max(seated[address].fetch_add(1, SeqCst) + 1, SeqCst);
                            std::hint::spin_loop();
                            seated[address].fetch_sub(1, SeqCst);
                        }
                        Verdict::Passed(_) => {}
                        Verdict::Refused(_) => drop(refused_alone.fetch_add(1, Relaxed)),
                    }
                }
            });
        }
    });
    assert_eq!(most.into_inner(), 1, "one seat, one request");
    let free = (0..8).filter(|address| {
        let mut seats = Seats::default();
        charge(desk(&Leases::default(), START), Applied::route(&limits), &asker(*address), &mut seats);
        !seats.is_empty()
    });
    assert_eq!(free.count(), 8, "all have left");
}

/// A dry run makes nobody wait, and never refuses for want of a place to wait in.
#[test]
fn a_dry_run_makes_nobody_wait() {
    let table = Table::new(1 << 20, 1);
    let rate = Rate::new(1, SECOND, 0, 10 * SECOND);
    let limits = [Arc::new(Limit { dry_run: true, ..limit(1, &table, rate) })];
    for outcome in [Outcome::Passed, Outcome::Delayed] {
        let verdict =
            charge(desk(&Leases::default(), START), Applied::route(&limits), &asker(7), &mut Seats::default());
        let Verdict::Passed(receipt) = verdict else { panic!("a dry run lets all pass") };
        receipt.count(0, Applied::route(&limits));
        assert_eq!(receipt.wait_ns, 0);
        assert_eq!(limits[0].state.counters.value(outcome), 1);
    }
}

/// What is given back after a wait, when the bucket is full again, is not there on top of it.
#[test]
fn what_is_given_back_late_does_not_add_up() {
    let table = Table::new(1 << 20, 1);
    let limits = [Arc::new(limit(1, &table, Rate::new(100, SECOND, 9, 0)))];
    let leases = Leases::default();
    let take = |now| match charge(desk(&leases, now), Applied::route(&limits), &asker(7), &mut Seats::default()) {
        Verdict::Passed(receipt) => Some(receipt),
        Verdict::Refused(_) => None,
    };
    let receipts: Vec<_> = (0..).map_while(|_| take(START)).collect();
    assert_eq!(receipts.len(), 10);
    let later = START + 10 * SECOND;
    // A lease that is fresh, to which tokens could be added.
    assert!(take(later).is_some());
    for receipt in &receipts {
        receipt.give_back_late(desk(&leases, later), Applied::route(&limits), &asker(7), &mut Seats::default());
    }
    assert!((0..).map_while(|_| take(later)).count() <= 10);
}

/// Who has shown no key that counts is charged where addresses are told apart, and nowhere else.
#[test]
fn strangers_are_charged_by_address_alone() {
    let table = Table::new(1 << 20, 1);
    let by_address = [Arc::new(limit(1, &table, Rate::new(1, SECOND, 1, 0)))];
    let everybody = Limit { key: Box::new([KeyPart::All]), ..limit(2, &table, Rate::new(1, SECOND, 0, 0)) };
    let everybody = [Arc::new(everybody)];
    let leases = Leases::default();
    let passes = |limits| {
        let verdict = charge(desk(&leases, START), limits, &asker(7), &mut Seats::default());
        matches!(verdict, Verdict::Passed(_))
    };
    assert!((0..9).all(|_| passes(Applied::strangers(&everybody))), "what all share is not used up");
    assert!(passes(Applied::route(&everybody)));
    assert_eq!((0..9).filter(|_| passes(Applied::strangers(&by_address))).count(), 2);
}

/// A key that is used up stays so, while many times more addresses than there are cells come by.
#[test]
fn a_flood_of_addresses_does_not_give_a_hot_key_its_burst_back() {
    // 4,096 cells, and 200,000 addresses within a second.
    let table = Table::new(64 * 1024, 2);
    let rate = Rate::new(10, SECOND, 100, 0).unwrap();
    let limits = [Arc::new(limit(1, &table, Some(rate)))];
    let (hot, flood) = (Leases::default(), Leases::default());
    assert_eq!((0..1_000).filter(|_| passes(&limits, &hot, START, 7)).count(), 101);
    let mut admitted = 0;
    for i in 0..200_000u32 {
        let now = START + u64::from(i) * (SECOND / 200_000);
        passes(&limits, &flood, now, 0x0a00_0000 + i);
        if i % 1_000 == 0 {
            // Nothing is remembered on this core: the table has to know.
            admitted += u64::from(passes(&limits, &Leases::default(), now, 7));
        }
    }
    assert!((9..=10).contains(&admitted), "{admitted} in a second of ten");
}

/// A slow limit's keys, which hold for hours, do not drive out those of a quick one that are used up.
#[test]
fn keys_of_a_slow_limit_do_not_drive_out_those_of_a_quick_one() {
    let table = Table::new(64 * 1024, 1);
    let quick = [Arc::new(limit(1, &table, Rate::new(10, SECOND, 20, 0)))];
    let slow = [Arc::new(limit(2, &table, Rate::new(10, 3_600 * SECOND, 20, 0)))];
    assert_eq!((0..100).filter(|_| passes(&quick, &Leases::default(), START, 7)).count(), 21);
    let flood = Leases::default();
    for i in 0..50_000u32 {
        passes(&slow, &flood, START, i);
    }
    assert!(!passes(&quick, &Leases::default(), START, 7));
}

/// Where the second limit refuses, the first has given its token back.
#[test]
fn a_limit_that_refuses_has_not_charged_the_others() {
    let table = Table::new(1 << 20, 1);
    let wide = Arc::new(limit(1, &table, Rate::new(1, SECOND, 9, 0)));
    let narrow = Arc::new(limit(2, &table, Rate::new(1, SECOND, 0, 0)));
    let both = [Arc::clone(&wide), narrow];
    let leases = Leases::default();
    assert!(passes(&both, &leases, START, 7));
    for _ in 0..100 {
        assert!(!passes(&both, &leases, START, 7));
    }
    let alone = [wide];
    assert_eq!((0..100).filter(|_| passes(&alone, &leases, START, 7)).count(), 9);
}

/// The limits of a route and those of a key are one list: charged once, all or none.
#[test]
fn limits_of_a_route_and_of_a_key_are_charged_in_one_go() {
    let table = Table::new(1 << 20, 1);
    let shared = Arc::new(limit(1, &table, Rate::new(1, SECOND, 3, 0)));
    let own = Arc::new(Limit { in_flight: Some(9), ..limit(2, &table, Rate::new(1, SECOND, 1, 0)) });
    let (of_route, of_caller) = ([Arc::clone(&shared)], [Arc::clone(&shared), Arc::clone(&own)]);
    let (leases, both) = (Leases::default(), Applied { of_caller: &of_caller, ..Applied::route(&of_route) });
    assert_eq!(both.iter().count(), 2);
    let ask = |limits| charge(desk(&leases, START), limits, &asker(7), &mut Seats::default());
    for _ in 0..2 {
        let Verdict::Passed(receipt) = ask(both) else { panic!("there are two") };
        receipt.count(0, both);
    }
    for _ in 0..50 {
        let Verdict::Refused(refused) = ask(both) else { panic!("the key has no more") };
        assert!(std::ptr::eq(refused.limit, &raw const *own));
    }
    assert_eq!([&shared, &own].map(|limit| limit.state.counters.value(Outcome::Passed)), [2, 2]);
    let left = (0..50).filter(|_| matches!(ask(Applied::route(&of_route)), Verdict::Passed(_))).count();
    assert_eq!(left, 2, "of four, two were charged");
}

/// A refused request of two limits leaves the count of what is in flight as it was; a dry run never refuses.
#[test]
fn seats_are_left_however_it_ends() {
    let table = Table::new(1 << 20, 1);
    let crowded = Arc::new(Limit { in_flight: Some(2), ..limit(1, &table, None) });
    let limits = [Arc::clone(&crowded), Arc::new(limit(2, &table, Rate::new(1, SECOND, 2, 0)))];
    let leases = Leases::default();
    let enter = |now| {
        let mut seats = Seats::default();
        match charge(desk(&leases, now), Applied::route(&limits), &asker(7), &mut seats) {
            Verdict::Passed(_) => Ok(seats),
            Verdict::Refused(refused) => Err(refused.cause),
        }
    };
    let (first, second) = (enter(START).unwrap(), enter(START).unwrap());
    assert_eq!(enter(START).unwrap_err(), Cause::InFlight);
    let mut first = first;
    let kept = first.keep();
    assert!(first.is_empty());
    drop(first);
    assert_eq!(enter(START).unwrap_err(), Cause::InFlight, "a seat that is kept is taken");
    drop(kept);
    let third = enter(START).unwrap();
    drop(third);
    assert!(matches!(enter(START).unwrap_err(), Cause::Rate { .. }), "three are used up");
    assert!(matches!(enter(START).unwrap_err(), Cause::Rate { .. }), "and the refused one has left its seat");
    drop(second);
    let dry = [Arc::new(Limit { in_flight: Some(1), dry_run: true, ..limit(3, &table, Rate::new(1, SECOND, 0, 0)) })];
    let mut seats = Seats::default();
    let verdict = charge(desk(&leases, START), Applied::route(&dry), &asker(7), &mut seats);
    let Verdict::Passed(receipt) = verdict else { panic!("a dry run lets all pass") };
    receipt.count(0, Applied::route(&dry));
    let Verdict::Passed(receipt) = charge(desk(&leases, START), Applied::route(&dry), &asker(7), &mut seats) else {
        panic!("as before")
    };
    receipt.count(0, Applied::route(&dry));
    let counters = &dry[0].state.counters;
    assert_eq!(Outcome::ALL.map(|outcome| counters.value(outcome)), [1, 0, 0, 1]);
}

/// A panic between the charge and the answer leaves the seats, on its way out of whatever holds them.
#[test]
fn seats_are_left_when_an_exchange_panics() {
    let table = Table::new(1 << 20, 1);
    let limits = [Arc::new(Limit { in_flight: Some(1), ..limit(1, &table, None) })];
    let leases = Leases::default();
    let exchange = async {
        let mut seats = Seats::default();
        assert!(charge_once(&limits, &leases, &mut seats));
        std::future::ready(()).await;
        assert!(!charge_once(&limits, &leases, &mut Seats::default()), "there is one seat");
        // A panic that prints nothing.
        std::panic::resume_unwind(Box::new("somewhere in the exchange"));
    };
    // As a core does it: what catches the panic still has the task.
    let mut task = std::pin::pin!(exchange);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::panic::AssertUnwindSafe(|| -> std::task::Poll<()> { task.as_mut().poll(&mut context) });
    assert!(std::panic::catch_unwind(polled).is_err());
    assert!(charge_once(&limits, &leases, &mut Seats::default()));
}

/// Each request waits until its time, and what is given back is there for the next one.
#[test]
fn a_delay_spreads_requests_and_takes_charges_back() {
    let table = Table::new(1 << 20, 1);
    let limits = [Arc::new(limit(1, &table, Rate::new(10, SECOND, 1, SECOND / 4)))];
    let leases = Leases::default();
    let ask = || {
        let mut seats = Seats::default();
        charge(desk(&leases, START), Applied::route(&limits), &asker(7), &mut seats)
    };
    let mut waits = Vec::new();
    let refused = loop {
        match ask() {
            Verdict::Passed(receipt) => waits.push((receipt.wait_ns / MS, receipt)),
            Verdict::Refused(refused) => break refused,
        }
    };
    assert_eq!(waits.iter().map(|(wait, _)| *wait).collect::<Vec<_>>(), [0, 0, 100, 200]);
    assert_eq!((refused.cause, refused.retry_after_s()), (Cause::Rate { ready_in_ns: 50 * MS }, 1));
    let last = waits[3].1;
    assert!(last.slowest(Applied::route(&limits)).is_some());
    last.give_back(desk(&leases, START), Applied::route(&limits), &asker(7), &mut Seats::default());
    let Verdict::Passed(again) = ask() else { panic!("the place is free again") };
    assert_eq!(again.wait_ns / MS, 200);
}

/// What clients are told.
#[test]
fn fields_name_the_limit_its_quota_and_what_is_left() {
    let table = Table::new(1 << 20, 1);
    let limit = limit(1, &table, Rate::new(100, SECOND, 200, 0));
    let refused = Refused { limit: &limit, cause: Cause::Rate { ready_in_ns: 10 * MS } };
    assert_eq!(refused.retry_after_s(), 1);
    let fields: Vec<String> = refused.fields().into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(fields, ["RateLimit-Policy: \"test\";q=201;w=2", "RateLimit: \"test\";r=0;t=1"]);
    let limits = [Arc::new(Limit { headers: true, ..limit })];
    assert!(passes(&limits, &Leases::default(), START, 7));
    let mut lines = b"X: y\r\n".to_vec();
    write_lines(&mut lines, Applied::route(&limits), START, &asker(7));
    let said = "X: y\r\nRateLimit-Policy: \"test\";q=201;w=2\r\nRateLimit: \"test\";r=200;t=1\r\n";
    assert_eq!(String::from_utf8(lines).unwrap(), said);
    assert_eq!((seconds_up(0), seconds_up(SECOND), seconds_up(SECOND + 1)), (1, 1, 2));
}

/// Counts of more keys than a bucket has cells: those beyond are not counted, and nobody's count is disturbed.
#[test]
fn counts_are_never_given_up() {
    // One bucket of eight cells.
    let table = Table::new(BUCKET_BYTES, 1);
    let limits = [Arc::new(Limit { in_flight: Some(1), ..limit(1, &table, None) })];
    let rates = [Arc::new(limit(2, &table, Rate::new(1, SECOND, 0, 0)))];
    let leases = Leases::default();
    let enter = |address| {
        let mut seats = Seats::default();
        let verdict = charge(desk(&leases, START), Applied::route(&limits), &asker(address), &mut seats);
        matches!(verdict, Verdict::Passed(_)).then_some(seats)
    };
    let held: Vec<_> = (0..8).map(|address| enter(address).unwrap()).collect();
    assert!((0..8).all(|address| enter(address).is_none()));
    assert!(enter(99).is_some() && enter(99).is_some(), "there is no cell to count it in");
    assert!(passes(&rates, &leases, START, 99));
    drop(held);
    assert!((0..8).all(|address| enter(address).is_some()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any order of cores and pauses: never more than burst and rate and the stated error.
    #[test]
    fn leases_keep_to_the_bound(
        cores in 1usize..5, count in 1u64..20_000, burst in 0u64..2_000,
        steps in proptest::collection::vec((0usize..5, 0u64..3_000_000, 1u32..200), 1..200),
    ) {
        let table = Table::new(1 << 16, cores);
        let rate = Rate::new(count, SECOND, burst, 0).unwrap();
        let limits = [Arc::new(limit(1, &table, Some(rate)))];
        let leases: Vec<Leases> = (0..cores).map(|_| Leases::default()).collect();
        let (mut now, mut admitted) = (START, 0);
        for (core, pause, requests) in steps {
            now += pause * 20;
            for _ in 0..requests {
                admitted += u64::from(passes(&limits, &leases[core % cores], now, 7));
            }
            let error = cores as u64 * (rate.lease_max() - 1);
            let most = burst + 1 + (now - START) / rate.interval_ns() + error;
            prop_assert!(admitted <= most, "{admitted} of {most}");
        }
    }
}
