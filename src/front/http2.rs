//! The life of one HTTP/2 connection: its streams become exchanges, each like one of a connection of HTTP/1.1.
//!
//! A request that a stored answer at hand answers is served where it is read, so that all answers of a batch leave in one
//! write; every other one is a task of its own. Knows no frames: that is `h2`; does no I/O: that is `net::session`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use super::asked::{Asked, Fate, Place};
use super::connection::{Connection, linger};
use super::listener::{Settings, Visit};
use crate::base::clock;
use crate::bounds;
use crate::h1::{self, BodyDecoder, RequestFraming};
use crate::h2::{self, Opened, Role};
use crate::http::RequestHead;
use crate::log::Level;
use crate::net::session::{Drive, Ended, Turn};
use crate::net::{Input, Session, Stream, Timer, task};
use crate::proxy::exchange::{Progress, RequestBody};
use crate::proxy::failure::Failure;
use crate::proxy::hit::Rest;
use crate::proxy::{Client, Core, Next, Peer, Served, refuse, serve, serve_at_once, serve_rest};
use crate::stats::{Counter, Gauge, Reason};

/// What the exchanges of one connection share.
struct Shared {
    visit: Visit,
    settings: Rc<Settings>,
    peer: Peer,
    /// Lent to what is served without a wait.
    timer: Timer,
    session: Rc<Session>,
    /// Exchanges in progress.
    active: Cell<usize>,
    /// The connection has ended: its last exchange does not make it an idle one.
    over: Cell<bool>,
    /// Requests that are not begun, in their order.
    asked: RefCell<VecDeque<Asked>>,
    /// Where the connection stands in the line, as long as it has more to begin.
    place: Cell<Option<Place>>,
    /// Exchanges under way of whose bodies nothing has come; at most [`bounds::HTTP2_SILENT_MAX`].
    silent: Cell<usize>,
    /// Requests wait for one of those.
    held_back: Cell<bool>,
    /// Another look will be taken at those that have just come.
    alarm: Cell<bool>,
}

/// Serves a connection to its end.
pub async fn run(connection: Connection) {
    let Connection { visit, settings, stream, peer, timer, mut input, .. } = connection;
    let core = Rc::clone(&visit.front.core);
    core.stats.inc(Counter::Http2Connections);
    core.stats.gauge(Gauge::ConnectionsIdle, 1);
    let limits = core.service().shared.limits;
    let limits =
        h2::Limits { streams: settings.options.http2_streams, head_bytes: limits.head_bytes, fields: limits.fields };
    let machine = h2::Connection::new(Role::Server, limits, clock::now_ms());
    let session = Session::new(stream, machine, &core.buffers);
    let shared = Shared::begin(visit, settings, peer, &session);
    let closing = Closing { shared: Rc::clone(&shared) };
    let options = &*shared.settings.options;
    let way = Drive {
        timer: &timer,
        settle_ms: options.head_ms,
        idle_ms: options.idle_ms,
        send_ms: options.send_ms,
        draining: &core.draining,
    };
    let mut head = core.take_request_head();
    let opened = |stream: Stream, head: &mut RequestHead, opened: Opened| {
        count(&core, &session);
        shared.answer(stream, head, opened)
    };
    let ended = session.drive(way, &mut input, &mut head, opened, |is_first| shared.begin_some(is_first)).await;
    core.give_request_head(head);
    count(&core, &session);
    drop(closing);
    if let Ended::Broken(end) = ended {
        core.stats.reason(end.reason);
    }
    session.transport().shutdown();
    if ended != Ended::Gone {
        // The last words are lost where what the peer still sends meets a closed socket; without GOAWAY a client does not
        // know that the request it has just sent may be sent again.
        linger(&core, session.transport(), &timer, input, bounds::HTTP2_LINGER_BYTES_MAX).await;
    } else {
        input.discard(&core.buffers);
    }
}

/// Counts streams that came to nothing.
fn count(core: &Core, session: &Session) {
    let tally = session.take_tally();
    core.stats.add(Counter::Http2StreamsRefused, u64::from(tally.refused));
    (0..tally.malformed).for_each(|_| core.stats.reason(Reason::Http2Stream));
}

/// Ends what the connection has and has not begun, however it ends.
struct Closing {
    shared: Rc<Shared>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.over.set(true);
        shared.core().stats.gauge(Gauge::ConnectionsIdle, -i64::from(shared.active.get() == 0));
        shared.place.take();
        // Where a panic has ended it, nobody else would tell the streams.
        shared.session.abort();
        // They hold what holds them.
        let asked = shared.asked.take();
        asked.into_iter().for_each(|asked| shared.forget(asked));
    }
}

impl Shared {
    fn begin(visit: Visit, settings: Rc<Settings>, peer: Peer, session: &Rc<Session>) -> Rc<Self> {
        Rc::new(Self {
            timer: visit.front.core.deadlines.timer(),
            visit,
            settings,
            peer,
            session: Rc::clone(session),
            active: Cell::new(0),
            over: Cell::new(false),
            asked: RefCell::default(),
            place: Cell::default(),
            silent: Cell::new(0),
            held_back: Cell::new(false),
            alarm: Cell::new(false),
        })
    }

    fn core(&self) -> &Rc<Core> {
        &self.visit.front.core
    }

    /// A request has come: it is answered at once, or will get a task. Returns which.
    fn answer(self: &Rc<Self>, stream: Stream, head: &mut RequestHead, opened: Opened) -> bool {
        let core = self.core();
        let started_us = clock::now_us();
        let framing = match opened.too_large {
            true => Err(Reason::HeadTooLarge.into()),
            false if self.is_target_too_long(head) => Err(Reason::TargetTooLong.into()),
            false => h1::request_framing(head).map_err(Failure::from),
        };
        if let Ok(framing) = framing
            && opened.ended
        {
            let progress = Progress::default();
            let mut client = self.client(&stream, head, framing, &self.timer, &progress, started_us);
            match serve_at_once(core, &mut client) {
                Served::Done(next) => {
                    if next == Next::Reset {
                        stream.reset_on_close();
                    }
                    return true;
                }
                Served::Part(rest) => {
                    self.spawn(send_rest(Active::begin(self), stream, rest));
                    return true;
                }
                Served::NotNow => {}
            }
        }
        let head = std::mem::replace(head, core.take_request_head());
        self.asked.borrow_mut().push_back(Asked { stream, head, framing, started_us });
        false
    }

    /// Begins requests that have come, as many as is fair. `is_first`: something has come since the last call.
    fn begin_some(self: &Rc<Self>, is_first: bool) -> Turn {
        if self.asked.borrow().is_empty() {
            return Turn::On;
        }
        let mut place = self.place.take();
        let most = match &place {
            None if is_first => bounds::HTTP2_BEGIN_FIRST,
            None => 0,
            Some(place) => place.grant(self.timer.turn()),
        };
        if most > 0 {
            place = None;
        }
        if !self.begin_up_to(most) {
            return Turn::On;
        }
        self.place.set(Some(place.unwrap_or_else(|| self.visit.front.line.enter())));
        Turn::Over
    }

    /// Begins at most so many; whether there are more that could be begun.
    fn begin_up_to(self: &Rc<Self>, most: usize) -> bool {
        let (mut asked, mut index, mut begun, mut is_young) = (self.asked.borrow_mut(), 0, 0, false);
        let now_us = clock::now_us();
        while let Some(next) = asked.get(index) {
            let fate = next.fate(self.silent.get(), self.settings.options.body_ms, now_us);
            if matches!(fate, Fate::Wait | Fate::Young) {
                is_young |= fate == Fate::Young;
                index += 1;
                continue;
            }
            if fate != Fate::Gone && begun == most {
                return true;
            }
            let Some(next) = asked.remove(index) else { break };
            match fate {
                Fate::Gone | Fate::Wait | Fate::Young => self.forget(next),
                Fate::Begin => self.spawn(exchange(Active::begin(self), next, None)),
                Fate::BeginSilent => self.spawn(exchange(Active::begin(self), next, Some(Silent::begin(self)))),
                Fate::Late => self.spawn(exchange(Active::begin(self), next.late(), None)),
            }
            begun += usize::from(fate != Fate::Gone);
        }
        self.held_back.set(index > 0);
        if is_young && !self.alarm.replace(true) {
            self.spawn(ring(Rc::clone(self)));
        }
        if asked.is_empty() && asked.capacity() > bounds::HTTP2_SILENT_MAX {
            *asked = VecDeque::new();
        }
        false
    }

    /// A request that was given up before it began: a client that does so over and over costs next to nothing.
    fn forget(&self, asked: Asked) {
        let core = self.core();
        core.stats.inc(Counter::Requests);
        core.stats.reason(Reason::ClientGone);
        core.give_request_head(asked.head);
    }

    /// As of HTTP/1.1, whose request line says the same.
    fn is_target_too_long(&self, head: &RequestHead) -> bool {
        const REST: usize = b"  HTTP/1.1\r\n".len();
        let most = self.core().service().shared.limits.request_line_bytes;
        head.method_text().len() + head.target().len() + REST > most
    }

    fn client<'a>(
        &self,
        stream: &'a Stream,
        head: &'a RequestHead,
        framing: RequestFraming,
        timer: &'a Timer,
        progress: &'a Progress,
        started_us: u64,
    ) -> Client<'a> {
        let options = &self.settings.options;
        Client {
            stream,
            head,
            framing,
            peer: self.peer,
            timer,
            body_ms: options.body_ms,
            send_ms: options.send_ms,
            body: None,
            progress,
            started_us,
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let core = Rc::clone(self.core());
        let peer = self.peer.address;
        let on_panic = move |text: &str| {
            core.stats.inc(Counter::Panics);
            core.stats.reason(Reason::Panic);
            let text = format!("a panic ended a stream of {peer}: {text}; please report it");
            core.log.event(Level::Error, &text);
        };
        // As it is: a coroutine around it would hold it twice.
        task::spawn(work, on_panic);
    }
}

/// An exchange in progress, counted as long as this lives.
struct Active {
    shared: Rc<Shared>,
}

impl Active {
    fn begin(shared: &Rc<Shared>) -> Self {
        let stats = &shared.core().stats;
        stats.gauge(Gauge::Http2StreamsOpen, 1);
        if shared.active.get() == 0 {
            stats.gauge(Gauge::ConnectionsIdle, -1);
        }
        shared.active.set(shared.active.get() + 1);
        Self { shared: Rc::clone(shared) }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let stats = &self.shared.core().stats;
        stats.gauge(Gauge::Http2StreamsOpen, -1);
        self.shared.active.set(self.shared.active.get() - 1);
        if self.shared.active.get() == 0 && !self.shared.over.get() {
            stats.gauge(Gauge::ConnectionsIdle, 1);
        }
    }
}

/// An exchange of whose request's body nothing has come while its answer has not begun; counted as long as this lives.
struct Silent {
    shared: Rc<Shared>,
}

impl Silent {
    fn begin(shared: &Rc<Shared>) -> Self {
        shared.silent.set(shared.silent.get() + 1);
        Self { shared: Rc::clone(shared) }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.shared.silent.set(self.shared.silent.get() - 1);
        if self.shared.held_back.get() {
            self.shared.session.nudge();
        }
    }
}

/// What could not be sent at once of a stored answer.
async fn send_rest(active: Active, stream: Stream, rest: Box<Rest>) {
    let shared = &active.shared;
    let timer = shared.core().deadlines.timer();
    serve_rest(shared.core(), &stream, &timer, shared.settings.options.send_ms, *rest).await;
}

/// Has another look taken at requests whose bodies did not come with them.
async fn ring(shared: Rc<Shared>) {
    task::pause(bounds::HTTP2_SILENCE_MS).await;
    shared.alarm.set(false);
    shared.session.nudge();
}

/// One request and its response.
async fn exchange(active: Active, asked: Asked, mut silent: Option<Silent>) {
    let shared = &active.shared;
    let core = shared.core();
    if asked.stream.is_gone() {
        return shared.forget(asked);
    }
    let Asked { stream, head, framing, started_us } = asked;
    let timer = core.deadlines.timer();
    let progress = Progress::default();
    let mut input = Input::eager();
    let (framing, failure) = match framing {
        Ok(framing) => (framing, None),
        Err(failure) => (RequestFraming::last(), Some(failure)),
    };
    if !framing.body.is_empty() {
        // DATA that came with the head: a small body is at hand as a whole. Whoever reads on meets what is wrong.
        let _ = input.try_fill(&stream, &core.buffers);
        input.release(&core.buffers);
    }
    let mut client = shared.client(&stream, &head, framing, &timer, &progress, started_us);
    client.body = Some(RequestBody { input: &mut input, decoder: BodyDecoder::new(framing.body), read: Vec::new() });
    let next = match failure {
        None => {
            let mut serving = pin!(serve(core, client));
            poll_fn(|context| {
                let polled = serving.as_mut().poll(context);
                // Whatever changes this wakes the exchange, too.
                if silent.is_some() && (progress.response_begun.get() || !stream.is_silent()) {
                    silent = None;
                }
                polled
            })
            .await
        }
        Some(failure) => refuse(core, client, failure).await,
    };
    if next == Next::Reset {
        stream.reset_on_close();
    }
    input.discard(&core.buffers);
    core.give_request_head(head);
}
