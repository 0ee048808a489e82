//! The task that keeps one upstream connection of HTTP/2: it drives the session to its end and says how it ended.
//!
//! Nobody waits for it: exchanges hold streams, and find them cut where the session is gone.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::sessions::Sessions;
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::bounds;
use crate::h2::{Connection, End, Limits, Role};
use crate::http::RequestHead;
use crate::log::{CoreLog, Level};
use crate::net::session::{Drive, Ended, Turn};
use crate::net::{Deadlines, Input, Session, Stream, task};
use crate::stats::{CoreStats, Counter, Reason};

/// What of a core a session lives on, and the bounds of its waits.
pub struct Keeper {
    pub buffers: Rc<BufferPool>,
    pub deadlines: Rc<Deadlines>,
    pub stats: Arc<CoreStats>,
    pub log: Rc<CoreLog>,
    pub address: SocketAddr,
    /// How long the peer may take to say its settings, milliseconds.
    pub settle_ms: u64,
    /// How long it may take nothing of what waits to be sent, milliseconds.
    pub send_ms: u64,
}

/// Begins a session over a connection that was just opened.
pub fn begin(transport: Stream, sessions: &Rc<Sessions>, keeper: Keeper) -> Rc<Session> {
    let scheme: &[u8] = if matches!(transport, Stream::Plain(_)) { b"http" } else { b"https" };
    // What a service allows of a head is judged where its text is read.
    let limits = Limits { streams: 0, head_bytes: bounds::HEAD_BYTES_MAX, fields: bounds::FIELDS_MAX };
    let session =
        Session::new(transport, Connection::new(Role::Client { scheme }, limits, clock::now_ms()), &keeper.buffers);
    keeper.stats.inc(Counter::UpstreamHttp2Connections);
    let on_panic = keeper.on_panic(&session, sessions);
    task::spawn(keeper.keep(Rc::clone(&session), Rc::clone(sessions)), on_panic);
    session
}

impl Keeper {
    async fn keep(self, session: Rc<Session>, sessions: Rc<Sessions>) {
        let timer = self.deadlines.timer();
        // Exchanges end in their own time, also while the core drains.
        let never = Cell::new(false);
        let way = Drive {
            timer: &timer,
            settle_ms: self.settle_ms,
            idle_ms: sessions.idle_ms,
            send_ms: self.send_ms,
            draining: &never,
        };
        let mut input = Input::eager();
        // A client is sent no requests.
        let mut head = RequestHead::default();
        let ended = session.drive(way, &mut input, &mut head, |_, _, _| false, |_| Turn::On).await;
        session.transport().shutdown();
        input.discard(&self.buffers);
        sessions.remove(&session);
        if let Ended::Broken(end) = ended {
            self.log.event(Level::Warn, &self.obituary(end, session.is_told()));
        }
    }

    fn obituary(&self, End { code, reason, detail }: End, is_told: bool) -> String {
        let what = if is_told { "ended an HTTP/2 connection" } else { "does not seem to speak HTTP/2" };
        format!("upstream {} {what}: {} ({detail}, {code:?})", self.address, reason.name())
    }

    fn on_panic(&self, session: &Rc<Session>, sessions: &Rc<Sessions>) -> impl FnOnce(&str) + use<> {
        let (stats, log, address) = (Arc::clone(&self.stats), Rc::clone(&self.log), self.address);
        let (session, sessions) = (Rc::clone(session), Rc::clone(sessions));
        move |text: &str| {
            stats.inc(Counter::Panics);
            stats.reason(Reason::Panic);
            log.event(
                Level::Error,
                &format!("a panic ended an HTTP/2 connection to {address}: {text}; please report it"),
            );
            session.abort();
            sessions.remove(&session);
        }
    }
}
