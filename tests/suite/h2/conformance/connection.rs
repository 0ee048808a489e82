//! Rows of RFC 9113 §3, §5 and §7: the connection, states and numbers of streams, errors and extensions.

use super::Wanted::*;
use super::*;

/// §3, generic: frames of every type are taken on a connection that has just begun.
pub const STARTING: &[Row] = &[
    ("§3.4 a request", |c| c.send(whole()), Answered),
    ("§3.4 SETTINGS a second time", |c| c.send_all(&[Frame::settings(&[(MAX_CONCURRENT_STREAMS, 9)]), whole()]), Answered),
    ("§3.4 PING first", |c| c.send_all(&[Frame::ping(7), whole()]), Answered),
    ("§3.4 PRIORITY first", |c| c.send_all(&[Frame::priority(1, 0, 1), whole()]), Answered),
    ("§3.4 WINDOW_UPDATE first", |c| c.send_all(&[Frame::window_update(0, 1_000_000), whole()]), Answered),
    ("§5.1 PRIORITY on an idle stream", |c| c.send(Frame::priority(9, 0, 255)), Alive),
    ("§5.1 WINDOW_UPDATE on a half-closed stream", |c| c.send_all(&[whole(), Frame::window_update(1, 100)]), Answered),
    ("§5.1 PRIORITY on a half-closed stream", |c| c.send_all(&[whole(), Frame::priority(1, 0, 1)]), Answered),
    ("§5.1 RST_STREAM on a half-closed stream", |c| c.send_all(&[whole(), Frame::reset(1, CANCEL)]), Alive),
    ("§5.1 PRIORITY on a closed stream", |c| { c.fetch(1, "/"); c.send(Frame::priority(1, 0, 1)) }, Alive),
    ("§5.1 WINDOW_UPDATE on a stream that was answered", |c| { c.fetch(1, "/"); c.send(Frame::window_update(1, 100)) }, Alive),
    ("§5.1 RST_STREAM on a stream that was answered", |c| { c.fetch(1, "/"); c.send(Frame::reset(1, CANCEL)) }, Alive),
    ("§5.1 RST_STREAM twice", |c| c.send_all(&[head(), Frame::reset(1, CANCEL), Frame::reset(1, CANCEL)]), Alive),
    ("§5.1 WINDOW_UPDATE behind RST_STREAM", |c| c.send_all(&[head(), Frame::reset(1, CANCEL), Frame::window_update(1, 9)]), Alive),
    ("§6.8 a stream that began before GOAWAY", |c| c.send_all(&[head(), Frame::goaway(0, NO_ERROR), Frame::data(1, "x", true)]), AnsweredLast),
];

/// §5.1: frames that the state of their stream does not allow.
pub const STREAM_STATES: &[Row] = &[
    ("§5.1 idle: DATA", |c| c.data(1, "x", true), Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
    ("§5.1 idle: DATA without content", |c| c.data(1, "", true), Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
    ("§5.1 idle: RST_STREAM", |c| c.send(Frame::reset(1, CANCEL)), Connection(&[PROTOCOL_ERROR])),
    ("§5.1 idle: WINDOW_UPDATE", |c| c.send(Frame::window_update(1, 100)), Connection(&[PROTOCOL_ERROR])),
    ("§5.1 idle: CONTINUATION", |c| c.send(Frame::continuation(1, fields::request("GET", "/", &[]), true)), Connection(&[PROTOCOL_ERROR])),
    ("§5.1 idle: DATA on an even stream", |c| c.data(2, "x", true), Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
    ("§5.1 idle: RST_STREAM on an even stream", |c| c.send(Frame::reset(2, CANCEL)), Connection(&[PROTOCOL_ERROR])),
    ("§5.1 idle: WINDOW_UPDATE on an even stream", |c| c.send(Frame::window_update(2, 1)), Connection(&[PROTOCOL_ERROR])),
    ("§5.1 half closed: DATA", |c| c.send_all(&[whole(), Frame::data(1, "x", true)]), Either(&[STREAM_CLOSED])),
    ("§5.1 half closed: HEADERS", |c| c.send_all(&[whole(), whole()]), Either(&[STREAM_CLOSED])),
    ("§5.1 half closed: CONTINUATION", |c| c.send_all(&[whole(), Frame::continuation(1, [], true)]), Either(&[STREAM_CLOSED, PROTOCOL_ERROR])),
    ("§5.1 half closed behind DATA: DATA", |c| c.send_all(&[head(), Frame::data(1, "x", true), Frame::data(1, "y", true)]), Either(&[STREAM_CLOSED])),
    ("§5.1 half closed behind trailers: HEADERS", |c| c.send_all(&[head(), Frame::headers(1, [], true), Frame::headers(1, [], true)]), Either(&[STREAM_CLOSED])),
    ("§5.1 closed by RST_STREAM: DATA", |c| c.send_all(&[head(), Frame::reset(1, CANCEL), Frame::data(1, "x", true)]), Either(&[STREAM_CLOSED])),
    ("§5.1 closed by RST_STREAM: HEADERS", |c| c.send_all(&[head(), Frame::reset(1, CANCEL), Frame::headers(1, [], true)]), Either(&[STREAM_CLOSED, PROTOCOL_ERROR])),
    ("§5.1 closed by RST_STREAM: CONTINUATION", |c| c.send_all(&[head(), Frame::reset(1, CANCEL), Frame::continuation(1, [], true)]), Connection(&[STREAM_CLOSED, PROTOCOL_ERROR])),
    ("§5.1 closed: DATA", |c| { c.fetch(1, "/"); c.data(1, "x", true) }, Either(&[STREAM_CLOSED])),
    ("§5.1 closed: HEADERS", |c| { c.fetch(1, "/"); c.send(whole()) }, Either(&[STREAM_CLOSED, PROTOCOL_ERROR])),
    ("§5.1 closed: CONTINUATION", |c| { c.fetch(1, "/"); c.send(Frame::continuation(1, [], true)) }, Connection(&[STREAM_CLOSED, PROTOCOL_ERROR])),
];

/// §5.1.1, §5.3: which numbers a client may use.
pub const STREAM_NUMBERS: &[Row] = &[
    ("§5.1.1 even stream", |c| c.send(Frame::headers(2, fields::request("GET", "/", &[]), true)), Connection(&[PROTOCOL_ERROR])),
    ("§5.1.1 lower stream than before", |c| { c.get(5, "/"); c.get(3, "/") }, Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
    ("§5.1.1 lower stream than one that was reset", |c| { c.get(5, "/"); c.send(Frame::reset(5, CANCEL)); c.get(3, "/") }, Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
    ("§5.1.1 streams left out", |c| { c.send(whole()); c.get(7, "/"); c.get(101, "/") }, Answered),
    ("§5.1.1 highest stream", |c| drop(c.fetch(0x7fff_ffff, "/")), Done),
    ("§5.3.1 HEADERS depend on themselves", |c| c.send(with_priority(1, 1)), Lenient(&[PROTOCOL_ERROR])),
    ("§5.3.1 PRIORITY depends on itself", |c| c.send_all(&[head(), Frame::priority(1, 1, 1), Frame::data(1, "x", true)]), Lenient(&[PROTOCOL_ERROR])),
    ("§5.3.1 HEADERS with priority", |c| c.send(with_priority(1, 0)), Answered),
    ("§5.3.1 HEADERS depend on an idle stream, exclusively", |c| c.send(with_priority(1, 0x8000_0009)), Answered),
    ("§5.3.2 PRIORITY of an idle stream on another", |c| c.send_all(&[Frame::priority(3, 0x8000_0005, 255), whole()]), Answered),
];

/// §5.4, §5.5, §7: errors end the connection, and what is unknown is passed over.
pub const ERRORS: &[Row] = &[
    ("§5.4.1 the connection is closed", |c| c.send(Frame::new(PING, 0, 0, [0; 6])), Connection(&[FRAME_SIZE_ERROR])),
    ("§5.4.1 nothing is answered behind an error", |c| c.send_all(&[Frame::new(PING, 0, 0, [0; 6]), whole()]), Connection(&[FRAME_SIZE_ERROR])),
    ("§5.4.2 other streams live on", |c| c.send_all(&[head(), Frame::window_update(1, 0)]), Stream(&[PROTOCOL_ERROR])),
    ("§5.5 a frame of an unknown type", |c| c.send_all(&[Frame::new(0x16, 0, 0, [0; 8]), whole()]), Answered),
    ("§5.5 a frame of an unknown type on a stream", |c| c.send_all(&[head(), Frame::new(0xfe, 0xff, 1, [0; 100]), Frame::data(1, "x", true)]), Answered),
    ("§5.5 a frame of an unknown type on an idle stream", |c| c.send_all(&[Frame::new(0x77, 0, 99, []), whole()]), Answered),
    ("§5.5 a frame of an unknown type inside a block", |c| c.send_all(&[Frame::headers_begun(1, fields::request("GET", "/", &[]), true), Frame::new(0x16, 0, 0, [0; 8]), Frame::continuation(1, [], true)]), Connection(&[PROTOCOL_ERROR])),
    ("§5.5 an unknown setting", |c| c.send_all(&[Frame::settings(&[(0xff, 5), (0xf0f0, 0xffff_ffff)]), whole()]), Answered),
    ("RFC 9218 PRIORITY_UPDATE", |c| c.send_all(&[Frame::new(PRIORITY_UPDATE, 0, 0, [&[0, 0, 0, 1][..], b"u=1"].concat()), whole()]), Answered),
    ("RFC 8336 ORIGIN", |c| c.send_all(&[Frame::new(0xc, 0, 0, [0, 1, b'x']), whole()]), Answered),
    ("§7 GOAWAY with an unknown code", |c| c.send_all(&[head(), Frame::goaway(0, 0xff), Frame::data(1, "x", true)]), AnsweredLast),
    ("§7 RST_STREAM with an unknown code", |c| c.send_all(&[head(), Frame::reset(1, 0xff)]), Alive),
];

/// A whole GET on stream 1 that depends on another stream.
fn with_priority(stream: u32, on: u32) -> Frame {
    let block = fields::request("GET", "/row", &[]);
    let payload = [&on.to_be_bytes()[..], &[15], &block].concat();
    Frame::new(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, stream, payload)
}
