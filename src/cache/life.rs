//! The life of an object in one word, and the bell rope of those who wait for it. Small enough to be checked by loom.
//!
//! filling → complete → dead, or filling → dead; nothing comes back. While it is filling, those who follow are counted:
//! the last one that leaves may end it, and nobody joins an end.

use crate::base::sync::{AtomicU32, AtomicU64, Ordering, fence};

const STATE: u32 = 0b11;
const FILLING: u32 = 0;
const COMPLETE: u32 = 1;
const DEAD: u32 = 2;
const SOFT: u32 = 0b100;
const FOLLOWER: u32 = 0b1000;

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Filling,
    Complete,
    /// Nobody may use it any more; who is reading it reads on.
    Dead,
}

/// State, softness and number of followers.
#[derive(Debug)]
pub struct Life {
    word: AtomicU32,
}

impl Life {
    /// Filling, with nobody following.
    pub fn filling() -> Self {
        Self { word: AtomicU32::new(FILLING) }
    }

    /// Complete from the beginning.
    pub fn complete() -> Self {
        Self { word: AtomicU32::new(COMPLETE) }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.word.load(Ordering::Acquire) & STATE {
            FILLING => State::Filling,
            COMPLETE => State::Complete,
            _ => State::Dead,
        }
    }

    /// Complete and not purged softly: one read for a hot hit.
    pub fn is_usable(&self) -> bool {
        self.word.load(Ordering::Acquire) & (STATE | SOFT) == COMPLETE
    }

    /// Purged softly: stale at once.
    pub fn is_soft(&self) -> bool {
        self.word.load(Ordering::Acquire) & SOFT != 0
    }

    /// Followers now.
    pub fn followers(&self) -> u32 {
        self.word.load(Ordering::Acquire) / FOLLOWER
    }

    /// One follower more, at most `most`; `false` = it is dead or has as many already.
    pub fn join(&self, most: u32) -> bool {
        self.update(|word| (word & STATE != DEAD && word / FOLLOWER < most).then(|| word + FOLLOWER)).is_some()
    }

    /// One follower less; `true` = it was the last one.
    pub fn leave(&self) -> bool {
        self.word.fetch_sub(FOLLOWER, Ordering::AcqRel) / FOLLOWER == 1
    }

    /// Dies where it is filling and nobody follows; `true` = it did.
    pub fn abandon(&self) -> bool {
        self.update(|word| (word & STATE == FILLING && word < FOLLOWER).then_some((word & !STATE) | DEAD)).is_some()
    }

    /// Filling becomes complete; `false` = it is dead.
    pub fn complete_filling(&self) -> bool {
        self.update(|word| (word & STATE == FILLING).then_some((word & !STATE) | COMPLETE)).is_some()
    }

    /// Dies; `true` = it was alive.
    pub fn kill(&self) -> bool {
        self.update(|word| (word & STATE != DEAD).then_some((word & !STATE) | DEAD)).is_some()
    }

    /// Stale at once, whatever its terms say.
    pub fn soften(&self) {
        self.word.fetch_or(SOFT, Ordering::AcqRel);
    }

    fn update(&self, change: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).ok()
    }
}

/// Which cores have somebody waiting. A bit stands for every core whose number is equal modulo 64.
#[derive(Debug, Default)]
pub struct Waiting {
    cores: AtomicU64,
}

impl Waiting {
    /// Says that somebody on `core` is about to wait. Look once more after this: what was published before is seen now,
    /// and what is published later rings.
    pub fn announce(&self, core: usize) {
        self.cores.fetch_or(1 << (core % 64), Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether somebody waits.
    pub fn is_anybody(&self) -> bool {
        self.cores.load(Ordering::SeqCst) != 0
    }

    /// The cores to be woken, after something was published. Each announcement is taken once.
    #[must_use]
    pub fn take(&self) -> u64 {
        fence(Ordering::SeqCst);
        if self.cores.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        self.cores.swap(0, Ordering::SeqCst)
    }
}
