//! Speed of HTTP/2 framing as a server, in memory: what one request costs without system calls and without TLS.
//!
//! Goal: nanoseconds per request for our own connection and for the h2 crate, the referee, on what h2load sends with 16 streams (`GET /1k`, 16 heads
//! per read, recorded): 16 reads of 16 requests per iteration, each answered by 200, three fields and 1 KB of body.
//! With `NAME ROUNDS` as arguments runs one server that often and nothing else, with `names` lists them:
//! `benches/load/instructions.py h2` counts instructions that way, and this bench itself does where `perf stat` can.
//!
//! Non-goal: the gateway's pipeline, upstreams, flow control that stops somebody, heads of other shapes.

use std::cell::RefCell;
use std::hint::black_box;
use std::io;
use std::pin::{Pin, pin};
use std::process::Command;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use http::{Response, StatusCode};
use ringway::bounds;
use ringway::h2::{Connection, Limits, Role};
use ringway::http::RequestHead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads per iteration, and requests per read.
const READS: usize = 16;
const STREAMS: usize = 16;
const REQUESTS: usize = READS * STREAMS;
const BODY_BYTES: usize = 1024;
const HEADS_MAX: usize = 128;
/// The head of our answers, with the fields that the referee is given.
const TEXT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: text/plain\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n\r\n";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS: no push, windows of 2^30 - 1 for each stream; WINDOW_UPDATE to the same for the connection.
const OPENING: &[u8] = b"\0\0\x0c\x04\0\0\0\0\0\0\x02\0\0\0\0\0\x04\x3f\xff\xff\xff\0\0\x04\x08\0\0\0\0\0\x3f\xff\0\0";
const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
/// The first head: path, scheme, authority and method, user agent; two of them go into the table.
const FIRST: &[u8] = b"\x04\x03/1k\x86\x41\x8b\x08\x9d\x5c\x0b\x81\x70\xdc\x68\x4d\x3c\xdf\x82\x7a\x8f\x9c\x54\x1c\x72\x29\x54\xd3\xa5\x35\x89\x80\xae\xd8\x97\x07";
/// All further heads.
const FURTHER: &[u8] = b"\x04\x03/1k\x86\xbf\x82\xbe";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["names"] => NAMES.iter().for_each(|name| println!("{name}")),
        [name, rounds] if rounds.parse::<usize>().is_ok() => run(name, rounds.parse().expect("a number, just parsed")),
        _ => measure(),
    }
}

/// A server: takes what was received, appends what it answers. It has been given the client's opening.
type Server = Box<dyn FnMut(&[u8], &mut Vec<u8>)>;

const NAMES: [&str; 2] = ["ringway", "referee"];

/// The servers that are measured.
fn server(name: &str) -> Option<Server> {
    match name {
        "ringway" => Some(ringway()),
        "referee" => Some(referee()),
        _ => None,
    }
}

fn measure() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("h2 server, per request");
    group.throughput(Throughput::Elements(REQUESTS as u64));
    for name in NAMES {
        let (mut server, mut client) = (server(name).expect("a name of the list"), Client::default());
        client.check(&mut server);
        group.bench_function(name, |bencher| bencher.iter(|| client.ask(&mut server)));
    }
    group.finish();
    criterion.final_summary();
    count_instructions();
}

fn run(name: &str, rounds: usize) {
    let (mut server, mut client) = (server(name).expect("a name of the list"), Client::default());
    for _ in 0..rounds {
        client.ask(&mut server);
    }
}

/// Instructions per request by `perf stat`, where the processor's counters can be read: two runs, their difference.
fn count_instructions() {
    for name in NAMES {
        match (instructions(name, 200), instructions(name, 2_200)) {
            (Some(few), Some(many)) => {
                println!("{name}: {} instructions per request", (many - few) / (2_000 * REQUESTS as u64))
            }
            _ => println!("{name}: perf stat counts no instructions here; benches/load/instructions.py h2 does"),
        }
    }
}

fn instructions(name: &str, rounds: usize) -> Option<u64> {
    let (program, rounds) = (std::env::current_exe().ok()?, rounds.to_string());
    let mut perf = Command::new("perf");
    let said =
        perf.args(["stat", "-x", ",", "-e", "instructions:u"]).arg(program).args([name, &rounds]).output().ok()?;
    String::from_utf8_lossy(&said.stderr).split(',').next()?.trim().parse().ok()
}

/// h2load with one connection: its bytes, with stream identifiers that go on from iteration to iteration.
struct Client {
    next_stream: u32,
    read: Vec<u8>,
    answer: Vec<u8>,
    /// What the answers have used of the connection's window since it was last given back.
    used: usize,
}

impl Default for Client {
    fn default() -> Self {
        Self { next_stream: 1, read: Vec::with_capacity(4096), answer: Vec::with_capacity(64 * 1024), used: 0 }
    }
}

impl Client {
    /// One iteration: 16 times 16 requests and their answers.
    fn ask(&mut self, server: &mut Server) {
        for _ in 0..READS {
            self.write_requests();
            self.answer.clear();
            server(black_box(&self.read), &mut self.answer);
            black_box(self.answer.as_slice());
        }
    }

    fn write_requests(&mut self) {
        self.read.clear();
        if self.used >= 1 << 24 {
            self.read.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0");
            self.read.extend_from_slice(&(self.used as u32).to_be_bytes());
            self.used = 0;
        }
        for _ in 0..STREAMS {
            let block = if self.next_stream == 1 { FIRST } else { FURTHER };
            self.read.extend_from_slice(&[0, 0, block.len() as u8, 1, 5]);
            self.read.extend_from_slice(&self.next_stream.to_be_bytes());
            self.read.extend_from_slice(block);
            self.next_stream += 2;
        }
        self.used += STREAMS * BODY_BYTES;
    }

    /// Whether the server does the work at all: every request has its head and its body, and the heads are not too long.
    fn check(&mut self, server: &mut Server) {
        for _ in 0..2 * READS {
            self.write_requests();
            self.answer.clear();
            server(&self.read, &mut self.answer);
            let (mut rest, mut heads, mut head_bytes, mut ended, mut body_bytes) = (self.answer.as_slice(), 0, 0, 0, 0);
            while let [a, b, c, kind, flags, _, _, _, _, tail @ ..] = rest {
                let size = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                let data = *kind == 0;
                (heads, head_bytes) = if *kind == 1 { (heads + 1, head_bytes + size) } else { (heads, head_bytes) };
                (ended, body_bytes) =
                    if data { (ended + usize::from(flags & 1), body_bytes + size) } else { (ended, body_bytes) };
                rest = tail.get(size..).expect("whole frames");
            }
            assert_eq!((heads, ended, body_bytes), (STREAMS, STREAMS, STREAMS * BODY_BYTES), "16 answers per read");
            assert!(head_bytes <= STREAMS * HEADS_MAX);
        }
    }
}

/// Our connection, driven as its session would drive it: fed request by request, each answered by the text that `proxy`
/// writes, drained after each read.
fn ringway() -> Server {
    let limits = Limits { streams: 128, head_bytes: bounds::HEAD_BYTES_DEFAULT, fields: bounds::FIELDS_DEFAULT };
    let mut connection = Connection::new(Role::Server, limits, 0);
    let mut head = RequestHead::default();
    let opening = [PREFACE, OPENING, SETTINGS_ACK].concat();
    let opened = connection.feed(&opening, &mut head, 0).expect("an opening that is right");
    assert_eq!(opened, (opening.len(), None));
    connection.sent(usize::MAX);
    let text = [TEXT, [b'x'; BODY_BYTES].as_slice()].concat();
    Box::new(move |received, answer| {
        let mut rest = received;
        while !rest.is_empty() {
            let (taken, opened) = connection.feed(rest, &mut head, 0).expect("well formed");
            rest = rest.get(taken..).expect("no more than there is");
            if let Some(request) = opened {
                black_box(head.target().len());
                let written = connection.write(request.key, black_box(&text));
                assert_eq!(written, Ok(text.len()), "the windows are wide");
                connection.release(request.key, 0);
            }
        }
        answer.extend_from_slice(connection.output());
        connection.sent(usize::MAX);
    })
}

/// The two halves of a connection in memory. Flushing does nothing, so that all answers to a read are one piece.
#[derive(Default)]
struct Pipes {
    received: BytesMut,
    to_send: Vec<u8>,
}

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Pipes>>);

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let received = &mut self.0.borrow_mut().received;
        if received.is_empty() {
            // Whoever feeds polls right after: nobody needs to be woken.
            return Poll::Pending;
        }
        let size = received.len().min(into.remaining());
        into.put_slice(received.get(..size).expect("within, because of min"));
        received.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().to_send.extend_from_slice(from);
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The h2 crate, driven as a connection's own task would drive it: fed, polled until it waits, drained.
fn referee() -> Server {
    let memory = Memory::default();
    memory.0.borrow_mut().received.extend_from_slice(&[PREFACE, OPENING].concat());
    let mut context = Context::from_waker(Waker::noop());
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(128).initial_window_size(65_535);
    let mut connection = {
        let mut opening = pin!(builder.handshake::<_, Bytes>(memory.clone()));
        let opened = match opening.as_mut().poll(&mut context) {
            Poll::Ready(connection) => connection.ok(),
            Poll::Pending => None,
        };
        opened.expect("a connection at once, because the whole opening lies in memory and is right")
    };
    memory.0.borrow_mut().received.extend_from_slice(SETTINGS_ACK);
    let body = Bytes::from_static(&[b'x'; BODY_BYTES]);
    Box::new(move |received, answer| {
        memory.0.borrow_mut().received.extend_from_slice(received);
        while let Poll::Ready(next) = connection.poll_accept(&mut context) {
            let (request, mut respond) = next.expect("open, because nobody closes").expect("well formed");
            black_box(request.uri().path().len());
            let head = Response::builder()
                .status(StatusCode::OK)
                .header("content-length", "1024")
                .header("content-type", "text/plain")
                .header("date", "Mon, 23 Nov 2026 12:00:00 GMT")
                .body(())
                .expect("a head of valid fields");
            let mut stream = respond.send_response(head, false).expect("the stream takes a head");
            stream.send_data(body.clone(), true).expect("the stream takes a body");
        }
        // The last answers were given after the last flush.
        assert!(connection.poll_accept(&mut context).is_pending(), "nothing came meanwhile");
        answer.append(&mut memory.0.borrow_mut().to_send);
    })
}
