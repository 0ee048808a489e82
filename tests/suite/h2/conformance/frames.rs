//! Rows of RFC 9113 §4 and §6: the form of frames, and the rules of each type.

use super::Wanted::*;
use super::*;

/// The pseudo-fields of a GET.
fn block() -> Vec<u8> {
    fields::request("GET", "/row", &[])
}

/// A PADDED payload: what is said of the padding's length, and everything behind it.
fn padded(said: u8, rest: &[u8]) -> Vec<u8> {
    [&[said][..], rest].concat()
}

/// A row whose bytes are no frames that the builders make.
fn raw(client: &mut H2, bytes: &[u8]) {
    client.wire.send(bytes);
}

/// §4: sizes, flags and reserved bits; blocks are not interrupted.
pub const FORMAT: &[Row] = &[
    ("§4.1 an unknown flag on PING", |c| c.send_all(&[Frame::new(PING, 0xfe, 0, [0; 8]), whole()]), Answered),
    ("§4.1 unknown flags on HEADERS", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | 0xd2, 1, block())), Answered),
    ("§4.1 unknown flags on DATA", |c| c.send_all(&[head(), Frame::new(DATA, END_STREAM | 0xf6, 1, b"x")]), Answered),
    ("§4.1 the reserved bit of PING", |c| c.send_all(&[Frame::new(PING, 0, 0x8000_0000, [0; 8]), whole()]), Answered),
    ("§4.1 the reserved bit of HEADERS", |c| c.send(Frame::headers(0x8000_0001, block(), true)), Answered),
    ("§4.1 the reserved bit of WINDOW_UPDATE's increment", |c| c.send_all(&[Frame::window_update(0, 0x8000_0001), whole()]), Answered),
    ("§4.2 DATA of 16384 bytes", |c| c.send_all(&[head(), Frame::data(1, [b'x'; FRAME_BYTES], true)]), Answered),
    ("§4.2 DATA of 16385 bytes", |c| c.send_all(&[head(), Frame::data(1, [b'x'; FRAME_BYTES + 1], true)]), Either(&[FRAME_SIZE_ERROR])),
    ("§4.2 HEADERS of 16385 bytes", |c| c.send(Frame::headers(1, fields::request("GET", "/", &[("a", &"x".repeat(FRAME_BYTES))]), true)), Connection(&[FRAME_SIZE_ERROR])),
    ("§4.2 CONTINUATION of 16385 bytes", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::continuation(1, [0; FRAME_BYTES + 1], true)]), Connection(&[FRAME_SIZE_ERROR])),
    ("§4.2 SETTINGS of 16386 bytes", |c| c.send(Frame::new(SETTINGS, 0, 0, vec![0xee; 16_386])), Connection(&[FRAME_SIZE_ERROR])),
    ("§4.2 an unknown type of 16385 bytes", |c| c.send(Frame::new(0x55, 0, 0, [0; FRAME_BYTES + 1])), Connection(&[FRAME_SIZE_ERROR])),
    ("§4.2 a length of 16777215 and no payload", |c| raw(c, &Frame::new(DATA, 0, 1, []).bytes_of_length(0xff_ffff)), Connection(&[FRAME_SIZE_ERROR])),
    ("§4.3 a block that is not HPACK", |c| c.send(Frame::headers(1, [0x80], true)), Connection(&[COMPRESSION_ERROR])),
    ("§4.3 PRIORITY inside a block", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::priority(1, 0, 1), Frame::continuation(1, [], true)]), Connection(&[PROTOCOL_ERROR])),
    ("§4.3 PING inside a block", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::ping(1)]), Connection(&[PROTOCOL_ERROR])),
    ("§4.3 WINDOW_UPDATE inside a block", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::window_update(0, 1)]), Connection(&[PROTOCOL_ERROR])),
    ("§4.3 RST_STREAM inside a block", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::reset(1, CANCEL)]), Connection(&[PROTOCOL_ERROR])),
    ("§4.3 HEADERS of another stream inside a block", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::headers(3, block(), true)]), Connection(&[PROTOCOL_ERROR])),
    ("§4.3 a block in HEADERS of no bytes and CONTINUATION", |c| c.send_all(&[Frame::headers_begun(1, [], true), Frame::continuation(1, block(), true)]), Answered),
    ("§4.3 a block cut inside a field", |c| { let (a, b) = (block()[..9].to_vec(), block()[9..].to_vec()); c.send_all(&[Frame::headers_begun(1, a, true), Frame::continuation(1, b, true)]) }, Answered),
];

/// §6.1, §6.2, §6.10.
pub const DATA_AND_HEADERS: &[Row] = &[
    ("§6.1 DATA", |c| c.send_all(&[head(), Frame::data(1, "x", true)]), Answered),
    ("§6.1 several DATA", |c| c.send_all(&[head(), Frame::data(1, "x", false), Frame::data(1, "", false), Frame::data(1, "y", true)]), Answered),
    ("§6.1 DATA with padding", |c| c.send_all(&[head(), Frame::padded_data(1, "x", 255, true)]), Answered),
    ("§6.1 DATA of padding alone", |c| c.send_all(&[head(), Frame::padded_data(1, "", 9, false), Frame::padded_data(1, "", 0, true)]), Answered),
    ("§6.1 DATA on stream 0", |c| c.data(0, "x", true), Connection(&[PROTOCOL_ERROR])),
    ("§6.1 DATA on a stream that has ended", |c| c.send_all(&[whole(), Frame::data(1, "x", true)]), Either(&[STREAM_CLOSED])),
    ("§6.1 DATA with more padding than payload", |c| c.send_all(&[head(), Frame::new(DATA, PADDED | END_STREAM, 1, padded(6, b"12345"))]), Connection(&[PROTOCOL_ERROR])),
    ("§6.1 DATA with as much padding as payload and one", |c| c.send_all(&[head(), Frame::new(DATA, PADDED | END_STREAM, 1, padded(1, b""))]), Connection(&[PROTOCOL_ERROR])),
    ("§6.1 DATA that says PADDED and is empty", |c| c.send_all(&[head(), Frame::new(DATA, PADDED | END_STREAM, 1, [])]), Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
    ("§6.2 HEADERS", |c| c.send(whole()), Answered),
    ("§6.2 HEADERS with padding", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, [padded(3, &block()), vec![0; 3]].concat())), Answered),
    ("§6.2 HEADERS with padding and priority", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 1, [padded(3, &[0, 0, 0, 0, 9]), block(), vec![0; 3]].concat())), Answered),
    ("§6.2 HEADERS without END_HEADERS and PRIORITY", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::priority(3, 0, 1)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.2 HEADERS without END_HEADERS and DATA", |c| c.send_all(&[Frame::headers_begun(1, block(), false), Frame::data(1, "x", true)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.2 HEADERS without END_HEADERS and HEADERS", |c| c.send_all(&[Frame::headers_begun(1, block(), true), whole()]), Connection(&[PROTOCOL_ERROR])),
    ("§6.2 HEADERS on stream 0", |c| c.send(Frame::headers(0, block(), true)), Connection(&[PROTOCOL_ERROR])),
    ("§6.2 HEADERS with more padding than payload", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, padded(200, &block()))), Connection(&[PROTOCOL_ERROR])),
    ("§6.2 HEADERS with padding over their priority", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 1, padded(3, &[0; 5]))), Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
    ("§6.2 HEADERS that say PADDED and are empty", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, [])), Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
    ("§6.2 HEADERS that say PRIORITY and are too short", |c| c.send(Frame::new(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, [0; 4])), Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
    ("§6.10 CONTINUATION", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::continuation(1, fields::literal("a", "b"), true)]), Answered),
    ("§6.10 several CONTINUATIONs", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::continuation(1, fields::literal("a", "b"), false), Frame::continuation(1, [], false), Frame::continuation(1, fields::literal("c", "d"), true)]), Answered),
    ("§6.10 CONTINUATION and then DATA", |c| c.send_all(&[Frame::headers_begun(1, block(), false), Frame::continuation(1, [], true), Frame::data(1, "x", true)]), Answered),
    ("§6.10 CONTINUATION and PING", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::continuation(1, [], false), Frame::ping(1)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.10 CONTINUATION on stream 0", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::continuation(0, [], true)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.10 CONTINUATION of another stream", |c| c.send_all(&[Frame::headers_begun(1, block(), true), Frame::continuation(3, [], true)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.10 CONTINUATION behind END_HEADERS", |c| c.send_all(&[head(), Frame::continuation(1, [], true)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.10 CONTINUATION behind END_HEADERS of CONTINUATION", |c| c.send_all(&[Frame::headers_begun(1, block(), false), Frame::continuation(1, [], true), Frame::continuation(1, [], true)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.10 CONTINUATION behind DATA", |c| c.send_all(&[head(), Frame::data(1, "x", false), Frame::continuation(1, [], true)]), Connection(&[PROTOCOL_ERROR])),
];

/// §6.3, §6.4, §6.6, §6.7, §6.8.
pub const CONTROL: &[Row] = &[
    ("§6.3 PRIORITY", |c| c.send_all(&[head(), Frame::priority(1, 0, 255), Frame::data(1, "x", true)]), Answered),
    ("§6.3 PRIORITY on stream 0", |c| c.send(Frame::priority(0, 1, 1)), Connection(&[PROTOCOL_ERROR])),
    ("§6.3 PRIORITY of 4 bytes", |c| c.send_all(&[head(), Frame::new(PRIORITY, 0, 1, [0; 4])]), Either(&[FRAME_SIZE_ERROR])),
    ("§6.3 PRIORITY of 6 bytes", |c| c.send_all(&[head(), Frame::new(PRIORITY, 0, 1, [0; 6])]), Either(&[FRAME_SIZE_ERROR])),
    ("§6.4 RST_STREAM", |c| c.send_all(&[head(), Frame::reset(1, CANCEL)]), Alive),
    ("§6.4 RST_STREAM on stream 0", |c| c.send(Frame::reset(0, CANCEL)), Connection(&[PROTOCOL_ERROR])),
    ("§6.4 RST_STREAM on an idle stream", |c| c.send(Frame::reset(3, CANCEL)), Connection(&[PROTOCOL_ERROR])),
    ("§6.4 RST_STREAM of 3 bytes", |c| c.send_all(&[head(), Frame::new(RST_STREAM, 0, 1, [0; 3])]), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.4 RST_STREAM of 5 bytes", |c| c.send_all(&[head(), Frame::new(RST_STREAM, 0, 1, [0; 5])]), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.6 PUSH_PROMISE of a client", |c| c.send_all(&[head(), Frame::push_promise(1, 2, &block())]), Connection(&[PROTOCOL_ERROR])),
    ("§6.6 PUSH_PROMISE on stream 0", |c| c.send(Frame::push_promise(0, 2, &block())), Connection(&[PROTOCOL_ERROR])),
    ("§6.7 PING is answered with what it said", |c| c.ping(), Alive),
    ("§6.7 PING with ACK is not answered", |c| { c.send(Frame::ping_ack(0x1234)); c.ping(); assert!(!c.has_come(|f| f.kind == PING)) }, Alive),
    ("§6.7 PING on a stream", |c| c.send_all(&[head(), Frame::new(PING, 0, 1, [0; 8])]), Connection(&[PROTOCOL_ERROR])),
    ("§6.7 PING of no bytes", |c| c.send(Frame::new(PING, 0, 0, [])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.7 PING of 7 bytes", |c| c.send(Frame::new(PING, 0, 0, [0; 7])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.7 PING of 9 bytes", |c| c.send(Frame::new(PING, 0, 0, [0; 9])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.7 PING with ACK of 7 bytes", |c| c.send(Frame::new(PING, ACK, 0, [0; 7])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.8 GOAWAY on a stream", |c| c.send(Frame::new(GOAWAY, 0, 1, [0; 8])), Connection(&[PROTOCOL_ERROR])),
    ("§6.8 GOAWAY of 7 bytes", |c| c.send(Frame::new(GOAWAY, 0, 0, [0; 7])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.8 GOAWAY with words behind it", |c| c.send_all(&[head(), Frame::new(GOAWAY, 0, 0, [&[0; 8][..], b"farewell"].concat()), Frame::data(1, "x", true)]), AnsweredLast),
];

/// §6.5, §6.9.
pub const SETTINGS_AND_WINDOWS: &[Row] = &[
    ("§6.5 SETTINGS are acknowledged", |c| { c.settings(&[(MAX_FRAME_SIZE, 20_000)]); c.wait("ACK", |f| f.kind == SETTINGS && f.has(ACK)); c.wait("ACK", |f| f.kind == SETTINGS && f.has(ACK)); }, Alive),
    ("§6.5 SETTINGS of no values", |c| c.send_all(&[Frame::settings(&[]), whole()]), Answered),
    ("§6.5 every setting", |c| c.send_all(&[Frame::settings(&[(1, 0), (2, 0), (3, 0), (4, 70_000), (5, 16_777_215), (6, 100_000)]), whole()]), Answered),
    ("§6.5 ACK with a payload", |c| c.send(Frame::new(SETTINGS, ACK, 0, [0; 6])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.5 SETTINGS on a stream", |c| c.send_all(&[head(), Frame::new(SETTINGS, 0, 1, [0, 3, 0, 0, 0, 9])]), Connection(&[PROTOCOL_ERROR])),
    ("§6.5 ACK on a stream", |c| c.send_all(&[head(), Frame::new(SETTINGS, ACK, 1, [])]), Connection(&[PROTOCOL_ERROR])),
    ("§6.5 SETTINGS of 3 bytes", |c| c.send(Frame::new(SETTINGS, 0, 0, [0, 3, 0])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.5 SETTINGS of 7 bytes", |c| c.send(Frame::new(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 9, 0])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.5.2 ENABLE_PUSH of 0", |c| c.send_all(&[Frame::settings(&[(ENABLE_PUSH, 0)]), whole()]), Answered),
    ("§6.5.2 ENABLE_PUSH of 2", |c| c.settings(&[(ENABLE_PUSH, 2)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.5.2 INITIAL_WINDOW_SIZE of 2147483647", |c| c.send_all(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, WINDOW_MAX)]), whole()]), Answered),
    ("§6.5.2 INITIAL_WINDOW_SIZE of 2147483648", |c| c.wire.send(Frame::settings(&[(INITIAL_WINDOW_SIZE, WINDOW_MAX + 1)]).bytes()), Connection(&[FLOW_CONTROL_ERROR])),
    ("§6.5.2 MAX_FRAME_SIZE of 16383", |c| c.settings(&[(MAX_FRAME_SIZE, 16_383)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.5.2 MAX_FRAME_SIZE of 0", |c| c.settings(&[(MAX_FRAME_SIZE, 0)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.5.2 MAX_FRAME_SIZE of 16777216", |c| c.settings(&[(MAX_FRAME_SIZE, 16_777_216)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.5.2 MAX_FRAME_SIZE of 16777215", |c| c.send_all(&[Frame::settings(&[(MAX_FRAME_SIZE, 16_777_215)]), whole()]), Answered),
    ("§6.5.2 MAX_HEADER_LIST_SIZE of 0 is advice", |c| c.send_all(&[Frame::settings(&[(MAX_HEADER_LIST_SIZE, 0)]), Frame::settings(&[(MAX_HEADER_LIST_SIZE, 65_536)]), whole()]), Answered),
    ("§6.5.2 MAX_CONCURRENT_STREAMS of 0 is about pushes", |c| c.send_all(&[Frame::settings(&[(MAX_CONCURRENT_STREAMS, 0)]), whole()]), Answered),
    ("§6.5.3 the last of several values counts", |c| c.send_all(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 90_000)]), whole()]), Answered),
    ("§6.5.3 a bad value behind good ones", |c| c.settings(&[(MAX_CONCURRENT_STREAMS, 9), (INITIAL_WINDOW_SIZE, 9), (ENABLE_PUSH, 3)]), Connection(&[PROTOCOL_ERROR])),
    ("§6.9 WINDOW_UPDATE of 0 on the connection", |c| c.send(Frame::window_update(0, 0)), Connection(&[PROTOCOL_ERROR])),
    ("§6.9 WINDOW_UPDATE of 0 on a stream", |c| c.send_all(&[head(), Frame::window_update(1, 0)]), Either(&[PROTOCOL_ERROR])),
    ("§6.9 WINDOW_UPDATE of 3 bytes", |c| c.send(Frame::new(WINDOW_UPDATE, 0, 0, [0, 0, 1])), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.9 WINDOW_UPDATE of 5 bytes on a stream", |c| c.send_all(&[head(), Frame::new(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1, 0])]), Connection(&[FRAME_SIZE_ERROR])),
    ("§6.9.1 a window of 2147483647 on the connection", |c| c.send_all(&[Frame::window_update(0, WINDOW_MAX - WINDOW), whole()]), Answered),
    ("§6.9.1 a window of 2147483648 on the connection", |c| c.send(Frame::window_update(0, WINDOW_MAX - WINDOW + 1)), Connection(&[FLOW_CONTROL_ERROR])),
    ("§6.9.1 a window too large by two steps on the connection", |c| c.send_all(&[Frame::window_update(0, WINDOW_MAX - WINDOW), Frame::window_update(0, 1)]), Connection(&[FLOW_CONTROL_ERROR])),
    ("§6.9.1 a window of 2147483647 on a stream", |c| c.send_all(&[head(), Frame::window_update(1, WINDOW_MAX - WINDOW), Frame::data(1, "x", true)]), Answered),
    ("§6.9.1 a window too large on a stream", |c| c.send_all(&[head(), Frame::window_update(1, WINDOW_MAX)]), Stream(&[FLOW_CONTROL_ERROR])),
    ("§6.9.1 a window too large by two steps on a stream", |c| c.send_all(&[head(), Frame::window_update(1, WINDOW_MAX - WINDOW), Frame::window_update(1, 1)]), Stream(&[FLOW_CONTROL_ERROR])),
    ("§6.9.2 a new initial size makes a window too large", |c| c.send_all(&[head(), Frame::window_update(1, WINDOW_MAX - WINDOW), Frame::settings(&[(INITIAL_WINDOW_SIZE, WINDOW + 1)])]), Connection(&[FLOW_CONTROL_ERROR])),
];
