//! Rows of RFC 7541: representations of every kind, and blocks that cannot be decoded.

use super::Wanted::*;
use super::*;

/// A GET whose block ends in these bytes.
fn tail(client: &mut H2, bytes: &[u8]) {
    client.send(get_of(1, bytes));
}

fn get_of(stream: u32, bytes: &[u8]) -> Frame {
    Frame::headers(stream, [fields::request("GET", "/row", &[]), bytes.to_vec()].concat(), true)
}

/// A GET whose block begins with these bytes.
fn front(client: &mut H2, bytes: &[u8]) {
    client.send(Frame::headers(1, [bytes.to_vec(), fields::request("GET", "/row", &[])].concat(), true));
}

/// A literal of the name `a` with a value that stands as it is, its length byte included.
fn value(bytes: &[u8]) -> Vec<u8> {
    [&[0, 1, b'a'][..], bytes].concat()
}

/// RFC 7541, in the order of its sections; "a" in Huffman's code is five bits, 00011.
pub const BLOCKS: &[Row] = &[
    ("§2.3.2 a field of the dynamic table", |c| { c.send_all(&[get_of(1, &fields::indexed_literal("a", "b")), get_of(3, &fields::indexed(62))]); assert_eq!(c.message(3).whole().0, 200) }, Answered),
    ("§2.3.3 an index beyond both tables", |c| tail(c, &[0x80 | 70]), Connection(&[COMPRESSION_ERROR])),
    ("§2.3.3 the first index beyond the tables", |c| tail(c, &[0x80 | 62]), Connection(&[COMPRESSION_ERROR])),
    ("§2.3.3 an index of a name beyond both tables", |c| tail(c, &[0x40 | 62, 1, b'x']), Connection(&[COMPRESSION_ERROR])),
    ("§2.3.3 a large index", |c| tail(c, &fields::indexed(1_000_000)), Connection(&[COMPRESSION_ERROR])),
    ("§4.2 a size in front", |c| front(c, &fields::table_size(128)), Answered),
    ("§4.2 two sizes in front", |c| front(c, &[fields::table_size(0), fields::table_size(4_096)].concat()), Answered),
    ("§4.2 a size behind a field", |c| tail(c, &fields::table_size(1)), Connection(&[COMPRESSION_ERROR])),
    ("§4.2 a size between fields", |c| tail(c, &[fields::table_size(1), fields::literal("a", "b")].concat()), Connection(&[COMPRESSION_ERROR])),
    ("§4.3 a smaller table forgets", |c| c.send_all(&[get_of(3, &fields::indexed_literal("a", "b")), Frame::headers(5, [fields::table_size(0), fields::indexed(62)].concat(), true)]), Connection(&[COMPRESSION_ERROR])),
    ("§4.4 a field larger than the table empties it", |c| c.send_all(&[get_of(3, &fields::indexed_literal("a", "b")), get_of(5, &fields::indexed_literal("c", "d".repeat(5_000))), get_of(7, &fields::indexed(62))]), Connection(&[COMPRESSION_ERROR])),
    ("§5.1 a number in more bytes than it needs", |c| tail(c, &[0, 1, b'a', 0x7f, 0x80, 0x80, 0x00].iter().copied().chain([b'x'; 127]).collect::<Vec<_>>()), Lenient(&[COMPRESSION_ERROR])),
    ("§5.1 a number beyond 32 bits", |c| tail(c, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]), Connection(&[COMPRESSION_ERROR])),
    ("§5.1 a number without an end", |c| tail(c, &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]), Connection(&[COMPRESSION_ERROR])),
    ("§5.1 a number cut by the end of the block", |c| tail(c, &[0xff, 0x80]), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 a length beyond the block", |c| tail(c, &value(&[5, b'x'])), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 a name and no value", |c| tail(c, &[0, 1, b'a']), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 a literal and nothing behind it", |c| tail(c, &[0]), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 Huffman", |c| tail(c, &value(&[0x81, 0x1f])), Answered),
    ("§5.2 Huffman with padding of 8 bits", |c| tail(c, &value(&[0x82, 0x1f, 0xff])), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 Huffman with padding of zeros", |c| tail(c, &value(&[0x81, 0x18])), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 Huffman with the code of EOS", |c| tail(c, &value(&[0x84, 0xff, 0xff, 0xff, 0xff])), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 Huffman with the code of EOS inside", |c| tail(c, &value(&[0x85, 0x1f, 0xff, 0xff, 0xff, 0xfc])), Connection(&[COMPRESSION_ERROR])),
    ("§5.2 Huffman of no bytes", |c| tail(c, &value(&[0x80])), Answered),
    ("§6.1 an indexed field", |c| c.send(Frame::headers(1, [&[0x82, 0x86, 0x84][..], &fields::literal(":authority", "t")].concat(), true)), Answered),
    ("§6.1 index 0", |c| tail(c, &[0x80]), Connection(&[COMPRESSION_ERROR])),
    ("§6.2.1 a literal with indexing, name indexed", |c| tail(c, &[0x40 | 19, 1, b'x']), Answered),
    ("§6.2.1 a literal with indexing, name indexed, Huffman", |c| tail(c, &[0x40 | 19, 0x81, 0x1f]), Answered),
    ("§6.2.1 a literal with indexing, new name", |c| tail(c, &fields::indexed_literal("a", "b")), Answered),
    ("§6.2.1 a literal with indexing, new name, Huffman", |c| tail(c, &[0x40, 0x81, 0x1f, 0x81, 0x1f]), Answered),
    ("§6.2.2 a literal without indexing, name indexed", |c| tail(c, &[0x0f, 4, 1, b'x']), Answered),
    ("§6.2.2 a literal without indexing, name indexed, Huffman", |c| tail(c, &[0x0f, 4, 0x81, 0x1f]), Answered),
    ("§6.2.2 a literal without indexing, new name", |c| tail(c, &fields::literal("a", "b")), Answered),
    ("§6.2.2 a literal without indexing, new name, Huffman", |c| tail(c, &[0x00, 0x81, 0x1f, 0x81, 0x1f]), Answered),
    ("§6.2.3 a literal never indexed, name indexed", |c| tail(c, &[0x1f, 8, 1, b'x']), Answered),
    ("§6.2.3 a literal never indexed, name indexed, Huffman", |c| tail(c, &[0x1f, 8, 0x81, 0x1f]), Answered),
    ("§6.2.3 a literal never indexed, new name", |c| tail(c, &[0x10, 1, b'a', 1, b'x']), Answered),
    ("§6.2.3 a literal never indexed, new name, Huffman", |c| tail(c, &[0x10, 0x81, 0x1f, 0x81, 0x1f]), Answered),
    ("§6.3 a size above the setting", |c| front(c, &fields::table_size(4_097)), Connection(&[COMPRESSION_ERROR])),
    ("§6.3 a size far above the setting", |c| front(c, &fields::table_size(0x7fff_ffff)), Connection(&[COMPRESSION_ERROR])),
    ("§6.3 a size and nothing else", |c| c.send_all(&[head(), Frame::data(1, "x", false), Frame::headers(1, fields::table_size(0), true)]), Answered),
    ("RFC 9113 §4.3 a block of a reset stream changes the table", |c| { c.send_all(&[Frame::headers(3, [fields::request("POST", "/", &[]), fields::indexed_literal("a", "b")].concat(), false), Frame::reset(3, CANCEL), get_of(5, &fields::indexed(62))]); assert_eq!(c.message(5).whole().0, 200) }, Alive),
    ("RFC 9113 §4.3 a malformed block changes the table", |c| { c.send_all(&[get_of(1, &[fields::literal("Upper", "x"), fields::indexed_literal("a", "b")].concat()), get_of(3, &fields::indexed(62))]); assert_eq!(c.message(3).whole().0, 200) }, Stream(&[PROTOCOL_ERROR])),
];
