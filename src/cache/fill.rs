//! An answer on its way: an append-only list of segments that one core writes and any core reads while it grows.
//!
//! Readers hold a place in the list, so what the slowest reader has passed is freed once the list is detached from its
//! object. Nobody waits in here: a reader that finds nothing is told so, and is rung for when there is more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};

use super::account::{Charge, footprint};
use super::answer::AnswerHead;
use super::life::Waiting;
use super::object::Object;
use crate::stats::{NotStored, Reason};

/// How filling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The body is whole.
    Whole,
    /// The upstream confirmed what is stored under the key: look there.
    Confirmed,
    /// It confirmed it for those who ask now, and it is stored no longer: who knows it uses it, `alone` = only who led.
    ConfirmedOnce { alone: bool },
    /// What is stored was not what the upstream meant; it is gone: look again.
    Again,
    /// The answer may not be shared: everybody goes alone.
    Released(NotStored),
    /// The upstream failed; behind the head this is a cut body.
    Failed(Reason),
}

/// What a reader finds.
#[derive(Debug)]
pub enum Step<T> {
    Ready(T),
    /// Nothing yet; the reader's core is rung when there is.
    Wait,
    Ended(Ending),
}

const SEGMENTS: usize = 16;
/// Bytes of the first chunk where the length of the body is not known, and of the largest.
const CHUNK_BYTES_FIRST: usize = 4 * 1024;
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a segment that is passed on.
const PASSED_BYTES_MAX: usize = 16 * 1024;
/// A body whose segments have this many bytes on average is kept as it came; others are copied into one piece.
const SEGMENT_BYTES_KEPT: usize = 4 * 1024;
/// Bodies up to here are always copied into one piece.
const COPIED_BYTES_MAX: usize = 128 * 1024;

/// A few segments and the way to the next ones.
#[derive(Debug)]
struct Block {
    /// Place in the list.
    number: u64,
    segments: [OnceLock<Bytes>; SEGMENTS],
    /// None before there is one, and none again where its readers were left behind.
    next: ArcSwapOption<Block>,
    /// It is full and counted among the held.
    counted: AtomicBool,
    held: Arc<Held>,
}

/// Bytes of full blocks that somebody still holds.
#[derive(Debug, Default)]
struct Held {
    bytes: AtomicU64,
}

impl Block {
    fn new(number: u64, held: &Arc<Held>) -> Arc<Self> {
        Arc::new(Self {
            number,
            segments: [const { OnceLock::new() }; SEGMENTS],
            next: ArcSwapOption::empty(),
            counted: AtomicBool::new(false),
            held: Arc::clone(held),
        })
    }

    fn count(&self) {
        self.counted.store(true, Ordering::Release);
        self.held.bytes.fetch_add(self.bytes(), Ordering::AcqRel);
    }

    fn uncount(&self) {
        if self.counted.load(Ordering::Acquire) {
            self.held.bytes.fetch_sub(self.bytes(), Ordering::AcqRel);
        }
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().filter_map(OnceLock::get).map(|s| s.len() as u64).sum()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.uncount();
        let mut next = self.next.swap(None);
        // One after the other: a long list dropped from within would use up the stack.
        while let Some(block) = next {
            next = Arc::into_inner(block).and_then(|block| block.next.swap(None));
        }
    }
}

/// The shared part of an answer on its way.
#[derive(Debug)]
pub struct Fill {
    head: OnceLock<Arc<AnswerHead>>,
    /// The first block; none once the answer is detached.
    root: ArcSwapOption<Block>,
    ending: OnceLock<Ending>,
    /// The head of a stored answer as it was confirmed for the last time.
    last_head: OnceLock<Arc<AnswerHead>>,
    waiting: Waiting,
    /// One more than the number of the core whose writer waits for room.
    stalled: AtomicU32,
    /// Readers in blocks before this one were left behind.
    first: AtomicU64,
    /// The charge of what arrived, once nothing more does: readers hold it as long as they hold the bytes.
    charge: OnceLock<Charge>,
}

impl Fill {
    /// Nothing has arrived yet. Also returns the writer's end.
    pub fn new() -> (Arc<Self>, Writer) {
        let held = Arc::new(Held::default());
        let block = Block::new(0, &held);
        let fill = Arc::new(Self {
            head: OnceLock::new(),
            root: ArcSwapOption::from(Some(Arc::clone(&block))),
            ending: OnceLock::new(),
            last_head: OnceLock::new(),
            waiting: Waiting::default(),
            stalled: AtomicU32::new(0),
            first: AtomicU64::new(0),
            charge: OnceLock::new(),
        });
        let writer = Writer {
            fill: Arc::clone(&fill),
            tail: block,
            index: 0,
            buffer: BytesMut::new(),
            chunk_bytes: CHUNK_BYTES_FIRST,
            charge: None,
            before_tail: Weak::new(),
            held,
            written: 0,
            segments: 0,
        };
        (fill, writer)
    }

    /// The head, where it has arrived.
    pub fn head(&self) -> Option<&Arc<AnswerHead>> {
        self.head.get()
    }

    /// How it ended, where it has.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.get().copied()
    }
}

/// The one end that writes.
#[derive(Debug)]
pub struct Writer {
    fill: Arc<Fill>,
    tail: Arc<Block>,
    index: usize,
    /// The chunk that segments are cut from.
    buffer: BytesMut,
    chunk_bytes: usize,
    charge: Option<Charge>,
    before_tail: Weak<Block>,
    /// What the readers that count hold.
    held: Arc<Held>,
    written: u64,
    segments: usize,
}

impl Writer {
    /// Publishes the head. Returns the cores to ring (a bit each).
    #[must_use]
    pub fn begin(&mut self, head: Arc<AnswerHead>) -> u64 {
        if let Some(length) = head.length.and_then(|l| usize::try_from(l).ok()) {
            self.chunk_bytes = length.clamp(1, CHUNK_BYTES_MAX);
        }
        // The writer is alone: it is set once.
        let _ = self.fill.head.set(head);
        self.fill.waiting.take()
    }

    /// Publishes body bytes. `charge` gives room for so many bytes, or refuses: then nothing is appended that was not
    /// before, and `Err` holds how many bytes of the payload were. Returns the cores to ring.
    ///
    /// # Errors
    /// The account has no room; [`Writer::detach`] and go on with the rest.
    pub fn append(&mut self, payload: &[u8], charge: impl Fn(u64) -> Option<Charge>) -> Result<u64, usize> {
        let mut rest = payload;
        while !rest.is_empty() {
            if self.buffer.capacity() == self.buffer.len() && !self.renew(&charge) {
                return Err(payload.len() - rest.len());
            }
            let room = (self.buffer.capacity() - self.buffer.len()).min(rest.len());
            let (now, later) = rest.split_at(room);
            self.buffer.extend_from_slice(now);
            let segment = self.buffer.split().freeze();
            self.push(segment);
            rest = later;
        }
        Ok(self.fill.waiting.take())
    }

    fn renew(&mut self, charge: &impl Fn(u64) -> Option<Charge>) -> bool {
        let Some(charge) = charge(footprint(self.chunk_bytes)) else { return false };
        match &mut self.charge {
            Some(all) => all.absorb(charge),
            None => self.charge = Some(charge),
        }
        self.buffer = BytesMut::with_capacity(self.chunk_bytes);
        // The next one is larger, and for a body of known length not larger than what is left of it.
        let length = self.fill.head.get().and_then(|h| h.length).and_then(|l| usize::try_from(l).ok());
        let ahead = usize::try_from(self.written).unwrap_or(usize::MAX).saturating_add(self.chunk_bytes);
        self.chunk_bytes = match length {
            Some(length) => length.saturating_sub(ahead).clamp(CHUNK_BYTES_FIRST, CHUNK_BYTES_MAX),
            None => (self.chunk_bytes * 2).min(CHUNK_BYTES_MAX),
        };
        true
    }

    /// Publishes body bytes of a detached answer: they are freed behind the slowest reader, so nothing is charged.
    #[must_use]
    pub fn pass(&mut self, payload: &[u8]) -> u64 {
        // Small blocks: how far a reader has come is seen block by block.
        payload.chunks(PASSED_BYTES_MAX).for_each(|piece| self.push(Bytes::copy_from_slice(piece)));
        self.fill.waiting.take()
    }

    fn push(&mut self, segment: Bytes) {
        if self.index == SEGMENTS {
            let next = Block::new(self.tail.number + 1, &self.held);
            self.tail.count();
            self.tail.next.store(Some(Arc::clone(&next)));
            self.before_tail = Arc::downgrade(&self.tail);
            self.tail = next;
            self.index = 0;
        }
        self.written += segment.len() as u64;
        self.segments += 1;
        if let Some(slot) = self.tail.segments.get(self.index) {
            let _ = slot.set(segment);
        }
        self.index += 1;
    }

    /// The answer will not be stored: from now on only who reads already reads on, and what all have read is freed.
    pub fn detach(&mut self) {
        self.fill.root.store(None);
    }

    /// Bytes that the slowest reader of a detached answer is behind, at least. At a return above the window, call
    /// [`Writer::stall`] and wait to be rung.
    pub fn behind(&self) -> u64 {
        self.held.bytes.load(Ordering::Acquire)
    }

    /// Whether a reader waits for what comes next.
    pub fn is_awaited(&self) -> bool {
        self.fill.waiting.is_anybody()
    }

    /// Readers that are behind by a block or more get no more. What they hold is bounded by the window, for the list is
    /// cut behind it.
    pub fn leave_behind(&mut self) {
        self.fill.first.store(self.tail.number, Ordering::Release);
        if let Some(before) = self.before_tail.upgrade() {
            before.next.store(None);
        }
        self.held = Arc::default();
    }

    /// What arrived before the answer was detached is freed by now, unless somebody was left behind with it: its charge
    /// goes too.
    pub fn give_up_charge(&mut self) {
        if self.fill.first.load(Ordering::Acquire) == 0 {
            self.charge = None;
        }
    }

    /// Says that this core's writer waits for readers; look at [`Writer::behind`] once more after it.
    pub fn stall(&self, core: usize) {
        self.fill.stalled.store(u32::try_from(core).unwrap_or(u32::MAX - 1) + 1, Ordering::SeqCst);
    }

    /// Leaves the head of a confirmation that is not to be stored, for those who use it once.
    pub fn leave_head(&self, head: Arc<AnswerHead>) {
        // The writer is alone: it is set once.
        let _ = self.fill.last_head.set(head);
    }

    /// Body bytes published.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The body, to be stored: what it came in, or one copy without slack. `None` where there is no room for it.
    pub fn collect(&mut self, charge: impl Fn(u64) -> Option<Charge>) -> Option<Arc<super::answer::Body>> {
        let segments = self.all_segments()?;
        let written = usize::try_from(self.written).ok()?;
        let kept = written > COPIED_BYTES_MAX && written / self.segments.max(1) >= SEGMENT_BYTES_KEPT;
        if kept {
            let charge = self.charge.take()?;
            return Some(super::answer::Body::new(segments, charge));
        }
        let charge = charge(footprint(written))?;
        let mut whole = Vec::with_capacity(written);
        segments.iter().for_each(|s| whole.extend_from_slice(s));
        let chunks = if whole.is_empty() { Vec::new() } else { vec![Bytes::from(whole.into_boxed_slice())] };
        Some(super::answer::Body::new(chunks, charge))
    }

    fn all_segments(&self) -> Option<Vec<Bytes>> {
        let mut segments = Vec::with_capacity(self.segments);
        let mut block = self.fill.root.load_full();
        block.as_ref()?;
        while let Some(current) = block {
            segments.extend(current.segments.iter().filter_map(OnceLock::get).cloned());
            block = current.next.load_full();
        }
        Some(segments)
    }

    /// Publishes the end. Returns the cores to ring.
    #[must_use]
    pub fn end(mut self, ending: Ending) -> u64 {
        self.finish(ending)
    }

    fn finish(&mut self, ending: Ending) -> u64 {
        if let Some(charge) = self.charge.take() {
            let _ = self.fill.charge.set(charge);
        }
        // Set once: the first end is the end.
        let _ = self.fill.ending.set(ending);
        self.fill.waiting.take()
    }
}

impl Drop for Writer {
    /// A writer that vanished has failed; its readers see it at their next look.
    fn drop(&mut self) {
        if self.fill.ending.get().is_none() {
            let _ = self.finish(Ending::Failed(Reason::Internal));
        }
    }
}

/// One reader of an answer on its way. Counted in its object's life while it is there.
#[derive(Debug)]
pub struct Follower {
    object: Arc<Object>,
    fill: Arc<Fill>,
    place: Option<(Arc<Block>, usize)>,
}

impl Follower {
    /// Follows from the first byte; `None` = the object is dead or detached, or has `most` followers already.
    pub fn join(object: Arc<Object>, most: u32) -> Option<Self> {
        let fill = object.fill()?;
        let root = fill.root.load_full()?;
        object.life.join(most).then_some(Self { object, fill, place: Some((root, 0)) })
    }

    /// The object that is followed.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The head. `core` is rung when it is there.
    pub fn head(&self, core: usize) -> Step<Arc<AnswerHead>> {
        self.look(core, |fill| fill.head.get().cloned())
    }

    /// The head of a confirmation that was not stored.
    pub fn last_head(&self) -> Option<Arc<AnswerHead>> {
        self.fill.last_head.get().cloned()
    }

    /// The next bytes of the body.
    pub fn next(&mut self, core: usize) -> Step<Bytes> {
        let fill = Arc::clone(&self.fill);
        let mut place = self.place.take();
        if place.as_ref().is_some_and(|(block, _)| block.number < fill.first.load(Ordering::Acquire)) {
            return Step::Ended(Ending::Failed(Reason::SendTimeout));
        }
        let step = Self::look_at(&fill, core, || {
            let (block, index) = place.take()?;
            let (block, index, found) = advance(block, index);
            place = Some((block, index));
            found
        });
        self.place = place;
        step
    }

    /// The next segment, where it is there and has at most `most` bytes. Announces no waiting.
    pub fn next_small(&mut self, most: usize) -> Option<Bytes> {
        let (block, index) = self.place.take()?;
        let (block, index, found) = advance(block, index);
        let fits = found.as_ref().is_some_and(|segment| segment.len() <= most);
        self.place = Some((block, if found.is_some() && !fits { index - 1 } else { index }));
        found.filter(|_| fits)
    }

    /// The core whose writer waits for this reader to come along, at most once per stall.
    pub fn stalled(&self) -> Option<usize> {
        if self.fill.stalled.load(Ordering::Relaxed) == 0 {
            return None;
        }
        (self.fill.stalled.swap(0, Ordering::SeqCst) as usize).checked_sub(1)
    }

    fn look<T>(&self, core: usize, find: impl FnMut(&Fill) -> Option<T>) -> Step<T> {
        let mut find = find;
        Self::look_at(&self.fill, core, || find(&self.fill))
    }

    /// What is there wins over the end; the end over waiting; and waiting is announced before the last look.
    fn look_at<T>(fill: &Fill, core: usize, mut find: impl FnMut() -> Option<T>) -> Step<T> {
        let mut announced = false;
        loop {
            let ending = fill.ending();
            if let Some(found) = find() {
                return Step::Ready(found);
            }
            match ending {
                Some(ending) => return Step::Ended(ending),
                None if announced => return Step::Wait,
                None => {
                    fill.waiting.announce(core);
                    announced = true;
                }
            }
        }
    }
}

/// The segment at a place and the place behind it. A place at the end of a block moves on as soon as there is a next one.
fn advance(block: Arc<Block>, index: usize) -> (Arc<Block>, usize, Option<Bytes>) {
    let next = if index == SEGMENTS { block.next.load_full() } else { None };
    let (block, index) = match next {
        Some(next) => (next, 0),
        None => (block, index),
    };
    match block.segments.get(index).and_then(OnceLock::get).cloned() {
        Some(segment) => (block, index + 1, Some(segment)),
        None => (block, index, None),
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.object.life.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Account;
    use super::super::object::Origin;
    use super::*;
    use crate::http::Method;

    fn filling(account: &Arc<Account>) -> (Arc<Object>, Writer) {
        let (fill, writer) = Fill::new();
        let origin = Origin { key: Box::default(), method: Method::Get, birth: 0, url: 0 };
        (Object::filling(origin, fill, account.charge(100).expect("room")), writer)
    }

    fn read(follower: &mut Follower) -> (Vec<u8>, Option<Ending>) {
        let mut bytes = Vec::new();
        loop {
            match follower.next(0) {
                Step::Ready(segment) => bytes.extend_from_slice(&segment),
                Step::Wait => return (bytes, None),
                Step::Ended(ending) => return (bytes, Some(ending)),
            }
        }
    }

    #[test]
    fn every_reader_gets_every_byte_whenever_it_comes() {
        let account = Account::new(1 << 20);
        let (object, mut writer) = filling(&account);
        let mut early = Follower::join(Arc::clone(&object), 10).expect("alive");
        assert!(matches!(early.next(3), Step::Wait));
        let mut all = Vec::new();
        for n in 0..100u8 {
            let piece = vec![n; usize::from(n) * 13 + 1];
            let ring = writer.append(&piece, |bytes| account.charge(bytes)).expect("room");
            assert_eq!(ring, if n == 0 { 1 << 3 } else { u64::from(n == 51) }, "{n}");
            all.extend_from_slice(&piece);
            if n == 50 {
                assert_eq!(read(&mut early), (all.clone(), None));
            }
        }
        let mut late = Follower::join(Arc::clone(&object), 10).expect("alive");
        assert_eq!(read(&mut late), (all.clone(), None));
        let body = writer.collect(|bytes| account.charge(bytes)).expect("room");
        assert_eq!(body.chunks().concat(), all);
        assert_ne!(writer.end(Ending::Whole) & 1, 0);
        assert_eq!(read(&mut late), (Vec::new(), Some(Ending::Whole)));
        assert_eq!(object.life.followers(), 2);
        drop((early, late, object));
        assert_eq!(account.used(), footprint(all.len()));
        drop(body);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn behind_a_detached_answer_only_what_the_slowest_reader_lacks_is_held() {
        let account = Account::new(1 << 20);
        let (object, mut writer) = filling(&account);
        let mut follower = Follower::join(Arc::clone(&object), 10).expect("alive");
        writer.detach();
        assert!(Follower::join(Arc::clone(&object), 10).is_none(), "nobody joins behind the first byte");
        for _ in 0..10_000 {
            let _ = writer.pass(&[7; 100]);
        }
        assert!(writer.behind() > 900_000);
        assert_eq!(read(&mut follower).0.len(), 1_000_000);
        assert_eq!(writer.behind(), 0, "the last block is not counted");
        writer.stall(5);
        assert_eq!((follower.stalled(), follower.stalled()), (Some(5), None));
    }

    #[test]
    fn a_reader_that_is_left_behind_holds_no_more_than_it_has() {
        let account = Account::new(1 << 20);
        let (object, mut writer) = filling(&account);
        let mut slow = Follower::join(Arc::clone(&object), 10).expect("alive");
        let mut quick = Follower::join(Arc::clone(&object), 10).expect("alive");
        writer.detach();
        let pass = |writer: &mut Writer, quick: &mut Follower| {
            for _ in 0..100 {
                let _ = writer.pass(&[7; 10_000]);
            }
            assert_eq!(read(quick), (vec![7; 1_000_000], None));
        };
        pass(&mut writer, &mut quick);
        assert!(writer.is_awaited() && writer.behind() > 800_000);
        writer.leave_behind();
        assert_eq!(writer.behind(), 0);
        pass(&mut writer, &mut quick);
        assert_eq!(writer.behind(), 0, "the list is cut: what comes later is not held");
        assert!(matches!(slow.next(0), Step::Ended(Ending::Failed(Reason::SendTimeout))));
        let _ = writer.end(Ending::Whole);
        assert_eq!(read(&mut quick), (Vec::new(), Some(Ending::Whole)));
    }

    #[test]
    fn no_room_is_said_with_what_was_taken() {
        let account = Account::new(100 + footprint(CHUNK_BYTES_FIRST));
        let (object, mut writer) = filling(&account);
        let mut follower = Follower::join(object, 1).expect("alive");
        let taken = writer.append(&[1; 5_000], |bytes| account.charge(bytes)).expect_err("no room for two chunks");
        assert_eq!(taken, CHUNK_BYTES_FIRST);
        assert_eq!(read(&mut follower).0.len(), CHUNK_BYTES_FIRST);
    }

    #[test]
    fn a_long_list_is_dropped_without_a_deep_stack() {
        let account = Account::new(u64::MAX);
        let (object, mut writer) = filling(&account);
        for _ in 0..400_000 {
            let _ = writer.pass(b"x");
        }
        drop((object, writer));
    }
}
