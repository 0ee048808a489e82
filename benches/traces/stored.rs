//! The gateway's cache as a thing that gets and puts: keys, objects, fills and charges are made as the pipeline makes
//! them (`proxy::obtain`, `proxy::flight`, `proxy::landing`), without upstream and client.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ringway::cache::account::footprint;
use ringway::cache::answer::{Answer, AnswerHead, Body, Terms};
use ringway::cache::counters::RouteCounters;
use ringway::cache::fields::StoredFields;
use ringway::cache::key::{self, KeyHash, KeyRequest};
use ringway::cache::ledger::url_mark;
use ringway::cache::object::{Content, OBJECT_BYTES, Object, Origin};
use ringway::cache::{Cache, CachePolicy, Ending, Fill};
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::head::RequestHead;
use ringway::http::{Method, Version};

/// Fields as a small API sends them.
const LINES: &[u8] = b"Content-Type: application/json\r\nCache-Control: max-age=600\r\n\
Date: Mon, 23 Nov 2026 20:00:00 GMT\r\n";
/// What an answer and its key have beyond the name `obj_N` and the body: field lines and the other parts of a key.
pub const HTTP_BYTES: u64 = LINES.len() as u64 + 62;
const SALT: [u8; 32] = [7; 32];

/// Makes keys and answers for one cache.
pub struct Store {
    pub cache: Arc<Cache>,
    maker: Maker,
    body: Vec<u8>,
    empty: Arc<AnswerHead>,
}

/// Makes the key of a number, as for `GET http://api.example.com/obj_N`.
pub struct Maker {
    policy: CachePolicy,
    head: RequestHead,
    text: Vec<u8>,
    key: Vec<u8>,
}

impl Maker {
    pub fn new() -> Self {
        let policy = CachePolicy::plain("/".into(), Arc::new(AtomicU64::new(0)), RouteCounters::new(1));
        Self { policy, head: RequestHead::default(), text: Vec::new(), key: Vec::new() }
    }

    /// The key's bytes.
    pub fn key(&mut self, number: u64) -> &[u8] {
        self.text.clear();
        let request = format!("GET /obj_{number} HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
        self.text.extend_from_slice(request.as_bytes());
        self.head.clear();
        let parsed = RequestParser::default().parse(&self.text, &HeadLimits::default(), &mut self.head);
        assert!(parsed.is_ok());
        self.key.clear();
        let request = KeyRequest { head: &self.head, scheme: "http", trusted: false, body: b"", salt: &SALT };
        key::write(&mut self.key, &self.policy, &request);
        &self.key
    }
}

/// The place of a key.
pub fn place(key: &[u8]) -> KeyHash {
    key::hash(&SALT, key, b"")
}

impl Store {
    /// Over an empty cache of so many bytes.
    pub fn new(capacity: u64) -> Self {
        assert_eq!(Maker::new().key(7).len() + LINES.len(), HTTP_BYTES as usize + "obj_7".len());
        Self { cache: Cache::new(capacity, SALT), maker: Maker::new(), body: Vec::new(), empty: head(0) }
    }

    /// Whether the answer is there. Counts a use.
    pub fn get(&mut self, number: u64) -> bool {
        let key = self.maker.key(number);
        let Some(object) = self.cache.find(place(key), key) else { return false };
        matches!(object.content().as_deref(), Some(Content::Answer(_)))
    }

    /// Stores an answer with a body of so many bytes; `false` = there was no room.
    pub fn put(&mut self, number: u64, bytes: usize) -> bool {
        self.body.resize(bytes.max(self.body.len()), b'x');
        let key = self.maker.key(number);
        put(&self.cache, place(key), key, &self.body[..bytes]).is_some()
    }

    /// Stores an answer that weighs so many bytes, all of them freed with it: what eviction alone is worth.
    pub fn put_weight(&mut self, number: u64, bytes: u64) -> bool {
        let key = self.maker.key(number);
        let hash = place(key);
        let charges = || Some((self.cache.charge(bytes)?, self.cache.charge(0)?, self.cache.charge(0)?));
        let Some((weight, none, zero)) = charges() else { return false };
        let answer = Answer { head: Arc::clone(&self.empty), body: Body::new(Vec::new(), weight), charge: none };
        let object = Object::complete(origin(&self.cache, key), Content::Answer(answer), zero);
        self.cache.replace(hash, &object);
        self.cache.admit(hash, &object);
        true
    }
}

fn origin(cache: &Cache, key: &[u8]) -> Origin {
    Origin { key: key.into(), method: Method::Get, birth: cache.sequence(), url: url_mark(key::identity(key)) }
}

/// From the miss to the stored answer: object, fill, head, body, charges.
pub fn put(cache: &Arc<Cache>, hash: KeyHash, key: &[u8], payload: &[u8]) -> Option<Arc<Object>> {
    let charge = cache.charge(OBJECT_BYTES + footprint(key.len()))?;
    let (fill, mut writer) = Fill::new();
    let object = Object::filling(origin(cache, key), fill, charge);
    cache.place(hash, &object).ok()?;
    let head = head(payload.len());
    let _ = writer.begin(Arc::clone(&head));
    let appended = writer.append(payload, |bytes| cache.charge(bytes)).is_ok();
    let body = if appended { writer.collect(|bytes| cache.charge(bytes)) } else { None };
    let content = body.and_then(|body| {
        let charge = cache.charge(head_bytes(&head))?;
        Some(Content::Answer(Answer { head, body, charge }))
    });
    let stored = content.is_some_and(|content| object.settle(content));
    if stored {
        cache.admit(hash, &object);
    } else {
        cache.remove(hash, &object);
    }
    let _ = writer.end(Ending::Whole);
    stored.then_some(object)
}

fn head(length: usize) -> Arc<AnswerHead> {
    Arc::new(AnswerHead {
        status: 200,
        version: Version::Http11,
        reason: (*b"OK").into(),
        fields: StoredFields::of_lines(LINES.to_vec()),
        terms: Terms { response_ms: 1, lifetime_ms: 600_000, ..Terms::default() },
        vary: None,
        tags: Box::default(),
        length: Some(length as u64),
    })
}

/// As `proxy::landing` counts it.
fn head_bytes(head: &AnswerHead) -> u64 {
    let parts = size_of::<Content>() + size_of::<AnswerHead>() + 32 + size_of::<Body>() + 16;
    footprint(head.fields.lines().len()) + footprint(head.reason.len()) + parts as u64
}
