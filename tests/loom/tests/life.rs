//! The life of an object and the bell rope of its readers, under every order of steps.
#![cfg(loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use ringway_loom::life::{Life, State, Waiting};

/// Joins, leaves, and ends what nobody follows; `true` = it ended it.
fn follow(life: &Life) -> bool {
    life.join(8) && life.leave() && life.abandon()
}

#[test]
fn filling_ends_once_whoever_leaves() {
    // Three threads that loop: with every preemption it takes minutes, with three it takes seconds.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let life = Arc::new(Life::filling());
        let other = Arc::clone(&life);
        let reader = thread::spawn(move || follow(&other));
        let other = Arc::clone(&life);
        let writer = thread::spawn(move || other.complete_filling());
        let abandoned = u32::from(follow(&life)) + u32::from(reader.join().unwrap());
        let completed = writer.join().unwrap();
        assert_eq!(abandoned + u32::from(completed), 1, "it is whole or it is dead, once");
        assert_eq!(life.state(), if completed { State::Complete } else { State::Dead });
        assert_eq!(life.followers(), 0);
    });
}

#[test]
fn nobody_follows_what_was_abandoned() {
    loom::model(|| {
        let life = Arc::new(Life::filling());
        let other = Arc::clone(&life);
        let late = thread::spawn(move || other.join(8));
        let abandoned = life.abandon();
        let joined = late.join().unwrap();
        assert!(abandoned != joined, "who joined keeps it alive, who ended it keeps everybody out");
        assert_eq!(life.followers(), u32::from(joined));
    });
}

#[test]
fn a_killed_one_stays_dead_and_one_says_it_killed_it() {
    loom::model(|| {
        let life = Arc::new(Life::filling());
        let other = Arc::clone(&life);
        let writer = thread::spawn(move || other.complete_filling());
        let other = Arc::clone(&life);
        let purge = thread::spawn(move || other.kill());
        let killed = life.kill();
        assert!(killed != purge.join().unwrap());
        writer.join().unwrap();
        assert_eq!(life.state(), State::Dead);
        assert!(!life.is_usable() && !life.join(8) && !life.complete_filling());
    });
}

#[test]
fn no_more_follow_than_may() {
    loom::model(|| {
        let life = Arc::new(Life::filling());
        let other = Arc::clone(&life);
        let first = thread::spawn(move || other.join(1));
        let second = life.join(1);
        assert!(first.join().unwrap() != second);
        assert_eq!(life.followers(), 1);
    });
}

#[test]
fn softness_is_not_lost_to_followers_and_endings() {
    loom::model(|| {
        let life = Arc::new(Life::filling());
        let other = Arc::clone(&life);
        let purge = thread::spawn(move || other.soften());
        let other = Arc::clone(&life);
        let writer = thread::spawn(move || other.complete_filling());
        assert!(life.join(8));
        purge.join().unwrap();
        assert!(writer.join().unwrap());
        assert!(life.is_soft() && !life.is_usable() && life.followers() == 1);
    });
}

/// Looks, announces, looks again; `None` = it waits now.
fn look(waiting: &Waiting, published: &AtomicU32, core: usize, seen: u32) -> Option<u32> {
    let look = || Some(published.load(Ordering::Acquire)).filter(|now| *now != seen);
    look().or_else(|| {
        waiting.announce(core);
        look()
    })
}

#[test]
fn who_waits_is_rung() {
    loom::model(|| {
        let shared = Arc::new((Waiting::default(), AtomicU32::new(0)));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let mut rung = 0;
            for number in 1..=2 {
                other.1.store(number, Ordering::Release);
                rung |= other.0.take();
            }
            rung
        });
        let seen = look(&shared.0, &shared.1, 3, 0);
        let rung = writer.join().unwrap();
        assert!(seen.is_some() || rung == 1 << 3, "it waits and nobody rings");
    });
}

#[test]
fn each_core_that_waits_is_rung() {
    loom::model(|| {
        let shared = Arc::new((Waiting::default(), AtomicU32::new(0)));
        let other = Arc::clone(&shared);
        let reader = thread::spawn(move || look(&other.0, &other.1, 1, 0));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            other.1.store(1, Ordering::Release);
            other.0.take()
        });
        let seen = look(&shared.0, &shared.1, 64, 0);
        let (also, rung) = (reader.join().unwrap(), writer.join().unwrap());
        assert!(seen.is_some() || rung & 1 != 0, "core 64 shares the bit of core 0");
        assert!(also.is_some() || rung & 2 != 0);
    });
}

#[test]
fn the_last_look_after_a_ring_finds_the_end() {
    loom::model(|| {
        let shared = Arc::new((Waiting::default(), AtomicU32::new(0)));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            other.1.store(1, Ordering::Release);
            let first = other.0.take();
            other.1.store(2, Ordering::Release);
            (first, other.0.take())
        });
        let first = look(&shared.0, &shared.1, 0, 0);
        let second = first.and_then(|seen| if seen == 2 { Some(2) } else { look(&shared.0, &shared.1, 0, seen) });
        let rings = writer.join().unwrap();
        match (first, second) {
            (None, _) => assert!(rings.0 | rings.1 != 0),
            (Some(1), None) => assert!(rings.1 != 0 || rings.0 != 0),
            _ => {}
        }
    });
}
