//! `md5`, `sha1`: raw digests, for rules that compare with known ones.
//!
//! Not for secrets and not for signatures: both are broken. MD5 stands here because nothing else of the gateway needs it,
//! and a dependency would be larger than it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// SHA-1 of `input`: 20 bytes.
pub fn sha1(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, input).as_ref());
}

/// How far each step of a round turns, by the step's number modulo 4 (RFC 1321 §3.4).
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// MD5 of `input` (RFC 1321).
pub fn md5(input: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let blocks = input.chunks_exact(64);
    // What is left, a one bit, zeros, and the length in bits: one block or two.
    let mut tail = blocks.remainder().to_vec();
    tail.push(0x80);
    while tail.len() % 64 != 56 {
        tail.push(0);
    }
    tail.extend_from_slice(&(input.len() as u64).wrapping_mul(8).to_le_bytes());
    let constants = constants();
    for block in blocks.chain(tail.chunks_exact(64)) {
        state = md5_block(state, block, &constants);
    }
    let mut sum = [0; 16];
    for (to, from) in sum.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    sum
}

/// The table T of RFC 1321 §3.4: the integer part of 2^32 times the absolute sine of 1 to 64.
fn constants() -> [u32; 64] {
    let mut number = 0.0f64;
    [(); 64].map(|()| {
        number += 1.0;
        (number.sin().abs() * 4_294_967_296.0) as u32
    })
}

fn md5_block(state: [u32; 4], block: &[u8], constants: &[u32; 64]) -> [u32; 4] {
    let mut words = [0u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    let [mut a, mut b, mut c, mut d] = state;
    for (step, constant) in constants.iter().enumerate() {
        let (mix, index) = match step / 16 {
            0 => (b & c | !b & d, step),
            1 => (b & d | c & !d, 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        let word = words.get(index % 16).copied().unwrap_or(0);
        let turn = TURNS.get(step / 16).and_then(|turns| turns.get(step % 4)).copied().unwrap_or(0);
        let sum = a.wrapping_add(mix).wrapping_add(*constant).wrapping_add(word);
        (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(turn)));
    }
    [state[0].wrapping_add(a), state[1].wrapping_add(b), state[2].wrapping_add(c), state[3].wrapping_add(d)]
}
