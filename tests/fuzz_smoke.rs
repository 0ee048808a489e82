//! A bounded run of every fuzz target on stable: seeds of the grammar, mutated, through the same entry functions.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use ringway::control::config::fuzz_config;
use ringway::front::proxy_protocol;
use ringway::h1::fuzz;
use ringway::h2;

#[path = "../fuzz/src/lib.rs"]
mod properties;

/// Pieces that make heads: right ones, and those at the borders of what is right.
const HEAD_PIECES: &[&str] = &[
    "GET ",
    "POST ",
    "OPTIONS ",
    "CONNECT ",
    "M-SEARCH ",
    "/",
    "/v1/chat/completions?stream=true",
    "*",
    "http://a",
    "https://a:443/x?y",
    "http://u@a/",
    "a:80",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    " HTTP/1.9\r\n",
    " HTTP/2.0\r\n",
    " http/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 304\r\n",
    "HTTP/1.1 099 x\r\n",
    "Host: a\r\n",
    "host:b:80\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close, upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "X-A: \t b \t\r\n",
    "X-Empty:\r\n",
    "x-a-name-that-is-longer-than-one-vector-of-the-scanner: 1\r\n",
    "X-Long: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n",
    "X-Obs: \u{e9}\r\n",
    "X-Space : a\r\n",
    " folded\r\n",
    "X-Nul: \0\r\n",
    "X-Del: \u{7f}\r\n",
    "no-colon\r\n",
    ": empty\r\n",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "\t",
    "\0",
    " ",
    ":",
    "a",
    "#f",
];

/// Pieces that make chunked bodies.
const CHUNK_PIECES: &[&str] = &[
    "5\r\nhello\r\n",
    "1\r\na\r\n",
    "A;name=\"value\"\r\n0123456789\r\n",
    "00000003 ;x\r\nabc\r\n",
    "0\r\n",
    "\r\n",
    "X-Sum: 1\r\n",
    "Host: a\r\n",
    "a : b\r\n",
    "ffffffffffffffff\r\n",
    "10000000000000000\r\n",
    "\n",
    "\r",
    "3\n",
    "-1\r\n",
    "0x5\r\n",
    ";",
    " ",
    "5",
    "\0",
    "GET / HTTP/1.1\r\n",
];

/// Pieces that make targets, referers and paths.
const TARGET_PIECES: &[&str] = &[
    "/",
    "//",
    "?",
    "&",
    "=",
    ";",
    "#",
    "@",
    ":",
    "\\",
    "\"",
    "%",
    "%2",
    "%2e",
    "%2F",
    "%5c",
    "%252e",
    "%00",
    ".",
    "..",
    "...",
    "a",
    "v1",
    "key",
    "token=",
    "https://",
    "user:pw@",
    "[::1]",
    "Bearer",
    "sk-0123456789abcdef",
    "eyJ0",
    " ",
    "\r\n",
    "\u{e9}",
    "\u{7f}",
    "+",
    ",",
];

/// Pieces of configurations besides those that are right: the lines of the examples.
const CONFIG_PIECES: &[&str] = &[
    "[server]\n",
    "[[listener]]\n",
    "[[upstream]]\n",
    "[[route]]\n",
    "[route.request]\n",
    "nonsense = 1\n",
    "name = \"a\"\n",
    "name = \"\"\n",
    "path = \"/a/../b\"\n",
    "exact = \"/v1\"\n",
    "strip_prefix = \"/v1\"\n",
    "replace_prefix = \"//\"\n",
    "address = \"127.0.0.1:70000\"\n",
    "cores = \"3-1\"\n",
    "idle_timeout = \"99999999999999999999d\"\n",
    "body_max = \"-1KiB\"\n",
    "set = { Host = \"\\r\" }\n",
    "remove = [\"Via\", \"via\"]\n",
    "= \n",
    "\"\"\"",
    "[",
    "{",
    "\u{feff}",
];

/// Pieces that make PROXY headers.
const PROXY_PIECES: &[&str] = &[
    "PROXY ",
    "TCP4 ",
    "TCP6 ",
    "UNKNOWN",
    "192.0.2.1 ",
    "2001:db8::1 ",
    "443 ",
    "443",
    "70000 ",
    "+1 ",
    "\r\n",
    "\n",
    " ",
    "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
    "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
    "\x21\x11",
    "\x21\x21",
    "\x20\x00",
    "0123456789ab",
    "0123456789abcdef0123456789abcdef0123",
];

/// Lines of the examples, in order, some left out and some bad ones put between.
fn config() -> impl Strategy<Value = Vec<u8>> {
    let examples = [
        include_str!("../examples/full.toml"),
        include_str!("../examples/cache.toml"),
        include_str!("../examples/llm.toml"),
        include_str!("../examples/tls.toml"),
    ];
    let edits = prop::collection::vec((any::<Index>(), prop::option::of(select(CONFIG_PIECES))), 0..6);
    (select(examples.to_vec()), edits).prop_map(|(example, edits)| {
        let mut lines: Vec<&str> = example.split_inclusive('\n').collect();
        for (at, piece) in edits {
            let at = at.index(lines.len());
            match piece {
                Some(piece) => lines.insert(at, piece),
                None => drop(lines.remove(at)),
            }
        }
        lines.concat().into_bytes()
    })
}

/// Pieces in any order, some bytes of them replaced, the end cut off now and then.
fn bytes_of(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::collection::vec(select(pieces), 0..14);
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..3);
    (parts, changes, prop::option::weighted(0.2, any::<Index>())).prop_map(|(parts, changes, cut)| {
        let mut bytes = parts.concat().into_bytes();
        if !bytes.is_empty() {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        }
        bytes
    })
}

/// Mostly well-formed heads, so that the deeper properties are reached.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}:[ \t]{0,2}[ -~\u{e9}\t]{0,90}\r\n", 0..12);
    ("(\r\n){0,3}(GET|POST|PUT|[A-Z]{1,40}) [!-~]{1,100} HTTP/1.[0-9]\r\n", lines)
        .prop_map(|(start, lines)| format!("{start}Host: a\r\n{}\r\nrest", lines.concat()).into_bytes())
}

proptest! {
    // More cases by PROPTEST_CASES=…; a failure prints its input, which belongs into a test by name.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn request_heads_read_alike_in_every_way(bytes in prop_oneof![bytes_of(HEAD_PIECES), request()]) {
        fuzz::request_head(&bytes);
    }

    #[test]
    fn response_heads_read_alike_in_every_cut(bytes in bytes_of(HEAD_PIECES), lead in any::<bool>()) {
        let start: &[u8] = if lead { b"HTTP/1.1 200 OK\r\n" } else { b"" };
        fuzz::response_head(&[start, &bytes].concat());
    }

    #[test]
    fn chunked_bodies_read_alike_in_every_cut(seed in any::<u8>(), bytes in bytes_of(CHUNK_PIECES)) {
        fuzz::chunked(&[&[seed], bytes.as_slice()].concat());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::request_head(&bytes);
        fuzz::response_head(&bytes);
        fuzz::chunked(&bytes);
        fuzz_config(&bytes);
        properties::redaction(&bytes);
        properties::path(&bytes);
    }

    #[test]
    fn configurations_are_read_without_a_panic(bytes in prop_oneof![config(), bytes_of(CONFIG_PIECES)]) {
        fuzz_config(&bytes);
    }

    #[test]
    fn proxy_headers_name_whom_they_say(bytes in bytes_of(PROXY_PIECES)) {
        proxy_protocol::fuzz(&bytes);
    }

    #[test]
    fn secrets_of_targets_are_hidden(bytes in bytes_of(TARGET_PIECES)) {
        properties::redaction(&bytes);
    }

    #[test]
    fn access_lines_are_whole_and_without_secrets(bytes in bytes_of(TARGET_PIECES)) {
        properties::access_line(&bytes);
    }

    #[test]
    fn paths_have_one_slash_in_front_and_no_dots(bytes in bytes_of(TARGET_PIECES)) {
        properties::path(&bytes);
    }

    #[test]
    fn field_blocks_keep_their_tables(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        h2::hpack::fuzz::fuzz(&bytes);
    }

    #[test]
    fn connections_of_http2_keep_their_books(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        h2::fuzz::connection(&bytes);
    }

    #[test]
    fn messages_of_http2_arrive_as_they_were_sent(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        h2::fuzz::pair(&bytes);
    }
}
