//! One connection of HTTP/2 and the transport under it; its streams are [`Channel`]s, which the rest of the house uses
//! like connections.
//!
//! One task drives a session: it reads, feeds the machine, and sends in one write what all streams had to say since the
//! last one. It goes on reading while a write waits for room, until too much waits. Whoever uses a stream borrows the
//! machine between awaits only.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::ready::Waited;
use super::stream::{Read, Stream};
use super::{Input, Timer};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::bounds;
use crate::h2::{Connection, Cut, End, Opened, StreamKey, Tally, Text, frame::ErrorCode};
use crate::http::RequestHead;
use crate::stats::Reason;

/// A connection of HTTP/2.
pub struct Session {
    transport: Stream,
    machine: RefCell<Connection>,
    /// The driver, while it waits.
    driver: RefCell<Option<Waker>>,
    /// The transport has no room for what was last given to it.
    blocked: Cell<bool>,
    /// The last stream was let go: the driver has to look at its clockwork.
    rested: Cell<bool>,
    /// What was asked for may be begun now.
    nudged: Cell<bool>,
    /// What streams write between two batches goes into a buffer of the pool; given back as soon as it is sent.
    buffers: Rc<BufferPool>,
    /// When something of the peer came last, coarse milliseconds.
    heard_ms: Cell<u64>,
    /// Whoever shares the session out, and what was true of it when that was told last.
    owner: OnceCell<Box<dyn Fn()>>,
    terms: Cell<Terms>,
}

/// What of a session decides whether streams can be opened on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Terms {
    told: bool,
    leaving: bool,
    streams_max: u32,
}

/// One stream of a session, held; let go when dropped.
pub struct Channel {
    session: Rc<Session>,
    key: StreamKey,
}

/// How a session is driven.
pub struct Drive<'a> {
    pub timer: &'a Timer,
    /// How long the peer may take to say its settings and acknowledge ours.
    pub settle_ms: u64,
    /// How long a session without streams lives.
    pub idle_ms: u64,
    /// How long the peer may take nothing of what waits to be sent.
    pub send_ms: u64,
    /// Whether the core drains: no new streams are taken, and the session ends with the last one.
    pub draining: &'a Cell<bool>,
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody had any use for it any more.
    Properly,
    /// The peer closed or reset the transport.
    Gone,
    /// It was ended for what the peer did, or did not do.
    Broken(End),
}

/// Whether all requests that have come are begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Those that can be.
    On,
    /// Some are left: the others of the core come first.
    Over,
}

/// What the driver waits for.
enum Woken {
    Readable,
    /// There is something to send, or room to send it.
    Output,
    Timer,
    Nudged,
    Broken,
}

impl Session {
    /// A session over a transport whose handshake is over.
    pub fn new(transport: Stream, machine: Connection, buffers: &Rc<BufferPool>) -> Rc<Self> {
        Rc::new(Self {
            transport,
            machine: RefCell::new(machine),
            driver: RefCell::default(),
            blocked: Cell::new(false),
            rested: Cell::new(false),
            nudged: Cell::new(false),
            buffers: Rc::clone(buffers),
            heard_ms: Cell::new(clock::now_ms()),
            owner: OnceCell::new(),
            terms: Cell::default(),
        })
    }

    /// Calls `owner` from now on whenever more or fewer streams may be opened than before: one was let go, the peer has
    /// said or changed its settings, the session is about to end or has ended. Not called inside of [`Session::open`] and
    /// [`Session::leave`]. Only the first one counts.
    pub fn report_to(&self, owner: impl Fn() + 'static) {
        self.owner.get_or_init(|| Box::new(owner));
    }

    /// What is under it.
    pub fn transport(&self) -> &Stream {
        &self.transport
    }

    /// Opens a stream towards the peer; `None` = there is no room, or the session is about to end.
    pub fn open(self: &Rc<Self>) -> Option<Stream> {
        let key = self.machine.borrow_mut().open()?;
        Some(self.channel(key))
    }

    /// How many streams [`Session::open`] would open.
    pub fn room(&self) -> usize {
        self.machine.borrow().room()
    }

    /// Whether the peer's SETTINGS have come.
    pub fn is_told(&self) -> bool {
        self.machine.borrow().is_told()
    }

    /// Why it was ended, where a rule or a budget was broken, or the transport is gone.
    pub fn end(&self) -> Option<End> {
        self.machine.borrow().end()
    }

    /// Whether it has ended, or will with the last of its streams.
    pub fn is_leaving(&self) -> bool {
        let machine = self.machine.borrow();
        machine.is_over() || machine.is_leaving()
    }

    /// Streams held.
    pub fn streams(&self) -> usize {
        self.machine.borrow().streams()
    }

    /// Whether the peer takes WebSocket over a stream (RFC 8441).
    pub fn takes_connect(&self) -> bool {
        self.machine.borrow().takes_connect()
    }

    /// What became of streams since this was asked last.
    pub fn take_tally(&self) -> Tally {
        self.machine.borrow_mut().take_tally()
    }

    /// Takes no more streams, and ends with the last one.
    pub fn leave(&self) {
        self.with(Connection::leave);
    }

    /// Somebody has waited in vain for this long: where nothing at all came meanwhile the transport may be dead, of which
    /// nobody tells. No more streams are opened on it then.
    pub fn doubt(&self, silent_ms: u64) {
        if self.heard_ms.get().saturating_add(silent_ms) <= clock::now_ms() {
            self.leave();
        }
    }

    /// Ends it as if the transport were gone: its driver is.
    pub fn abort(&self) {
        self.bury(Ended::Gone);
    }

    fn channel(self: &Rc<Self>, key: StreamKey) -> Stream {
        Stream::Multiplexed(Channel { session: Rc::clone(self), key })
    }

    /// Tells the owner, where what was true is not any more.
    fn report(&self) {
        let Some(owner) = self.owner.get() else { return };
        let machine = self.machine.borrow();
        let terms =
            Terms { told: machine.is_told(), leaving: machine.is_leaving(), streams_max: machine.streams_max() };
        drop(machine);
        if self.terms.replace(terms) != terms {
            owner();
        }
    }

    /// Works on the machine, and wakes the driver where there is something to send now.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> T {
        let mut machine = self.machine.borrow_mut();
        let done = work(&mut machine);
        let is_pending = !machine.output().is_empty() || machine.is_over();
        drop(machine);
        if is_pending && !self.blocked.get() {
            self.wake_driver();
        }
        done
    }

    /// Asks the driver to begin what waits to be begun.
    pub fn nudge(&self) {
        self.nudged.set(true);
        self.wake_driver();
    }

    fn wake_driver(&self) {
        let driver = self.driver.borrow_mut().take();
        driver.into_iter().for_each(Waker::wake);
    }

    /// Drives the session to its end. Each request that comes is handed to `opened` with its stream, which says whether it
    /// has answered it; whoever keeps the head leaves another one in its place. Behind what has come together `begin` begins them, as many as is fair; it is
    /// told whether it is called for the first time since, and again when the others of the core have had their turn.
    pub async fn drive(
        self: &Rc<Self>,
        way: Drive<'_>,
        input: &mut Input,
        head: &mut RequestHead,
        mut opened: impl FnMut(Stream, &mut RequestHead, Opened) -> bool,
        mut begin: impl FnMut(bool) -> Turn,
    ) -> Ended {
        let mut clockwork = Clockwork::new(&way);
        loop {
            let outcome = self.receive(&way, input, head, &mut opened, &mut begin).await;
            if let Err(ended) = outcome.and_then(|()| self.flush()) {
                self.hear_out(input, head);
                return self.bury(ended);
            }
            self.report();
            self.rest(input);
            if let Err(ended) = self.wait(&way, &mut clockwork, input).await {
                self.hear_out(input, head);
                return self.bury(ended);
            }
        }
    }

    /// What the peer has said before the transport broke counts, although sending was what found it broken: answers that
    /// are whole, and which requests it has not processed. Requests do not: nobody can be answered any more.
    fn hear_out(&self, input: &mut Input, head: &mut RequestHead) {
        let mut left = bounds::HTTP2_BURST_BYTES;
        while self.end().is_none() && left > 0 {
            let mut machine = self.machine.borrow_mut();
            let Ok((taken, None)) = machine.feed(input.unread(), head, clock::now_ms()) else { return };
            drop(machine);
            input.consume(taken);
            left = left.saturating_sub(taken.max(1));
            if !matches!(input.try_fill(&self.transport, &self.buffers), Ok(Read::Bytes(_))) {
                return;
            }
        }
    }

    /// Reads what is there and feeds it to the machine, as long as there is room for the answers.
    async fn receive(
        self: &Rc<Self>,
        way: &Drive<'_>,
        input: &mut Input,
        head: &mut RequestHead,
        opened: &mut impl FnMut(Stream, &mut RequestHead, Opened) -> bool,
        begin: &mut impl FnMut(bool) -> Turn,
    ) -> Result<(), Ended> {
        let (mut work, mut is_first) = (0, true);
        self.machine.borrow_mut().begin_batch();
        loop {
            let is_more = self.take(input, head, opened, &mut work)?
                || (!self.is_full()
                    && match input.try_fill_eagerly(&self.transport, &self.buffers) {
                        Ok(Read::Bytes(_)) => {
                            self.heard_ms.set(clock::now_ms());
                            true
                        }
                        Ok(Read::NotReady) => false,
                        Ok(Read::End) | Err(_) => return Err(Ended::Gone),
                    });
            if is_more && work < bounds::HTTP2_BURST_BYTES {
                continue;
            }
            // Not before all that has come is understood: it may say that nothing of it is wanted.
            let turn = begin(is_first);
            if !is_more && turn == Turn::On {
                return Ok(());
            }
            // One peer that sends or asks without end: the others of the core get their turn.
            (work, is_first) = (0, is_more);
            self.flush()?;
            way.timer.give_way().await;
            if is_more {
                self.machine.borrow_mut().begin_batch();
            }
        }
    }

    /// Feeds what was read to the machine; whether some of it is left because it is enough for one turn.
    fn take(
        self: &Rc<Self>,
        input: &mut Input,
        head: &mut RequestHead,
        opened: &mut impl FnMut(Stream, &mut RequestHead, Opened) -> bool,
        work: &mut usize,
    ) -> Result<bool, Ended> {
        while !input.is_empty() {
            if *work >= bounds::HTTP2_BURST_BYTES {
                return Ok(true);
            }
            let mut machine = self.machine.borrow_mut();
            self.lend_buffer(&mut machine);
            let (taken, request) = machine.feed(input.unread(), head, clock::now_ms()).map_err(Ended::Broken)?;
            *work += machine.work();
            drop(machine);
            input.consume(taken);
            if let Some(request) = request
                && opened(self.channel(request.key), head, request)
            {
                *work += bounds::HTTP2_ANSWER_BYTES;
            }
            if self.machine.borrow().output().len() >= bounds::HTTP2_BATCH_BYTES {
                self.flush()?;
            }
        }
        Ok(false)
    }

    /// What is written goes into a buffer of the pool.
    fn lend_buffer(&self, machine: &mut Connection) {
        if machine.lacks_buffer() {
            machine.exchange_output(self.buffers.large());
        }
    }

    /// Whether so much waits to be sent that nothing more is read.
    fn is_full(&self) -> bool {
        self.machine.borrow().output().len() >= 2 * bounds::HTTP2_OUTPUT_BYTES_MAX
    }

    /// Sends what waits, as much as goes.
    fn flush(&self) -> Result<(), Ended> {
        // Sending does not wait and does not come back here: the machine stays borrowed.
        let mut machine = self.machine.borrow_mut();
        if self.blocked.get() || machine.output().is_empty() {
            return Ok(());
        }
        let bytes = machine.output().len();
        let sent = self.transport.try_write(&mut [IoSlice::new(machine.output())]).map_err(|_| Ended::Gone)?;
        self.blocked.set(sent.is_some());
        machine.sent(sent.unwrap_or(bytes));
        Ok(())
    }

    /// A session at rest holds no buffers, even where streams are open.
    fn rest(&self, input: &mut Input) {
        input.release(&self.buffers);
        self.give_buffer();
    }

    fn give_buffer(&self) {
        let mut machine = self.machine.borrow_mut();
        if machine.output().is_empty() {
            self.buffers.give(machine.exchange_output(Vec::new()));
        }
    }

    /// Tries what had no room once more.
    fn unblock(&self) -> Result<(), Ended> {
        // What TLS holds back goes first.
        let held = self.transport.try_write(&mut []).map_err(|_| Ended::Gone)?;
        if held.is_none() {
            self.blocked.set(false);
            self.flush()?;
        }
        Ok(())
    }

    /// Waits until there is something to do, and does what is no reading.
    async fn wait(&self, way: &Drive<'_>, clockwork: &mut Clockwork, input: &mut Input) -> Result<(), Ended> {
        clockwork.look(self, way)?;
        let mut readable = pin!(self.transport.readable(way.timer));
        loop {
            let woken = if self.blocked.get() {
                let mut writable = pin!(self.transport.writable(way.timer));
                std::future::poll_fn(|context| self.poll(context, readable.as_mut(), Some(writable.as_mut()))).await
            } else {
                std::future::poll_fn(|context| {
                    self.poll(context, readable.as_mut(), None::<Pin<&mut std::future::Pending<_>>>)
                })
                .await
            };
            match woken {
                Woken::Broken => return Err(Ended::Gone),
                Woken::Readable => {
                    input.expect_bytes();
                    return Ok(());
                }
                Woken::Timer => return clockwork.look(self, way),
                Woken::Nudged => return Ok(()),
                Woken::Output => {
                    if self.blocked.get() {
                        // There is room again: the peer has taken something, however slow it is.
                        clockwork.blocked_since_ms = None;
                        self.unblock()?
                    } else {
                        self.flush()?
                    }
                    self.give_buffer();
                    clockwork.look(self, way)?;
                }
            }
        }
    }

    fn poll(
        &self,
        context: &mut Context<'_>,
        readable: Pin<&mut impl Future<Output = io::Result<Waited>>>,
        writable: Option<Pin<&mut impl Future<Output = io::Result<Waited>>>>,
    ) -> Poll<Woken> {
        {
            let machine = self.machine.borrow();
            if !self.blocked.get() && (!machine.output().is_empty() || machine.is_over()) {
                return Poll::Ready(Woken::Output);
            }
        }
        if self.rested.take() {
            return Poll::Ready(Woken::Timer);
        }
        if self.nudged.take() {
            return Poll::Ready(Woken::Nudged);
        }
        // A peer that takes nothing is not listened to beyond a bound: what it says may have to be answered.
        if !self.is_full()
            && let Poll::Ready(waited) = readable.poll(context)
        {
            return Poll::Ready(waited.map_or(Woken::Broken, |waited| match waited {
                Waited::Ready => Woken::Readable,
                Waited::Expired => Woken::Timer,
            }));
        }
        if let Some(writable) = writable
            && let Poll::Ready(waited) = writable.poll(context)
        {
            return Poll::Ready(waited.map_or(Woken::Broken, |waited| match waited {
                Waited::Ready => Woken::Output,
                Waited::Expired => Woken::Timer,
            }));
        }
        self.driver.borrow_mut().replace(context.waker().clone());
        Poll::Pending
    }

    /// The end: what can be sent is sent, every stream is cut.
    fn bury(&self, ended: Ended) -> Ended {
        let end = match ended {
            Ended::Broken(end) => end,
            Ended::Properly | Ended::Gone => {
                End { code: ErrorCode::NoError, reason: Reason::ClientGone, detail: "closed" }
            }
        };
        self.machine.borrow_mut().close(end);
        // Best effort: the peer may not read any more.
        let _ = self.flush();
        self.report();
        ended
    }
}

/// What of a session has to happen by when.
struct Clockwork {
    settle_ms: u64,
    /// What the machine said of streams that were begun.
    begun: u32,
    idle_since_ms: Option<u64>,
    blocked_since_ms: Option<u64>,
    announced_since_ms: Option<u64>,
}

impl Clockwork {
    fn new(way: &Drive<'_>) -> Self {
        Self {
            settle_ms: clock::now_ms() + way.settle_ms,
            begun: 0,
            idle_since_ms: None,
            blocked_since_ms: None,
            announced_since_ms: None,
        }
    }

    /// Ends what is due, and arms the timer for what comes next.
    fn look(&mut self, session: &Session, way: &Drive<'_>) -> Result<(), Ended> {
        let now_ms = clock::now_ms();
        let mut machine = session.machine.borrow_mut();
        if way.timer.is_over() {
            return Err(Ended::Properly);
        }
        if way.draining.get() {
            // Again and again, until it is done: a drain wakes whoever waits idly every few milliseconds.
            machine.announce_leaving();
            if now_ms >= *self.announced_since_ms.get_or_insert(now_ms) + bounds::HTTP2_LEAVING_MS {
                machine.leave();
            }
        }
        if machine.is_over() && machine.output().is_empty() && !session.blocked.get() {
            return Err(machine.end().map_or(Ended::Properly, Ended::Broken));
        }
        let keep = |since: &mut Option<u64>, is_so: bool| {
            *since = if is_so { since.or(Some(now_ms)) } else { None };
            *since
        };
        // Requests that were answered where they were read have left no stream to be seen here.
        if std::mem::replace(&mut self.begun, machine.begun()) != machine.begun() {
            self.idle_since_ms = None;
        }
        let idle = keep(&mut self.idle_since_ms, machine.streams() == 0).map(|since| since + way.idle_ms);
        let stalled = keep(&mut self.blocked_since_ms, session.blocked.get()).map(|since| since + way.send_ms);
        let settle = (!machine.is_settled()).then_some(self.settle_ms);
        if settle.is_some_and(|at| at <= now_ms) {
            let end = End { code: ErrorCode::SettingsTimeout, reason: Reason::Http2Settling, detail: "settings" };
            machine.fail(end);
            return Err(Ended::Broken(end));
        }
        if stalled.is_some_and(|at| at <= now_ms) {
            let end = End { code: ErrorCode::NoError, reason: Reason::Http2Stalled, detail: "not_read" };
            return Err(Ended::Broken(end));
        }
        if idle.is_some_and(|at| at <= now_ms) {
            machine.leave();
        }
        let silent = machine.expire_orphans(now_ms);
        let next = [idle, stalled, settle, silent].into_iter().flatten().filter(|at| *at > now_ms).min();
        way.timer.arm_idle(next.unwrap_or(u64::MAX - 1));
        Ok(())
    }
}

impl Channel {
    /// See [`Stream::try_read`].
    pub(super) fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<Read> {
        match self.session.with(|machine| machine.read(self.key, buffer)) {
            Ok(Text::Bytes(count)) => Ok(Read::Bytes(count)),
            Ok(Text::End) => Ok(Read::End),
            Ok(Text::NotReady) => Ok(Read::NotReady),
            Err(cut) => Err(broken(cut)),
        }
    }

    /// Whether a read has something to say.
    pub(super) fn poll_readable(&self, timer: &Timer, context: &mut Context<'_>) -> Poll<io::Result<Waited>> {
        if self.session.machine.borrow_mut().is_readable(self.key, context.waker()) {
            return Poll::Ready(Ok(Waited::Ready));
        }
        timer.poll_fired(context).map(|()| Ok(Waited::Expired))
    }

    /// Takes as much of the parts as there is room for; returns how many bytes.
    pub(super) fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.with(|machine| {
            self.session.lend_buffer(machine);
            let mut taken = 0;
            for part in parts.iter().filter(|part| !part.is_empty()) {
                let count = machine.write(self.key, part).map_err(broken)?;
                taken += count;
                if count < part.len() {
                    break;
                }
            }
            Ok(taken)
        })
    }

    /// What the stream's waiting for room is measured by, see [`Connection::standing`].
    pub(super) fn standing(&self) -> Option<u64> {
        self.session.machine.borrow().standing(self.key)
    }

    /// Waits until there may be room, or the timer fires.
    pub(super) async fn room(&self, timer: &Timer) -> Waited {
        let mut asked = false;
        std::future::poll_fn(|context| {
            if asked && !self.session.machine.borrow().is_waiting(self.key) {
                return Poll::Ready(Waited::Ready);
            }
            asked = true;
            self.session.machine.borrow_mut().await_room(self.key, context.waker());
            timer.poll_fired(context).map(|()| Waited::Expired)
        })
        .await
    }

    /// Ends our side, where its end is that of the stream.
    pub(super) fn finish(&self) {
        self.session.with(|machine| machine.finish(self.key));
    }

    /// What is not over will be cut when this is dropped.
    pub(super) fn abandon(&self) {
        self.session.machine.borrow_mut().abandon(self.key);
    }

    /// As [`Channel::is_cut`]; else the task is woken when it is.
    pub(super) fn poll_cut(&self, context: &mut Context<'_>) -> bool {
        self.session.machine.borrow_mut().is_cut_or_wakes(self.key, context.waker())
    }

    /// Whether a message is to come on it, and nothing of its body has.
    pub(super) fn is_silent(&self) -> bool {
        self.session.machine.borrow().is_silent(self.key)
    }

    /// Whether the peer has given the stream up.
    pub(super) fn is_cut(&self) -> bool {
        self.session.machine.borrow().is_cut(self.key)
    }

    /// The session that carries it.
    pub(super) fn session(&self) -> &Rc<Session> {
        &self.session
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let is_last = self.session.with(|machine| {
            machine.release(self.key, clock::now_ms());
            machine.streams() == 0
        });
        if is_last {
            self.session.rested.set(true);
            self.session.wake_driver();
        }
        self.session.owner.get().into_iter().for_each(|owner| owner());
    }
}

/// A cut stream as an error of input and output. `ConnectionAborted` = the peer has said that it processed nothing.
fn broken(cut: Cut) -> io::Error {
    match cut {
        Cut::Reset => io::ErrorKind::ConnectionReset,
        Cut::Refused => io::ErrorKind::ConnectionAborted,
        Cut::Malformed => io::ErrorKind::InvalidData,
    }
    .into()
}
