//! A connection between a peer who does anything at all and an owner who does whatever it may.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use super::message::{Incoming, is_clean};
use super::outgoing::Outgoing;
use super::program::{Choices, block, data, frame, headers};
use super::wire::View;
use crate::bounds;
use crate::h2::connection::{Connection, Limits, Role, Text};
use crate::h2::hpack::Encoder;
use crate::h2::message::TextBody;
use crate::h2::receive::Opened;
use crate::h2::streams::StreamKey;
use crate::http::{FieldId, Method, RequestHead};

/// How the peer's bytes are cut.
#[derive(Clone, Copy)]
pub enum Cuts {
    None,
    /// The first and last of a piece at least; what is very long in larger ones.
    EachByte,
    Pieces(usize),
}

/// What a byte of a program asks for, in [`Run::peer`] (below 14) and [`Run::owner`]: often what keeps a connection going,
/// rarely what ends it.
const STEPS: [usize; 64] = [
    0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 10, 10, 11, 12, 13, 14, 14, 14,
    15, 15, 16, 16, 17, 17, 17, 18, 18, 18, 19, 19, 19, 20, 20, 20, 21, 21, 22, 23, 24, 25, 25, 25, 25, 26, 26, 27,
];

/// What windows are raised by.
const MORE: [u32; 16] =
    [1, 9, 100, 200, 300, 5_000, 16_384, 30_000, 65_535, 70_000, 70_000, 1 << 20, 1 << 20, 0x7fff_0000, 0x7fff_ffff, 0];

/// What came of a program, step by step.
pub type Trace = Vec<u64>;

/// Notes that it was woken.
#[derive(Default)]
pub struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Bell {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Whether it was woken since this was asked last.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    fn has_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream with who holds it.
struct Held {
    key: StreamKey,
    /// A tunnel or a HEAD; what the answer is like depends on it.
    is_head: bool,
    websocket: bool,
    incoming: Incoming,
    outgoing: Option<Outgoing>,
    /// Waits for room, and rings when it may be there.
    bell: Option<Arc<Bell>>,
}

struct Run {
    connection: Connection,
    view: View,
    cuts: Cuts,
    role: Role,
    now_ms: u64,
    /// Of the peer.
    encoder: Encoder,
    /// What the peer has sent and nobody has read.
    pending: Vec<u8>,
    /// The next stream of the peer (server).
    next_id: u32,
    held: Vec<Held>,
    /// Bytes of the output that the peer has seen.
    seen: usize,
    trace: Trace,
    hasher: DefaultHasher,
}

/// Runs a program.
pub fn run(role: Role, cuts: Cuts, program: &[u8]) -> Trace {
    let mut choices = Choices::new(program);
    let limits =
        Limits { streams: choices.of(&[2, 8, 100]), head_bytes: choices.of(&[200, 4_000, 32_768]), fields: 100 };
    let mut run = Run {
        connection: Connection::new(role, limits, 0),
        view: View::new(role == Role::Server),
        cuts,
        role,
        now_ms: 0,
        encoder: Encoder::new(),
        pending: Vec::new(),
        next_id: 1,
        held: Vec::new(),
        seen: 0,
        trace: Vec::new(),
        hasher: DefaultHasher::new(),
    };
    run.check();
    run.greet(choices.byte());
    while !choices.is_over() {
        let step = STEPS[usize::from(choices.byte()) % STEPS.len()];
        match step {
            0..14 => run.peer(step, &mut choices),
            _ => {
                run.feed();
                run.owner(step, &mut choices);
                run.check();
            }
        }
    }
    run.end();
    run.trace
}

impl Run {
    /// What comes first: mostly what is right.
    fn greet(&mut self, choice: u8) {
        if self.role == Role::Server && choice % 32 != 31 {
            self.pending.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        }
        if choice % 16 != 15 {
            frame(&mut self.pending, 4, 0, 0, &[]);
        }
    }

    /// A stream that was begun, or one of any number.
    fn stream(&self, choices: &mut Choices<'_>) -> u32 {
        let (byte, mut known) = (choices.byte(), self.view.begun());
        known.extend((1..self.next_id).step_by(2).skip(known.len()));
        match byte {
            254.. => u32::from(byte) - 252,
            _ => known.get(usize::from(byte) % known.len().max(1)).copied().unwrap_or(1),
        }
    }

    /// The peer sends something.
    fn peer(&mut self, step: usize, choices: &mut Choices<'_>) {
        let mut out = std::mem::take(&mut self.pending);
        match step {
            2..6 if self.role == Role::Server && self.next_id == 1 => self.peer_head(&mut out, choices),
            0..8 if self.role != Role::Server && self.view.streams.is_empty() => peer_settings(&mut out, choices),
            0 | 1 => self.peer_head(&mut out, choices),
            2 | 3 => {
                let (stream, choice, size) = (self.stream(choices), choices.byte(), choices.size());
                let padding = if choice & 14 == 14 { choice } else { 0 };
                data(&mut out, stream, size.min(16_000), choice & 1 == 1, padding);
            }
            4 => {
                let stream = self.stream(choices);
                (0..choices.below(48)).for_each(|_| data(&mut out, stream, 16_384, false, 0));
            }
            5 => {
                let block = block(&mut self.encoder, &[(b"x-sum", choices.take(3))]);
                headers(&mut out, self.stream(choices), choices.byte() != 0, &block, choices.byte());
            }
            6 | 7 => {
                let stream = if choices.byte() & 1 == 0 { 0 } else { self.stream(choices) };
                let more = choices.of(&MORE);
                frame(&mut out, 8, 0, stream, &u32::to_be_bytes(more));
            }
            8 => peer_settings(&mut out, choices),
            9 => {
                let content = choices.of(&[b"leaving!", b"12345678"]);
                frame(&mut out, 6, choices.byte() & 1, 0, content);
            }
            10 if self.next_id > 1 || !self.view.streams.is_empty() => {
                frame(&mut out, 3, 0, self.stream(choices), &[0, 0, 0, choices.byte() % 14])
            }
            11 => {
                let [a, b, c, d] = self.stream(choices).to_be_bytes();
                match choices.below(4) {
                    0 => frame(&mut out, 7, 0, 0, &[a, b, c, d, 0, 0, 0, 0]),
                    _ => frame(&mut out, 4, 1, 0, &[]),
                }
            }
            12 => {
                let (kind, flags, stream) = (choices.byte() % 12, choices.byte(), self.stream(choices));
                let size = choices.below(40);
                frame(&mut out, kind, flags, stream, choices.take(size));
            }
            _ => {
                // Whatever follows is hardly a frame any more.
                let size = choices.below(12).saturating_sub(8);
                out.extend_from_slice(choices.take(size));
            }
        }
        self.pending = out;
    }

    /// HEADERS: of a new request, or of a response to one.
    fn peer_head(&mut self, out: &mut Vec<u8>, choices: &mut Choices<'_>) {
        let (choice, shape, size) = (choices.byte(), choices.byte(), choices.size().to_string());
        let end_stream = choice & 1 == 1;
        let mut lines: Vec<(&'static [u8], &[u8])> = Vec::new();
        let stream = if self.role == Role::Server {
            let websocket = choice % 16 == 6;
            let method: &[u8] = match choice % 8 {
                _ if websocket => b"CONNECT",
                0 => b"HEAD",
                1..4 => b"GET",
                _ => b"POST",
            };
            lines.extend([(&b":method"[..], method), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/")]);
            if websocket {
                lines.push((b":protocol", b"websocket"));
            }
            self.next_id += 2;
            self.next_id - 2
        } else {
            let status = choices.of(&[&b"200"[..], b"200", b"204", b"304", b"103", b"100", b"500", b"404"]);
            lines.push((b":status", status));
            self.stream(choices)
        };
        let zero = if end_stream { b"0" } else { size.as_bytes() };
        match choice >> 4 {
            0..5 => lines.push((b"content-length", zero)),
            5 => lines.push((b"x-any", choices.take(20))),
            6 => (0..40).for_each(|_| lines.push((b"x-long", &[b'x'; 120]))),
            7 => lines.extend([(&b"cookie"[..], &b"a=1"[..]), (b"x-a", b"1"), (b"cookie", b"b=2")]),
            8 => lines.push((b"connection", b"close")),
            _ => {}
        }
        let block = block(&mut self.encoder, &lines);
        headers(out, stream, end_stream, &block, shape);
    }

    /// What has come is fed in pieces; requests are taken in.
    fn feed(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while !rest.is_empty() && self.connection.end().is_none() {
            let size = match self.cuts {
                Cuts::None => rest.len(),
                Cuts::EachByte if rest.len() > 600 => 509,
                Cuts::EachByte => 1,
                Cuts::Pieces(size) => size,
            };
            let (mut piece, behind) = rest.split_at(size.min(rest.len()));
            rest = behind;
            while !piece.is_empty() {
                let mut head = RequestHead::default();
                let fed = self.connection.feed(piece, &mut head, self.now_ms);
                let Ok((taken, opened)) = fed else { break };
                piece = &piece[taken..];
                if let Some(opened) = opened {
                    self.take_in(&head, opened);
                } else {
                    assert!(piece.is_empty(), "all is taken where no request came");
                }
            }
        }
        self.view.input(&pending);
        if let Some(end) = self.connection.end() {
            assert_eq!(self.connection.feed(b"x", &mut RequestHead::default(), self.now_ms), Err(end));
            self.note(&(end.code as u32, end.detail));
        }
        self.check();
    }

    fn take_in(&mut self, head: &RequestHead, opened: Opened) {
        self.note(&(&head.bytes, opened.ended, opened.too_large));
        for field in head.fields() {
            is_clean(field.name, field.value);
        }
        let target = head.target().iter().chain(head.method_text());
        assert!(target.clone().all(u8::is_ascii_graphic), "a request line has no blanks");
        let websocket = head.find(FieldId::Upgrade).is_some();
        let length = head.find(FieldId::ContentLength);
        let chunked = head.find(FieldId::TransferEncoding).is_some();
        assert!(length.is_none() || !chunked, "one framing");
        let body = match length {
            _ if opened.too_large || websocket => TextBody::UntilClose,
            Some(length) => {
                TextBody::Length(String::from_utf8_lossy(length).parse().expect("a length that was judged"))
            }
            None if chunked => TextBody::Chunked,
            None => TextBody::None,
        };
        let incoming = Incoming::body(body);
        let is_head = head.method == Method::Head;
        self.held.push(Held { key: opened.key, is_head, websocket, incoming, outgoing: None, bell: None });
    }

    /// The owner does something.
    fn owner(&mut self, step: usize, choices: &mut Choices<'_>) {
        let nth = choices.below(self.held.len().max(1));
        match step {
            14..17 => self.read(nth, choices),
            17..20 => self.write(nth, choices),
            20 => {
                self.connection.sent(if choices.byte() & 1 == 0 { usize::MAX } else { self.seen.min(choices.word()) });
                self.seen = self.connection.output().len();
            }
            21 if nth < self.held.len() => self.release(nth),
            22 => {
                self.now_ms += choices.word() as u64;
                self.connection.expire_orphans(self.now_ms);
            }
            23 if choices.byte().is_multiple_of(8) => self.connection.announce_leaving(),
            24 if choices.byte().is_multiple_of(8) => self.connection.leave(),
            25 | 26 => self.open(choices),
            _ => {
                let Some(held) = self.held.get(nth) else { return };
                if choices.byte() & 1 == 0 {
                    self.connection.abandon(held.key);
                } else if self.connection.output().is_empty() {
                    self.connection.exchange_output(Vec::new());
                }
            }
        }
    }

    fn open(&mut self, choices: &mut Choices<'_>) {
        if self.role == Role::Server {
            return;
        }
        assert!(self.connection.room() <= self.connection.streams_max() as usize);
        let Some(key) = self.connection.open() else { return };
        let request = Outgoing::request(choices, self.held.len());
        let (is_head, websocket) = (request.is_head, request.websocket);
        let incoming = Incoming::response(is_head);
        self.held.push(Held { key, is_head, websocket, incoming, outgoing: Some(request), bell: None });
        if !choices.byte().is_multiple_of(4) {
            self.write(self.held.len() - 1, choices);
        }
    }

    fn read(&mut self, nth: usize, choices: &mut Choices<'_>) {
        let Some(held) = self.held.get_mut(nth) else { return };
        let mut buffer = Vec::with_capacity(choices.size().max(1));
        let is_readable = self.connection.is_readable(held.key, Waker::noop());
        let read = self.connection.read(held.key, &mut buffer);
        assert_eq!(is_readable, read != Ok(Text::NotReady), "who asks is told");
        held.incoming.push(&buffer);
        let id = self.connection.streams.peek(held.key).map_or(0, |stream| stream.id);
        let sent = self.view.streams.get(&id).map_or(&[][..], |book| &book.sent);
        assert!(sent.starts_with(&held.incoming.body), "what comes out went in");
        if read == Ok(Text::End) {
            assert!(held.incoming.is_whole(), "a message that ends is whole");
        }
        self.note(&(buffer, format!("{read:?}")));
    }

    fn write(&mut self, nth: usize, choices: &mut Choices<'_>) {
        let Some(held) = self.held.get_mut(nth) else { return };
        if held.bell.as_ref().is_some_and(|bell| !bell.take()) {
            return;
        }
        held.bell = None;
        let (number, is_head, websocket) = (self.next_id as usize, held.is_head, held.websocket);
        let new = || Outgoing::response(choices, number, is_head, websocket);
        let outgoing = held.outgoing.get_or_insert_with(new);
        if outgoing.is_written() {
            return if outgoing.until_close {
                self.connection.finish(held.key)
            };
        }
        let before = self.connection.output().len();
        let was_open = self.connection.streams.peek(held.key).is_some_and(|stream| stream.id != 0);
        let piece = outgoing.piece(choices.size());
        let written = self.connection.write(held.key, &piece);
        let most = before.max(bounds::HTTP2_OUTPUT_BYTES_MAX) + 2 * bounds::HEAD_BYTES_MAX;
        assert!(self.connection.output().len() <= most, "the output is bounded");
        if let Ok(taken) = written {
            outgoing.taken(taken);
            if taken < piece.len() {
                let bell = Bell::new();
                self.connection.await_room(held.key, &Waker::from(Arc::clone(&bell)));
                held.bell = Some(bell);
            }
        } else {
            assert!(self.connection.is_cut(held.key), "only what is cut takes nothing");
        }
        if self.connection.streams.peek(held.key).is_some_and(|stream| stream.id != 0 && !was_open) {
            let open = self.connection.streams.iter_mut().filter(|stream| stream.id != 0 && stream.is_open()).count();
            assert!(open <= self.connection.streams_max() as usize, "no more streams than the peer allows");
        }
        self.note(&format!("{written:?}"));
    }

    fn release(&mut self, nth: usize) {
        let held = self.held.swap_remove(nth);
        self.connection.release(held.key, self.now_ms);
    }

    fn note(&mut self, what: &impl Hash) {
        what.hash(&mut self.hasher);
        self.trace.push(self.hasher.finish());
    }

    /// What must hold after each step.
    fn check(&mut self) {
        let output = &self.connection.output()[self.seen..];
        output.hash(&mut self.hasher);
        self.view.output(output);
        self.seen = self.connection.output().len();
        self.trace.push(self.hasher.finish());
        self.connection.validate();
        self.view.agrees(&mut self.connection);
        if let Some(end) = self.connection.end() {
            assert_ne!(end.detail, "own_text", "what was written can be read");
            assert!(self.connection.is_over());
            return;
        }
        let has_room = self.connection.output().len() < bounds::HTTP2_OUTPUT_BYTES_MAX / 2;
        for held in self.held.iter().filter(|_| has_room && self.connection.send_window > 0) {
            let stream = self.connection.streams.peek(held.key).expect("a stream that is held");
            let waits = held.bell.as_ref().is_some_and(|bell| !bell.has_rung());
            assert!(!waits || stream.send_window <= 0, "who waits for room is told of it");
        }
    }

    /// All is let go: nothing is left.
    fn end(&mut self) {
        self.feed();
        while !self.held.is_empty() {
            self.release(0);
            self.check();
        }
        assert_eq!(self.connection.streams(), 0);
        assert_eq!(self.connection.expire_orphans(u64::MAX / 2), None);
        self.check();
    }
}

fn peer_settings(out: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let mut payload = Vec::new();
    for _ in 0..=choices.below(3) {
        let (setting, values): (u8, [u32; 4]) = choices.of(&[
            (1, [0, 100, 4_096, 1 << 20]),
            (3, [0, 1, 100, 5]),
            (4, [0, 70_000, 100, 0x7fff_ffff]),
            (4, [1_000, 70_000, 1 << 20, 65_535]),
            (5, [16_384, 70_000, 0x00ff_ffff, 16_385]),
            (8, [1, 1, 1, 0]),
            (9, [0, 1, 2, 3]),
            (2, [0, 0, 0, 1]),
        ]);
        payload.extend_from_slice(&[0, setting]);
        let value = choices.of(&values);
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(out, 4, 0, 0, &payload);
}
