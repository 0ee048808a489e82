//! What one connection owes to itself whatever its peer does: bounded memory, windows that add up, and faults that stay
//! on the stream they belong to. The rules of the protocol are tested from outside, through the executable.

use std::task::Waker;

use super::budget::End;
use super::connection::{Connection, Limits, Role, Text};
use super::frame::{ErrorCode, HEADER_BYTES, Header, PREFACE, flag, kind, number, setting};
use super::hpack::{Decoder, Encoder};
use super::receive::Opened;
use super::stream::Cut;
use super::streams::StreamKey;
use crate::bounds;
use crate::http::RequestHead;

const LIMITS: Limits = Limits { streams: 128, head_bytes: 16 * 1024, fields: 100 };

/// A connection, and its peer's way of writing heads.
struct Pair {
    machine: Connection,
    encoder: Encoder,
    head: RequestHead,
}

impl Pair {
    /// A server whose client has said its settings and knows ours.
    fn server() -> Self {
        let mut pair = Self::new(Role::Server);
        pair.feed(PREFACE).expect("a preface");
        pair.settle();
        pair
    }

    fn client() -> Self {
        let mut pair = Self::new(Role::Client { scheme: b"http" });
        pair.settle();
        pair
    }

    fn new(role: Role) -> Self {
        Self { machine: Connection::new(role, LIMITS, 0), encoder: Encoder::new(), head: RequestHead::default() }
    }

    fn settle(&mut self) {
        self.frame(kind::SETTINGS, 0, 0, &[]).expect("settings");
        self.frame(kind::SETTINGS, flag::ACK, 0, &[]).expect("an acknowledgement");
        self.sent();
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Option<Opened>, End> {
        self.machine.feed(bytes, &mut self.head, 0).map(|(_, opened)| opened)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Option<Opened>, End> {
        let mut frame = Vec::new();
        Header { length: payload.len(), kind, flags, stream }.write(&mut frame);
        frame.extend_from_slice(payload);
        self.feed(&frame)
    }

    /// A POST whose body is to come.
    fn post(&mut self, stream: u32, length: Option<&[u8]>) -> StreamKey {
        let block = self.request_block(length);
        let opened = self.frame(kind::HEADERS, flag::END_HEADERS, stream, &block).expect("a head");
        opened.expect("a request").key
    }

    fn request_block(&mut self, length: Option<&[u8]>) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in
            [(&b":method"[..], &b"POST"[..]), (b":scheme", b"http"), (b":authority", b"t"), (b":path", b"/")]
        {
            self.encoder.pseudo(&mut block, name, value);
        }
        if let Some(length) = length {
            let id = crate::http::FieldId::ContentLength;
            self.encoder.field(&mut block, id, id.name(), length);
        }
        block
    }

    fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        self.frame(kind::DATA, if end { flag::END_STREAM } else { 0 }, stream, bytes).expect("DATA");
    }

    fn read(&mut self, key: StreamKey, most: usize) -> Result<Vec<u8>, Cut> {
        let mut buffer = Vec::with_capacity(most);
        match self.machine.read(key, &mut buffer)? {
            Text::Bytes(_) => Ok(buffer),
            Text::End | Text::NotReady => Ok(Vec::new()),
        }
    }

    /// Takes what was to be sent.
    fn sent(&mut self) -> Vec<(Header, Vec<u8>)> {
        let bytes = self.machine.output().to_vec();
        self.machine.sent(bytes.len());
        let mut rest = bytes.strip_prefix(PREFACE.as_slice()).unwrap_or(&bytes);
        let mut frames = Vec::new();
        while let Some(header) = rest.first_chunk::<HEADER_BYTES>().map(Header::read) {
            let end = HEADER_BYTES + header.length;
            frames.push((header, rest[HEADER_BYTES..end].to_vec()));
            rest = &rest[end..];
        }
        frames
    }
}

/// A reader that is always a little behind must not make the stream keep all that it has read.
#[test]
fn what_was_read_of_a_body_is_forgotten() {
    for length in [None, Some(&b"1000000000"[..])] {
        let mut pair = Pair::server();
        let key = pair.post(1, length);
        pair.data(1, &[b'x'; 16_000], false);
        for _ in 0..2_000 {
            pair.data(1, &[b'x'; 16_000], false);
            assert!(!pair.read(key, 16_000).expect("a body").is_empty());
        }
        let held = pair.machine.streams.get(key).expect("a stream").inbox().capacity();
        assert!(held <= 256 * 1024, "{held} bytes are held for 16,000 that are unread");
    }
}

/// A body of single bytes costs about as much as it takes of the windows, not many times that.
#[test]
fn the_framing_of_small_data_does_not_fill_the_memory() {
    let mut pair = Pair::server();
    let key = pair.post(1, None);
    for _ in 0..100_000 {
        pair.data(1, b"x", false);
    }
    let unread = pair.machine.streams.get(key).expect("a stream").unread();
    assert!(unread <= 110_000, "{unread} bytes of text for 100,000 of DATA");
    pair.data(1, b"", true);
    let mut text = Vec::new();
    loop {
        let piece = pair.read(key, 777).expect("a body");
        if piece.is_empty() {
            break;
        }
        text.extend(piece);
    }
    let mut decoder = crate::h2::message::BodyText::new(crate::h2::message::TextBody::Chunked);
    let (mut rest, mut bytes) = (text.as_slice(), 0);
    while !decoder.is_done() {
        let unframed = decoder.next(rest, usize::MAX).expect("chunks");
        bytes += unframed.data.len();
        rest = &rest[unframed.consumed..];
    }
    assert_eq!((bytes, rest.len()), (100_000, 0));
}

/// DATA of a message that disagrees with its length is given back to the window of the connection once.
#[test]
fn windows_add_up_over_malformed_bodies() {
    let mut pair = Pair::server();
    for number in 0..50 {
        let stream = 1 + 2 * number;
        let key = pair.post(stream, Some(b"20000"));
        pair.data(stream, &[b'x'; 10_000], true);
        assert_eq!(pair.read(key, 20_000).map(|text| text.len()), Ok(10_000));
        assert_eq!(pair.read(key, 20_000), Err(Cut::Malformed));
        pair.machine.release(key, 0);
        let given: u32 = pair
            .sent()
            .iter()
            .filter(|(header, _)| header.kind == kind::WINDOW_UPDATE && header.stream == 0)
            .map(|(_, payload)| number_of(payload))
            .sum();
        assert!(pair.machine.receive_window <= i64::from(bounds::HTTP2_CONNECTION_WINDOW_BYTES), "{given}");
    }
}

fn number_of(payload: &[u8]) -> u32 {
    number(payload)
}

/// RFC 9113 §6.8: what comes on streams behind the last one is passed over, and the others go on.
#[test]
fn a_request_behind_the_last_one_ends_nothing() {
    let mut pair = Pair::server();
    let key = pair.post(1, None);
    pair.machine.leave();
    let block = pair.request_block(None);
    assert_eq!(pair.frame(kind::HEADERS, flag::END_HEADERS, 3, &block), Ok(None));
    pair.data(3, b"body", false);
    let update = 1_u32.to_be_bytes();
    assert_eq!(pair.frame(kind::WINDOW_UPDATE, 0, 3, &update), Ok(None));
    let mut trailers = Vec::new();
    pair.encoder.begin(&mut trailers);
    pair.encoder.field(&mut trailers, crate::http::FieldId::Other, b"x", b"y");
    let flags = flag::END_HEADERS | flag::END_STREAM;
    assert_eq!(pair.frame(kind::HEADERS, flags, 3, &trailers), Ok(None));
    let block = pair.request_block(None);
    assert_eq!(pair.frame(kind::HEADERS, flag::END_HEADERS, 5, &block), Ok(None));
    assert_eq!(pair.frame(kind::RST_STREAM, 0, 5, &8_u32.to_be_bytes()), Ok(None));
    pair.data(1, b"on", true);
    assert_eq!(pair.read(key, 100).expect("the stream lives"), b"2\r\non\r\n0\r\n\r\n");
    let resets = pair.sent().iter().filter(|(header, _)| header.kind == kind::RST_STREAM).count();
    assert_eq!(resets, 0);
}

/// RFC 7541 §4.2: the smallest size between two blocks is said, also where one frame of SETTINGS has changed it twice.
#[test]
fn a_table_that_was_emptied_is_said_to_have_been() {
    let mut pair = Pair::server();
    let mut decoder = Decoder::new(4_096);
    let answer = b"HTTP/1.1 200 OK\r\nserver: a-name\r\ncontent-length: 0\r\n\r\n";
    for stream in [1, 3] {
        let key = pair.post(stream, None);
        pair.machine.write(key, answer).expect("room");
    }
    let mut payload = Vec::new();
    for size in [0_u32, 4_096] {
        payload.extend(setting::HEADER_TABLE_SIZE.to_be_bytes());
        payload.extend(size.to_be_bytes());
    }
    for (header, block) in pair.sent() {
        if header.kind == kind::HEADERS {
            decoder.decode(&block, |_| {}).expect("a block");
        }
    }
    pair.frame(kind::SETTINGS, 0, 0, &payload).expect("settings");
    let key = pair.post(5, None);
    pair.machine.write(key, answer).expect("room");
    let frames = pair.sent();
    let (_, block) = frames.iter().find(|(header, _)| header.kind == kind::HEADERS).expect("a head");
    assert_eq!(block[..4], [0x20, 0x3f, 0xe1, 0x1f], "0, then 4,096");
}

/// A client that opens a stream's window where the connection's is closed makes nothing pile up.
#[test]
fn who_waits_for_room_waits_once() {
    let mut pair = Pair::server();
    let key = pair.post(1, None);
    let body = vec![b'x'; 100_000];
    pair.machine.write(key, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").expect("room");
    let mut at = 0;
    while let Ok(count @ 1..) = pair.machine.write(key, &body[at..]) {
        at += count;
    }
    pair.sent();
    for _ in 0..1_000 {
        pair.machine.await_room(key, Waker::noop());
        pair.frame(kind::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).expect("a window");
        assert_eq!(pair.machine.write(key, &body[at..]), Ok(0), "the connection's window is closed");
    }
    assert!(pair.machine.waiting_len() <= 1, "{}", pair.machine.waiting_len());
}

/// Text that cannot be sent on ends its own stream: others share the connection.
#[test]
fn text_that_cannot_be_sent_ends_one_stream() {
    let mut pair = Pair::client();
    let [good, chunks, head] = [0; 3].map(|_| pair.machine.open().expect("room"));
    let text = b"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";
    pair.machine.write(good, text).expect("room");
    pair.machine.write(chunks, text).expect("room");
    assert_eq!(pair.machine.write(head, b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"), Err(Cut::Reset));
    assert_eq!(pair.machine.write(chunks, b"nonsense\r\n"), Err(Cut::Reset));
    let trailers = [b"0\r\n".to_vec(), b"a: \r\n".repeat(bounds::TRAILER_BYTES_MAX)].concat();
    let long = pair.machine.open().expect("room");
    pair.machine.write(long, text).expect("room");
    assert_eq!(pair.machine.write(long, &trailers), Err(Cut::Reset));
    for key in [chunks, head, long] {
        pair.machine.release(key, 0);
    }
    assert_eq!(pair.machine.end(), None);
    assert_eq!(pair.machine.write(good, b"2\r\nok\r\n0\r\n\r\n"), Ok(12));
    let resets: Vec<u32> = pair
        .sent()
        .iter()
        .filter(|(header, _)| header.kind == kind::RST_STREAM)
        .map(|(header, _)| header.stream)
        .collect();
    assert_eq!(resets, [3, 5], "a stream without a number has nothing to reset");
}

/// gRPC sends a PING for a round trip's worth of DATA: what goes out pays for them.
#[test]
fn data_that_went_out_earns_pings() {
    let mut pair = Pair::server();
    pair.frame(kind::WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes()).expect("a window");
    let key = pair.post(1, None);
    pair.frame(kind::WINDOW_UPDATE, 0, 1, &1_000_000_u32.to_be_bytes()).expect("a window");
    pair.machine.write(key, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").expect("room");
    for _ in 0..3_000 {
        pair.machine.write(key, b"7\r\nmessage\r\n").expect("room");
        pair.frame(kind::PING, 0, 0, &[0; 8]).expect("a PING for each message");
        pair.sent();
    }
}

/// Frames that are small because the windows are earn nothing: each costs a wake of whoever waits.
#[test]
fn windows_opened_byte_by_byte_are_not_paid_for_by_what_they_let_out() {
    let mut pair = Pair::server();
    let key = pair.post(1, None);
    let body = vec![b'x'; 100_000];
    pair.machine.write(key, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").expect("room");
    let mut at = 0;
    while let Ok(count @ 1..) = pair.machine.write(key, &body[at..]) {
        at += count;
    }
    let mut ended = None;
    for _ in 0..20_000 {
        let frames = [0, 1].map(|stream| pair.frame(kind::WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes()));
        if let Some(Err(end)) = frames.into_iter().find(Result::is_err) {
            ended = Some(end);
            break;
        }
        at += pair.machine.write(key, &body[at..]).expect("room");
        pair.sent();
    }
    assert_eq!(ended.map(|end| end.code), Some(ErrorCode::EnhanceYourCalm));
}

/// Many streams that were cut at once: what their peer had under way is passed over on all of them.
#[test]
fn what_is_under_way_on_many_streams_that_were_cut_is_passed_over() {
    let mut pair = Pair::server();
    let keys: Vec<_> = (0..LIMITS.streams).map(|n| pair.post(1 + 2 * n, None)).collect();
    for key in keys {
        pair.machine.abandon(key);
        pair.machine.release(key, 0);
    }
    for _ in 0..3 {
        (0..LIMITS.streams).for_each(|n| pair.data(1 + 2 * n, b"under way", false));
    }
    assert_eq!(pair.machine.end(), None);
}

/// How many streams a client opens and gives up before that ends the connection; with a new batch behind each head, or not.
fn resets_until_cut(pair: &mut Pair, answered: bool, batches: bool) -> u32 {
    for number in 0.. {
        let stream = 1 + 2 * number;
        let key = pair.post(stream, None);
        if answered {
            pair.machine.write(key, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").expect("a head");
        }
        if batches {
            pair.machine.begin_batch();
        }
        let reset = pair.frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        pair.machine.release(key, 0);
        if reset.is_err() {
            return number;
        }
    }
    0
}

/// What is given up in the breath in which it is asked for costs twice, whether it was answered already or not; who has
/// seen the beginning of an answer may leave as often as likes.
#[test]
fn a_stream_given_up_at_once_costs_double() {
    assert_eq!(resets_until_cut(&mut Pair::server(), false, true), 200);
    assert_eq!(resets_until_cut(&mut Pair::server(), false, false), 100);
    assert_eq!(resets_until_cut(&mut Pair::server(), true, false), 100);
    assert_eq!(resets_until_cut(&mut Pair::server(), true, true), 1_000);
}

/// A head of thousands of lines is work, whatever becomes of it: few of them end the connection.
#[test]
fn heads_of_many_lines_cost_by_the_line() {
    let mut pair = Pair::server();
    let mut block = pair.request_block(None);
    // `a:` without a value, never to be indexed.
    block.extend_from_slice(&b"\x10\x01a\x00".repeat(2_000));
    for number in 0.. {
        let head = pair.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1 + 2 * number, &block);
        assert!(pair.machine.work() > 2_000 * bounds::HTTP2_LINE_BYTES);
        let Ok(opened) = head else {
            assert_eq!(number, 4, "11 each of 50");
            return;
        };
        let opened = opened.expect("a request");
        assert!(opened.too_large);
        pair.machine.release(opened.key, 0);
    }
}

/// Who waits for room knows whether it is the peer that holds it up: its own window, or no DATA at all that goes out.
#[test]
fn who_waits_knows_for_what() {
    let mut pair = Pair::server();
    let keys = [pair.post(1, None), pair.post(3, None)];
    for key in keys {
        pair.machine.write(key, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n").expect("a head");
    }
    let before = pair.machine.standing(keys[1]).expect("its window is open");
    let body = [b'x'; 100_000];
    let sent = pair.machine.write(keys[0], &body).expect("as much as the windows allow");
    assert_eq!((sent, pair.machine.standing(keys[0])), (65_535, None), "its own window is shut");
    assert_ne!(pair.machine.standing(keys[1]), Some(before), "a neighbour was served");
    pair.sent();
    pair.frame(kind::PING, 0, 0, b"pingping").expect("a PING");
    pair.sent();
    assert_eq!(pair.machine.standing(keys[1]), Some(before + 65_535), "PINGs are nothing");
}

/// Thousands of settings in a frame are work, too.
#[test]
fn settings_cost_by_their_number() {
    let mut pair = Pair::server();
    let mut payload = Vec::new();
    for value in 0..2_000_u32 {
        payload.extend_from_slice(&setting::INITIAL_WINDOW_SIZE.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    pair.frame(kind::SETTINGS, 0, 0, &payload).expect("once");
    pair.frame(kind::SETTINGS, 0, 0, &payload).expect_err("and not again at once");
}
