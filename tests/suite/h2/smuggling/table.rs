//! Values that the gateway has to refuse, by the part of the request that they stand in.

const REQUEST: &[u8] = b"/a HTTP/1.1\r\nhost: t\r\n\r\nGET /smuggled";

pub const PATHS: &[&[u8]] = &[
    REQUEST, b"/a b", b"/a\r\nx: y", b"/a\nx: y", b"/a\rb", b"/a\0", b"/a\tb", b"/a\x7f", b"/\xe9", b"/a#b", b"/a HTTP/1.1",
    b" /a", b"/a ", b"a", b"", b"*", b"http://t/a", b"//t@/a b", b"/\x01", b"/a\x1b[2J",
];

pub const METHODS: &[&[u8]] = &[
    b"GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\nGET", b"GE T", b"GET ", b" GET", b"GET\r\n", b"GET\n", b"GET\0", b"GET:", b"G(T",
    b"G\xc9T", b"", b"GET /smuggled", b"GET\t",
];

pub const AUTHORITIES: &[&[u8]] = &[
    b"t\r\nx: y", b"t\nx: y", b"t\0", b"t x", b" t", b"t ", b"t/smuggled", b"t?x", b"t#x", b"u@t", b"u:p@t", b"t\\u", b"t\tu",
    b"t\x7f", b"t:port", b"[::1", b"t\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n",
];

pub const SCHEMES: &[&[u8]] = &[b"", b"http\r\nx: y", b"http://t/smuggled?", b"http ", b"ht tp", b"http\0", b"ftp", b"file"];

pub const NAMES: &[&[u8]] = &[
    b"", b"x\r\ny", b"x\ny", b"x\ry", b"x\0y", b"x: y", b"x:", b"x y", b" x", b"x ", b"x\ty", b"(x)", b"x,y", b"x=y", b"x\"y",
    b"x/y", b"x[y]", b"\xe9", b"x\x7f", b"Transfer-Encoding", b"transfer-encoding ", b"content-length:", b"content-length\r",
    b"host ", b"x\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n", b":smuggled", b":path ", b"hosT",
];

pub const VALUES: &[&[u8]] = &[
    b"a\r\nx: y", b"a\nx: y", b"a\rx: y", b"a\0b", b"\0", b"\r", b"\n", b"a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n",
    b"a\r\ntransfer-encoding: chunked", b" a", b"a ", b"\ta", b"a\t", b"a\x01b", b"a\x7fb", b"a\x1bb",
];

pub const LENGTHS: &[&[u8]] = &[
    b"", b"+0", b"-0", b"-1", b"0x0", b"0 ", b" 0", b"0,0", b"0, 0", b"a", b"0a", b"0.0", b"99999999999999999999", b"\xb2",
    b"18446744073709551616", b"1e1", b"0;x", b"1",
];

/// Fields that may not stand, or not together.
pub const TOGETHER: &[&[(&str, &str)]] = &[
    &[("transfer-encoding", "chunked")],
    &[("transfer-encoding", "Chunked")],
    &[("transfer-encoding", "identity")],
    &[("transfer-encoding", "")],
    &[("transfer-encoding", "chunked"), ("content-length", "0")],
    &[("content-length", "0"), ("transfer-encoding", "chunked")],
    &[("te", "chunked")],
    &[("te", "trailers, chunked")],
    &[("content-length", "0"), ("content-length", "0")],
    &[("content-length", "0"), ("content-length", "5")],
    &[("connection", "close")],
    &[("connection", "content-length")],
    &[("connection", "upgrade"), ("upgrade", "websocket")],
    &[("upgrade", "websocket")],
    &[("keep-alive", "timeout=5")],
    &[("proxy-connection", "close")],
    &[("host", "u")],
    &[("host", "t:80")],
    &[("host", "")],
    &[("host", "t"), ("host", "u")],
    &[("host", "t"), ("host", "t")],
    &[("host", "t, u")],
    &[("host", "t\r\nx: y")],
    &[("cookie", "a=b\r\nx: y"), ("cookie", "c=d")],
];
