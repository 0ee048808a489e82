//! The store beside a model of it, and under many hands.

use std::sync::Weak;

use proptest::prelude::*;

use super::super::answer::{Answer, AnswerHead, Body, Terms};
use super::super::fields::StoredFields;
use super::super::fill::Fill;
use super::super::ledger::{tag_mark, url_mark};
use super::super::object::Origin;
use super::*;
use crate::base::rand::Random;
use crate::http::{Method, Version};

fn hash(n: u64) -> KeyHash {
    let mix = |x: u64| {
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(x ^ (x >> 31))
    };
    let step = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    KeyHash(mix(step) << 64 | mix(!step))
}

fn key(n: u64) -> Vec<u8> {
    let name = format!("/{n}");
    [&[1][..], &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat()
}

fn origin(cache: &Cache, n: u64) -> Origin {
    let url = url_mark(format!("/{n}").as_bytes());
    Origin { key: key(n).into(), method: Method::Get, birth: cache.sequence(), url }
}

fn object(cache: &Cache, n: u64, bytes: u64) -> Arc<Object> {
    Object::complete(origin(cache, n), Content::HitForMiss { until_ms: 0 }, cache.charge(bytes).expect("room"))
}

fn store(cache: &Cache, n: u64, bytes: u64) -> Arc<Object> {
    let object = object(cache, n, bytes);
    cache.place(hash(n), &object).expect("nobody stands there");
    cache.admit(hash(n), &object);
    object
}

fn is_found(cache: &Cache, n: u64) -> bool {
    cache.find(hash(n), &key(n)).is_some()
}

#[test]
fn what_is_placed_is_found_under_its_own_key_only() {
    let cache = Cache::new(1 << 20, [0; 32]);
    let first = store(&cache, 1, 1_000);
    assert!(is_found(&cache, 1) && !is_found(&cache, 2));
    assert!(cache.find(hash(1), &key(2)).is_none(), "another key of the same hash");
    let second = object(&cache, 1, 1_000);
    assert!(Arc::ptr_eq(&cache.place(hash(1), &second).expect_err("occupied"), &first));
    cache.replace(hash(1), &second);
    assert_eq!(first.life.state(), State::Dead);
    assert!(!cache.remove(hash(1), &first) && cache.remove(hash(1), &second));
    assert!(!is_found(&cache, 1));
}

#[test]
fn room_is_made_and_never_more_than_there_is() {
    let cache = Cache::new(100_000, [0; 32]);
    for n in 0..1_000 {
        drop(store(&cache, n, 1_000));
    }
    let figures = cache.figures();
    assert!(figures.bytes <= 100_000 && figures.evicted >= 900, "{figures:?}");
    assert!(cache.charge(100_001).is_none());
    assert!(cache.charge(50_000).is_some());
}

#[test]
fn every_kind_of_purge_concerns_what_was_born_before_it() {
    let url = b"/7".as_slice();
    let kinds = [
        Purge::Key(hash(7)),
        Purge::Url(url),
        Purge::UrlMethod(url, Method::Get),
        Purge::Prefix(url),
        Purge::Prefix(b"/"),
        Purge::All,
    ];
    for purge in kinds {
        let cache = Cache::new(1 << 20, [0; 32]);
        let late = object(&cache, 7, 1_000);
        let soft = store(&cache, 7, 1_000);
        assert_eq!(cache.purge(&purge, true), 1);
        assert!(is_found(&cache, 7) && soft.life.is_soft(), "{purge:?}");
        assert_eq!(cache.purge(&purge, false), 2);
        assert!(!is_found(&cache, 7), "{purge:?}");
        assert_eq!(soft.life.state(), State::Dead);
        cache.place(hash(7), &late).expect("nobody alive");
        assert_eq!(late.life.state(), State::Dead, "{purge:?}: told at once, for who holds it without finding it");
        assert!(!is_found(&cache, 7), "{purge:?}: its request was sent before");
        store(&cache, 7, 1_000);
        assert!(is_found(&cache, 7), "{purge:?}: its request was sent after");
    }
}

#[test]
fn other_purges_do_not_concern_it() {
    let cache = Cache::new(1 << 20, [0; 32]);
    store(&cache, 7, 1_000);
    for purge in [
        Purge::Key(hash(8)),
        Purge::Url(b"/"),
        Purge::UrlMethod(b"/7", Method::Post),
        Purge::Prefix(b"/70"),
        Purge::Tag(b"/7"),
    ] {
        cache.purge(&purge, false);
        assert!(is_found(&cache, 7), "{purge:?}");
    }
}

#[test]
fn a_sweep_kills_what_is_purged_and_takes_the_dead_out() {
    let cache = Cache::new(1 << 24, [0; 32]);
    for n in 0..1_000 {
        store(&cache, n, 1_000);
    }
    cache.purge(&Purge::Prefix(b"/1"), false);
    let mut all = Swept::default();
    while !all.is_done {
        let step = cache.sweep(100);
        all.purged += step.purged;
        all.dropped += step.dropped;
        all.is_done = step.is_done;
    }
    assert_eq!((all.purged, all.dropped), (111, 111));
    let figures = cache.figures();
    assert_eq!((figures.objects, cache.eviction.len()), (889, 889));
    assert!(figures.bytes <= 900_000, "{figures:?}");
}

/// An answer with one tag; `bytes` in all, of which a hundred are the shell's.
fn answer(cache: &Cache, n: u64, tag: u64, bytes: u64) -> Option<Arc<Object>> {
    let origin = origin(cache, n);
    let head = AnswerHead {
        status: 200,
        version: Version::Http11,
        reason: Box::default(),
        fields: StoredFields::default(),
        terms: Terms::default(),
        vary: None,
        tags: Box::new([tag_mark(&tag.to_le_bytes())]),
        length: None,
    };
    let body = Body::new(Vec::new(), cache.charge(bytes)?);
    let answer = Answer { head: Arc::new(head), body, charge: cache.charge(0)? };
    Some(Object::complete(origin, Content::Answer(answer), cache.charge(100)?))
}

#[derive(Clone, Debug)]
enum Step {
    Place { n: u64, bytes: u64 },
    Replace { n: u64, bytes: u64 },
    Begin { n: u64 },
    End { n: u64, bytes: u64 },
    Find { n: u64 },
    Remove { n: u64 },
    Hold { bytes: u64 },
    Release,
    Purge { kind: u8, n: u64, soft: bool },
    Sweep { budget: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (n, bytes) = (0..12u64, 0..9_000u64);
    prop_oneof![
        4 => (n.clone(), bytes.clone()).prop_map(|(n, bytes)| Step::Place { n, bytes }),
        2 => (n.clone(), bytes.clone()).prop_map(|(n, bytes)| Step::Replace { n, bytes }),
        2 => n.clone().prop_map(|n| Step::Begin { n }),
        2 => (n.clone(), bytes.clone()).prop_map(|(n, bytes)| Step::End { n, bytes }),
        6 => n.clone().prop_map(|n| Step::Find { n }),
        1 => n.clone().prop_map(|n| Step::Remove { n }),
        1 => (0..30_000u64).prop_map(|bytes| Step::Hold { bytes }),
        1 => Just(Step::Release),
        3 => (0..6u8, n.clone(), any::<bool>()).prop_map(|(kind, n, soft)| Step::Purge { kind, n, soft }),
        1 => (1..20usize).prop_map(|budget| Step::Sweep { budget }),
    ]
}

/// What the model knows of an object.
struct Known {
    object: Weak<Object>,
    n: u64,
    tag: Option<u64>,
    birth: u64,
}

/// The store, everything that was ever put into it, and every purge.
struct Model {
    cache: Arc<Cache>,
    known: Vec<Known>,
    standing: std::collections::HashMap<u64, usize>,
    purges: Vec<(u8, u64, bool)>,
    held: Vec<Charge>,
}

const CAPACITY: u64 = 50_000;

impl Model {
    fn new() -> Self {
        let (known, standing, purges, held) = Default::default();
        Self { cache: Cache::new(CAPACITY, [0; 32]), known, standing, purges, held }
    }

    fn know(&mut self, n: u64, tag: Option<u64>, object: &Arc<Object>) {
        self.standing.insert(n, self.known.len());
        let (object, birth) = (Arc::downgrade(object), object.birth);
        self.known.push(Known { object, n, tag, birth });
    }

    fn concerned(&self, known: &Known) -> Standing {
        let mut worst = Standing::Good;
        for (index, (kind, n, soft)) in self.purges.iter().enumerate() {
            let number = index as u64 + 1;
            let is_meant = match kind {
                0..=2 => known.n == *n,
                3 => format!("/{}", known.n).starts_with(&format!("/{n}")),
                4 => known.tag == Some(n % 3),
                _ => true,
            };
            if is_meant && !soft && number > known.birth {
                return Standing::Purged;
            }
            if is_meant && *soft && number > known.birth {
                worst = Standing::Soft;
            }
        }
        worst
    }

    fn purge(&mut self, kind: u8, n: u64, soft: bool) {
        let (name, tag) = (format!("/{n}"), (n % 3).to_le_bytes());
        let purge = match kind {
            0 => Purge::Key(hash(n)),
            1 => Purge::Url(name.as_bytes()),
            2 => Purge::UrlMethod(name.as_bytes(), Method::Get),
            3 => Purge::Prefix(name.as_bytes()),
            4 => Purge::Tag(&tag),
            _ => Purge::All,
        };
        self.purges.push((kind, n, soft));
        assert_eq!(self.cache.purge(&purge, soft), self.purges.len() as u64);
    }

    fn begin(&mut self, n: u64) {
        let (fill, _writer) = Fill::new();
        let Some(charge) = self.cache.charge(100) else { return };
        let object = Object::filling(origin(&self.cache, n), fill, charge);
        if self.cache.place(hash(n), &object).is_ok() {
            self.know(n, None, &object);
        }
    }

    fn end(&mut self, n: u64, bytes: u64) {
        let Some(index) = self.standing.get(&n) else { return };
        let Some(object) = self.known[*index].object.upgrade() else { return };
        if object.life.state() != State::Filling {
            return;
        }
        match answer(&self.cache, n, n % 3, bytes).map(|o| o.bytes()).and_then(|b| self.cache.charge(b)) {
            Some(_) if object.settle(Content::HitForMiss { until_ms: 0 }) => self.cache.admit(hash(n), &object),
            _ => {
                self.cache.remove(hash(n), &object);
            }
        }
    }

    fn find(&mut self, n: u64) {
        let found = self.cache.find(hash(n), &key(n));
        let known = self.standing.get(&n).map(|index| &self.known[*index]);
        match (found, known) {
            (None, None) => {}
            (Some(_), None) => panic!("nothing was put there"),
            (None, Some(known)) => {
                let is_dead = known.object.upgrade().is_none_or(|o| o.life.state() == State::Dead);
                assert!(is_dead, "alive and not found");
            }
            (Some(object), Some(known)) => {
                assert!(std::ptr::eq(Arc::as_ptr(&object), known.object.as_ptr()));
                assert_ne!(object.life.state(), State::Dead);
                let concerned = self.concerned(known);
                assert_ne!(concerned, Standing::Purged);
                assert_eq!(object.life.is_soft(), concerned == Standing::Soft);
            }
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Place { n, bytes } => {
                let Some(object) = answer(&self.cache, n, n % 3, bytes) else { return };
                if self.cache.place(hash(n), &object).is_ok() {
                    self.cache.admit(hash(n), &object);
                    self.know(n, Some(n % 3), &object);
                }
            }
            Step::Replace { n, bytes } => {
                let Some(object) = answer(&self.cache, n, n % 3, bytes) else { return };
                self.cache.replace(hash(n), &object);
                self.cache.admit(hash(n), &object);
                self.know(n, Some(n % 3), &object);
            }
            Step::Begin { n } => self.begin(n),
            Step::End { n, bytes } => self.end(n, bytes),
            Step::Find { n } => self.find(n),
            Step::Remove { n } => {
                if let Some(object) = self.cache.find(hash(n), &key(n)) {
                    assert!(self.cache.remove(hash(n), &object));
                }
            }
            Step::Hold { bytes } => self.held.extend(self.cache.charge(bytes)),
            Step::Release => self.held.clear(),
            Step::Purge { kind, n, soft } => self.purge(kind, n, soft),
            Step::Sweep { budget } => {
                self.cache.sweep(budget);
            }
        }
    }

    /// Every byte is somebody's, and what the table shows is alive and the last that was put there.
    fn validate(&self) {
        let held: u64 = self.held.iter().map(Charge::bytes).sum();
        let objects: u64 = self.known.iter().filter_map(|k| k.object.upgrade()).map(|o| o.bytes()).sum();
        assert_eq!(self.cache.account().used(), held + objects);
        let mut complete = 0;
        self.cache.for_each(|hash_shown, object| {
            complete += usize::from(object.life.state() == State::Complete);
            let known = self.known.iter().rfind(|k| hash(k.n) == hash_shown).expect("known");
            assert!(std::ptr::eq(known.object.as_ptr(), Arc::as_ptr(object)));
        });
        assert!(self.cache.eviction.len() >= complete, "what is complete can be evicted");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn programs_agree_with_the_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in &steps {
            model.run(step);
            model.validate();
        }
        for n in 0..12 {
            model.find(n);
            model.end(n, 0);
        }
        model.held.clear();
        let room = model.cache.charge(CAPACITY);
        prop_assert!(room.is_some(), "everything can be evicted: {:?}", model.cache.figures());
    }
}

/// One thread's part: every call at random on few keys.
fn hammer(cache: &Cache, seed: u64, rounds: u64) {
    let random = Random::seeded(seed);
    for _ in 0..rounds {
        let n = random.below(200);
        match random.below(16) {
            0 => {
                let name = format!("/{n}");
                let purge = match random.below(3) {
                    0 => Purge::Key(hash(n)),
                    1 => Purge::Url(name.as_bytes()),
                    _ => Purge::Prefix(name.as_bytes()),
                };
                let number = cache.purge(&purge, false);
                if let Some(object) = cache.find(hash(n), &key(n)) {
                    assert!(object.birth >= number, "found after its purge");
                }
            }
            1 => {
                cache.sweep(50);
            }
            2 => drop(cache.charge(random.below(20_000))),
            3 => {
                if let Some(object) = cache.find(hash(n), &key(n)) {
                    cache.remove(hash(n), &object);
                }
            }
            4 | 5 => {
                if let Some(object) = answer(cache, n, n % 3, random.below(4_000)) {
                    cache.replace(hash(n), &object);
                    cache.admit(hash(n), &object);
                }
            }
            _ => match cache.find(hash(n), &key(n)) {
                Some(object) => assert_eq!(*object.key, *key(n)),
                None => {
                    if let Some(object) = answer(cache, n, n % 3, random.below(4_000))
                        && cache.place(hash(n), &object).is_ok()
                    {
                        cache.admit(hash(n), &object);
                    }
                }
            },
        }
    }
}

#[test]
fn many_hands_lose_and_leak_nothing() {
    let cache = Cache::new(200_000, [0; 32]);
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let cache = &cache;
            scope.spawn(move || hammer(cache, seed, 30_000));
        }
    });
    let slack = 200_000 / 32;
    assert!(cache.account().used() <= 200_000 + slack, "only what is dying is overlooked");
    while !cache.sweep(10_000).is_done {}
    let mut alive = 0;
    cache.for_each(|_, object| alive += object.bytes());
    assert!(alive <= cache.account().used());
    let account = Arc::clone(cache.account());
    drop(cache);
    assert_eq!(account.used(), 0);
}

#[test]
fn keys_are_counted_until_they_are_forgotten() {
    let cache = Cache::new(100_000, [0; 32]);
    assert_eq!((cache.asked(hash(1)), cache.asked(hash(1)), cache.asked(hash(2))), (1, 2, 1));
    for n in 0..2_000_000 {
        cache.asked(hash(1_000 + n % 10_000));
    }
    assert!(cache.asked(hash(1)) <= 2);
}

/// Hits of a cache of so many objects, in thousandths.
fn hits(trace: &[u64], objects: u64) -> usize {
    let cache = Cache::new(objects * 1_000, [0; 32]);
    let is_hit = |n: &&u64| {
        let is_hit = is_found(&cache, **n);
        if !is_hit {
            store(&cache, **n, 1_000);
        }
        is_hit
    };
    trace.iter().filter(is_hit).count() * 1_000 / trace.len()
}

/// The same of one that throws out what was not used for the longest time.
fn hits_of_lru(trace: &[u64], objects: usize) -> usize {
    let mut used = std::collections::HashMap::new();
    let mut order = std::collections::BTreeMap::new();
    let mut hits = 0;
    for (now, n) in trace.iter().enumerate() {
        match used.insert(*n, now) {
            Some(last) => {
                order.remove(&last);
                hits += 1;
            }
            None if order.len() == objects => {
                let (_, oldest) = order.pop_first().expect("full");
                used.remove(&oldest);
            }
            None => {}
        }
        order.insert(now, *n);
    }
    hits * 1_000 / trace.len()
}

/// Keys of which the n-th is asked for in proportion to 1 / n.
fn popular(random: &Random, keys: u64) -> u64 {
    let x = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (keys as f64).powf(x) as u64
}

#[test]
fn popular_keys_stay_through_others_and_scans() {
    let random = Random::seeded(11);
    let trace: Vec<u64> = (0..60_000).map(|_| popular(&random, 20_000)).collect();
    let (ours, lru) = (hits(&trace, 500), hits_of_lru(&trace, 500));
    assert!(ours >= lru + 40, "popular: {ours}, LRU {lru}");
    let scanned = |i: u64| if i.is_multiple_of(4) { 1_000_000 + i } else { popular(&random, 20_000) };
    let trace: Vec<u64> = (0..60_000).map(scanned).collect();
    let (ours, lru) = (hits(&trace, 500), hits_of_lru(&trace, 500));
    assert!(ours >= lru + 40, "scanned: {ours}, LRU {lru}");
}

#[test]
fn what_was_used_lately_stays_where_that_is_what_counts() {
    let random = Random::seeded(12);
    let mut trace: Vec<u64> = Vec::new();
    for n in 0..80_000 {
        let back = random.below(400) as usize + 1;
        let again = trace.len().checked_sub(back).filter(|_| random.below(10) < 7).and_then(|i| trace.get(i).copied());
        trace.push(again.unwrap_or(n));
    }
    let (ours, lru) = (hits(&trace, 300), hits_of_lru(&trace, 300));
    assert!(ours + 15 >= lru, "recent: {ours}, LRU {lru}");
    let trace: Vec<u64> = (0..20_000).map(|_| random.below(1_000)).collect();
    let (ours, lru) = (hits(&trace, 500), hits_of_lru(&trace, 500));
    assert!(ours + 10 >= lru, "uniform: {ours}, LRU {lru}");
    assert_eq!(hits(&trace, 1_000), 950, "room for all: each is missed once");
}

#[test]
fn purges_are_forgotten_when_nothing_can_be_concerned() {
    let cache = Cache::new(1 << 20, [0; 32]);
    let late = object(&cache, 1, 1_000);
    let kept = store(&cache, 2, 1_000);
    let (fill, mut writer) = Fill::new();
    let filling = Object::filling(origin(&cache, 3), fill, cache.charge(100).expect("room"));
    cache.place(hash(3), &filling).expect("nobody stands there");
    for n in 0..10_100u64 {
        cache.purge(&Purge::Tag(&n.to_le_bytes()), false);
    }
    while !cache.sweep(1_000).is_done {}
    assert_eq!(cache.figures().marks, 10_100, "the tags of one that fills are not known");
    let head = answer(&cache, 3, 77, 0).expect("room").content();
    let Some(Content::Answer(answer)) = head.as_deref() else { panic!("an answer") };
    let _ = writer.begin(Arc::clone(&answer.head));
    while !cache.sweep(1_000).is_done {}
    assert_eq!(filling.life.state(), State::Dead, "it had a purged tag");
    while !cache.sweep(1_000).is_done {}
    assert_eq!(cache.figures().marks, 0);
    cache.place(hash(1), &late).expect("nobody stands there");
    assert_eq!(late.life.state(), State::Dead, "nobody knows any more whether it was purged");
    assert!(is_found(&cache, 2) && kept.life.is_usable());
}

#[test]
fn too_many_purges_purge_more_and_never_less() {
    let cache = Cache::new(1 << 20, [0; 32]);
    store(&cache, 1, 1_000);
    for n in 0..300u64 {
        cache.purge(&Purge::Prefix(format!("/p/{n}/").as_bytes()), false);
    }
    assert!(is_found(&cache, 1), "prefixes are put together with those like them");
    cache.purge(&Purge::Prefix(b"/1"), false);
    assert!(!is_found(&cache, 1));
    for n in 0..200_100u64 {
        cache.purge(&Purge::Tag(&n.to_le_bytes()), false);
    }
    assert!(cache.figures().marks <= 200_000);
    store(&cache, 1, 1_000);
    assert!(is_found(&cache, 1), "it was born after them");
    cache.purge(&Purge::Url(b"/1"), false);
    assert!(!is_found(&cache, 1));
}
