//! Round trips, and files as they must not be: torn, flipped, foreign, newer, somebody else's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::cache::account::footprint;
use crate::cache::answer::VaryValues;
use crate::cache::counters::RouteCounters;
use crate::cache::fields::StoredFields;
use crate::cache::key::{KeyHash, KeyRequest};
use crate::cache::ledger::{tag_mark, url_mark};
use crate::cache::life::State;
use crate::cache::object::{OBJECT_BYTES, Origin};
use crate::cache::policy::BodyKey;
use crate::cache::{Answer, AnswerHead, Body, Cache, CachePolicy, Content, Object, Purge, Terms, key};
use crate::h1::{HeadLimits, Parsed, RequestParser};
use crate::http::{Method, RequestHead, Version};

const NOW_MS: u64 = 1_790_000_000_000;
const SALT: [u8; 32] = [7; 32];
/// Enough for everything here; caches are made by the thousand.
const CAPACITY: u64 = 16 << 20;

/// A key as the gateway makes it: the identity is its first part.
fn key_of(url: &str) -> Box<[u8]> {
    let mut key = vec![1];
    record::put(&mut key, url.as_bytes());
    key.into()
}

fn head_of(lifetime_ms: u64, fields: &str) -> AnswerHead {
    AnswerHead {
        status: 200,
        version: Version::Http11,
        reason: b"OK"[..].into(),
        fields: StoredFields::of_lines(fields.as_bytes().to_vec()),
        terms: Terms { response_ms: NOW_MS, lifetime_ms, ..Terms::default() },
        vary: None,
        tags: Box::default(),
        length: None,
    }
}

fn add_content(cache: &Cache, hash: u128, key: Box<[u8]>, content: Content) -> Arc<Object> {
    let charge = cache.charge(OBJECT_BYTES + footprint(key.len())).expect("room");
    let url = url_mark(key::identity(&key));
    let object = Object::complete(Origin { key, method: Method::Get, birth: 0, url }, content, charge);
    cache.place(KeyHash(hash), &object).expect("nobody stands there");
    cache.admit(KeyHash(hash), &object);
    object
}

fn answer(cache: &Cache, head: AnswerHead, body: &[&[u8]]) -> Content {
    let chunks: Vec<Bytes> = body.iter().map(|c| Bytes::copy_from_slice(c)).collect();
    let charge = chunks.iter().map(|c| footprint(c.len())).sum();
    let body = Body::new(chunks, cache.charge(charge).expect("room"));
    Content::Answer(Answer { head: Arc::new(head), body, charge: cache.charge(200).expect("room") })
}

fn add(cache: &Cache, hash: u128, url: &str, head: AnswerHead, body: &[&[u8]]) -> Arc<Object> {
    add_content(cache, hash, key_of(url), answer(cache, head, body))
}

/// All that can be asked of an object, but its number and how its body is cut.
fn shown(object: &Object) -> String {
    let head = match object.content().as_deref() {
        Some(Content::Answer(answer)) => format!("{:?} {:?}", answer.head, answer.body.chunks().concat()),
        Some(content) => format!("{content:?}"),
        None => "nothing".to_owned(),
    };
    let (soft, uses) = (object.life.is_soft(), object.uses.load(Ordering::Relaxed));
    format!("{:?} {:?} {} {soft} {uses} {head}", object.key, object.method, object.url)
}

fn all(cache: &Cache) -> BTreeMap<u128, String> {
    let mut all = BTreeMap::new();
    cache.for_each(|hash, object| {
        all.insert(hash.0, shown(object));
    });
    all
}

fn restore(path: &Path, capacity: u64) -> (Arc<Cache>, Restored) {
    let snapshot = open(path).expect("intact").expect("there");
    let cache = Cache::new(capacity, *snapshot.salt());
    let restored = snapshot.restore(&cache, NOW_MS + 1);
    (cache, restored)
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cache.snapshot");
    (folder, path)
}

const NO_VERSIONS: &[(&str, u64)] = &[];

/// A few objects of every kind.
fn mixed() -> Arc<Cache> {
    let cache = Cache::new(CAPACITY, SALT);
    add(&cache, 1, "a.example/1", head_of(1_000, "content-type: text/plain\r\netag: \"x\"\r\n"), &[b"hello"]).touch();
    add(&cache, 2, "a.example/2?x=1", AnswerHead { length: Some(0), ..head_of(9_000, "") }, &[]).life.soften();
    let piece = vec![5; 70_000];
    add(&cache, 3, "a.example/3", head_of(9_000, "x: y\r\n"), &[&piece, &piece, b"end"]);
    let vary = VaryValues { names: ["accept".into(), "accept-language".into()].into(), values: b"\0\x01en"[..].into() };
    let head = AnswerHead { vary: Some(Box::new(vary)), tags: [1, u64::MAX].into(), ..head_of(9_000, "") };
    add(&cache, u128::MAX, "a.example/4", head, &[b"chosen"]);
    let names: Box<[Box<str>]> = ["accept".into()].into();
    add_content(&cache, 5, key_of("a.example/4"), Content::Variants(names));
    cache
}

#[test]
fn what_is_written_comes_back_as_it_was_and_takes_the_bytes_that_are_charged() {
    let (_folder, path) = folder();
    let cache = mixed();
    let written = write(&cache, &path, &[("api", 3), ("a \"route\"", 0)], NOW_MS).expect("written");
    assert_eq!((written.objects, written.withheld), (5, 0));
    let metadata = std::fs::metadata(&path).expect("there");
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (written.bytes, 0o600));
    assert!(!path.with_extension("snapshot.new").exists());
    let snapshot = open(&path).expect("intact").expect("there");
    assert_eq!((snapshot.salt(), snapshot.written_ms()), (&SALT, NOW_MS));
    assert_eq!(snapshot.versions(), [("api".to_owned(), 3), ("a \"route\"".to_owned(), 0)]);
    let (again, restored) = restore(&path, CAPACITY);
    assert!(restored.cut.is_none());
    assert_eq!((restored.objects, restored.skipped), (5, 0));
    assert_eq!(all(&again), all(&cache));
    assert_eq!(again.account().used(), restored.bytes);
    // Once more, over what is there: nothing is replaced and nothing is charged.
    let second = open(&path).expect("intact").expect("there").restore(&again, NOW_MS + 1);
    assert_eq!((second.objects, second.skipped, again.account().used()), (0, 5, restored.bytes));
}

#[test]
fn what_nobody_can_use_stays_out() {
    let (_folder, path) = folder();
    let cache = Cache::new(CAPACITY, SALT);
    let stale = |swr: u64, sie: u64, no_cache: bool, fields: &str| {
        let mut head = head_of(1_000, fields);
        head.terms.response_ms = NOW_MS - 5_000;
        (head.terms.stale_while_revalidate_ms, head.terms.stale_if_error_ms) = (swr, sie);
        head.terms.no_cache = no_cache;
        head
    };
    add(&cache, 1, "x/1", stale(0, 0, false, ""), &[b"gone"]);
    add(&cache, 2, "x/2", stale(2_000, 3_000, false, ""), &[b"stale"]);
    add(&cache, 3, "x/3", stale(0, 0, false, "last-modified: yesterday\r\n"), &[b"confirmable"]);
    add(&cache, 4, "x/4", stale(9_000, 0, true, ""), &[b"never unasked"]);
    add(&cache, 5, "x/5", head_of(1_000, ""), &[b"dead"]).kill();
    add_content(&cache, 6, key_of("x/6"), Content::HitForMiss { until_ms: u64::MAX });
    let (fill, _writer) = crate::cache::Fill::new();
    let origin = Origin { key: key_of("x/7"), method: Method::Get, birth: 0, url: 0 };
    let object = Object::filling(origin, fill, cache.charge(100).expect("room"));
    cache.replace(KeyHash(7), &object);
    assert_eq!(write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written").objects, 2);
    let (again, restored) = restore(&path, CAPACITY);
    assert_eq!(all(&again).into_keys().collect::<Vec<_>>(), [2, 3]);
    assert_eq!((restored.objects, restored.skipped), (2, 0));
    // Ten seconds later only what can be confirmed is of use.
    let late = Cache::new(CAPACITY, SALT);
    let restored = open(&path).expect("intact").expect("there").restore(&late, NOW_MS + 10_000);
    assert_eq!((restored.objects, restored.skipped), (1, 1));
}

#[test]
fn a_smaller_cache_takes_what_was_used_and_stays_within_its_capacity() {
    let (_folder, path) = folder();
    let cache = Cache::new(CAPACITY, SALT);
    for n in 0..100 {
        let object = add(&cache, n, &format!("x/{n}"), head_of(9_000, ""), &[&[1; 1_000]]);
        if n % 10 == 3 {
            object.touch();
        }
    }
    write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
    let capacity = cache.account().used() / 5;
    let (again, restored) = restore(&path, capacity);
    assert!(restored.objects > 10 && restored.objects < 30, "{restored:?}");
    assert_eq!(restored.objects + restored.skipped, 100);
    assert!(again.account().used() <= capacity && restored.cut.is_none());
    let back = all(&again);
    assert!((0..10).all(|n| back.contains_key(&(n * 10 + 3))), "what was used comes first");
}

/// The key of a request on a route with plain rules, whose key has these fields besides.
fn key_for(request: &str, headers: &[&str], body: BodyKey) -> Box<[u8]> {
    let mut head = RequestHead::default();
    let text = format!("{request}\r\n\r\n");
    let parsed = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "{request}");
    let mut policy = CachePolicy::plain("api".into(), Arc::default(), RouteCounters::new(1));
    policy.key.headers = headers.iter().map(|name| Box::from(*name)).collect();
    let sent = if body == BodyKey::None { &b""[..] } else { SECRET.as_bytes() };
    policy.key.body = body;
    let mut out = Vec::new();
    key::write(
        &mut out,
        &policy,
        &KeyRequest { head: &head, scheme: "https", trusted: false, body: sent, salt: &SALT },
    );
    out.into()
}

const SECRET: &str = "sesame-open-123";

#[test]
fn no_credential_is_in_the_file() {
    let (_folder, path) = folder();
    let cache = Cache::new(CAPACITY, SALT);
    let kept = || answer(&cache, head_of(9_000, ""), &[b"answer"]);
    for (hash, name) in ["Authorization: Bearer ", "Cookie: sid=", "x-api-key: ", "api-key: ", "x-goog-api-key: "]
        .into_iter()
        .enumerate()
    {
        let key = key_for(&format!("GET /a HTTP/1.1\r\nHost: x\r\n{name}{SECRET}"), &["x-api-key"], BodyKey::None);
        add_content(&cache, hash as u128, key, kept());
    }
    add_content(&cache, 10, key_for("GET /b HTTP/1.1\r\nHost: x", &[], BodyKey::Raw), kept());
    let withheld = key_for(&format!("GET /c?api_key={SECRET} HTTP/1.1\r\nHost: x"), &[], BodyKey::None);
    add_content(&cache, 11, withheld.clone(), kept());
    add_content(&cache, 12, withheld, Content::Variants(["accept".into()].into()));
    for (hash, name) in [(13, "authorization"), (14, "cookie"), (15, "x-api-key"), (16, "x-goog-api-key")] {
        let vary = VaryValues { names: [name.into()].into(), values: SECRET.as_bytes().into() };
        let head = AnswerHead { vary: Some(Box::new(vary)), ..head_of(9_000, "") };
        add(&cache, hash, "x/3", head, &[b"answer"]);
    }
    let written = write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
    assert_eq!((written.objects, written.withheld), (6, 6));
    let file = std::fs::read(&path).expect("readable");
    assert!(memchr::memmem::find(&file, SECRET.as_bytes()).is_none());
}

#[test]
fn what_is_purged_is_not_written_and_what_is_restored_can_be_purged() {
    let (_folder, path) = folder();
    let cache = Cache::new(CAPACITY, SALT);
    let tagged = |n: u128, tag: &str| {
        let head = AnswerHead { tags: [tag_mark(tag.as_bytes())].into(), ..head_of(9_000, "") };
        add(&cache, n, &format!("x/{n}"), head, &[b"answer"]);
    };
    (0..3).for_each(|n| tagged(n, "a"));
    (3..6).for_each(|n| tagged(n, "b"));
    tagged(6, "c");
    cache.purge(&Purge::Tag(b"a"), false);
    cache.purge(&Purge::Tag(b"c"), true);
    let written = write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
    assert_eq!((written.objects, written.sequence), (4, 2));
    let (again, _) = restore(&path, CAPACITY);
    let find = |n: u128| again.find(KeyHash(n), &key_of(&format!("x/{n}")));
    assert_eq!((0..7).filter(|n| find(*n).is_some()).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert!(find(6).expect("alive").life.is_soft() && !find(3).expect("alive").life.is_soft());
    again.purge(&Purge::Url(b"x/3"), false);
    assert_eq!((0..7).filter(|n| find(*n).is_some()).collect::<Vec<_>>(), [4, 5, 6]);
    again.purge(&Purge::Tag(b"b"), false);
    assert_eq!((0..7).filter(|n| find(*n).is_some()).collect::<Vec<_>>(), [6]);
}

#[test]
fn answers_with_tags_stay_out_where_marks_are_made_in_another_way() {
    let (_folder, path) = folder();
    let cache = Cache::new(CAPACITY, SALT);
    add(&cache, 1, "x/1", AnswerHead { tags: [5].into(), ..head_of(9_000, "") }, &[b"tagged"]);
    add(&cache, 2, "x/2", head_of(9_000, ""), &[b"not tagged"]);
    write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
    let mut file = std::fs::read(&path).expect("readable");
    let (start, end) = (MAGIC_TO_SUM - record::SUM_BYTES - 48, MAGIC_TO_SUM - record::SUM_BYTES);
    file[end - 1] ^= 1;
    let mut sum = record::Sum::new(&SALT, u64::MAX);
    sum.add(&file[start..end]);
    file.splice(end..MAGIC_TO_SUM, sum.finish());
    std::fs::write(&path, &file).expect("written");
    let (again, restored) = restore(&path, CAPACITY);
    assert_eq!((restored.objects, restored.skipped), (1, 1));
    assert_eq!(all(&again).into_keys().collect::<Vec<_>>(), [2]);
}

/// The one line of an opening that fails.
fn refusal(path: &Path) -> String {
    let text = open(path).expect_err("refused").to_string();
    assert!(!text.contains('\n') && text.contains("cache.snapshot") && text.ends_with("the cache starts cold"));
    text
}

#[test]
fn files_that_are_none_of_ours_are_named_and_left_alone() {
    let (_folder, path) = folder();
    assert!(open(&path).expect("no error").is_none());
    write(&mixed(), &path, NO_VERSIONS, NOW_MS).expect("written");
    let good = std::fs::read(&path).expect("readable");
    let put = |bytes: &[u8]| std::fs::write(&path, bytes).expect("written");
    put(b"{\"some\": \"other file\"}");
    assert!(refusal(&path).contains("not a snapshot"));
    put(b"");
    assert!(refusal(&path).contains("not a snapshot"));
    let mut newer = good.clone();
    newer[8] = 2;
    put(&newer);
    assert!(refusal(&path).contains("format 2, this program reads format 1"));
    put(&good[..40]);
    assert!(refusal(&path).contains("its beginning is damaged"));
    put(&good);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("allowed");
    assert!(refusal(&path).contains("mode 640"));
    std::fs::rename(&path, path.with_extension("other")).expect("moved");
    std::os::unix::fs::symlink(path.with_extension("other"), &path).expect("linked");
    assert!(refusal(&path).contains("not a regular file"));
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("made");
    assert!(refusal(&path).contains("not a regular file"));
}

#[test]
fn a_left_over_is_removed_and_a_file_that_is_being_written_is_not() {
    let (_folder, path) = folder();
    let cache = mixed();
    let draft = path.with_extension("snapshot.new");
    std::fs::write(&draft, "left by kill -9").expect("written");
    write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
    let before = std::fs::read(&path).expect("readable");
    let other = std::fs::File::create(&draft).expect("made");
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let error = write(&cache, &path, NO_VERSIONS, NOW_MS + 1).expect_err("busy").to_string();
    assert!(error.contains("another process is writing it; it was not written, the former one stays"), "{error}");
    assert!(draft.exists());
    assert_eq!(std::fs::read(&path).expect("readable"), before);
    drop(other);
    write(&cache, &path, NO_VERSIONS, NOW_MS + 1).expect("written");
    discard(&path).expect("removed");
    discard(&path).expect("nothing to remove");
    assert!(open(&path).expect("no error").is_none());
    let error = write(&cache, &path.join("no/folder"), NO_VERSIONS, NOW_MS).expect_err("no folder").to_string();
    assert!(error.contains("creating it: "), "{error}");
}

/// Reads a file that may be damaged: only intact answers come back, and what is not read to its end is told.
fn check_damaged(path: &Path, originals: &BTreeMap<u128, String>) -> u64 {
    let Ok(Some(snapshot)) = open(path) else { return 0 };
    let cache = Cache::new(CAPACITY, SALT);
    let restored = snapshot.restore(&cache, NOW_MS + 1);
    let line = restored.cut.as_ref().expect("damage is told").to_string();
    assert!(!line.contains('\n') && line.contains("cache.snapshot") && line.contains("record "), "{line}");
    let back = all(&cache);
    assert_eq!(back.len() as u64, restored.objects);
    assert!(back.iter().all(|(hash, object)| originals.get(hash) == Some(object)), "{line}");
    restored.objects
}

#[test]
fn a_file_cut_anywhere_gives_what_came_before() {
    let (_folder, path) = folder();
    let cache = Cache::new(CAPACITY, SALT);
    for n in 0..3 {
        add(&cache, n, &format!("x/{n}"), head_of(9_000, "etag: \"1\"\r\n"), &[b"some", b"thing"]);
    }
    write(&cache, &path, &[("api", 1)], NOW_MS).expect("written");
    let (good, originals) = (std::fs::read(&path).expect("readable"), all(&cache));
    let mut most = 0;
    for end in 0..good.len() {
        std::fs::write(&path, &good[..end]).expect("written");
        let objects = check_damaged(&path, &originals);
        assert!(objects >= most, "{end}");
        most = objects;
    }
    assert_eq!(most, 3);
    let mut longer = good.clone();
    longer.push(0);
    std::fs::write(&path, &longer).expect("written");
    assert_eq!(check_damaged(&path, &originals), 3);
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).expect("written");
        check_damaged(&path, &originals);
    }
}

#[test]
fn a_record_of_another_file_is_not_taken() {
    let (_folder, path) = folder();
    let file_of = |salt: [u8; 32], body: &[u8]| {
        let cache = Cache::new(CAPACITY, salt);
        add(&cache, 1, "x/1", head_of(9_000, ""), &[body]);
        write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
        std::fs::read(&path).expect("readable")
    };
    let (other, mut file) = (file_of([8; 32], b"other"), file_of(SALT, b"known"));
    let preface = MAGIC_TO_SUM;
    file.splice(preface.., other[preface..].iter().copied());
    std::fs::write(&path, &file).expect("written");
    let (cache, restored) = restore(&path, CAPACITY);
    assert!(restored.cut.is_some() && all(&cache).is_empty());
}

/// Bytes of a preface without routes.
const MAGIC_TO_SUM: usize = 8 + 2 + 4 + 32 + 8 + 8 + 8;

/// An answer, or names that choose among several.
fn content() -> impl Strategy<Value = Shape> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let name = "[a-z-]{1,12}";
    let vary = prop::option::of((prop::collection::vec(name, 0..3), bytes(40)));
    let head = (any::<u16>(), any::<bool>(), bytes(20), bytes(200), vary, prop::collection::vec(any::<u64>(), 0..5));
    let body = prop::collection::vec(1..90_000_usize, 0..4);
    (prop::collection::vec(any::<u64>(), 4), prop::option::of(any::<u64>()), head, body, 0..4_u8, any::<bool>())
}

type Vary = Option<(Vec<String>, Vec<u8>)>;
type Head = (u16, bool, Vec<u8>, Vec<u8>, Vary, Vec<u64>);
type Shape = (Vec<u64>, Option<u64>, Head, Vec<usize>, u8, bool);

fn add_shape(cache: &Cache, hash: u128, shape: &Shape) {
    let (numbers, length, (status, old, reason, lines, vary, tags), body, uses, soft) = shape;
    let names = |names: &[String]| names.iter().map(|n| n.clone().into_boxed_str()).collect::<Box<[Box<str>]>>();
    let head = AnswerHead {
        status: *status,
        version: if *old { Version::Http10 } else { Version::Http11 },
        reason: reason.clone().into(),
        fields: StoredFields::of_lines(lines.clone()),
        terms: Terms {
            response_ms: NOW_MS,
            initial_age_ms: numbers[0] % 1_000,
            lifetime_ms: numbers[1].max(10_000),
            no_cache: false,
            must_revalidate: *soft,
            stale_while_revalidate_ms: numbers[2],
            stale_if_error_ms: numbers[3],
        },
        vary: vary
            .as_ref()
            .map(|(all, values)| Box::new(VaryValues { names: names(all), values: values.clone().into() })),
        tags: tags.clone().into(),
        length: *length,
    };
    let pieces: Vec<Vec<u8>> = body.iter().map(|bytes| vec![*uses; *bytes]).collect();
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
    let object = add(cache, hash, &format!("host/{hash}"), head, &pieces);
    object.uses.store(*uses, Ordering::Relaxed);
    if *soft {
        object.life.soften();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_answers_come_back(shapes in prop::collection::vec(content(), 0..12), cut in any::<prop::sample::Index>(), flip in any::<(prop::sample::Index, u8)>()) {
        let (_folder, path) = folder();
        let cache = Cache::new(CAPACITY, SALT);
        shapes.iter().enumerate().for_each(|(n, shape)| add_shape(&cache, n as u128, shape));
        let written = write(&cache, &path, NO_VERSIONS, NOW_MS).expect("written");
        let originals = all(&cache);
        let (again, restored) = restore(&path, CAPACITY);
        prop_assert!(restored.cut.is_none());
        prop_assert_eq!(restored.objects + written.withheld, originals.len() as u64);
        prop_assert!(all(&again).iter().all(|(hash, object)| originals.get(hash) == Some(object)));
        again.for_each(|_, object| assert_eq!(object.life.state(), State::Complete));
        let good = std::fs::read(&path).expect("readable");
        std::fs::write(&path, &good[..cut.index(good.len())]).expect("written");
        check_damaged(&path, &originals);
        let mut flipped = good.clone();
        flipped[flip.0.index(good.len())] ^= flip.1 | 1;
        std::fs::write(&path, &flipped).expect("written");
        check_damaged(&path, &originals);
    }

    #[test]
    fn no_bytes_are_too_strange_for_a_record(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = record::read(record::Kind::Answer, &bytes);
        let _ = record::read(record::Kind::Variants, &bytes);
    }
}
