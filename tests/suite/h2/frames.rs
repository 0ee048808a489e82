//! One end of an HTTP/2 connection that a test plays frame by frame, as a client of the gateway or as its origin.
//!
//! Answers nothing by itself but SETTINGS, and windows where it is told to. Reads strictly: a frame that is too long, DATA
//! beyond the window, frames on a stream that has ended, and fields that RFC 9113 §8.2 forbids fail the test that looks
//! at something else. Shares no code with the gateway.

#![allow(dead_code, reason = "each driver's binary uses its own part of the harness")]

pub mod fields;
pub mod frame;
pub mod message;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::suite::harness::wire::Wire;
use crate::suite::harness::{Authority, Connection, End, Gateway, Origin, connect, tls};
pub use fields::Fields;
pub use frame::*;
pub use message::{Ending, Message};

/// Windows of one direction, in bytes (RFC 9113 §6.9).
#[derive(Debug)]
struct Windows {
    connection: i64,
    initial: i64,
    streams: BTreeMap<u32, i64>,
}

impl Windows {
    fn new() -> Self {
        Self { connection: i64::from(WINDOW), initial: i64::from(WINDOW), streams: BTreeMap::new() }
    }

    fn stream(&mut self, stream: u32) -> &mut i64 {
        self.streams.entry(stream).or_insert(self.initial)
    }

    fn update(&mut self, stream: u32, bytes: u32) {
        match stream {
            0 => self.connection += i64::from(bytes),
            _ => *self.stream(stream) += i64::from(bytes),
        }
    }

    /// RFC 9113 §6.9.2: a new initial size moves every window that is open.
    fn set_initial(&mut self, bytes: u32) {
        let moved = i64::from(bytes) - self.initial;
        self.initial += moved;
        self.streams.values_mut().for_each(|window| *window += moved);
    }
}

/// One end of a connection.
pub struct H2 {
    pub wire: Connection,
    /// Whether SETTINGS are acknowledged as they come.
    pub acks: bool,
    /// Whether windows are opened again as DATA comes.
    pub updates: bool,
    /// What the peer has said in SETTINGS.
    pub settings: BTreeMap<u16, u32>,
    decoder: fluke_hpack::Decoder<'static>,
    kept: VecDeque<Frame>,
    ended: BTreeMap<u32, bool>,
    receive: Windows,
    send: Windows,
    /// Initial windows that were made smaller and not yet acknowledged.
    shrinking: VecDeque<Option<u32>>,
    pings: u64,
}

impl H2 {
    /// A connection on which nothing was said yet.
    pub fn raw(wire: Connection) -> Self {
        Self {
            wire,
            acks: true,
            updates: false,
            settings: BTreeMap::new(),
            decoder: fluke_hpack::Decoder::new(),
            kept: VecDeque::new(),
            ended: BTreeMap::new(),
            receive: Windows::new(),
            send: Windows::new(),
            shrinking: VecDeque::new(),
            pings: 0,
        }
    }

    /// A client of the gateway's first listener, in clear, with empty SETTINGS.
    #[track_caller]
    pub fn connect(gateway: &Gateway) -> Self {
        Self::connect_with(gateway, &[])
    }

    /// The same with these settings.
    #[track_caller]
    pub fn connect_with(gateway: &Gateway, settings: &[(u16, u32)]) -> Self {
        Self::client(connect(gateway.address()), settings)
    }

    /// A client over TLS that offers `h2` alone.
    #[track_caller]
    pub fn connect_tls(gateway: &Gateway, authority: &Authority, name: &str) -> Self {
        let mut config = authority.client();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let wire = tls::connect(gateway.address(), name, &Arc::new(config)).expect("a handshake");
        let Wire::Client(of_client) = &wire.wire else { panic!("a TLS client") };
        assert_eq!(of_client.conn.alpn_protocol(), Some(&b"h2"[..]));
        Self::client(wire, &[])
    }

    /// A client on a connection: preface and SETTINGS go out, those of the server come first.
    #[track_caller]
    pub fn client(wire: Connection, settings: &[(u16, u32)]) -> Self {
        let mut h2 = Self::raw(wire);
        h2.wire.send(PREFACE);
        h2.settings(settings);
        h2.expect_settings();
        h2
    }

    /// The server of the next connection that the gateway opens.
    #[track_caller]
    pub fn accept(origin: &Origin) -> Self {
        Self::accept_with(origin, &[])
    }

    /// The same with these settings.
    #[track_caller]
    pub fn accept_with(origin: &Origin, settings: &[(u16, u32)]) -> Self {
        Self::server(origin.accept(), settings)
    }

    /// A server on a connection: the preface and SETTINGS of the client come first.
    #[track_caller]
    pub fn server(wire: Connection, settings: &[(u16, u32)]) -> Self {
        let mut h2 = Self::raw(wire);
        let preface = h2.wire.take(PREFACE.len()).expect("a preface");
        assert_eq!(String::from_utf8_lossy(&preface), String::from_utf8_lossy(PREFACE));
        h2.settings(settings);
        h2.expect_settings();
        h2
    }

    /// The first frame is SETTINGS (RFC 9113 §3.4).
    #[track_caller]
    pub fn expect_settings(&mut self) {
        let frame = self.read_frame().expect("SETTINGS of the peer");
        assert!(frame.kind == SETTINGS && !frame.has(ACK), "the first frame is {frame:?}");
    }

    /// Sends bytes as they are; a peer that has closed is not an error here, what it answered decides.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.wire.try_send(bytes).is_ok()
    }

    /// Sends a frame.
    #[track_caller]
    pub fn send(&mut self, frame: Frame) {
        self.send_all(&[frame]);
    }

    /// Sends frames in one write.
    #[track_caller]
    pub fn send_all(&mut self, frames: &[Frame]) {
        frames.iter().for_each(|frame| self.note_sent(frame));
        self.wire.send(together(frames));
    }

    /// Sends frames in one write; a peer that has closed is not an error here.
    pub fn try_send_all(&mut self, frames: &[Frame]) -> bool {
        frames.iter().for_each(|frame| self.note_sent(frame));
        self.try_send(&together(frames))
    }

    /// Sends SETTINGS.
    #[track_caller]
    pub fn settings(&mut self, settings: &[(u16, u32)]) {
        self.send(Frame::settings(settings));
    }

    /// Sends HEADERS of literals, as they are.
    #[track_caller]
    pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, stream: u32, fields: &[(N, V)], end: bool) {
        self.send(Frame::headers(stream, fields::block(fields), end));
    }

    /// Sends the head of a request for `t`.
    #[track_caller]
    pub fn request(&mut self, stream: u32, method: &str, path: &str, fields: &[(&str, &str)], end: bool) {
        self.send(Frame::headers(stream, fields::request(method, path, fields), end));
    }

    /// Sends a whole GET.
    #[track_caller]
    pub fn get(&mut self, stream: u32, path: &str) {
        self.request(stream, "GET", path, &[], true);
    }

    /// A whole GET and its answer, which is whole.
    #[track_caller]
    pub fn fetch(&mut self, stream: u32, path: &str) -> Message {
        self.get(stream, path);
        let answer = self.message(stream);
        answer.whole();
        answer
    }

    /// Sends one DATA frame, whatever the windows are.
    #[track_caller]
    pub fn data(&mut self, stream: u32, bytes: impl AsRef<[u8]>, end: bool) {
        self.send(Frame::data(stream, bytes, end));
    }

    /// Sends content as the windows allow, reading what comes meanwhile. The error says how the connection ended.
    #[track_caller]
    pub fn try_body(&mut self, stream: u32, bytes: &[u8], end: bool) -> Result<(), End> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.room(stream).min(rest.len()).min(FRAME_BYTES);
            if room == 0 {
                self.keep_next()?;
                continue;
            }
            let (piece, more) = rest.split_at(room);
            let frame = Frame::data(stream, piece, end && more.is_empty());
            if !self.try_send_all(&[frame]) {
                return Err(End::Reset);
            }
            rest = more;
        }
        if bytes.is_empty() && end {
            self.data(stream, b"", true);
        }
        Ok(())
    }

    /// The same where the connection is to live.
    #[track_caller]
    pub fn body(&mut self, stream: u32, bytes: &[u8], end: bool) {
        self.try_body(stream, bytes, end).expect("the peer opens its windows");
    }

    /// Bytes that may be sent on a stream now.
    pub fn room(&mut self, stream: u32) -> usize {
        let window = (*self.send.stream(stream)).min(self.send.connection);
        usize::try_from(window).unwrap_or(0)
    }

    /// Gives the peer room: on the connection and on a stream.
    #[track_caller]
    pub fn open_windows(&mut self, stream: u32, bytes: u32) {
        self.send_all(&[Frame::window_update(0, bytes), Frame::window_update(stream, bytes)]);
    }

    /// The next frame, in the order they came.
    pub fn next_frame(&mut self) -> Result<Frame, End> {
        match self.kept.pop_front() {
            Some(frame) => Ok(frame),
            None => self.read_frame(),
        }
    }

    /// The first frame that fits; the others are kept for later, in order.
    #[track_caller]
    pub fn try_wait(&mut self, fits: impl Fn(&Frame) -> bool) -> Result<Frame, End> {
        let at = self.find(fits)?;
        Ok(self.kept.remove(at).expect("a frame that was just seen"))
    }

    /// The same without taking it.
    #[track_caller]
    pub fn try_peek(&mut self, fits: impl Fn(&Frame) -> bool) -> Result<Frame, End> {
        let at = self.find(fits)?;
        Ok(self.kept[at].clone())
    }

    /// Where the first frame that fits stands among those that are kept.
    #[track_caller]
    fn find(&mut self, fits: impl Fn(&Frame) -> bool) -> Result<usize, End> {
        if let Some(at) = self.kept.iter().position(&fits) {
            return Ok(at);
        }
        loop {
            self.keep_next()?;
            if self.kept.back().is_some_and(&fits) {
                return Ok(self.kept.len() - 1);
            }
        }
    }

    /// Reads a frame and keeps it for later.
    #[track_caller]
    pub fn keep_next(&mut self) -> Result<(), End> {
        let frame = self.read_frame()?;
        self.kept.push_back(frame);
        Ok(())
    }

    /// The same for a frame that has to come.
    #[track_caller]
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Frame) -> bool) -> Frame {
        match self.try_wait(fits) {
            Ok(frame) => frame,
            Err(end) => panic!("{end:?} where {what} was expected; before it {}", self.kept_brief()),
        }
    }

    /// What was read and not taken, in a line.
    pub fn kept_brief(&self) -> String {
        let brief = |f: &Frame| {
            let number = if matches!(f.kind, RST_STREAM | GOAWAY | WINDOW_UPDATE) { f.number() } else { 0 };
            format!("{}:{:x}@{} {number}", f.kind, f.flags, f.stream)
        };
        let last = self.kept.iter().rev().take(20).rev();
        format!("{} frames, the last {:?}", self.kept.len(), last.map(brief).collect::<Vec<_>>())
    }

    /// Whether a frame that fits has come already; reads without waiting.
    pub fn has_come(&mut self, fits: impl Fn(&Frame) -> bool) -> bool {
        while self.wire.arrived().len() >= 9 {
            if self.keep_next().is_err() {
                break;
            }
        }
        self.kept.iter().any(fits)
    }

    /// A round trip: whatever was sent before has been taken in when it returns.
    #[track_caller]
    pub fn ping(&mut self) {
        self.pings += 1;
        let opaque = 0x7269_6e67_0000_0000 + self.pings;
        self.send(Frame::ping(opaque));
        let wanted = Frame::ping_ack(opaque);
        self.wait("the answer to PING", |frame| *frame == wanted);
    }

    /// The head that comes next on a stream.
    #[track_caller]
    pub fn head(&mut self, stream: u32) -> Fields {
        let frame = self.wait("a head", |f| f.stream == stream && matches!(f.kind, HEADERS | RST_STREAM));
        assert_eq!(frame.kind, HEADERS, "RST_STREAM {:?} instead of a head", frame.payload);
        frame.fields
    }

    /// The content that comes next on a stream, and whether it is the last.
    #[track_caller]
    pub fn next_data(&mut self, stream: u32) -> (Vec<u8>, bool) {
        let frame = self.wait("DATA", |f| f.stream == stream && matches!(f.kind, DATA | RST_STREAM));
        assert_eq!(frame.kind, DATA, "RST_STREAM {:?} instead of DATA", frame.payload);
        (frame.content().to_vec(), frame.ends())
    }

    /// So many bytes of content of a stream, in as many frames as they come in.
    #[track_caller]
    pub fn take_data(&mut self, stream: u32, bytes: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < bytes {
            all.extend(self.next_data(stream).0);
        }
        assert_eq!(all.len(), bytes, "no more than was to come");
        all
    }

    /// The message of a stream up to its end, whatever that is.
    #[track_caller]
    pub fn message(&mut self, stream: u32) -> Message {
        let message = Message::of(stream);
        self.finish_message(message)
    }

    /// The rest of a message whose beginning was taken before.
    #[track_caller]
    pub fn finish_message(&mut self, mut message: Message) -> Message {
        let of_stream = |f: &Frame| matches!(f.kind, DATA | HEADERS | RST_STREAM);
        let dead = |f: &Frame| f.kind == GOAWAY && f.number() != NO_ERROR;
        let stream = message.stream;
        message.ending = loop {
            match self.try_wait(|f| (f.stream == stream && of_stream(f)) || dead(f)) {
                Err(end) => break Ending::Cut(end),
                Ok(frame) if frame.kind == GOAWAY => {
                    let code = frame.number();
                    self.kept.push_back(frame);
                    break Ending::GoAway(code);
                }
                Ok(frame) if frame.kind == RST_STREAM => break Ending::Reset(frame.number()),
                Ok(frame) => {
                    let ends = frame.ends();
                    collect(&mut message, frame);
                    if ends {
                        break Ending::Whole;
                    }
                }
            }
        };
        let length = message.field("content-length").map(|length| length.parse::<usize>());
        if let (Some(length), Ending::Whole, false) = (length, message.ending, message.body.is_empty()) {
            assert_eq!(length, Ok(message.body.len()), "content-length and DATA differ: {:?}", message.fields);
        }
        message
    }

    /// As an origin: the head of the next request that is not taken yet.
    #[track_caller]
    pub fn next_request_head(&mut self) -> Message {
        let frame = self.wait("a request", |f| f.kind == HEADERS && f.fields.iter().any(|(n, _)| n == ":method"));
        let mut message = Message::of(frame.stream);
        message.fields = frame.fields.clone();
        message
    }

    /// As an origin: the next request, whole.
    #[track_caller]
    pub fn next_request(&mut self) -> Message {
        let frame = self.wait("a request", |f| f.kind == HEADERS && f.fields.iter().any(|(n, _)| n == ":method"));
        let mut message = Message::of(frame.stream);
        let ends = frame.ends();
        collect(&mut message, frame);
        if ends { message } else { self.finish_message(message) }
    }

    /// As an origin: a whole answer, its length said.
    #[track_caller]
    pub fn answer(&mut self, stream: u32, status: u16, body: impl AsRef<[u8]>) {
        let (status, length) = (status.to_string(), body.as_ref().len().to_string());
        let fields = [(":status", status.as_str()), ("content-length", length.as_str())];
        self.headers(stream, &fields, body.as_ref().is_empty());
        self.body(stream, body.as_ref(), true);
    }

    /// RST_STREAM comes for this stream with one of these codes.
    #[track_caller]
    pub fn expect_reset(&mut self, stream: u32, codes: &[u32]) {
        let fits = |f: &Frame| (f.kind == RST_STREAM && f.stream == stream) || (f.kind == GOAWAY && f.number() != 0);
        let frame = self.wait("RST_STREAM", fits);
        assert_eq!(frame.kind, RST_STREAM, "GOAWAY {} instead of RST_STREAM", frame.number());
        assert!(codes.contains(&frame.number()), "RST_STREAM {} where {codes:?} was expected", frame.number());
    }

    /// GOAWAY comes with one of these codes, and the connection is closed behind it. Returns it.
    #[track_caller]
    pub fn expect_goaway(&mut self, codes: &[u32]) -> Frame {
        let first = |f: &Frame| f.kind == GOAWAY && (f.number() != NO_ERROR || codes.contains(&NO_ERROR));
        let frame = self.wait("GOAWAY", first);
        assert!(codes.contains(&frame.number()), "GOAWAY {} where {codes:?} was expected", frame.number());
        self.expect_end();
        frame
    }

    /// The peer closes; what comes before it is kept.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let end = self.try_wait(|_| false).expect_err("no frame fits");
        assert_ne!(end, End::Silent, "the connection should have been closed; before it {}", self.kept_brief());
    }

    /// Reads one frame from the wire and does what has to be done about it.
    #[track_caller]
    pub fn read_frame(&mut self) -> Result<Frame, End> {
        let mut frame = self.take_frame()?;
        if frame.kind == HEADERS {
            self.decode(&mut frame)?;
        }
        self.note_received(&frame);
        Ok(frame)
    }

    #[track_caller]
    fn take_frame(&mut self) -> Result<Frame, End> {
        let header = self.wire.take(9)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        assert!(length <= FRAME_BYTES, "a frame of {length} bytes, type {}, stream {stream}", header[3]);
        Ok(Frame::new(header[3], header[4], stream, self.wire.take(length)?))
    }

    /// Puts the pieces of a block together and reads it.
    #[track_caller]
    fn decode(&mut self, frame: &mut Frame) -> Result<(), End> {
        let mut block = unpadded(frame.flags, &frame.payload).to_vec();
        if frame.has(WITH_PRIORITY) {
            block.drain(..5);
        }
        while !frame.has(END_HEADERS) {
            let next = self.take_frame()?;
            assert!(next.kind == CONTINUATION && next.stream == frame.stream, "{next:?} inside a block");
            block.extend_from_slice(&next.payload);
            frame.flags |= next.flags & END_HEADERS;
        }
        let fields = self.decoder.decode(&block).unwrap_or_else(|why| panic!("a block that is not HPACK: {why:?}"));
        let text = |bytes: Vec<u8>| bytes.into_iter().map(char::from).collect::<String>();
        frame.fields = fields.into_iter().map(|(name, value)| (text(name), text(value))).collect();
        let trailers = frame.ends() && frame.fields.iter().all(|(name, _)| !name.starts_with(':'));
        fields::check(&frame.fields, trailers).unwrap_or_else(|why| panic!("{why} in {:?}", frame.fields));
        Ok(())
    }

    #[track_caller]
    fn note_received(&mut self, frame: &Frame) {
        let stream = frame.stream;
        if matches!(frame.kind, DATA | HEADERS) {
            assert!(!self.ended.contains_key(&stream), "a frame on a stream that has ended: {frame:?}");
            if frame.ends() {
                self.ended.insert(stream, true);
            }
        }
        match frame.kind {
            SETTINGS if frame.has(ACK) => {
                if let Some(Some(bytes)) = self.shrinking.pop_front() {
                    self.receive.set_initial(bytes);
                }
            }
            SETTINGS => self.take_settings(frame),
            WINDOW_UPDATE => self.send.update(stream, frame.number()),
            RST_STREAM => drop(self.ended.insert(stream, false)),
            DATA => self.take_data_frame(frame),
            _ => {}
        }
    }

    #[track_caller]
    fn take_settings(&mut self, frame: &Frame) {
        assert!(frame.stream == 0 && frame.payload.len().is_multiple_of(6), "{frame:?}");
        for setting in frame.payload.chunks(6) {
            let number = u16::from_be_bytes([setting[0], setting[1]]);
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            self.settings.insert(number, value);
            if number == INITIAL_WINDOW_SIZE {
                self.send.set_initial(value);
            }
        }
        if self.acks {
            // A peer that has closed meanwhile is found out by the next read.
            self.try_send_all(&[Frame::settings_ack()]);
        }
    }

    #[track_caller]
    fn take_data_frame(&mut self, frame: &Frame) {
        let bytes = i64::try_from(frame.payload.len()).expect("a frame is short");
        let (connection, of_stream) = (self.receive.connection, *self.receive.stream(frame.stream));
        let allowed = bytes == 0 || bytes <= connection.min(of_stream);
        assert!(allowed, "{bytes} bytes of DATA, windows {connection} and {of_stream}, stream {}", frame.stream);
        self.receive.connection -= bytes;
        *self.receive.stream(frame.stream) -= bytes;
        let again = u32::try_from(bytes).expect("a frame is short");
        if self.updates && again > 0 {
            let mut updates = vec![Frame::window_update(0, again)];
            if !frame.ends() {
                updates.push(Frame::window_update(frame.stream, again));
            }
            // A peer that has closed meanwhile is found out by the next read.
            self.try_send_all(&updates);
        }
    }

    /// Keeps the windows right by what the test sends itself.
    fn note_sent(&mut self, frame: &Frame) {
        match frame.kind {
            DATA => {
                let bytes = frame.payload.len() as i64;
                self.send.connection -= bytes;
                *self.send.stream(frame.stream) -= bytes;
            }
            WINDOW_UPDATE if frame.payload.len() == 4 => self.receive.update(frame.stream, frame.number()),
            SETTINGS if !frame.has(ACK) => self.note_own_settings(frame),
            _ => {}
        }
    }

    /// A larger initial window holds from now on, a smaller one from its acknowledgement.
    fn note_own_settings(&mut self, frame: &Frame) {
        let mut smaller = None;
        for setting in frame.payload.chunks_exact(6) {
            let number = u16::from_be_bytes([setting[0], setting[1]]);
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            match number {
                INITIAL_WINDOW_SIZE if self.receive.streams.is_empty() || i64::from(value) >= self.receive.initial => {
                    self.receive.set_initial(value);
                }
                INITIAL_WINDOW_SIZE => smaller = Some(value),
                HEADER_TABLE_SIZE => self.decoder.set_max_allowed_table_size(value as usize),
                _ => {}
            }
        }
        self.shrinking.push_back(smaller);
    }
}

/// Puts a frame to the message it belongs to.
#[track_caller]
fn collect(message: &mut Message, frame: Frame) {
    if frame.kind == DATA {
        assert!(!message.fields.is_empty(), "DATA in front of the head: {frame:?}");
        message.body.extend_from_slice(frame.content());
        message.pieces.push(frame.content().len());
        return;
    }
    let status = fields::one(&frame.fields, ":status").and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(100..=199) => message.interim.push(frame.fields),
        _ if message.fields.is_empty() => message.fields = frame.fields,
        _ => {
            assert!(frame.ends(), "trailers that do not end the stream: {frame:?}");
            assert_eq!(message.trailers.replace(frame.fields), None, "trailers twice");
        }
    }
}
