//! The life of one HTTP/2 connection: its streams become exchanges, each like one of a connection of HTTP/1.1.
//!
//! A request that a stored answer at hand answers is served where it is read, so that all answers of a batch leave in one
//! write; every other one is a task of its own. Knows no frames: that is `h2`; does no I/O: that is `net::session`.

use std::cell::Cell;
use std::rc::Rc;

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
    /// Exchanges in progress.
    active: Cell<usize>,
}

/// A request that is served by a task of its own.
struct Asked {
    active: Active,
    stream: Stream,
    head: RequestHead,
    framing: Result<RequestFraming, Failure>,
    started_us: u64,
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
    let session = Session::new(stream, h2::Connection::new(Role::Server, limits, clock::now_ms()));
    let shared = Rc::new(Shared { visit, settings, peer, timer: core.deadlines.timer(), active: Cell::new(0) });
    let options = &*shared.settings.options;
    let way = Drive {
        buffers: &core.buffers,
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
    let ended = session.drive(way, &mut input, &mut head, opened).await;
    core.give_request_head(head);
    count(&core, &session);
    core.stats.gauge(Gauge::ConnectionsIdle, -i64::from(shared.active.get() == 0));
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

impl Shared {
    fn core(&self) -> &Rc<Core> {
        &self.visit.front.core
    }

    /// A request has come: it is answered at once, or gets a task.
    fn answer(self: &Rc<Self>, stream: Stream, head: &mut RequestHead, opened: Opened) -> Turn {
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
                    return Turn::On;
                }
                Served::Part(rest) => {
                    self.spawn(send_rest(Active::begin(self), stream, rest));
                    return Turn::On;
                }
                Served::NotNow => {}
            }
        }
        let head = std::mem::replace(head, core.take_request_head());
        self.spawn(exchange(Asked { active: Active::begin(self), stream, head, framing, started_us }));
        self.visit.front.stream_begins()
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
        if self.shared.active.get() == 0 {
            stats.gauge(Gauge::ConnectionsIdle, 1);
        }
    }
}

/// What could not be sent at once of a stored answer.
async fn send_rest(active: Active, stream: Stream, rest: Box<Rest>) {
    let shared = &active.shared;
    let timer = shared.core().deadlines.timer();
    serve_rest(shared.core(), &stream, &timer, shared.settings.options.send_ms, *rest).await;
}

/// One request and its response.
async fn exchange(asked: Asked) {
    let Asked { active, stream, head, framing, started_us } = asked;
    let shared = &active.shared;
    shared.visit.front.stream_runs();
    let core = shared.core();
    if stream.is_gone() {
        // Given up before its turn came: a client that does so over and over costs next to nothing.
        core.stats.inc(Counter::Requests);
        core.stats.reason(Reason::ClientGone);
        return core.give_request_head(head);
    }
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
        None => serve(core, client).await,
        Some(failure) => refuse(core, client, failure).await,
    };
    if next == Next::Reset {
        stream.reset_on_close();
    }
    input.discard(&core.buffers);
    core.give_request_head(head);
}
