//! What a peer sees of a connection: its own reader of frames, and its own books of windows and streams.
//!
//! Reads both directions and judges the one of the connection. Shares no code with what writes it, but the reader of
//! field blocks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::message::is_clean;
use crate::h2::connection::Connection;
use crate::h2::hpack::Decoder;

const WINDOW_MAX: i64 = 0x7fff_ffff;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame of either direction.
struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl Frame<'_> {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn number(&self, at: usize) -> i64 {
        let bytes = self.payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        i64::from(u32::from_be_bytes(bytes.unwrap_or_default()))
    }
}

/// Takes whole frames off the front; returns how many bytes they are.
fn frames<'a>(bytes: &'a [u8], mut take: impl FnMut(Frame<'a>)) -> usize {
    let mut at = 0;
    while let Some([a, b, c, kind, flags, s0, s1, s2, s3]) = bytes.get(at..at + 9) {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some(payload) = bytes.get(at + 9..at + 9 + length) else { break };
        let stream = u32::from_be_bytes([s0 & 0x7f, *s1, *s2, *s3]);
        take(Frame { kind: *kind, flags: *flags, stream, payload });
        at += 9 + length;
    }
    at
}

/// One stream in the books.
#[derive(Default)]
pub struct Book {
    /// What the connection may still send, and the peer.
    send: i64,
    receive: i64,
    /// DATA that the peer has sent, without padding.
    pub sent: Vec<u8>,
    /// A final head went out.
    answered: bool,
    /// The connection has said END_STREAM or reset it.
    is_ended: bool,
}

/// The books of one peer.
pub struct View {
    is_server: bool,
    /// Bytes of the peer that make no whole frame yet, and how many of the preface are still to come.
    partial: Vec<u8>,
    greeting: usize,
    initial_send: i64,
    initial_receive: i64,
    send: i64,
    receive: i64,
    pub streams: BTreeMap<u32, Book>,
    /// The table that is allowed, of that what can be used; the smallest one since the last block, where it was changed.
    table: usize,
    table_min: Option<usize>,
    decoder: Decoder,
    /// A block of the connection that has begun.
    block: Option<(u32, bool, Vec<u8>)>,
    /// Settings and pings that are to be acknowledged.
    settings: usize,
    pings: VecDeque<Vec<u8>>,
    goaway: Option<i64>,
    /// GOAWAY said that the connection has failed.
    failed: bool,
    frames_out: usize,
    /// Streams that the connection has opened (client).
    opened: u32,
    resets: BTreeSet<u32>,
}

impl View {
    /// The books of the peer of a connection that has said nothing.
    pub fn new(is_server: bool) -> Self {
        Self {
            is_server,
            partial: Vec::new(),
            greeting: if is_server { PREFACE.len() } else { 0 },
            initial_send: 65_535,
            initial_receive: 65_535,
            send: 65_535,
            receive: 65_535,
            streams: BTreeMap::new(),
            table: 4_096,
            table_min: None,
            decoder: Decoder::new(4_096),
            block: None,
            settings: 0,
            pings: VecDeque::new(),
            goaway: None,
            failed: false,
            frames_out: 0,
            opened: 0,
            resets: BTreeSet::new(),
        }
    }

    /// The connection has taken these bytes of the peer.
    pub fn input(&mut self, bytes: &[u8]) {
        let greeting = self.greeting.min(bytes.len());
        self.greeting -= greeting;
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(&bytes[greeting..]);
        let taken = frames(&partial, |frame| self.take_input(&frame));
        partial.drain(..taken);
        self.partial = partial;
    }

    fn take_input(&mut self, frame: &Frame<'_>) {
        match frame.kind {
            0 => {
                self.receive -= frame.payload.len() as i64;
                if let Some(book) = self.streams.get_mut(&frame.stream) {
                    book.receive -= frame.payload.len() as i64;
                    let padding =
                        if frame.has(8) { frame.payload.first().map_or(0, |pad| usize::from(*pad) + 1) } else { 0 };
                    let start = usize::from(padding > 0).min(frame.payload.len());
                    let bytes = frame.payload.len().saturating_sub(padding);
                    book.sent.extend_from_slice(&frame.payload[start..start + bytes]);
                }
            }
            1 if self.is_server && frame.stream % 2 == 1 => self.begin(frame.stream),
            3 => drop(self.resets.insert(frame.stream)),
            4 if !frame.has(1) => {
                self.settings += 1;
                let mut table = self.table;
                frame.payload.chunks_exact(6).for_each(|setting| self.take_setting(setting, &mut table));
                if std::mem::replace(&mut self.table, table) != table {
                    self.table_min = Some(self.table_min.map_or(table, |before| before.min(table)));
                }
            }
            6 if !frame.has(1) => self.pings.push_back(frame.payload.to_vec()),
            8 if frame.stream == 0 => self.send += frame.number(0) & WINDOW_MAX,
            8 => {
                let more = frame.number(0) & WINDOW_MAX;
                self.streams.entry(frame.stream).and_modify(|book| book.send += more);
            }
            _ => {}
        }
    }

    fn take_setting(&mut self, setting: &[u8], table: &mut usize) {
        let value = setting[2..].iter().fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
        match setting[1] {
            _ if setting[0] != 0 => {}
            1 => *table = (value as usize).min(4_096),
            4 => {
                let change = value - self.initial_send;
                self.initial_send = value;
                self.streams.values_mut().for_each(|book| book.send += change);
            }
            _ => {}
        }
    }

    fn begin(&mut self, stream: u32) {
        let (send, receive) = (self.initial_send, self.initial_receive);
        self.streams.entry(stream).or_insert_with(|| Book { send, receive, ..Book::default() });
    }

    /// The connection has said this, at the end of one call or several: whole frames, each of them allowed.
    pub fn output(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        assert!(!self.failed, "nothing follows the last GOAWAY");
        let mut bytes = bytes;
        if self.frames_out == 0 && !self.is_server {
            bytes = bytes.strip_prefix(PREFACE).expect("a client says its preface first");
        }
        let taken = frames(bytes, |frame| {
            assert!(frame.payload.len() <= 16_384, "no frame is larger than every peer takes");
            assert!(!self.failed, "nothing follows the last GOAWAY");
            assert!(self.frames_out > 0 || (frame.kind == 4 && !frame.has(1)), "SETTINGS come first");
            assert!(self.block.is_none() || frame.kind == 9, "nothing interrupts a block");
            self.frames_out += 1;
            self.take_output(&frame);
        });
        assert_eq!(taken, bytes.len(), "whole frames");
        assert!(self.block.is_none(), "whole blocks");
    }

    fn take_output(&mut self, frame: &Frame<'_>) {
        let length = frame.payload.len();
        match frame.kind {
            0 => self.data(frame),
            1 => {
                assert_eq!(frame.flags & !5, 0, "flags of HEADERS");
                assert!(length > 0, "no empty blocks");
                self.block = Some((frame.stream, frame.has(1), Vec::new()));
                self.piece(frame);
            }
            9 => self.piece(frame),
            3 => {
                assert_eq!((length, frame.flags), (4, 0));
                let book = self.streams.get_mut(&frame.stream).expect("no reset of what was not begun");
                book.is_ended = true;
            }
            4 if frame.has(1) => {
                assert_eq!((length, frame.stream), (0, 0));
                self.settings = self.settings.checked_sub(1).expect("one acknowledgement each");
            }
            4 => {
                assert_eq!((length % 6, frame.stream, self.frames_out), (0, 0, 1));
                let window = frame.payload.chunks_exact(6).find(|setting| setting.starts_with(&[0, 4]));
                let window = window.expect("a window is said");
                self.initial_receive = window[2..].iter().fold(0, |value, byte| value << 8 | i64::from(*byte));
            }
            6 if frame.has(1) => {
                assert_eq!(self.pings.pop_front().as_deref(), Some(frame.payload), "each PING comes back, in order");
            }
            6 => assert_eq!((length, frame.stream, frame.flags), (8, 0, 0)),
            7 => {
                assert_eq!((length, frame.stream), (8, 0));
                assert!(frame.number(0) <= self.goaway.unwrap_or(WINDOW_MAX), "GOAWAY never takes back what it said");
                self.goaway = Some(frame.number(0));
                self.failed = frame.number(4) != 0;
            }
            8 => self.window_update(frame),
            kind => assert!(kind < 10 && kind != 2 && kind != 5, "kind {kind} is never sent"),
        }
    }

    fn data(&mut self, frame: &Frame<'_>) {
        let bytes = frame.payload.len() as i64;
        let book = self.streams.get_mut(&frame.stream).expect("DATA of a stream that was begun");
        assert!(book.answered && !book.is_ended, "DATA between head and end");
        assert!(!self.resets.contains(&frame.stream), "no DATA for who has reset the stream");
        assert_eq!(frame.flags & !1, 0, "flags of DATA");
        assert!(bytes > 0 || frame.has(1), "no DATA for nothing");
        book.send -= bytes;
        self.send -= bytes;
        assert!(bytes == 0 || (book.send >= 0 && self.send >= 0), "DATA within the windows");
        book.is_ended = frame.has(1);
    }

    fn window_update(&mut self, frame: &Frame<'_>) {
        assert_eq!((frame.payload.len(), frame.flags), (4, 0));
        let more = frame.number(0);
        assert!((1..=WINDOW_MAX).contains(&more), "an update of {more}");
        let window = match frame.stream {
            0 => &mut self.receive,
            stream => &mut self.streams.get_mut(&stream).expect("no update of what was not begun").receive,
        };
        *window += more;
        assert!(*window <= WINDOW_MAX, "no window overflows");
    }

    /// A piece of a block; at its end the block is read.
    fn piece(&mut self, frame: &Frame<'_>) {
        let (stream, end_stream, mut block) = self.block.take().expect("CONTINUATION of a block");
        assert_eq!(stream, frame.stream);
        block.extend_from_slice(frame.payload);
        if !frame.has(4) {
            self.block = Some((stream, end_stream, block));
            return;
        }
        if let Some(least) = self.table_min.take() {
            assert_eq!(size_update(&block), Some(least), "a change of the table is said first");
        }
        if !self.is_server && stream > self.opened {
            assert!(stream % 2 == 1 && stream == self.opened + 2 - u32::from(self.opened == 0), "streams in order");
            self.opened = stream;
            self.begin(stream);
        }
        let mut lines = Vec::new();
        let decoded = self.decoder.decode(&block, |line| lines.push((line.name.to_vec(), line.value.to_vec())));
        decoded.expect("a block that can be read");
        let book = self.streams.get_mut(&stream).expect("HEADERS of a stream that was begun");
        assert!(!book.is_ended, "no HEADERS behind the end");
        let is_interim = lines.iter().any(|(name, value)| name == b":status" && value.starts_with(b"1"));
        are_sound(&lines, self.is_server, book.answered);
        assert!(!(is_interim && end_stream), "an interim response is not the last word");
        assert!(!book.answered || end_stream, "trailers end a message");
        book.answered |= !is_interim;
        book.is_ended = end_stream;
    }

    /// The books of the peer are those of the connection.
    pub fn agrees(&self, connection: &mut Connection) {
        if connection.end.is_some() {
            return;
        }
        assert_eq!(self.receive, connection.receive_window, "the connection's window of the peer");
        assert_eq!(self.send, connection.send_window, "the connection's window");
        assert!((0..=WINDOW_MAX).contains(&self.send) && (0..=WINDOW_MAX).contains(&self.receive));
        assert_eq!((self.settings, self.pings.len()), (0, 0), "all is acknowledged");
        for stream in connection.streams.iter_mut().filter(|stream| stream.id != 0 && stream.is_open()) {
            let book = self.streams.get(&stream.id).expect("a stream that was begun");
            assert!(book.send <= WINDOW_MAX && book.receive <= WINDOW_MAX);
            if !stream.is_received() {
                assert_eq!(book.receive, stream.receive_window, "the peer's window of stream {}", stream.id);
            }
            if !stream.is_sent() {
                assert_eq!(book.send, stream.send_window, "the window of stream {}", stream.id);
            }
        }
    }

    /// Streams that the peer may go on with, for programs to choose from.
    pub fn begun(&self) -> Vec<u32> {
        self.streams.keys().copied().collect()
    }
}

/// The size that a block begins with.
fn size_update(block: &[u8]) -> Option<usize> {
    let (first, rest) = block.split_first().filter(|(first, _)| *first & 0xe0 == 0x20)?;
    if first & 0x1f < 0x1f {
        return Some(usize::from(first & 0x1f));
    }
    let length = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let more = rest[..=length].iter().rev().fold(0, |more, byte| more << 7 | usize::from(byte & 0x7f));
    Some(0x1f + more)
}

/// Lines of a block: pseudo-fields first and the right ones, clean names and values, nothing of HTTP/1.1's connections.
fn are_sound(lines: &[(Vec<u8>, Vec<u8>)], is_server: bool, is_trailer: bool) {
    let pseudo = lines.iter().take_while(|(name, _)| name.starts_with(b":")).count();
    for (name, value) in &lines[pseudo..] {
        is_clean(name, value);
        let of_connection: [&[u8]; 5] =
            [b"connection", b"keep-alive", b"upgrade", b"transfer-encoding", b"proxy-connection"];
        assert!(!of_connection.contains(&name.as_slice()), "nothing of a connection of HTTP/1.1");
    }
    let has = |wanted: &[u8]| lines[..pseudo].iter().filter(|(name, _)| name == wanted).count();
    match (is_trailer, is_server) {
        (true, _) => assert_eq!(pseudo, 0),
        (false, true) => assert_eq!((pseudo, has(b":status")), (1, 1)),
        (false, false) => assert_eq!((has(b":method"), has(b":scheme"), has(b":path")), (1, 1, 1)),
    }
}
