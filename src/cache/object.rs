//! An object of the table: a key, a life, and what it is at the moment: an answer that arrives, one that is complete, or
//! a note about the key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::account::Charge;
use super::answer::Answer;
use super::fill::Fill;
use super::life::Life;
use crate::http::Method;

/// What a complete object holds.
#[derive(Debug)]
pub enum Content {
    Answer(Answer),
    /// The key has several answers, chosen by these request fields (lower-case names, sorted).
    Variants(Box<[Box<str>]>),
    /// The last answer could not be stored: until this moment (Unix epoch, milliseconds) requests go side by side.
    HitForMiss {
        until_ms: u64,
    },
}

impl Content {
    fn let_go(&self) {
        if let Self::Answer(answer) = self {
            answer.charge.let_go();
            answer.body.let_go();
        }
    }

    /// Bytes charged for it beyond its object.
    pub fn charged_bytes(&self) -> u64 {
        match self {
            Self::Answer(answer) => answer.charge.bytes() + answer.body.charged_bytes(),
            Self::Variants(_) | Self::HitForMiss { .. } => 0,
        }
    }
}

/// One object. Immutable but for its life, its use count and its content.
#[derive(Debug)]
pub struct Object {
    /// Unlike that of any other object of the process.
    pub number: u64,
    /// Parts of the request it answers, see `key`.
    pub key: Box<[u8]>,
    pub method: Method,
    /// Number of the last purge when its request was sent: later purges concern it.
    pub birth: u64,
    /// Mark of its URL, see `ledger`.
    pub url: u64,
    pub life: Life,
    /// Uses since it was looked at for eviction, see `eviction`.
    pub uses: AtomicU8,
    /// Its filling goes on although nobody reads it.
    goes_on: AtomicBool,
    /// When it may be refreshed again.
    rests_until_ms: AtomicU64,
    content: ArcSwapOption<Content>,
    fill: ArcSwapOption<Fill>,
    charge: Charge,
}

/// What makes an object besides its content.
#[derive(Clone, Debug)]
pub struct Origin {
    pub key: Box<[u8]>,
    pub method: Method,
    pub birth: u64,
    pub url: u64,
}

/// Bytes of an object without key and content, and of its places in map and queue.
pub const OBJECT_BYTES: u64 = size_of::<Object>() as u64 + 16 + 96;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl Object {
    /// An object whose answer is on its way.
    pub fn filling(origin: Origin, fill: Arc<Fill>, charge: Charge) -> Arc<Self> {
        let object = Self::make(origin, Life::filling(), charge);
        object.fill.store(Some(fill));
        Arc::new(object)
    }

    /// An object that is complete.
    pub fn complete(origin: Origin, content: Content, charge: Charge) -> Arc<Self> {
        let object = Self::make(origin, Life::complete(), charge);
        object.content.store(Some(Arc::new(content)));
        Arc::new(object)
    }

    fn make(origin: Origin, life: Life, charge: Charge) -> Self {
        let Origin { key, method, birth, url } = origin;
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            key,
            method,
            birth,
            url,
            life,
            uses: AtomicU8::new(0),
            goes_on: AtomicBool::new(false),
            rests_until_ms: AtomicU64::new(0),
            content: ArcSwapOption::empty(),
            fill: ArcSwapOption::empty(),
            charge,
        }
    }

    /// It is evicted: what it is charged for goes as soon as nobody holds it.
    pub fn let_go(&self) {
        self.charge.let_go();
        self.content.load().iter().for_each(|content| content.let_go());
    }

    /// No refresh begins before this moment (coarse monotonic clock, milliseconds).
    pub fn rests_until_ms(&self) -> u64 {
        self.rests_until_ms.load(Ordering::Relaxed)
    }

    /// A refresh has begun: the next one may not begin before this moment.
    pub fn rest_until(&self, moment_ms: u64) {
        self.rests_until_ms.store(moment_ms, Ordering::Relaxed);
    }

    /// Whether its filling goes on although nobody reads it.
    pub fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }

    /// Lets its filling go on: who asked has what it needed, and the answer is worth storing.
    pub fn go_on(&self) {
        self.goes_on.store(true, Ordering::Relaxed);
    }

    /// What it holds, where it is complete and alive.
    pub fn content(&self) -> Option<Arc<Content>> {
        self.content.load_full()
    }

    /// The answer that is on its way.
    pub fn fill(&self) -> Option<Arc<Fill>> {
        self.fill.load_full()
    }

    /// Filling ends with this content; `false` = it died in the meantime and the content is gone.
    pub fn settle(&self, content: Content) -> bool {
        self.content.store(Some(Arc::new(content)));
        let settled = self.life.complete_filling();
        if !settled {
            self.content.store(None);
        }
        self.fill.store(None);
        settled
    }

    /// Dies: what it holds is freed as soon as nobody reads it. `true` = it was alive.
    pub fn kill(&self) -> bool {
        let killed = self.life.kill();
        self.content.store(None);
        self.fill.store(None);
        killed
    }

    /// Bytes charged for it and for its content.
    pub fn bytes(&self) -> u64 {
        let content = self.content.load();
        self.charge.bytes() + content.as_ref().map_or(0, |c| c.charged_bytes())
    }

    /// Counts a use, up to what eviction looks at; writes nothing where that is reached.
    pub fn touch(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < USES_MAX {
            self.uses.store(uses + 1, Ordering::Relaxed);
        }
    }
}

/// Uses that eviction tells apart (two bits, as in S3-FIFO).
pub const USES_MAX: u8 = 3;
