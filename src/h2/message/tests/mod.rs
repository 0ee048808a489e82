//! Tests of messages across their files: tables by section of the RFCs, and properties over arbitrary lines and cuts.
//!
//! The reader of HTTP/1.1 is the referee: what it is shown here must mean the same to it.

mod bodies;
mod properties;
mod requests;
mod responses;
mod texts;

use super::*;
use crate::h2::hpack::{Decoder, Encoder, FieldLine};
use crate::http::{FieldId, RequestHead};

const NONCE: [u8; 16] = *b"the sample nonce";

/// The lines that a table writes as `name: value`; the colon of a pseudo-field is no separator.
fn lines(text: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let split = |line: &&str| {
        let mark = usize::from(line.starts_with(':'));
        let (name, value) = line[mark..].split_once(": ").expect("a line has a colon");
        (format!("{}{name}", &line[..mark]).into_bytes(), value.as_bytes().to_vec())
    };
    text.iter().map(split).collect()
}

fn field_line<'a>((name, value): &'a (Vec<u8>, Vec<u8>)) -> FieldLine<'a> {
    FieldLine { id: FieldId::of(name), name, value }
}

fn build(
    lines: &[(Vec<u8>, Vec<u8>)],
    bytes: usize,
    fields: usize,
) -> (Result<RequestShape, RequestError>, RequestHead) {
    let mut head = RequestHead::default();
    let mut builder = RequestBuilder::new(&mut head, bytes, fields, NONCE);
    lines.iter().for_each(|line| builder.line(field_line(line)));
    let shape = builder.finish();
    (shape, head)
}

/// The fields of a head as one text per line.
fn fields(head: &RequestHead) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    head.fields().map(|f| format!("{}: {}", text(f.name), text(f.value))).collect()
}

/// The lines of a block, as one text each.
fn decoded(decoder: &mut Decoder, block: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let line = |l: FieldLine<'_>| {
        assert_eq!(l.id, FieldId::of(l.name));
        lines.push(format!("{}: {}", String::from_utf8_lossy(l.name), String::from_utf8_lossy(l.value)));
    };
    decoder.decode(block, line).expect("a block of ours");
    lines
}
