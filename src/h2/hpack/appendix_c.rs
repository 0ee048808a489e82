//! The examples of RFC 7541 Appendix C, read, and written where our encoder chooses as they do. Integers (C.1) stand
//! beside their code. A test module: it owns no behaviour.

use super::{Decoder, Encoder};
use crate::http::FieldId;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("two digits");
    digits.chunks(2).map(byte).collect()
}

/// Decodes a block; gives its lines as `name: value` and the size of the table behind it.
fn read(decoder: &mut Decoder, hex: &str) -> (Vec<String>, usize) {
    let mut lines = Vec::new();
    let verdict = decoder.decode(&bytes(hex), |line| {
        assert_eq!(line.id, FieldId::of(line.name));
        lines.push(format!("{}: {}", line.name.escape_ascii(), line.value.escape_ascii()));
    });
    assert_eq!(verdict, Ok(()));
    (lines, decoder.validate())
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn single_lines_of_c2() {
    for (block, line, size) in [
        ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header", 55),
        ("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path", 0),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret", 0),
        ("82", ":method: GET", 0),
    ] {
        assert_eq!(read(&mut Decoder::new(4_096), block), (owned(&[line]), size));
    }
}

/// Requests of C.3 and C.4: their lines, and the size of the table behind each.
const REQUESTS: [(&[&str], usize); 3] = [
    (&[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"], 57),
    (&[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"], 110),
    (
        &[
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ],
        164,
    ),
];

const PLAIN_REQUESTS: [&str; 3] = [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];

const HUFFMAN_REQUESTS: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn requests_of_c3_and_c4_are_read() {
    for blocks in [PLAIN_REQUESTS, HUFFMAN_REQUESTS] {
        let mut decoder = Decoder::new(4_096);
        for (block, (lines, size)) in blocks.iter().zip(REQUESTS) {
            assert_eq!(read(&mut decoder, block), (owned(lines), size));
        }
    }
}

#[test]
fn requests_of_c3_are_written_as_there() {
    let mut encoder = Encoder::new();
    // `custom-key` would count as the name of a secret.
    for (block, (lines, _)) in PLAIN_REQUESTS.iter().zip(REQUESTS).take(2) {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for line in lines {
            let (name, value) = line.rsplit_once(": ").expect("a line");
            let pseudo = [&b":method"[..], b":scheme", b":path", b":authority"];
            match pseudo.into_iter().find(|known| *known == name.as_bytes()) {
                Some(name) => encoder.pseudo(&mut out, name, value.as_bytes()),
                None => encoder.field(&mut out, FieldId::of(name.as_bytes()), name.as_bytes(), value.as_bytes()),
            }
        }
        assert_eq!(out, bytes(block));
    }
}

/// Responses of C.5 and C.6, for a table of 256 bytes.
const RESPONSES: [(&[&str], usize); 3] = [
    (
        &[
            ":status: 302",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ],
        222,
    ),
    (
        &[
            ":status: 307",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ],
        222,
    ),
    (
        &[
            ":status: 200",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:22 GMT",
            "location: https://www.example.com",
            "content-encoding: gzip",
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
        215,
    ),
];

const PLAIN_RESPONSES: [&str; 3] = [
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
     546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
     6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
     2076 6572 7369 6f6e 3d31",
];

const HUFFMAN_RESPONSES: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
     8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
     dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
];

#[test]
fn responses_of_c5_and_c6_are_read() {
    for blocks in [PLAIN_RESPONSES, HUFFMAN_RESPONSES] {
        let mut decoder = Decoder::new(256);
        for (block, (lines, size)) in blocks.iter().zip(RESPONSES) {
            assert_eq!(read(&mut decoder, block), (owned(lines), size));
        }
    }
}
