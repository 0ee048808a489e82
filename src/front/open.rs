//! Opening a connection: PROXY protocol where the listener wants it, then TLS where it speaks it, within one deadline.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::connection::Connection;
use super::listener::{Settings, Visit};
use super::proxy_protocol;
use crate::base::clock;
use crate::bounds;
use crate::net::ready::Waited;
use crate::net::stream::HandshakeError;
use crate::net::{Input, Read, Socket, Stream, Timer};
use crate::proxy::Peer;
use crate::stats::{Counter, Gauge, Held, Reason};
use crate::tls::records::{HANDSHAKE_RECORD, HEADER_BYTES, Records, record_bytes};

/// A connection that was accepted and has not said a word.
pub struct Newcomer {
    pub visit: Visit,
    pub settings: Rc<Settings>,
    pub fd: OwnedFd,
    pub peer: SocketAddr,
}

/// Opens the connection; `None` = it came to nothing, which is counted by its reason.
pub async fn open(newcomer: Box<Newcomer>) -> Option<Connection> {
    let Newcomer { visit, settings, fd, peer } = *newcomer;
    let patience = Rc::new(visit.front.core.deadlines.timer());
    // Nobody has asked for anything yet: a drain ends this at once.
    patience.arm_idle(clock::now_ms() + settings.options.handshake_ms);
    let mut peer = Peer { address: peer, socket: peer, tls: settings.tls.is_some() };
    let opened = stream(&visit, &settings, fd, &mut peer, &patience).await;
    drop(patience);
    let timer = visit.front.core.deadlines.timer();
    match opened {
        Ok(stream) => Some(Connection {
            visit,
            settings,
            stream,
            peer,
            timer,
            input: Input::eager(),
            empty_lines: 0,
            beat: 0,
            beat_exchanges: 0,
            unsent: None,
        }),
        Err(reason) => {
            visit.front.core.stats.reason(reason);
            None
        }
    }
}

async fn stream(
    visit: &Visit,
    settings: &Settings,
    fd: OwnedFd,
    peer: &mut Peer,
    timer: &Rc<Timer>,
) -> Result<Stream, Reason> {
    let socket = Socket::new(fd).map_err(|_| Reason::Internal)?;
    if settings.options.proxy_protocol {
        let named = proxy_protocol::receive(&socket, timer).await.ok_or(Reason::ProxyProtocolBad)?;
        peer.address = named.unwrap_or(peer.address);
    }
    match &settings.tls {
        None => Ok(Stream::Plain(socket)),
        Some(config) => secure(visit, config, socket, timer).await,
    }
}

async fn secure(
    visit: &Visit,
    config: &Arc<rustls::ServerConfig>,
    socket: Socket,
    timer: &Rc<Timer>,
) -> Result<Stream, Reason> {
    let core = &visit.front.core;
    // Whoever has not said hello takes no place among the handshakes: a few hundred such would keep everybody out.
    let hello = hello(&socket, timer).await.ok_or(Reason::HandshakeTimeout)?;
    let _place = Place::take(visit, timer);
    let mut records = Records::server(config.clone()).map_err(|_| Reason::HandshakeFailed)?;
    let fed = records.feed(&hello);
    let stream = Stream::tls(socket, records);
    if fed.is_err() {
        // The alert, if there is one for the peer.
        stream.shutdown();
        return Err(Reason::HandshakeFailed);
    }
    match stream.handshake(timer, &core.buffers).await {
        Ok(()) => {
            core.stats.inc(Counter::TlsHandshakes);
            if stream.resumed() {
                core.stats.inc(Counter::TlsResumptions);
            }
            Ok(stream)
        }
        Err(HandshakeError::Expired) if timer.was_displaced() => Err(Reason::HandshakeOverload),
        Err(HandshakeError::Expired) => Err(Reason::HandshakeTimeout),
        Err(_) => Err(Reason::HandshakeFailed),
    }
}

/// The first record of a TLS connection, as a whole, and what came with it; or whatever is no TLS record, for the
/// handshake to refuse. `None` = the peer was silent or left.
async fn hello(socket: &Socket, timer: &Timer) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HELLO_BYTES_USUAL);
    loop {
        if !matches!(socket.readable(timer).await, Ok(Waited::Ready)) {
            return None;
        }
        if bytes.len() == bytes.capacity() {
            bytes.reserve(HELLO_BYTES_USUAL);
        }
        match socket.try_read(&mut bytes) {
            Ok(Read::End) | Err(_) => return None,
            Ok(Read::NotReady | Read::Bytes(_)) => {}
        }
        if is_enough(&bytes) {
            return Some(bytes);
        }
    }
}

/// Whether the first record is there as a whole, or what is there is no TLS record.
fn is_enough(bytes: &[u8]) -> bool {
    match bytes.first_chunk::<HEADER_BYTES>() {
        Some(header @ [HANDSHAKE_RECORD, ..]) => {
            let whole = record_bytes(header);
            bytes.len() >= whole.min(bounds::CLIENT_HELLO_BYTES_MAX)
        }
        Some(_) => true,
        None => bytes.first().is_some_and(|first| *first != HANDSHAKE_RECORD),
    }
}

/// Room for a usual ClientHello; a larger one grows.
const HELLO_BYTES_USUAL: usize = 2 * 1024;

/// A TLS handshake in the list of those in progress, oldest first.
struct Place<'a> {
    visit: &'a Visit,
    timer: Rc<Timer>,
    _held: Held<'a>,
}

impl<'a> Place<'a> {
    /// Takes a place. Where all are taken, the oldest handshake gives its own up: it is the one most likely to stall.
    fn take(visit: &'a Visit, timer: &Rc<Timer>) -> Self {
        let mut places = visit.front.handshakes.borrow_mut();
        let oldest = if places.len() >= bounds::HANDSHAKES_MAX { places.pop_front() } else { None };
        places.push_back(Rc::clone(timer));
        drop(places);
        if let Some(oldest) = oldest {
            oldest.displace();
        }
        let held = visit.front.core.stats.hold(Gauge::HandshakesActive);
        Self { visit, timer: Rc::clone(timer), _held: held }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.visit.front.handshakes.borrow_mut().retain(|timer| !Rc::ptr_eq(timer, &self.timer));
    }
}
