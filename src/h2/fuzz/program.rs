//! Bytes read as choices, and frames written as a peer writes them, right or wrong.
//!
//! Writes frames by itself: it shares no code with what is fuzzed.

use crate::h2::hpack::Encoder;
use crate::http::FieldId;

/// What is left of a program; zeros behind its end.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(program: &'a [u8]) -> Self {
        Self(program)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().map_or((0, self.0), |(byte, rest)| (*byte, rest));
        self.0 = rest;
        byte
    }

    pub fn word(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// A number below `bound`, which is at most 256 and not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The next bytes, at most so many.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number of bytes: mostly few, now and then very many.
    pub fn size(&mut self) -> usize {
        let word = self.word();
        match word % 8 {
            0..5 => word / 8 % 200,
            5 | 6 => word / 8 * 3,
            _ => word / 8 * 40,
        }
    }
}

/// Appends a frame.
pub fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends HEADERS: `choice` says whether it is padded, has a priority, and goes on in CONTINUATION.
pub fn headers(out: &mut Vec<u8>, stream: u32, end_stream: bool, block: &[u8], choice: u8) {
    let (mut flags, mut payload) = (u8::from(end_stream), Vec::new());
    let padding = if choice & 3 == 3 { 7 } else { 0 };
    if padding > 0 {
        flags |= 8;
        payload.push(padding);
    }
    if choice & 4 != 0 {
        flags |= 0x20;
        payload.extend_from_slice(&[0, 0, 0, 0, 9]);
    }
    let most = if choice & 8 != 0 { usize::from(choice >> 4) * 7 } else { 16_000 };
    let (first, mut rest) = block.split_at(most.min(block.len()));
    payload.extend_from_slice(first);
    payload.resize(payload.len() + usize::from(padding), 0);
    frame(out, 1, if rest.is_empty() { flags | 4 } else { flags }, stream, &payload);
    while !rest.is_empty() {
        let (next, behind) = rest.split_at(rest.len().min(most.max(16)));
        rest = behind;
        frame(out, 9, if rest.is_empty() { 4 } else { 0 }, stream, next);
    }
}

/// Appends DATA of a pattern; `padding` 0 = none.
pub fn data(out: &mut Vec<u8>, stream: u32, bytes: usize, end_stream: bool, padding: u8) {
    let mut payload = if padding > 0 { vec![padding] } else { Vec::new() };
    payload.extend(pattern(stream as usize, bytes));
    payload.resize(payload.len() + usize::from(padding), 0);
    frame(out, 0, u8::from(end_stream) | if padding > 0 { 8 } else { 0 }, stream, &payload);
}

/// Bytes that look different for each seed.
pub fn pattern(seed: usize, bytes: usize) -> impl Iterator<Item = u8> {
    (0..bytes).map(move |at| (at.wrapping_mul(31) ^ (at >> 8) ^ seed.wrapping_mul(7)) as u8)
}

/// A field block of these lines.
pub fn block(encoder: &mut Encoder, lines: &[(&'static [u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in lines {
        match (name.first(), *name) {
            (_, b":status") => {
                encoder.status(&mut out, value.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')));
            }
            (Some(b':'), name) => encoder.pseudo(&mut out, name, value),
            (_, name) => encoder.field(&mut out, FieldId::of(name), name, value),
        }
    }
    out
}
