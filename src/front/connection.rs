//! The life of one HTTP/1.1 connection: open, then exchange after exchange, then close.
//!
//! While it waits for a request it holds no buffer and no head; the state of an exchange lives in a box of its own.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::listener::{Settings, Visit};
use super::options::ListenerOptions;
use super::proxy_protocol;
use crate::base::clock;
use crate::bounds;
use crate::h1::{self, BodyDecoder, BodyLength, Parsed, RequestFraming, RequestParser};
use crate::http::RequestHead;
use crate::net::stream::HandshakeError;
use crate::net::{Filled, Input, ReadError, Socket, Stream, Timer, Wait};
use crate::proxy::exchange::{Progress, RequestBody};
use crate::proxy::failure::Failure;
use crate::proxy::{Client, Core, Next, Peer, refuse, serve};
use crate::stats::{Counter, Gauge, Reason};
use crate::tls::records::Records;

/// Serves one connection to its end.
pub async fn run(visit: Visit, settings: Rc<Settings>, fd: OwnedFd, peer: SocketAddr) {
    let core = &visit.front.core;
    let timer = core.deadlines.timer();
    let Ok(socket) = Socket::new(fd) else { return };
    let (stream, peer) = match Box::pin(open(&visit, &settings, socket, peer, &timer)).await {
        Ok(opened) => opened,
        Err(reason) => {
            core.stats.reason(reason);
            return;
        }
    };
    let options = &*settings.options;
    let mut input = Input::eager();
    while await_request(core, options, &stream, &mut input, &timer).await {
        let next = Box::pin(exchange(core, options, &stream, &mut input, &timer, peer)).await;
        if let Next::Close { linger } = next {
            Box::pin(close(core, &stream, &mut input, &timer, linger)).await;
            return;
        }
    }
    input.discard(&core.buffers);
    stream.shutdown();
}

/// Waits for the first byte of a request; `false` = the connection is over: silent for too long, closed, or drained.
async fn await_request(
    core: &Core,
    options: &ListenerOptions,
    stream: &Stream,
    input: &mut Input,
    timer: &Timer,
) -> bool {
    if !input.is_empty() {
        return true;
    }
    input.release(&core.buffers);
    if core.draining.get() {
        return false;
    }
    core.stats.gauge(Gauge::ConnectionsIdle, 1);
    let deadline_ms = clock::now_ms() + options.idle_ms;
    let filled = input.fill(stream, &core.buffers, Wait { timer, deadline_ms, watch: None, idle: true }).await;
    core.stats.gauge(Gauge::ConnectionsIdle, -1);
    if matches!(filled, Err(ReadError::Expired)) && !core.draining.get() {
        core.stats.reason(Reason::IdleTimeout);
    }
    matches!(filled, Ok(Filled::Bytes))
}

/// One request and its response.
async fn exchange(
    core: &Core,
    options: &ListenerOptions,
    stream: &Stream,
    input: &mut Input,
    timer: &Timer,
    peer: Peer,
) -> Next {
    let started_us = clock::now_us();
    let mut head = core.take_request_head();
    let received = receive(core, options, stream, input, timer, &mut head).await;
    let progress = Progress::default();
    let framing = match received {
        Ok(framing) => framing,
        // What was read of the head is all the log can say.
        Err(_) => RequestFraming { body: BodyLength::None, keep_alive: false, expect_continue: false, upgrade: false },
    };
    let body = RequestBody { input, decoder: BodyDecoder::new(framing.body) };
    let client = Client {
        stream,
        head: &head,
        framing,
        peer,
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

/// Receives a request head and what it says about the body.
async fn receive(
    core: &Core,
    options: &ListenerOptions,
    stream: &Stream,
    input: &mut Input,
    timer: &Timer,
    head: &mut RequestHead,
) -> Result<RequestFraming, Failure> {
    let limits = core.service().shared.limits;
    let deadline_ms = clock::now_ms() + options.head_ms;
    let mut parser = RequestParser::default();
    loop {
        match parser.parse(input.unread(), &limits, head) {
            Ok(Parsed::Complete { head_bytes }) => {
                input.consume(head_bytes);
                return h1::request_framing(head).map_err(Failure::from);
            }
            Ok(Parsed::Partial) => {}
            Err(reject) => return Err(reject.into()),
        }
        match input.fill(stream, &core.buffers, Wait { timer, deadline_ms, watch: None, idle: false }).await {
            Ok(Filled::Bytes) => {}
            Ok(Filled::End) => return Err(Reason::ClientGone.into()),
            Err(ReadError::Expired) => return Err(Reason::HeadTimeout.into()),
            Err(_) => return Err(Reason::ClientReset.into()),
        }
    }
}

/// Opens the connection: PROXY protocol where the listener wants it, then TLS where it speaks it.
async fn open(
    visit: &Visit,
    settings: &Settings,
    socket: Socket,
    peer: SocketAddr,
    timer: &Timer,
) -> Result<(Stream, Peer), Reason> {
    let core = &visit.front.core;
    let mut peer = Peer { address: peer, tls: settings.tls.is_some() };
    timer.arm(clock::now_ms() + settings.options.handshake_ms);
    if settings.options.proxy_protocol {
        let named = proxy_protocol::receive(&socket, timer).await.ok_or(Reason::ProxyProtocolBad)?;
        peer.address = named.unwrap_or(peer.address);
    }
    let Some(tls) = &settings.tls else {
        timer.disarm();
        return Ok((Stream::Plain(socket), peer));
    };
    let _handshake = Handshake::begin(visit).ok_or(Reason::HandshakeOverload)?;
    let records = Records::server(tls.clone()).map_err(|_| Reason::HandshakeFailed)?;
    let stream = Stream::tls(socket, records);
    let outcome = stream.handshake(timer, &core.buffers).await;
    timer.disarm();
    match outcome {
        Ok(()) => {
            core.stats.inc(Counter::TlsHandshakes);
            if stream.resumed() {
                core.stats.inc(Counter::TlsResumptions);
            }
            Ok((stream, peer))
        }
        Err(HandshakeError::Expired) => Err(Reason::HandshakeTimeout),
        Err(_) => Err(Reason::HandshakeFailed),
    }
}

/// A TLS handshake in the count of those in progress.
struct Handshake<'a> {
    visit: &'a Visit,
}

impl<'a> Handshake<'a> {
    /// `None` = there are too many already.
    fn begin(visit: &'a Visit) -> Option<Self> {
        let count = &visit.front.handshakes;
        if count.get() >= bounds::HANDSHAKES_MAX {
            return None;
        }
        count.set(count.get() + 1);
        visit.front.core.stats.gauge(Gauge::HandshakesActive, 1);
        Some(Self { visit })
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let count = &self.visit.front.handshakes;
        count.set(count.get().saturating_sub(1));
        self.visit.front.core.stats.gauge(Gauge::HandshakesActive, -1);
    }
}

/// Closes. With `linger`, what the client still sends is read and forgotten for a while: unread bytes would turn our
/// close into a reset, and that would destroy the response on its way (RFC 9112 §9.6).
async fn close(core: &Core, stream: &Stream, input: &mut Input, timer: &Timer, linger: bool) {
    input.discard(&core.buffers);
    stream.shutdown();
    if !linger {
        return;
    }
    let deadline_ms = clock::now_ms() + bounds::DRAIN_MS_MAX;
    let mut left = bounds::LINGER_BYTES_MAX;
    while left > 0 {
        let wait = Wait { timer, deadline_ms, watch: None, idle: false };
        if !matches!(input.fill(stream, &core.buffers, wait).await, Ok(Filled::Bytes)) {
            break;
        }
        left = left.saturating_sub(input.unread().len());
        input.discard(&core.buffers);
    }
}
