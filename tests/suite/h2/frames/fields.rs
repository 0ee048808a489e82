//! Field blocks as a test writes them (RFC 7541): literals without the tables, so that any name and any value can be said.
//!
//! Also what a strict reader asks of the fields that it gets (RFC 9113 §8.2, §8.3).

use crate::suite::harness::message::is_token_byte;

/// Fields in the order of the block, pseudo-fields included.
pub type Fields = Vec<(String, String)>;

/// Names that belong to a connection of HTTP/1.1 and never stand in HTTP/2 (RFC 9113 §8.2.2).
const OF_A_CONNECTION: [&str; 5] = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];

/// A number with a prefix of so many bits (RFC 7541 §5.1); `first` has the bits in front of it.
pub fn integer(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let mut out = vec![first | most as u8];
    let mut rest = value - most;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    out.push(rest as u8);
    out
}

/// A string without Huffman coding (RFC 7541 §5.2).
pub fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&integer(0, 7, text.len())[..], text].concat()
}

/// A literal without indexing (RFC 7541 §6.2.2).
pub fn literal(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A literal that is put into the dynamic table (RFC 7541 §6.2.1).
pub fn indexed_literal(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// A field of a table (RFC 7541 §6.1); the dynamic table begins at 62.
pub fn indexed(index: usize) -> Vec<u8> {
    integer(0x80, 7, index)
}

/// A change of the dynamic table's size (RFC 7541 §6.3).
pub fn table_size(bytes: usize) -> Vec<u8> {
    integer(0x20, 5, bytes)
}

/// A block of literals.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// The pseudo-fields of a request for `t`, and these fields behind them.
pub fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let front = [(":method", method), (":scheme", "http"), (":authority", "t"), (":path", path)];
    [block(&front), block(fields)].concat()
}

/// The value of the only field of a name.
#[track_caller]
pub fn one<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut all = fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let value = all.next();
    assert_eq!(all.next(), None, "{name} stands more than once in {fields:?}");
    value
}

/// What a strict reader refuses in a block (RFC 9113 §8.2, §8.3).
pub fn check(fields: &[(String, String)], trailers: bool) -> Result<(), String> {
    let mut regular = false;
    for (name, value) in fields {
        let bare = name.strip_prefix(':').unwrap_or(name);
        let pseudo = bare.len() < name.len();
        if bare.is_empty() || !bare.bytes().all(|b| is_token_byte(b) && !b.is_ascii_uppercase()) {
            return Err(format!("the name {name:?}"));
        }
        if value.bytes().any(|b| matches!(b, 0 | b'\r' | b'\n')) || value.trim_matches([' ', '\t']) != value {
            return Err(format!("the value of {name}: {value:?}"));
        }
        if pseudo && (regular || trailers) {
            return Err(format!("{name} behind other fields or in trailers"));
        }
        if OF_A_CONNECTION.contains(&name.as_str()) || (name == "te" && value != "trailers") {
            return Err(format!("the field {name}: {value}, which belongs to a connection of HTTP/1.1"));
        }
        regular |= !pseudo;
    }
    Ok(())
}
