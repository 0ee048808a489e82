//! The origin of the tests. `Origin` is played by the test itself, connection by connection and byte by byte;
//! `Serving` answers in the background and records what it got.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::WAIT;
use super::message::{Framing, Request};
use super::wire::{Connection, Wire};

/// An origin whose every step is a line of the test.
pub struct Origin {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    accepted: AtomicUsize,
}

impl Origin {
    /// A plain origin on a port chosen by the system.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback listener");
        Self { listener, tls: None, accepted: AtomicUsize::new(0) }
    }

    /// An origin that speaks TLS.
    pub fn tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self { tls: Some(config), ..Self::new() }
    }

    /// Another taker of the same connections.
    pub fn share(&self) -> Self {
        let listener = self.listener.try_clone().expect("a second handle");
        Self { listener, tls: self.tls.clone(), accepted: AtomicUsize::new(0) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a listener has an address")
    }

    /// Its URL without a path.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// The next connection.
    #[track_caller]
    pub fn accept(&self) -> Connection {
        assert!(readable(&self.listener, WAIT), "the gateway should have connected");
        let (tcp, _) = self.listener.accept().expect("a connection");
        self.accepted.fetch_add(1, Ordering::Relaxed);
        match &self.tls {
            None => Connection::new(Wire::Plain(tcp)),
            Some(config) => {
                let tls = rustls::ServerConnection::new(config.clone()).expect("a server connection");
                Connection::new(Wire::Server(Box::new(rustls::StreamOwned::new(tls, tcp))))
            }
        }
    }

    /// The next connection and the request on it.
    #[track_caller]
    pub fn accept_request(&self) -> (Connection, Request) {
        let mut connection = self.accept();
        let request = connection.read_request();
        (connection, request)
    }

    /// The next request, wherever it comes: on this kept connection or on a new one.
    #[track_caller]
    pub fn accept_request_on(&self, kept: &mut Connection) -> (Option<Connection>, Request) {
        if readable_either(kept.tcp(), self) {
            return (None, kept.read_request());
        }
        let (connection, request) = self.accept_request();
        (Some(connection), request)
    }

    /// Asserts that no connection waits to be accepted.
    #[track_caller]
    pub fn expect_no_connection(&self) {
        assert!(!readable(&self.listener, Duration::ZERO), "the gateway connected once more");
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Turns into an origin that answers by itself.
    pub fn serve<R: Into<Reply>>(self, answer: impl Fn(&Request) -> R + Send + Sync + 'static) -> Serving {
        Serving::start(self, Arc::new(move |request: &Request| answer(request).into()))
    }
}

/// What a serving origin sends, and whether it closes the connection behind it.
pub struct Reply {
    pub bytes: Vec<u8>,
    pub close: bool,
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, close: false }
    }
}

/// A port that belongs to the test and where nobody listens: connecting to it is refused. The socket is bound with
/// SO_REUSEPORT, so a gateway (or an origin of the test) may listen there without a race for the number.
pub struct ReservedPort {
    _socket: rustix::fd::OwnedFd,
    pub address: SocketAddr,
}

impl ReservedPort {
    /// A port chosen by the system.
    pub fn new() -> Self {
        let socket = bound("127.0.0.1:0".parse().expect("an address"));
        let address = rustix::net::getsockname(&socket).expect("a bound socket has a name");
        Self { _socket: socket, address: address.try_into().expect("an IPv4 address") }
    }

    /// An origin on this port.
    pub fn listen(&self) -> Origin {
        let socket = bound(self.address);
        rustix::net::listen(&socket, 64).expect("listen");
        Origin { listener: TcpListener::from(socket), tls: None, accepted: AtomicUsize::new(0) }
    }

    /// An origin on this port that speaks TLS.
    pub fn listen_tls(&self, config: Arc<rustls::ServerConfig>) -> Origin {
        Origin { tls: Some(config), ..self.listen() }
    }

    /// A listener whose queue is full, so that connecting to it takes until the caller gives up.
    pub fn deaf() -> (Self, Vec<TcpStream>) {
        let port = Self::new();
        rustix::net::listen(&port._socket, 0).expect("listen");
        let connect = || TcpStream::connect_timeout(&port.address, Duration::from_millis(150));
        let fillers = std::iter::from_fn(|| connect().ok()).take(16).collect();
        (port, fillers)
    }

    /// Takes the connections in the queue of a deaf port until none comes for so long.
    #[track_caller]
    pub fn accept_until_silent(&self, ms: u64) -> Vec<Connection> {
        let waiting = || readable(&self._socket, Duration::from_millis(ms));
        let accept = || TcpStream::from(rustix::net::accept(&self._socket).expect("a connection"));
        std::iter::from_fn(|| waiting().then(|| Connection::new(Wire::Plain(accept())))).collect()
    }
}

fn bound(address: SocketAddr) -> rustix::fd::OwnedFd {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("SO_REUSEADDR");
    sockopt::set_socket_reuseport(&socket, true).expect("SO_REUSEPORT");
    bind(&socket, &address).expect("bind");
    socket
}

/// Whether the socket can be read (or accepted from) within `wait`.
pub fn readable(socket: &impl rustix::fd::AsFd, wait: Duration) -> bool {
    let wait = rustix::time::Timespec::try_from(wait).expect("a short wait");
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&wait)).expect("poll") > 0
}

/// An origin that answers every whole request in the background.
pub struct Serving {
    address: SocketAddr,
    url: String,
    record: Arc<Record>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Record {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    stop: AtomicBool,
}

type Answer = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

impl Serving {
    fn start(origin: Origin, answer: Answer) -> Self {
        let record = Arc::new(Record::default());
        let (address, url) = (origin.address(), origin.url());
        let shared = record.clone();
        let thread = std::thread::spawn(move || {
            while !shared.stop.load(Ordering::Acquire) {
                if !readable(&origin.listener, WAIT) {
                    continue;
                }
                let connection = origin.accept();
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (shared, answer) = (shared.clone(), answer.clone());
                std::thread::spawn(move || serve_connection(connection, &shared, &answer));
            }
        });
        Self { address, url, record, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL without a path.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Takes the requests recorded since the last call, in the order they were whole.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.record.requests.lock().expect("no test thread panicked"))
    }

    /// Connections it has accepted.
    pub fn connections(&self) -> usize {
        self.record.connections.load(Ordering::Relaxed)
    }

    /// Connections that are still open.
    pub fn open(&self) -> usize {
        self.record.open.load(Ordering::Relaxed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.record.stop.store(true, Ordering::Release);
        // Wakes the accepting thread; when it cannot be reached it has ended already.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Serves one connection until the peer leaves. A request that is cut, or not strict, is never recorded as one.
fn serve_connection(mut connection: Connection, record: &Record, answer: &Answer) {
    record.open.fetch_add(1, Ordering::Relaxed);
    connection.tcp().set_read_timeout(Some(Duration::from_secs(20))).expect("read timeout");
    while let Ok(head) = connection.try_head() {
        let mut request = Request::of(head);
        let framing = request.head.framing();
        request.body = connection.body(framing.clone().unwrap_or(Framing::Unsaid), false);
        if request.body.cut.is_some() {
            break;
        }
        if framing.is_err() {
            request.method = "AMBIGUOUS".to_owned();
        }
        let reply = answer(&request);
        record.requests.lock().expect("no test thread panicked").push(request);
        match connection.try_send(&reply.bytes) {
            Ok(()) if reply.close => break,
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    record.open.fetch_sub(1, Ordering::Relaxed);
}

/// Waits until a kept connection has bytes (true) or a new one waits to be accepted (false).
#[track_caller]
pub fn readable_either(kept: &TcpStream, origin: &Origin) -> bool {
    let wait = rustix::time::Timespec::try_from(WAIT).expect("a short wait");
    let mut both = [PollFd::new(kept, PollFlags::IN), PollFd::new(&origin.listener, PollFlags::IN)];
    assert!(poll(&mut both, Some(&wait)).expect("poll") > 0, "neither a request nor a connection came");
    let kept_has_bytes = kept.peek(&mut [0]).is_ok_and(|n| n > 0);
    both[0].revents().contains(PollFlags::IN) && kept_has_bytes
}

/// Whether a connection comes within so many milliseconds.
pub fn readable_within(origin: &Origin, ms: u64) -> bool {
    readable(&origin.listener, Duration::from_millis(ms))
}

/// Lets so many milliseconds pass: the pace of a peer that sends or reads slowly, never a way to wait for something.
pub fn pace(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
