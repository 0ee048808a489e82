//! Properties that hold for all bytes, as a function that fuzzers and the bounded smoke on stable both call.
//!
//! Panics where a property breaks. Not part of the public surface.

use super::{Decoder, Encoder, FieldLine};
use crate::http::FieldId;

/// Sizes of tables that a program chooses from; what is above 4,096 is for peers that offer more than is used.
const SIZES: [usize; 8] = [0, 33, 64, 100, 300, 1_000, 4_096, 65_536];

/// Lines of a block, as they are compared.
type Lines = Vec<(FieldId, Vec<u8>, Vec<u8>)>;

/// Reads the bytes as a program of two connections.
///
/// The first decodes what comes, block by block: it never panics, its table keeps its bound, and each line has the
/// number of its name. The second is written by our encoder with the lines of the first: they come back.
pub fn fuzz(bytes: &[u8]) {
    let bytes = bytes.get(..8_192).unwrap_or(bytes);
    let Some((choice, mut rest)) = bytes.split_first() else { return };
    let ours = SIZES[usize::from(choice % 8)].min(4_096);
    let (mut decoder, mut encoder, mut mirror) = (Decoder::new(ours), Encoder::new(), Decoder::new(4_096));
    // The first byte of each block says how long it is, and whether the mirror changes its table before.
    while let Some((length, after)) = rest.split_first() {
        let (block, behind) = after.split_at(usize::from(*length).min(after.len()));
        rest = behind;
        let mut lines = Lines::new();
        let verdict = decoder.decode(block, |line| lines.push(owned(line)));
        decoder.validate();
        assert!(lines.iter().all(|(id, name, _)| *id == FieldId::of(name)), "numbers are those of the names");
        if length % 16 == 0 {
            encoder.set_table_bytes_max(SIZES[usize::from(length / 16) % 8]);
        }
        mirrored(&mut encoder, &mut mirror, &lines);
        if verdict.is_err() {
            return;
        }
    }
}

/// Writes lines as one block and reads it back.
fn mirrored(encoder: &mut Encoder, decoder: &mut Decoder, lines: &Lines) {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (id, name, value) in lines {
        encoder.field(&mut block, *id, name, value);
    }
    encoder.validate();
    let mut back = Lines::new();
    let verdict = decoder.decode(&block, |line| back.push(owned(line)));
    decoder.validate();
    assert_eq!(verdict, Ok(()), "what was written is read");
    let lower = lines.iter().map(|(id, name, value)| (*id, name.to_ascii_lowercase(), value.clone()));
    assert_eq!(back, lower.collect::<Lines>(), "what was written comes back");
}

fn owned(line: FieldLine<'_>) -> (FieldId, Vec<u8>, Vec<u8>) {
    (line.id, line.name.to_vec(), line.value.to_vec())
}
