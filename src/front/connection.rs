//! The life of one HTTP/1.1 connection: open, then exchange after exchange, then close.
//!
//! While it waits for a request it holds no buffer and no head; the state of an exchange lives in a box of its own.

use std::rc::Rc;

use super::http2;
use super::listener::{Settings, Visit};
use super::open::open;
use super::options::ListenerOptions;
use crate::base::clock;
use crate::bounds;
use crate::h1::request::EMPTY_LINES_MAX;
use crate::h1::{self, BodyDecoder, Parsed, RequestFraming, RequestParser};
use crate::h2::frame::PREFACE;
use crate::http::RequestHead;
use crate::net::ready::Waited;
use crate::net::{Filled, Input, Read, ReadError, Stream, Timer, Until, Wait, task};
use crate::proxy::exchange::{Progress, RequestBody};
use crate::proxy::failure::Failure;
use crate::proxy::hit::Rest;
use crate::proxy::{Client, Core, Next, Peer, Served, refuse, serve, serve_at_once, serve_rest};
use crate::stats::{Gauge, Reason};

pub use super::open::Newcomer;

/// An open connection between two exchanges: all that an idle client costs, beside its task and its socket.
pub struct Connection {
    pub visit: Visit,
    pub settings: Rc<Settings>,
    pub stream: Stream,
    pub peer: Peer,
    pub timer: Timer,
    pub input: Input,
    /// Empty lines that came before the request (RFC 9112 §2.2); at most [`EMPTY_LINES_MAX`].
    pub empty_lines: usize,
    /// The core's beat in which the last exchange ended, and how many have ended in it.
    pub beat: u32,
    pub beat_exchanges: u32,
    /// What is left to be sent of a response that was begun at once.
    pub unsent: Option<Box<Rest>>,
}

/// Serves one connection to its end.
pub async fn run(newcomer: Box<Newcomer>) {
    let Some(mut connection) = Box::pin(open(newcomer)).await else { return };
    if connection.speaks_http2() || (connection.may_speak_http2() && Box::pin(connection.is_preface()).await) {
        return Box::pin(http2::run(connection)).await;
    }
    loop {
        if !connection.has_request() && !connection.wait().await {
            break;
        }
        let next = match connection.exchange_at_once() {
            Some(next) => next,
            None => Box::pin(connection.exchange()).await,
        };
        match next {
            Next::KeepAlive => connection.breathe().await,
            Next::Close { linger } => return Box::pin(connection.close(linger)).await,
            Next::Reset => return connection.reset(),
        }
    }
    connection.stream.shutdown();
}

impl Connection {
    fn core(&self) -> &Core {
        &self.visit.front.core
    }

    /// Whether ALPN has agreed on HTTP/2.
    fn speaks_http2(&self) -> bool {
        self.peer.tls && self.stream.protocol().as_deref() == Some(b"h2")
    }

    /// Whether a client may begin to speak HTTP/2 without having asked (RFC 9113 §3.3): in clear only.
    fn may_speak_http2(&self) -> bool {
        !self.peer.tls && self.settings.options.http2
    }

    /// Whether the connection begins with the preface of HTTP/2. Waits as long as what has come may be its beginning;
    /// whatever it is stays unread.
    async fn is_preface(&mut self) -> bool {
        if !self.wait().await {
            return false;
        }
        let core = Rc::clone(&self.visit.front.core);
        let deadline_ms = clock::now_ms() + self.settings.options.head_ms;
        loop {
            let unread = self.input.unread();
            let count = unread.len().min(PREFACE.len());
            if unread.get(..count) != PREFACE.get(..count) {
                return false;
            }
            if count == PREFACE.len() {
                return true;
            }
            let wait = Wait { timer: &self.timer, deadline_ms, until: Until::Deadline };
            if !matches!(self.input.fill(&self.stream, &core.buffers, wait).await, Ok(Filled::Bytes)) {
                return false;
            }
        }
    }

    /// Whether bytes of a request are there. Lone empty lines are not: a client that ends its body with one more CRLF
    /// than it should has begun nothing that could come too late.
    fn has_request(&mut self) -> bool {
        self.empty_lines += self.input.skip_empty_lines(EMPTY_LINES_MAX - self.empty_lines);
        !self.input.is_empty()
    }

    /// A client that pipelines without end would keep the core to itself: after so many exchanges within one beat of the
    /// core's clockwork the others get their turn.
    async fn breathe(&mut self) {
        let beat = self.core().beat.get();
        if self.beat != beat {
            (self.beat, self.beat_exchanges) = (beat, 0);
        }
        self.beat_exchanges += 1;
        if self.beat_exchanges >= bounds::EXCHANGES_PER_BEAT {
            self.beat_exchanges = 0;
            Box::pin(task::pause(1)).await;
        }
    }

    /// Waits for the first byte of a request; `false` = the connection is over: silent for too long, closed, or drained.
    ///
    /// Waits for readiness and reads without a wait: this is the future that idle connections are made of, so nothing
    /// larger is awaited in it.
    async fn wait(&mut self) -> bool {
        let front = Rc::clone(&self.visit.front);
        let core = &front.core;
        let _idle = core.stats.hold(Gauge::ConnectionsIdle);
        self.timer.arm_idle(clock::now_ms() + self.settings.options.idle_ms);
        loop {
            match self.input.try_fill_eagerly(&self.stream, &core.buffers) {
                // What was there before the drain is served; what would have to be waited for is not.
                Ok(Read::NotReady) if core.draining.get() => return false,
                Ok(Read::NotReady) => {}
                Ok(Read::Bytes(_)) if self.has_request() => return true,
                Ok(Read::Bytes(_)) => continue,
                Ok(Read::End) | Err(_) => return false,
            }
            self.input.release(&core.buffers);
            match self.stream.readable(&self.timer).await {
                Ok(Waited::Ready) => self.input.expect_bytes(),
                Ok(Waited::Expired) => {
                    if !core.draining.get() {
                        core.stats.reason(Reason::IdleTimeout);
                    }
                    return false;
                }
                Err(_) => return false,
            }
        }
    }

    /// A request that is there as a whole and that a stored answer at hand answers: served without a wait, and without
    /// memory of its own. `None` = it takes the usual way, from the beginning.
    fn exchange_at_once(&mut self) -> Option<Next> {
        let Self { visit, settings, stream, peer, timer, input, empty_lines, unsent, .. } = self;
        let (core, options) = (&visit.front.core, &*settings.options);
        let service = core.service();
        if service.shared.router.key_policies().is_empty() {
            return None;
        }
        let started_us = clock::now_us();
        let mut head = core.take_request_head();
        let mut parser = RequestParser::after_empty_lines(*empty_lines);
        let parsed = parser.parse(input.unread(), &service.shared.limits, &mut head);
        let served = match (parsed, h1::request_framing(&head)) {
            (Ok(Parsed::Complete { head_bytes }), Ok(framing)) if framing.body.is_empty() => {
                let progress = Progress::default();
                let mut client = Client {
                    stream,
                    head: &head,
                    framing,
                    peer: *peer,
                    timer,
                    body_ms: options.body_ms,
                    send_ms: options.send_ms,
                    body: None,
                    progress: &progress,
                    started_us,
                };
                let served = serve_at_once(core, &mut client);
                if !matches!(served, Served::NotNow) {
                    input.consume(head_bytes);
                    *empty_lines = 0;
                }
                served
            }
            _ => Served::NotNow,
        };
        core.give_request_head(head);
        match served {
            Served::Done(next) => Some(next),
            Served::NotNow => None,
            Served::Part(rest) => {
                *unsent = Some(rest);
                None
            }
        }
    }

    /// One request and its response.
    async fn exchange(&mut self) -> Next {
        if let Some(rest) = self.unsent.take() {
            return serve_rest(&self.visit.front.core, &self.stream, &self.timer, self.settings.options.send_ms, *rest)
                .await;
        }
        let Self { visit, settings, stream, peer, timer, input, empty_lines, .. } = self;
        let (core, options) = (&visit.front.core, &*settings.options);
        let started_us = clock::now_us();
        let mut head = core.take_request_head();
        let mut parser = RequestParser::after_empty_lines(std::mem::take(empty_lines));
        let received = receive(core, options, stream, input, timer, &mut parser, &mut head).await;
        let progress = Progress::default();
        let framing = match received {
            Ok(framing) => framing,
            // What was read of the head is all the log can say.
            Err(_) => RequestFraming::last(),
        };
        let body = RequestBody { input, decoder: BodyDecoder::new(framing.body), read: Vec::new() };
        let client = Client {
            stream,
            head: &head,
            framing,
            peer: *peer,
            timer,
            body_ms: options.body_ms,
            send_ms: options.send_ms,
            body: Some(body),
            progress: &progress,
            started_us,
        };
        let next = match received {
            Ok(_) => serve(core, client).await,
            Err(failure) => refuse(core, client, failure).await,
        };
        core.give_request_head(head);
        match next {
            // The next request begins behind the last byte of this body, or nowhere.
            Next::KeepAlive if !progress.body_read.get() && !framing.body.is_empty() => Next::Close { linger: true },
            next => next,
        }
    }

    /// Closes. With `linger`, what the client still sends is read and forgotten until it closes too, or falls silent:
    /// bytes for a closed socket are answered by a reset, and that would destroy what the client has not read yet of the
    /// response (RFC 9112 §9.6).
    async fn close(self, linger: bool) {
        self.stream.shutdown();
        if !linger {
            return;
        }
        let Self { visit, stream, timer, input, .. } = self;
        self::linger(&visit.front.core, &stream, &timer, input, bounds::LINGER_BYTES_MAX).await;
    }

    /// Ends the connection so that what was sent cannot be taken for whole: no goodbye, no FIN.
    fn reset(mut self) {
        self.stream.reset_on_close();
        let buffers = Rc::clone(&self.core().buffers);
        self.input.discard(&buffers);
    }
}

/// Reads and forgets what comes on a connection that is shut down, at most so many bytes.
pub async fn linger(core: &Core, stream: &Stream, timer: &Timer, mut input: Input, most_bytes: usize) {
    input.discard(&core.buffers);
    let last_ms = clock::now_ms() + bounds::LINGER_MS_MAX;
    let mut left = most_bytes;
    while left > 0 && !core.draining.get() {
        let deadline_ms = last_ms.min(clock::now_ms() + bounds::LINGER_SILENCE_MS);
        let wait = Wait { timer, deadline_ms, until: Until::Drained };
        if !matches!(input.fill(stream, &core.buffers, wait).await, Ok(Filled::Bytes)) {
            break;
        }
        left = left.saturating_sub(input.unread().len());
        input.discard(&core.buffers);
    }
    input.discard(&core.buffers);
}

/// Receives a request head and what it says about the body.
async fn receive(
    core: &Core,
    options: &ListenerOptions,
    stream: &Stream,
    input: &mut Input,
    timer: &Timer,
    parser: &mut RequestParser,
    head: &mut RequestHead,
) -> Result<RequestFraming, Failure> {
    let limits = core.service().shared.limits;
    let mut deadline_ms = None;
    loop {
        match parser.parse(input.unread(), &limits, head) {
            Ok(Parsed::Complete { head_bytes }) => {
                input.consume(head_bytes);
                return h1::request_framing(head).map_err(Failure::from);
            }
            Ok(Parsed::Partial) => {}
            Err(reject) => return Err(reject.into()),
        }
        // Rare: most heads come whole. So the wait has a box of its own, and the bytes only the room they need.
        input.shrink(&core.buffers);
        let deadline_ms = *deadline_ms.get_or_insert_with(|| clock::now_ms() + options.head_ms);
        let wait = Wait { timer, deadline_ms, until: Until::Deadline };
        match Box::pin(input.fill(stream, &core.buffers, wait)).await {
            Ok(Filled::Bytes) => {}
            Ok(Filled::End) => return Err(Reason::ClientGone.into()),
            Err(ReadError::Expired) => return Err(Reason::HeadTimeout.into()),
            Err(_) => return Err(Reason::ClientReset.into()),
        }
    }
}
