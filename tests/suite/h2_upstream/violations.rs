//! Origins that break the rules of HTTP/2: 502 or a cut answer, never a field or a byte that the client could take for
//! something else, and never more damage than the rule demands: a malformed message ends its stream (RFC 9113 §8.1.1), a
//! broken frame its connection (§5.4.1).

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::{Caller, Told};
use super::origin::*;

/// What an answer that must never be whole may do to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// The stream is reset with this code and the connection lives.
    Stream(u32),
    /// GOAWAY with this code, and the end.
    Connection(u32),
    /// Either of them.
    Any,
}

/// Frames for a stream.
type Frames = fn(u32) -> Vec<Frame>;
type Row = (&'static str, Frames, Harm);

/// Plays each row against a POST of a client of each version, and fails with all that went wrong.
#[track_caller]
fn play(rows: &[Row]) {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept: Option<H2> = None;
    let mut wrong = Vec::new();
    for (name, frames, harm) in rows {
        for mut caller in Caller::both(&gateway) {
            caller.post("/", "x");
            let mut peer = kept.take().unwrap_or_else(|| origin.accept());
            let stream = whole_request(&mut peer).stream;
            peer.try_send(&together(&frames(stream)));
            let told = caller.told();
            if let Err(why) = judge(&told) {
                wrong.push(format!("{name}: {why}"));
            }
            let (is_open, seen) = damage(&mut peer, stream);
            if !fits(*harm, seen, &frames(stream)) {
                wrong.push(format!("{name}: {seen:?} where {harm:?} was expected"));
            }
            if is_open {
                kept = Some(peer);
            }
            if origin.is_asked_within(0) {
                wrong.push(format!("{name}: the POST was sent again"));
                drop(origin.accept_raw());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What an answer out of a broken one may be.
fn judge(told: &Told) -> Result<(), String> {
    let smuggled = told.fields.iter().chain(&told.trailers).any(|(name, _)| name.contains("smuggled"));
    if smuggled || told.text().contains("smuggled") {
        return Err(format!("something was smuggled: {told:?}"));
    }
    if told.is_cut || told.status == 502 { Ok(()) } else { Err(format!("a whole answer: {told:?}")) }
}

/// Whether the damage is what the rule demands. A stream that both sides have ended need not be reset.
fn fits(harm: Harm, seen: Harm, frames: &[Frame]) -> bool {
    let silent = seen == Harm::Stream(NO_CODE) && frames.last().is_some_and(Frame::ends);
    matches!(harm, Harm::Any) || harm == seen || (silent && matches!(harm, Harm::Stream(_)))
}

/// Neither RST_STREAM nor GOAWAY came.
const NO_CODE: u32 = u32::MAX;

/// Whether the connection lives, and what was done to it or to the stream.
fn damage(peer: &mut H2, stream: u32) -> (bool, Harm) {
    let is_open = is_alive(peer, 0x616c_6976_6500_0000 + u64::from(stream));
    let wanted = |f: &Frame| if is_open { f.kind == RST_STREAM && f.stream == stream } else { f.kind == GOAWAY };
    let code = if peer.has_come(wanted) { peer.wait("its code", wanted).number() } else { NO_CODE };
    (is_open, if is_open { Harm::Stream(code) } else { Harm::Connection(code) })
}

/// HEADERS with these fields that end the stream.
fn head(stream: u32, fields: &[(&str, &str)]) -> Frame {
    Frame::headers(stream, fields::block(fields), true)
}

/// HEADERS of a good 200 that leaves the stream open.
fn good(stream: u32) -> Frame {
    Frame::headers(stream, fields::block(&[(":status", "200")]), false)
}

/// A good 200 with one more field, which ends the stream.
fn with(stream: u32, name: &str, value: &str) -> Vec<Frame> {
    vec![head(stream, &[(":status", "200"), (name, value)])]
}

const MALFORMED: Harm = Harm::Stream(PROTOCOL_ERROR);
const BROKEN: Harm = Harm::Connection(PROTOCOL_ERROR);
const SIZE: Harm = Harm::Connection(FRAME_SIZE_ERROR);

/// RFC 9113 §8.3.2: the status.
#[test]
fn a_bad_status_is_502() {
    play(&[
        ("no status", |s| vec![head(s, &[("server", "o")])], MALFORMED),
        ("no field", |s| vec![head(s, &[])], MALFORMED),
        ("two", |s| vec![head(s, &[(":status", "200"), (":status", "200")])], MALFORMED),
        ("letters", |s| vec![head(s, &[(":status", "abc")])], MALFORMED),
        ("two digits", |s| vec![head(s, &[(":status", "20")])], MALFORMED),
        ("four digits", |s| vec![head(s, &[(":status", "2000")])], MALFORMED),
        ("below 100", |s| vec![head(s, &[(":status", "099")])], MALFORMED),
        ("empty", |s| vec![head(s, &[(":status", "")])], MALFORMED),
        ("a space", |s| vec![head(s, &[(":status", "200 ")])], MALFORMED),
        ("a phrase", |s| vec![head(s, &[(":status", "200 OK")])], MALFORMED),
        ("a sign", |s| vec![head(s, &[(":status", "+20")])], MALFORMED),
        ("a line", |s| vec![head(s, &[(":status", "200\r\nx-smuggled: 1")])], MALFORMED),
        ("another pseudo-field", |s| with(s, ":path", "/"), MALFORMED),
        ("an unknown pseudo-field", |s| with(s, ":smuggled", "1"), MALFORMED),
        ("behind a field", |s| vec![head(s, &[("server", "o"), (":status", "200")])], MALFORMED),
    ]);
}

/// RFC 9113 §8.2.1: names.
#[test]
fn a_bad_name_is_502() {
    play(&[
        ("upper case", |s| with(s, "X-Smuggled", "1"), MALFORMED),
        ("one upper letter", |s| with(s, "x-smuggleD", "1"), MALFORMED),
        ("empty", |s| with(s, "", "smuggled"), Harm::Any),
        ("a colon", |s| with(s, "x:smuggled", "1"), MALFORMED),
        ("a colon behind", |s| with(s, "x-smuggled:", "1"), MALFORMED),
        ("a space", |s| with(s, "x smuggled", "1"), MALFORMED),
        ("a space in front", |s| with(s, " x-smuggled", "1"), MALFORMED),
        ("a space behind", |s| with(s, "x-smuggled ", "1"), MALFORMED),
        ("a tab", |s| with(s, "x\tsmuggled", "1"), MALFORMED),
        ("CR LF", |s| with(s, "x\r\nsmuggled", "1"), MALFORMED),
        ("a whole line", |s| with(s, "x: 1\r\nx-smuggled", "1"), MALFORMED),
        ("LF", |s| with(s, "x\nsmuggled", "1"), MALFORMED),
        ("NUL", |s| with(s, "x\0smuggled", "1"), MALFORMED),
        ("DEL", |s| with(s, "x\x7fsmuggled", "1"), MALFORMED),
        ("beyond ASCII", |s| with(s, "x\u{fc}smuggled", "1"), MALFORMED),
        ("parentheses", |s| with(s, "(smuggled)", "1"), MALFORMED),
        ("quotes", |s| with(s, "\"smuggled\"", "1"), MALFORMED),
    ]);
}

/// RFC 9113 §8.2.1: values.
#[test]
fn a_bad_value_is_502() {
    play(&[
        ("CR LF", |s| with(s, "x", "1\r\nx-smuggled: 1"), MALFORMED),
        ("an empty line", |s| with(s, "x", "1\r\n\r\nsmuggled"), MALFORMED),
        ("CR", |s| with(s, "x", "1\rx-smuggled: 1"), MALFORMED),
        ("LF", |s| with(s, "x", "1\nx-smuggled: 1"), MALFORMED),
        ("NUL", |s| with(s, "x", "1\0smuggled"), MALFORMED),
        ("LF at the end", |s| with(s, "x-smuggled", "1\n"), MALFORMED),
        ("CR at the end", |s| with(s, "x-smuggled", "1\r"), MALFORMED),
        ("a space in front", |s| with(s, "x-smuggled", " 1"), MALFORMED),
        ("a space behind", |s| with(s, "x-smuggled", "1 "), MALFORMED),
        ("a tab in front", |s| with(s, "x-smuggled", "\t1"), MALFORMED),
        ("a tab behind", |s| with(s, "x-smuggled", "1\t"), MALFORMED),
    ]);
}

/// RFC 9113 §8.2.2: fields of a connection.
#[test]
fn fields_of_a_connection_are_502() {
    play(&[
        ("connection: close", |s| with(s, "connection", "close"), MALFORMED),
        ("connection: keep-alive", |s| with(s, "connection", "keep-alive"), MALFORMED),
        ("keep-alive", |s| with(s, "keep-alive", "timeout=5"), MALFORMED),
        ("proxy-connection", |s| with(s, "proxy-connection", "close"), MALFORMED),
        ("transfer-encoding: chunked", |s| with(s, "transfer-encoding", "chunked"), MALFORMED),
        ("transfer-encoding: identity", |s| with(s, "transfer-encoding", "identity"), MALFORMED),
        ("upgrade", |s| with(s, "upgrade", "websocket"), MALFORMED),
        ("a chunked body", chunked_inside, MALFORMED),
    ]);
}

/// A head that asks for chunked, and a body that would end early under it.
fn chunked_inside(stream: u32) -> Vec<Frame> {
    let fields = fields::block(&[(":status", "200"), ("transfer-encoding", "chunked")]);
    let body = "0\r\n\r\nHTTP/1.1 200 OK\r\nx-smuggled: 1\r\ncontent-length: 0\r\n\r\n";
    vec![Frame::headers(stream, fields, false), Frame::data(stream, body, true)]
}

/// RFC 9113 §8.1.1: lengths.
#[test]
fn a_bad_length_is_502() {
    play(&[
        ("said with no content", |s| with(s, "content-length", "5"), MALFORMED),
        ("letters", |s| with(s, "content-length", "x"), MALFORMED),
        ("a sign", |s| with(s, "content-length", "+0"), MALFORMED),
        ("negative", |s| with(s, "content-length", "-1"), MALFORMED),
        ("a list", |s| with(s, "content-length", "0, 0"), MALFORMED),
        ("empty", |s| with(s, "content-length", ""), MALFORMED),
        ("hexadecimal", |s| with(s, "content-length", "0x0"), MALFORMED),
        ("beyond 64 bits", |s| with(s, "content-length", "18446744073709551616"), MALFORMED),
        (
            "twice, different",
            |s| vec![head(s, &[(":status", "200"), ("content-length", "0"), ("content-length", "1")])],
            MALFORMED,
        ),
        ("too little", |s| measured(s, "10", "hello"), MALFORMED),
        ("too much", |s| measured(s, "3", "hello"), MALFORMED),
    ]);
}

fn measured(stream: u32, length: &str, body: &str) -> Vec<Frame> {
    let fields = fields::block(&[(":status", "200"), ("content-length", length)]);
    vec![Frame::headers(stream, fields, false), Frame::data(stream, body, true)]
}

/// RFC 9113 §8.1: the order of the parts of an answer.
#[test]
fn a_bad_order_of_parts_is_502() {
    play(&[
        ("DATA before HEADERS", |s| vec![Frame::data(s, "x", false), good(s), Frame::data(s, "", true)], Harm::Any),
        ("DATA alone", |s| vec![Frame::data(s, "smuggled", true)], Harm::Any),
        ("an interim answer that ends", |s| vec![head(s, &[(":status", "103")])], MALFORMED),
        ("DATA behind an interim answer", |s| vec![interim(s), Frame::data(s, "smuggled", true)], Harm::Any),
        ("101", |s| vec![Frame::headers(s, fields::block(&[(":status", "101")]), false)], MALFORMED),
        ("a second head", |s| vec![good(s), good(s), Frame::data(s, "x", true)], MALFORMED),
        (
            "trailers that do not end",
            |s| vec![good(s), trailers(s, "x-t", false), Frame::data(s, "x", true)],
            MALFORMED,
        ),
        ("a status in trailers", |s| vec![good(s), trailers(s, ":status", true)], MALFORMED),
        ("a bad name in trailers", |s| vec![good(s), trailers(s, "X-Smuggled", true)], MALFORMED),
        ("a line in trailers", |s| vec![good(s), trailers(s, "x: 1\r\nx-smuggled", true)], MALFORMED),
        ("a field of a connection in trailers", |s| vec![good(s), trailers(s, "transfer-encoding", true)], MALFORMED),
    ]);
}

fn interim(stream: u32) -> Frame {
    Frame::headers(stream, fields::block(&[(":status", "103")]), false)
}

fn trailers(stream: u32, name: &str, end: bool) -> Frame {
    Frame::headers(stream, fields::block(&[(name, "200")]), end)
}

/// RFC 9113 §5.1, §6: frames that cannot be where they are end the connection.
#[test]
fn a_misplaced_frame_ends_the_connection() {
    play(&[
        ("DATA on stream 0", |_| vec![Frame::data(0, "x", false)], BROKEN),
        ("HEADERS on stream 0", |_| vec![good(0)], BROKEN),
        ("RST_STREAM on stream 0", |_| vec![Frame::reset(0, 0)], BROKEN),
        ("CONTINUATION without HEADERS", |s| vec![Frame::continuation(s, [], true)], BROKEN),
        ("DATA inside a block", |s| vec![begun(s), Frame::data(s, "x", true)], BROKEN),
        ("PING inside a block", |s| vec![begun(s), Frame::ping(1)], BROKEN),
        ("CONTINUATION of another stream", |s| vec![begun(s), Frame::continuation(s + 2, [], true)], BROKEN),
        ("SETTINGS on a stream", |s| vec![Frame::new(SETTINGS, 0, s, [])], BROKEN),
        ("PING on a stream", |s| vec![Frame::new(PING, 0, s, [0; 8])], BROKEN),
        ("GOAWAY on a stream", |s| vec![Frame::new(GOAWAY, 0, s, [0; 8])], BROKEN),
        ("HEADERS on an idle stream", |s| vec![good(s + 100)], BROKEN),
        ("HEADERS on an even stream", |_| vec![good(2)], BROKEN),
        ("DATA on an idle stream", |s| vec![Frame::data(s + 100, "x", true)], BROKEN),
        ("RST_STREAM on an idle stream", |s| vec![Frame::reset(s + 100, 0)], BROKEN),
        ("WINDOW_UPDATE on an idle stream", |s| vec![Frame::window_update(s + 100, 1)], BROKEN),
        ("PUSH_PROMISE", |s| vec![Frame::push_promise(s, 2, &fields::request("GET", "/smuggled", &[]))], BROKEN),
    ]);
}

/// The beginning of a block.
fn begun(stream: u32) -> Frame {
    Frame::headers_begun(stream, fields::block(&[(":status", "200")]), false)
}

/// RFC 9113 §4.2, §6: frames of a wrong size, padding and values that are not allowed.
#[test]
fn a_malformed_frame_ends_the_connection() {
    play(&[
        ("DATA too long", |s| vec![good(s), Frame::data(s, [0; FRAME_BYTES + 1], true)], Harm::Any),
        ("HEADERS too long", |s| vec![Frame::headers(s, [0; FRAME_BYTES + 1], true)], SIZE),
        ("RST_STREAM too short", |s| vec![Frame::new(RST_STREAM, 0, s, [0; 3])], SIZE),
        ("SETTINGS of five bytes", |_| vec![Frame::new(SETTINGS, 0, 0, [0; 5])], SIZE),
        ("a filled acknowledgement", |_| vec![Frame::new(SETTINGS, ACK, 0, [0; 6])], SIZE),
        ("PING of seven bytes", |_| vec![Frame::new(PING, 0, 0, [0; 7])], SIZE),
        ("GOAWAY of seven bytes", |_| vec![Frame::new(GOAWAY, 0, 0, [0; 7])], SIZE),
        ("WINDOW_UPDATE of three bytes", |_| vec![Frame::new(WINDOW_UPDATE, 0, 0, [0; 3])], SIZE),
        ("WINDOW_UPDATE of nothing", |_| vec![Frame::window_update(0, 0)], BROKEN),
        ("padding beyond DATA", |s| vec![good(s), Frame::new(DATA, PADDED, s, [5, 0])], BROKEN),
        ("padding beyond HEADERS", |s| vec![Frame::new(HEADERS, PADDED | END_HEADERS, s, [5, 0])], BROKEN),
        ("ENABLE_PUSH of 2", |_| vec![Frame::settings(&[(ENABLE_PUSH, 2)])], BROKEN),
        ("ENABLE_PUSH of a server", |_| vec![Frame::settings(&[(ENABLE_PUSH, 1)])], BROKEN),
        ("frames too small", |_| vec![Frame::settings(&[(MAX_FRAME_SIZE, 16_383)])], BROKEN),
        ("frames too large", |_| vec![Frame::settings(&[(MAX_FRAME_SIZE, 1 << 24)])], BROKEN),
        ("an initial window too large", |_| vec![Frame::settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)])], FLOW),
        ("the window overflows", |_| vec![Frame::window_update(0, WINDOW_MAX)], FLOW),
    ]);
}

const FLOW: Harm = Harm::Connection(FLOW_CONTROL_ERROR);

/// RFC 7541: blocks that cannot be read end the connection, for what follows could not be read either.
#[test]
fn a_bad_block_ends_the_connection() {
    const BLOCK: Harm = Harm::Connection(COMPRESSION_ERROR);
    play(&[
        ("index 0", |s| vec![Frame::headers(s, [0x80], true)], BLOCK),
        ("an index beyond the tables", |s| vec![Frame::headers(s, fields::indexed(200), true)], BLOCK),
        ("a number without end", |s| vec![Frame::headers(s, [0xff; 20], true)], BLOCK),
        ("a name that ends early", |s| vec![Frame::headers(s, [0x00, 0x0a, b'x'], true)], BLOCK),
        ("bad Huffman coding", |s| vec![Frame::headers(s, [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00], true)], BLOCK),
        ("a table beyond the limit", |s| vec![Frame::headers(s, fields::table_size(1 << 20), true)], BLOCK),
        (
            "a size behind a field",
            |s| vec![Frame::headers(s, [&fields::indexed(8)[..], &fields::table_size(0)].concat(), true)],
            BLOCK,
        ),
    ]);
}

/// RFC 9113 §6.9: what goes wrong with the window of one stream ends that stream.
#[test]
fn a_bad_window_of_a_stream_ends_it() {
    play(&[
        ("WINDOW_UPDATE of nothing", |s| vec![Frame::window_update(s, 0)], Harm::Stream(PROTOCOL_ERROR)),
        ("it overflows", |s| vec![Frame::window_update(s, WINDOW_MAX)], Harm::Any),
        ("more DATA than allowed", flood, Harm::Any),
    ]);
}

/// More than any window that a gateway may sensibly have given.
fn flood(stream: u32) -> Vec<Frame> {
    let mut frames = vec![good(stream)];
    frames.extend((0..1_500).map(|_| Frame::data(stream, [b'x'; FRAME_BYTES], false)));
    frames
}

/// What must be borne is borne: the answer is whole and the connection lives.
#[test]
fn what_must_be_borne_is_borne() {
    let rows: &[(&str, Frames)] = &[
        ("an unknown frame", |s| vec![Frame::new(0xfa, 0xff, s, [1; 100]), Frame::new(0xfb, 0, 0, [])]),
        ("an unknown setting", |_| vec![Frame::settings(&[(0xfafa, 1), (0, u32::MAX)])]),
        ("PRIORITY", |s| vec![Frame::priority(s, 0, 255)]),
        ("PRIORITY of an idle stream", |s| vec![Frame::priority(s + 100, s, 0)]),
        ("ALTSVC and ORIGIN", |_| vec![Frame::new(0x0a, 0, 0, [0, 0]), Frame::new(0x0c, 0, 0, [])]),
        ("a table size", |_| {
            vec![Frame::settings(&[(HEADER_TABLE_SIZE, 0)]), Frame::settings(&[(HEADER_TABLE_SIZE, 65_536)])]
        }),
        ("larger frames", |_| vec![Frame::settings(&[(MAX_FRAME_SIZE, 1 << 20)])]),
        ("a list size", |_| vec![Frame::settings(&[(MAX_HEADER_LIST_SIZE, 1 << 16)])]),
        ("windows", |s| vec![Frame::window_update(0, 1), Frame::window_update(s, 1)]),
        ("PING that is an answer to nothing", |_| vec![Frame::ping_ack(99)]),
    ];
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept: Option<H2> = None;
    for (name, frames) in rows {
        for mut caller in Caller::both(&gateway) {
            caller.get("/");
            let peer = kept.get_or_insert_with(|| origin.accept());
            let stream = whole_request(peer).stream;
            peer.send_all(&frames(stream));
            peer.answer(stream, 200, "x");
            assert_eq!(caller.told().whole(), (200, "x".to_owned()), "{name}");
            peer.send_all(&[
                Frame::window_update(stream, 1),
                Frame::reset(stream, NO_ERROR),
                Frame::priority(stream, 0, 1),
            ]);
            peer.ping();
        }
    }
    origin.expect_no_connection();
}

/// Odd but legal ways to write a head: padding, priority, many frames, indexed fields.
#[test]
fn odd_heads_are_read() {
    let block = fields::block(&[(":status", "200"), ("x-kept", "k")]);
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept: Option<H2> = None;
    for shape in 0..6 {
        let mut client = gateway.client();
        client.send(get("/"));
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        let padded = [&[7][..], &block, &[0; 7]].concat();
        let weighted = [&[0x80, 0, 0, 0, 200][..], &block].concat();
        let both = [&[3, 0, 0, 0, 0, 9][..], &block, &[0; 3]].concat();
        let indexed = [fields::indexed(8), fields::indexed_literal("x-kept", "k")].concat();
        let frames = match shape {
            0 => vec![Frame::new(HEADERS, END_HEADERS | PADDED | END_STREAM, stream, padded)],
            1 => vec![Frame::new(HEADERS, END_HEADERS | WITH_PRIORITY | END_STREAM, stream, weighted)],
            2 => vec![Frame::new(HEADERS, END_HEADERS | PADDED | WITH_PRIORITY | END_STREAM, stream, both)],
            3 => {
                block[3..].chunks(3).fold(vec![Frame::headers_begun(stream, &block[..3], true)], |mut frames, piece| {
                    frames.push(Frame::continuation(stream, piece, false));
                    frames
                })
            }
            4 => vec![Frame::headers(stream, indexed, true)],
            _ => vec![Frame::headers(stream, [fields::indexed(8), fields::indexed(62)].concat(), true)],
        };
        peer.send_all(&frames);
        if shape == 3 {
            peer.send(Frame::continuation(stream, [], true));
        }
        let response = client.read_response();
        assert_eq!((response.status, response.field("x-kept")), (200, Some("k")), "shape {shape}");
    }
    origin.expect_no_connection();
}

/// A head larger than its bound, by bytes or by fields, is 502 whatever way it takes; the gateway stays small.
#[test]
fn a_huge_head_is_502() {
    let rows: [Frames; 4] = [
        |s| {
            let many: Vec<(String, &str)> = (0..300).map(|number| (format!("x-{number}"), "v")).collect();
            vec![Frame::headers(s, [fields::block(&[(":status", "200")]), fields::block(&many)].concat(), true)]
        },
        |s| {
            let value = "v".repeat(16_000);
            let mut frames = vec![Frame::headers_begun(s, fields::block(&[(":status", "200")]), true)];
            frames.extend((0..20).map(|n| Frame::continuation(s, fields::literal(format!("x-{n}"), &value), n == 19)));
            frames
        },
        // One stored field of 4,000 bytes, named 10,000 times.
        |s| {
            let first = [fields::indexed(8), fields::indexed_literal("x-bomb", "b".repeat(4_000))].concat();
            vec![Frame::headers(s, [first, fields::indexed(62).repeat(10_000)].concat(), true)]
        },
        |s| {
            let mut frames = vec![Frame::headers_begun(s, fields::block(&[(":status", "200")]), true)];
            frames.extend((0..20_000).map(|_| Frame::continuation(s, [], false)));
            frames
        },
    ];
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    for frames in rows {
        for mut caller in Caller::both(&gateway) {
            caller.post("/", "x");
            let (mut peer, request) = origin.accept_request();
            peer.try_send(&together(&frames(request.stream)));
            caller.told().assert_failure(502);
            drop(peer);
            let mut next = gateway.client();
            next.send(get("/"));
            let (mut peer, request) = origin.accept_request();
            peer.answer(request.stream, 200, "x");
            assert_eq!(next.read_response().status, 200);
            goodbye(peer);
        }
    }
}

/// RFC 9113 §3.4: an origin whose first frame is not SETTINGS, or that speaks something else, is 502.
#[test]
fn an_origin_that_is_not_one_is_502() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let first: [Vec<u8>; 5] = [
        Frame::ping(1).bytes(),
        good(1).bytes(),
        Frame::settings_ack().bytes(),
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nX-Smuggled: 1\r\n\r\n".to_vec(),
        b"\x15\x03\x03\x00\x02\x02\x28".to_vec(),
    ];
    for bytes in first {
        for mut caller in Caller::both(&gateway) {
            caller.post("/", "x");
            let mut peer = origin.accept_raw();
            peer.send(&bytes);
            peer.shutdown_write();
            let told = caller.told();
            told.assert_failure(502);
            assert_eq!(told.field("x-smuggled"), None);
            peer.wait_gone();
        }
    }
}

/// Floods from an origin end its connection, not the gateway.
#[test]
fn floods_of_an_origin_end() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let rows: [fn(u32) -> Frame; 4] =
        [|_| Frame::ping(1), |_| Frame::settings(&[]), |s| Frame::data(s, "", false), |s| Frame::new(0xfa, 0, s, [])];
    for frame in rows {
        let mut caller = Caller::h1(&gateway);
        caller.post("/", "x");
        let (mut peer, request) = origin.accept_request();
        peer.send(good(request.stream));
        assert_eq!(caller.told_head(), 200);
        let burst = together(&vec![frame(request.stream); 1_000]);
        let begun = now_ms();
        while peer.try_send(&burst) && now_ms() - begun < 400 {}
        drop(peer);
        assert!(caller.rest().1, "the answer is cut");
        let mut client = gateway.client();
        client.send(get("/"));
        let (mut peer, request) = origin.accept_request();
        peer.answer(request.stream, 200, "x");
        assert_eq!(client.read_response().status, 200);
        goodbye(peer);
    }
}
