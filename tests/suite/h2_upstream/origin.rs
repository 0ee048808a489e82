//! The HTTP/2 origin of the tests: in clear by prior knowledge, or over TLS with an ALPN list of its own.
//!
//! Played by the test frame by frame ([`H2Origin::accept`]), or answering whole requests in the background
//! ([`H2Origin::serve`]), where it also records what it got on which connection.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::h2::frames::*;
use super::super::harness::origin::readable_within;
use super::super::harness::wire::Wire;
use super::super::harness::*;

/// An origin that speaks HTTP/2.
pub struct H2Origin {
    origin: Origin,
    settings: Vec<(u16, u32)>,
    is_tls: bool,
}

impl config::Endpoint for H2Origin {
    fn endpoint(&self) -> String {
        self.origin.url()
    }
}

/// What the upstream has to say to reach an origin in clear, and one over TLS.
pub const CLEAR: &str = "protocol = \"h2c\"";
pub const SECURE: &str = "insecure = true";

impl H2Origin {
    /// In clear, by prior knowledge.
    pub fn clear() -> Self {
        Self { origin: Origin::new(), settings: Vec::new(), is_tls: false }
    }

    /// Over TLS; it chooses from these protocols.
    pub fn tls(alpn: &[&str]) -> Self {
        Self { origin: tls_origin(alpn), settings: Vec::new(), is_tls: true }
    }

    /// One of each kind.
    pub fn both() -> [Self; 2] {
        [Self::clear(), Self::tls(&["h2"])]
    }

    /// What it says in its first SETTINGS.
    pub fn settings(self, settings: &[(u16, u32)]) -> Self {
        Self { settings: settings.to_vec(), ..self }
    }

    /// A configuration that sends everything here, over HTTP/2.
    pub fn config(&self) -> Config {
        Config::to(self).upstream(if self.is_tls { SECURE } else { CLEAR })
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        self.origin.address().to_string()
    }

    /// The next connection; SETTINGS are exchanged and acknowledged, windows are opened as bytes come.
    #[track_caller]
    pub fn accept(&self) -> H2 {
        let mut h2 = self.accept_held();
        h2.updates = true;
        h2
    }

    /// The same with windows that only the test opens.
    #[track_caller]
    pub fn accept_held(&self) -> H2 {
        let mut h2 = H2::accept_with(&self.origin, &self.settings);
        settled(&mut h2);
        assert_eq!(h2.settings.get(&ENABLE_PUSH), Some(&0), "RFC 9113 §6.5.2: nobody here takes pushed answers");
        h2
    }

    /// The next connection, nothing said or read on it.
    #[track_caller]
    pub fn accept_raw(&self) -> Connection {
        self.origin.accept()
    }

    /// The next connection and the request on it, whole.
    #[track_caller]
    pub fn accept_request(&self) -> (H2, Message) {
        let mut h2 = self.accept();
        let request = whole_request(&mut h2);
        (h2, request)
    }

    /// Whether a connection comes within so many milliseconds.
    pub fn is_asked_within(&self, ms: u64) -> bool {
        readable_within(&self.origin, ms)
    }

    /// Asserts that no connection waits to be accepted.
    #[track_caller]
    pub fn expect_no_connection(&self) {
        self.origin.expect_no_connection();
    }

    /// Answers whole requests in the background.
    pub fn serve(self, answer: impl Fn(&Message) -> Answer + Send + Sync + 'static) -> H2Serving {
        H2Serving::start(self, Arc::new(answer))
    }
}

/// An origin over TLS with this ALPN list; empty = it knows nothing of ALPN.
pub fn tls_origin(alpn: &[&str]) -> Origin {
    let mut config = Arc::unwrap_or_clone(Authority::new().pair(&["127.0.0.1"]).server());
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Origin::tls(Arc::new(config))
}

/// What ALPN has chosen on a connection of an origin.
#[track_caller]
pub fn chosen(connection: &Connection) -> Option<String> {
    let Wire::Server(tls) = &connection.wire else { panic!("a TLS server") };
    tls.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Waits until the peer has acknowledged the SETTINGS sent last.
#[track_caller]
pub fn settled(h2: &mut H2) {
    h2.wait("the acknowledgement of SETTINGS", |f| f.kind == SETTINGS && f.has(ACK));
}

/// Sends SETTINGS and waits until the peer has acknowledged them.
#[track_caller]
pub fn settle(h2: &mut H2, settings: &[(u16, u32)]) {
    h2.settings(settings);
    settled(h2);
}

/// The next request, which is whole.
#[track_caller]
pub fn whole_request(h2: &mut H2) -> Message {
    let request = h2.next_request();
    assert_eq!(request.ending, Ending::Whole, "{request:?}");
    request
}

/// The rest of an answer whose head was taken before.
#[track_caller]
pub fn rest_of(h2: &mut H2, stream: u32) -> Message {
    let mut message = Message::of(stream);
    message.fields = vec![(":status".to_owned(), "200".to_owned())];
    h2.finish_message(message)
}

/// `METHOD path`.
#[track_caller]
pub fn brief(request: &Message) -> String {
    format!("{} {}", request.field(":method").unwrap_or_default(), request.field(":path").unwrap_or_default())
}

/// RST_STREAM comes for this stream; its code.
#[track_caller]
pub fn reset_of(h2: &mut H2, stream: u32) -> u32 {
    h2.wait("RST_STREAM", |f| f.kind == RST_STREAM && f.stream == stream).number()
}

/// Says GOAWAY on a connection whose streams have ended, and waits until the gateway has closed it.
#[track_caller]
pub fn goodbye(mut h2: H2) {
    h2.try_send_all(&[Frame::goaway(WINDOW_MAX, NO_ERROR)]);
    h2.expect_end();
}

/// Whether the connection lives: its peer answers PING.
pub fn is_alive(h2: &mut H2, opaque: u64) -> bool {
    h2.try_send_all(&[Frame::ping(opaque)]);
    h2.try_wait(|f| *f == Frame::ping_ack(opaque)).is_ok()
}

/// Where a request goes: on a kept connection, or on a new one.
#[track_caller]
pub fn next_request_on(origin: &H2Origin, kept: &mut H2) -> (Option<H2>, Message) {
    let of_request = |f: &Frame| f.kind == HEADERS && f.fields.iter().any(|(name, _)| name == ":method");
    let begun = now_ms();
    loop {
        if kept.has_come(of_request) {
            return (None, whole_request(kept));
        }
        if readable_within(&origin.origin, 2) {
            let (h2, request) = origin.accept_request();
            return (Some(h2), request);
        }
        assert!(now_ms() - begun < WAIT.as_millis() as u64, "no request came; {}", kept.kept_brief());
    }
}

/// What a serving origin answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    reset: Option<u32>,
    unmeasured: bool,
}

impl Answer {
    /// A 200 with a length.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self { fields: vec![(":status".to_owned(), status.to_string())], ..Self::default() }
    }

    /// RST_STREAM instead of an answer.
    pub fn reset(code: u32) -> Self {
        Self { reset: Some(code), ..Self::default() }
    }

    /// One more field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more trailer field.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without Content-Length.
    pub fn unmeasured(self) -> Self {
        Self { unmeasured: true, ..self }
    }

    /// Sends it. The error says how the connection ended.
    fn send(&self, h2: &mut H2, stream: u32, to_head: bool) -> Result<(), End> {
        if let Some(code) = self.reset {
            h2.try_send_all(&[Frame::reset(stream, code)]);
            return Ok(());
        }
        let mut fields = self.fields.clone();
        let bodiless = matches!(self.fields[0].1.as_str(), "204" | "304");
        if !self.unmeasured && !bodiless {
            fields.push(("content-length".to_owned(), self.body.len().to_string()));
        }
        let body: &[u8] = if to_head || bodiless { &[] } else { &self.body };
        let ends = body.is_empty() && self.trailers.is_empty();
        h2.try_send_all(&[Frame::headers(stream, fields::block(&fields), ends)]);
        if !body.is_empty() {
            h2.try_body(stream, body, self.trailers.is_empty())?;
        }
        if !self.trailers.is_empty() {
            h2.try_send_all(&[Frame::headers(stream, fields::block(&self.trailers), true)]);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Record {
    requests: Mutex<Vec<Message>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    stop: AtomicBool,
}

type Answers = Arc<dyn Fn(&Message) -> Answer + Send + Sync>;

/// An HTTP/2 origin that answers every whole request in the background.
pub struct H2Serving {
    origin: H2Origin,
    record: Arc<Record>,
    thread: Option<JoinHandle<()>>,
}

impl config::Endpoint for H2Serving {
    fn endpoint(&self) -> String {
        self.origin.origin.url()
    }
}

impl H2Serving {
    fn start(origin: H2Origin, answer: Answers) -> Self {
        let record = Arc::new(Record::default());
        let shared = record.clone();
        let taker =
            H2Origin { origin: origin.origin.share(), settings: origin.settings.clone(), is_tls: origin.is_tls };
        let thread = std::thread::spawn(move || {
            while !shared.stop.load(Ordering::Acquire) {
                if !readable_within(&taker.origin, 4_000) {
                    continue;
                }
                let wire = taker.origin.accept();
                if shared.stop.load(Ordering::Acquire) {
                    break;
                }
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (shared, answer, settings) = (shared.clone(), answer.clone(), taker.settings.clone());
                std::thread::spawn(move || {
                    wire.tcp().set_read_timeout(Some(Duration::from_secs(20))).expect("read timeout");
                    shared.open.fetch_add(1, Ordering::Relaxed);
                    serve_connection(H2::server(wire, &settings), &shared, &answer);
                    shared.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { origin, record, thread: Some(thread) }
    }

    /// A configuration that sends everything here, over HTTP/2.
    pub fn config(&self) -> Config {
        self.origin.config()
    }

    /// Takes the requests recorded since the last call, in the order they were whole.
    pub fn take_requests(&self) -> Vec<Message> {
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

impl Drop for H2Serving {
    fn drop(&mut self) {
        self.record.stop.store(true, Ordering::Release);
        // Wakes the accepting thread; when it cannot be reached it has ended already.
        drop(TcpStream::connect(self.origin.origin.address()));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Serves one connection until the peer leaves. Requests that are reset are not recorded.
fn serve_connection(mut h2: H2, record: &Record, answer: &Answers) {
    h2.updates = true;
    let of_request = |f: &Frame| f.kind == HEADERS && f.fields.iter().any(|(name, _)| name == ":method");
    while let Ok(frame) = h2.try_wait(of_request) {
        let mut request = Message::of(frame.stream);
        request.fields = frame.fields.clone();
        if !frame.ends() {
            request = h2.finish_message(request);
        }
        if request.ending != Ending::Whole {
            continue;
        }
        let reply = answer(&request);
        let to_head = request.field(":method") == Some("HEAD");
        let stream = request.stream;
        record.requests.lock().expect("no test thread panicked").push(request);
        if reply.send(&mut h2, stream, to_head).is_err() {
            break;
        }
    }
}
