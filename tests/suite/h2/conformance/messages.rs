//! Rows of RFC 9113 §8: requests of every shape, and those that are malformed.

use super::Wanted::*;
use super::*;

/// Sends these fields as a whole request on stream 1.
fn ask(client: &mut H2, fields: &[(&str, &str)]) {
    client.headers(1, fields, true);
}

/// A GET with these fields.
fn get_with(client: &mut H2, fields: &[(&str, &str)]) {
    client.request(1, "GET", "/row", fields, true);
}

/// A POST whose fields and pieces of content are said.
fn post_of(client: &mut H2, fields: &[(&str, &str)], pieces: &[&str]) {
    let mut frames = vec![Frame::headers(1, fields::request("POST", "/row", fields), pieces.is_empty())];
    let last = pieces.len().saturating_sub(1);
    frames.extend(pieces.iter().enumerate().map(|(at, piece)| Frame::data(1, piece, at == last)));
    client.send_all(&frames);
}

/// A POST with content and these trailers.
fn with_trailers(client: &mut H2, trailers: &[(&str, &str)], end: bool) {
    client.send_all(&[head(), Frame::data(1, "x", false), Frame::headers(1, fields::block(trailers), end)]);
}

/// §8.1, §8.3.1, §8.5: what is a request.
pub const REQUESTS: &[Row] = &[
    ("§8.1 HEAD", |c| c.request(1, "HEAD", "/row", &[], true), Answered),
    ("§8.1 POST without content", |c| c.request(1, "POST", "/row", &[], true), Answered),
    ("§8.1 POST with content", |c| post_of(c, &[], &["a", "b"]), Answered),
    ("§8.1 POST with a length", |c| post_of(c, &[("content-length", "2")], &["a", "b"]), Answered),
    ("§8.1 POST whose last DATA is empty", |c| post_of(c, &[("content-length", "1")], &["a", ""]), Answered),
    ("§8.1 POST with a length of 0 and an empty DATA", |c| post_of(c, &[("content-length", "0")], &[""]), Answered),
    ("§8.1 POST with trailers", |c| with_trailers(c, &[("x-sum", "1")], true), Answered),
    ("§8.1 POST with trailers of no fields", |c| with_trailers(c, &[], true), Answered),
    ("§8.1 trailers without content", |c| c.send_all(&[head(), Frame::headers(1, fields::block(&[("x-sum", "1")]), true)]), Answered),
    ("§8.3.1 an unknown method", |c| c.request(1, "BREW", "/row", &[], true), Answered),
    ("§8.3.1 a method in lower case is another method", |c| c.request(1, "get", "/row", &[], true), Answered),
    ("§8.3.1 OPTIONS *", |c| c.request(1, "OPTIONS", "*", &[], true), Answered),
    ("§8.3.1 the scheme https", |c| ask(c, &[(":method", "GET"), (":scheme", "https"), (":authority", "t"), (":path", "/")]), Answered),
    ("§8.3.1 host in place of :authority", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "t")]), Answered),
    ("§8.3.1 host beside the same :authority", |c| get_with(c, &[("host", "t")]), Answered),
    ("§8.3 pseudo-fields in another order", |c| ask(c, &[(":path", "/"), (":authority", "t"), (":scheme", "http"), (":method", "GET")]), Answered),
    ("§8.2.2 te: trailers", |c| get_with(c, &[("te", "trailers")]), Answered),
    ("§8.2.3 cookies in crumbs", |c| get_with(c, &[("cookie", "a=b"), ("cookie", "c=d")]), Answered),
    ("§8.2 a value of no bytes", |c| get_with(c, &[("a", "")]), Answered),
    ("§8.2 a value beyond ASCII", |c| get_with(c, &[("a", "\u{e9}\u{fc}")]), Answered),
    ("§8.2 a value with a tab inside", |c| get_with(c, &[("a", "b\tc")]), Answered),
    ("§8.3.1 a path with a query", |c| c.request(1, "GET", "/row?a=b&c", &[], true), Answered),
    ("RFC 9218 priority", |c| get_with(c, &[("priority", "u=1, i")]), Answered),
];

/// §8.1.1, §8.2, §8.3: what is none.
pub const MALFORMED: &[Row] = &[
    ("§8.1 HEADERS a second time without END_STREAM", |c| with_trailers(c, &[("x-sum", "1")], false), Malformed),
    ("§8.1 trailers with a pseudo-field", |c| with_trailers(c, &[("x-sum", "1"), (":method", "GET")], true), Malformed),
    ("§8.1 trailers with :status", |c| with_trailers(c, &[(":status", "200")], true), Malformed),
    ("§8.1 trailers in upper case", |c| with_trailers(c, &[("X-Sum", "1")], true), Malformed),
    ("§8.1 trailers with a field of the connection", |c| with_trailers(c, &[("transfer-encoding", "chunked")], true), Malformed),
    ("§8.1.1 content-length and no content", |c| c.request(1, "POST", "/row", &[("content-length", "1")], true), Malformed),
    ("§8.1.1 content-length and an empty DATA", |c| post_of(c, &[("content-length", "1")], &[""]), Malformed),
    ("§8.1.1 content-length and too little", |c| post_of(c, &[("content-length", "4")], &["abc"]), Malformed),
    ("§8.1.1 content-length and too little in pieces", |c| post_of(c, &[("content-length", "4")], &["a", "b", ""]), Malformed),
    ("§8.1.1 content-length and too much", |c| post_of(c, &[("content-length", "2")], &["abc"]), Malformed),
    // The request is whole with its head: the origin may have got it before the content shows that it is malformed.
    ("§8.1.1 content-length of 0 and content", |c| post_of(c, &[("content-length", "0")], &["a"]), Stream(&[PROTOCOL_ERROR])),
    ("§8.1.1 content-length, too little, and trailers", |c| c.send_all(&[Frame::headers(1, fields::request("POST", "/row", &[("content-length", "4")]), false), Frame::data(1, "abc", false), Frame::headers(1, fields::block(&[("x-sum", "1")]), true)]), Malformed),
    ("§8.2.1 a name in upper case", |c| get_with(c, &[("X-Row", "1")]), Malformed),
    ("§8.2.1 a name with one letter in upper case", |c| get_with(c, &[("x-roW", "1")]), Malformed),
    ("§8.2.1 a name of no bytes", |c| get_with(c, &[("", "1")]), Malformed),
    ("§8.2.1 a name with a space", |c| get_with(c, &[("x row", "1")]), Malformed),
    ("§8.2.1 a value with a space in front", |c| get_with(c, &[("a", " b")]), Malformed),
    ("§8.2.1 a value with a tab behind", |c| get_with(c, &[("a", "b\t")]), Malformed),
    ("§8.2.1 a value of one space", |c| get_with(c, &[("a", " ")]), Malformed),
    ("§8.2.2 connection", |c| get_with(c, &[("connection", "keep-alive")]), Malformed),
    ("§8.2.2 keep-alive", |c| get_with(c, &[("keep-alive", "timeout=5")]), Malformed),
    ("§8.2.2 proxy-connection", |c| get_with(c, &[("proxy-connection", "keep-alive")]), Malformed),
    ("§8.2.2 transfer-encoding", |c| post_of(c, &[("transfer-encoding", "chunked")], &["0\r\n\r\n"]), Malformed),
    ("§8.2.2 upgrade", |c| get_with(c, &[("upgrade", "h2c")]), Malformed),
    ("§8.2.2 te: gzip", |c| get_with(c, &[("te", "gzip")]), Malformed),
    ("§8.2.2 te: trailers, gzip", |c| get_with(c, &[("te", "trailers, gzip")]), Malformed),
    ("§8.3 an unknown pseudo-field", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/"), (":row", "1")]), Malformed),
    ("§8.3 :status in a request", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/"), (":status", "200")]), Malformed),
    ("§8.3 a pseudo-field behind others", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), ("a", "b"), (":path", "/")]), Malformed),
    ("§8.3 a pseudo-field of no name", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/"), (":", "1")]), Malformed),
    ("§8.3 :method in upper case", |c| ask(c, &[(":METHOD", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 no :method", |c| ask(c, &[(":scheme", "http"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 no :scheme", |c| ask(c, &[(":method", "GET"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 no :path", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t")]), Malformed),
    ("§8.3.1 neither :authority nor host", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":path", "/")]), Malformed),
    ("§8.3.1 no fields", |c| ask(c, &[]), Malformed),
    ("§8.3.1 :path of no bytes", |c| c.request(1, "GET", "", &[], true), Malformed),
    ("§8.3.1 :path without a slash", |c| c.request(1, "GET", "row", &[], true), Malformed),
    ("§8.3.1 :path of * for GET", |c| c.request(1, "GET", "*", &[], true), Malformed),
    ("§8.3.1 :path that is a URL", |c| c.request(1, "GET", "http://t/", &[], true), Malformed),
    ("§8.3.1 :path with a fragment", |c| c.request(1, "GET", "/a#b", &[], true), Malformed),
    ("§8.3.1 :method twice", |c| ask(c, &[(":method", "GET"), (":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 :scheme twice", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":scheme", "http"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 :path twice", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/"), (":path", "/")]), Malformed),
    ("§8.3.1 :authority twice", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 :method of no bytes", |c| c.request(1, "", "/row", &[], true), Malformed),
    ("§8.3.1 :scheme of no bytes", |c| ask(c, &[(":method", "GET"), (":scheme", ""), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 :scheme ftp", |c| ask(c, &[(":method", "GET"), (":scheme", "ftp"), (":authority", "t"), (":path", "/")]), Malformed),
    ("§8.3.1 :authority with a user", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "u@t"), (":path", "/")]), Malformed),
    ("§8.3.1 host other than :authority", |c| get_with(c, &[("host", "u")]), Malformed),
    ("§8.3.1 host twice", |c| get_with(c, &[("host", "t"), ("host", "t")]), Malformed),
    ("§8.3 :protocol without CONNECT", |c| ask(c, &[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/"), (":protocol", "websocket")]), Malformed),
    ("§8.5 CONNECT with :path", |c| ask(c, &[(":method", "CONNECT"), (":scheme", "http"), (":authority", "t:1"), (":path", "/")]), MalformedOrUnserved),
    ("§8.5 CONNECT", |c| ask(c, &[(":method", "CONNECT"), (":authority", "t:443")]), MalformedOrUnserved),
    ("§8.5 CONNECT with DATA", |c| c.send_all(&[Frame::headers(1, fields::block(&[(":method", "CONNECT"), (":authority", "t:443")]), false), Frame::data(1, "x", false)]), MalformedOrUnserved),
    ("RFC 8441 CONNECT for an unknown protocol", |c| ask(c, &[(":method", "CONNECT"), (":protocol", "row"), (":scheme", "http"), (":authority", "t"), (":path", "/")]), MalformedOrUnserved),
    ("TRACE", |c| c.request(1, "TRACE", "/row", &[], true), MalformedOrUnserved),
];
