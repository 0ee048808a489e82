//! Opening a connection: PROXY protocol where the listener wants it, then TLS where it speaks it, within one deadline.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::connection::Connection;
use super::listener::{Settings, Visit};
use super::proxy_protocol;
use crate::base::clock;
use crate::bounds;
use crate::net::ready::Waited;
use crate::net::stream::HandshakeError;
use crate::net::{Input, Socket, Stream, Timer, task};
use crate::proxy::Peer;
use crate::stats::{Counter, Gauge, Reason};
use crate::tls::records::Records;

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
    let timer = visit.front.core.deadlines.timer();
    timer.arm(clock::now_ms() + settings.options.handshake_ms);
    let mut peer = Peer { address: peer, socket: peer, tls: settings.tls.is_some() };
    let opened = stream(&visit, &settings, fd, &mut peer, &timer).await;
    timer.disarm();
    match opened {
        Ok(stream) => Some(Connection { visit, settings, stream, peer, timer, input: Input::eager(), empty_lines: 0 }),
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
    timer: &Timer,
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
    config: &std::sync::Arc<rustls::ServerConfig>,
    socket: Socket,
    timer: &Timer,
) -> Result<Stream, Reason> {
    // A silent connection takes no place among the handshakes: a few hundred of them would keep everybody out.
    if !matches!(socket.readable(timer).await, Ok(Waited::Ready)) {
        return Err(Reason::HandshakeTimeout);
    }
    let _place = Handshake::begin(visit, timer).await.ok_or(Reason::HandshakeOverload)?;
    let core = &visit.front.core;
    let records = Records::server(config.clone()).map_err(|_| Reason::HandshakeFailed)?;
    let stream = Stream::tls(socket, records);
    match stream.handshake(timer, &core.buffers).await {
        Ok(()) => {
            core.stats.inc(Counter::TlsHandshakes);
            if stream.resumed() {
                core.stats.inc(Counter::TlsResumptions);
            }
            Ok(stream)
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
    /// Waits for a free place; `None` = there was none in time.
    async fn begin(visit: &'a Visit, timer: &Timer) -> Option<Self> {
        let count = &visit.front.handshakes;
        while count.get() >= bounds::HANDSHAKES_MAX {
            if timer.has_fired() {
                return None;
            }
            task::pause(bounds::HANDSHAKE_PAUSE_MS).await;
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
