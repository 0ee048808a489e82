//! Speed of finding the route of a request among 1, 100, 1,000 and 10,000 routes.
//!
//! Goal: to show that the number of routes does not matter, only the depth of the prefixes. Tables are prefixes of 2 to
//! 5 segments over ten hosts. Asked are a deep prefix, a root that is reached after everything deeper has missed, a
//! path without a route, and every route of the table in turn: that last one pays for what leaves the caches, too.
//!
//! Non-goal: methods and fields of a matcher, compiling a table, a cold process.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

mod tables;

use tables::{HOST, QUESTIONS, SIZES, filler, head, table};

fn routing(criterion: &mut Criterion) {
    let head = head();
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("{size} routes"));
        for (name, asked, path) in QUESTIONS {
            let router = table(asked, size);
            let name_found = router.find(HOST.as_bytes(), path.as_bytes(), &head).map(|r| &*r.name);
            assert_eq!(name_found, asked, "{name}");
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let found = router.find(black_box(HOST.as_bytes()), black_box(path.as_bytes()), &head);
                    black_box(found.is_some())
                });
            });
        }
        let router = table(None, size);
        let asked: Vec<(String, String)> = (0..size).map(filler).collect();
        group.bench_function("all in turn", |bencher| {
            let mut turn = asked.iter().cycle();
            bencher.iter(|| {
                let (host, path) = turn.next().expect("one more, because the cycle has no end");
                black_box(router.find(host.as_bytes(), path.as_bytes(), &head).is_some())
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = routing
}
criterion_main!(benches);
