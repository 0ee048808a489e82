//! Listeners of one core: accepting, the bound on connections, stopping without losing anybody who was accepted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::asked::Line;
use super::connection::{self, Newcomer};
use super::options::ListenerOptions;
use crate::base::clock;
use crate::bounds;
use crate::log::Level;
use crate::net::listen::{self, Accepted, Acceptor};
use crate::net::ready::Waited;
use crate::net::{Timer, task};
use crate::policy::limit::Asker;
use crate::proxy::Core;
use crate::stats::{Counter, Gauge, Reason};

/// What all listeners of a core share.
pub struct Front {
    pub core: Rc<Core>,
    /// Connections open now.
    open: Cell<usize>,
    /// Invariant: `open <= open_max`.
    open_max: usize,
    /// Whose requests are begun next.
    pub(super) line: Rc<Line>,
    /// The timers of TLS handshakes in progress, oldest first; at most [`bounds::HANDSHAKES_MAX`].
    pub(super) handshakes: RefCell<VecDeque<Rc<Timer>>>,
}

/// One listening socket of one core.
pub struct Listener {
    acceptor: Acceptor,
    settings: RefCell<Rc<Settings>>,
    /// Never armed: fired to stop.
    wake: Timer,
    stopped: Cell<bool>,
    emptied: Cell<bool>,
}

/// What a new connection is treated by; a running one keeps what it began with.
pub struct Settings {
    pub options: Arc<ListenerOptions>,
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Settings {
    /// The options with this core's own copy of the TLS configuration.
    fn of(options: Arc<ListenerOptions>) -> Rc<Self> {
        let tls = options.tls.as_ref().map(crate::tls::server::ServerTls::per_core);
        Rc::new(Self { options, tls })
    }
}

impl Front {
    /// The front of a core that takes at most `open_max` connections.
    pub fn new(core: Rc<Core>, open_max: usize) -> Rc<Self> {
        Rc::new(Self { core, open: Cell::new(0), open_max, line: Rc::default(), handshakes: RefCell::default() })
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Whether this address has not connected too often.
    fn may_arrive(&self, settings: &Settings, peer: SocketAddr) -> bool {
        let Some(limit) = &settings.options.arrivals else { return true };
        let asker = Asker { address: peer.ip().to_canonical(), caller: None, route: "", head: None };
        limit.lets_in(self.core.desk(clock::now_us()), &asker)
    }

    fn admit(self: &Rc<Self>, listener: &Listener, fd: OwnedFd, peer: SocketAddr) {
        let core = &self.core;
        core.stats.inc(Counter::ConnectionsAccepted);
        if self.open.get() >= self.open_max {
            core.stats.inc(Counter::ConnectionsRefused);
            core.stats.reason(Reason::ConnectionLimit);
            listen::refuse(fd);
            return;
        }
        let settings = Rc::clone(&listener.settings.borrow());
        if !self.may_arrive(&settings, peer) {
            core.stats.inc(Counter::ConnectionsRefused);
            core.stats.reason(Reason::ConnectionRate);
            listen::refuse(fd);
            return;
        }
        let visit = Visit::new(Rc::clone(self));
        let on_panic = {
            let core = Rc::clone(core);
            move |text: &str| {
                core.stats.inc(Counter::Panics);
                core.stats.reason(Reason::Panic);
                core.log
                    .event(Level::Error, &format!("a panic ended the connection of {peer}: {text}; please report it"));
            }
        };
        task::spawn(connection::run(Box::new(Newcomer { visit, settings, fd, peer })), on_panic);
    }
}

/// One open connection in the count; leaves it when dropped, however the connection ends.
pub struct Visit {
    pub front: Rc<Front>,
}

impl Visit {
    fn new(front: Rc<Front>) -> Self {
        front.open.set(front.open.get() + 1);
        front.core.stats.gauge(Gauge::ConnectionsOpen, 1);
        Self { front }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.front.open.set(self.front.open.get().saturating_sub(1));
        self.front.core.stats.gauge(Gauge::ConnectionsOpen, -1);
    }
}

impl Listener {
    /// Starts to accept on `socket`.
    ///
    /// # Errors
    /// Those of registering the socket with the driver.
    pub fn start(front: &Rc<Front>, options: Arc<ListenerOptions>, socket: TcpListener) -> io::Result<Rc<Self>> {
        let listener = Rc::new(Self {
            acceptor: Acceptor::new(socket)?,
            settings: RefCell::new(Settings::of(options)),
            wake: front.core.deadlines.timer(),
            stopped: Cell::new(false),
            emptied: Cell::new(false),
        });
        let accepting = accept(Rc::clone(front), Rc::clone(&listener));
        let core = Rc::clone(&front.core);
        task::spawn(accepting, move |text| {
            // Without this task the core would be deaf: the worker's end is the process's end.
            core.log.event(Level::Error, &format!("accepting failed: {text}"));
            core.log.flush();
            std::process::abort();
        });
        Ok(listener)
    }

    /// New connections are treated by `options` from now on.
    pub fn adopt(&self, options: Arc<ListenerOptions>) {
        self.settings.replace(Settings::of(options));
    }

    /// Stops accepting, after those that the kernel has accepted already.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.wake.fire_now();
    }

    /// Whether it has stopped, and those in its queue are accepted.
    pub fn is_emptied(&self) -> bool {
        self.emptied.get()
    }
}

/// The accept loop. Readiness carries no connection, so nothing is lost when it ends.
async fn accept(front: Rc<Front>, listener: Rc<Listener>) {
    let mut starving = false;
    while !listener.stopped.get() {
        let waited = listener.acceptor.wait(&listener.wake).await;
        let more = match waited {
            Ok(Waited::Ready) => accept_burst(&front, &listener, bounds::ACCEPTS_PER_WAKE),
            Ok(Waited::Expired) => Ok(false),
            Err(error) => Err(error),
        };
        match more {
            // Readiness alone gives nobody else a turn where there is always one more to accept.
            Ok(true) => task::pause(1).await,
            Ok(false) => starving = false,
            Err(error) => {
                if !starving {
                    let text =
                        format!("accepting failed: {error}; new connections wait, raise the limit on open files");
                    front.core.log.event(Level::Warn, &text);
                }
                starving = true;
                task::pause(bounds::ACCEPT_PAUSE_MS).await;
            }
        }
    }
    // The queue is emptied: closing the socket would reset those in it.
    let _ = accept_burst(&front, &listener, listen::BACKLOG);
    listener.emptied.set(true);
}

/// Takes up to `most` connections; whether there may be more.
fn accept_burst(front: &Rc<Front>, listener: &Listener, most: usize) -> io::Result<bool> {
    for _ in 0..most {
        match listener.acceptor.try_accept()? {
            Accepted::Connection(fd, peer) => front.admit(listener, fd, peer),
            Accepted::Gone => {}
            Accepted::Empty => return Ok(false),
        }
    }
    Ok(true)
}
