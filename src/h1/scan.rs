//! Where a run of allowed bytes ends: the inner loops of the request parser, plain and with AVX2.
//!
//! Each function returns the index of the first byte at or after `from` that is outside of its class. Knows no
//! verdicts. The one file of the codec with `unsafe`: vector loads, each from an array of its own size.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "vector loads and calls of functions compiled for AVX2")
)]

use super::{HeadLimits, Parsed, Reject, RequestParser};
use crate::http::{FieldId, RequestHead, syntax};

/// Zeros that stand behind the bytes of a head while it is read.
pub(super) const PADDING: usize = 64;

/// Searching through a head for the end of a run of allowed bytes.
///
/// A scanner may remember what it saw: it is made anew where the bytes change.
pub trait Scan: Copy {
    /// End of the run of token bytes (RFC 9110 §5.6.2), or of the bytes: methods.
    fn token_end(self, bytes: &[u8], from: usize) -> usize;
    /// End of the run of visible ASCII, or of the bytes: request targets.
    fn target_end(self, bytes: &[u8], from: usize) -> usize;
    /// The marks of the field line that starts here. The bytes end in [`PADDING`] zeros, which are outside of every
    /// class, so that there always are marks; `from` is before them or at the first one, and never goes back.
    fn line(&mut self, bytes: &[u8], from: usize) -> Marks;
}

/// Where the parts of a field line end. `from <= name_end <= line_end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// End of the run of token bytes.
    pub name_end: usize,
    /// End of the run of field value bytes (RFC 9110 §5.5), the name included.
    pub line_end: usize,
    /// The number of the field that the name is; undefined when the name is empty.
    pub id: FieldId,
}

/// [`RequestParser::parse`] with the fastest scanner of this machine.
#[inline]
pub(super) fn parse_fastest(
    parser: &mut RequestParser,
    input: &[u8],
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Parsed, Reject> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2") {
        // SAFETY: the machine has the features that the function was compiled for.
        return unsafe { avx2::parse(parser, input, limits, head) };
    }
    parser.parse_by(Scalar, input, limits, head)
}

/// One byte at a time, for every machine; also the referee of the vector form.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl Scan for Scalar {
    #[inline(always)]
    fn token_end(self, bytes: &[u8], from: usize) -> usize {
        run_end(bytes, from, syntax::is_token_byte)
    }

    #[inline(always)]
    fn target_end(self, bytes: &[u8], from: usize) -> usize {
        run_end(bytes, from, |b| b.is_ascii_graphic())
    }

    #[inline(always)]
    fn line(&mut self, bytes: &[u8], from: usize) -> Marks {
        let name_end = self.token_end(bytes, from);
        let line_end = run_end(bytes, name_end, syntax::is_value_byte);
        Marks { name_end, line_end, id: FieldId::of(bytes.get(from..name_end).unwrap_or_default()) }
    }
}

#[inline(always)]
fn run_end(bytes: &[u8], from: usize, allowed: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !allowed(*b)).unwrap_or(rest.len())
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{FieldId, HeadLimits, Marks, Parsed, Reject, RequestHead, RequestParser, Scalar, Scan, syntax};

    /// Bytes of a vector.
    const WIDTH: usize = 32;
    /// Bytes of a block, a bit each in 64.
    const BLOCK: usize = 2 * WIDTH;
    const _: () = assert!(super::PADDING == BLOCK, "a block fits behind every start");

    /// Proof that the machine has AVX2 (only [`parse`] makes one), and the block that was looked at last: lines are found
    /// in its bits, so that one line waits for the one before it by a shift and not by a load.
    #[derive(Clone, Copy)]
    pub struct Avx2 {
        /// Start of the block; `block + BLOCK` is at most the length of the bytes, once a block was looked at.
        block: usize,
        /// A bit for each byte of the block that ends a run of field value bytes.
        ends: u64,
        started: bool,
    }

    /// The whole parser compiled for AVX2, so that the loads below become part of its loop.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub fn parse(
        parser: &mut RequestParser,
        input: &[u8],
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Result<Parsed, Reject> {
        parser.parse_by(Avx2 { block: 0, ends: 0, started: false }, input, limits, head)
    }

    impl Scan for Avx2 {
        #[inline(always)]
        fn token_end(self, bytes: &[u8], from: usize) -> usize {
            // Only rare methods come here, and they are short.
            token_end_slow(bytes, from)
        }

        #[inline(always)]
        fn target_end(self, bytes: &[u8], from: usize) -> usize {
            let mut at = from;
            while let Some(chunk) = vector(bytes, at) {
                let outside = self.outside_target(self.load(chunk));
                if outside != 0 {
                    return at + outside.trailing_zeros() as usize;
                }
                at += WIDTH;
            }
            // Less than a vector is left, which is rare: fields follow.
            target_end_slow(bytes, at)
        }

        #[inline(always)]
        fn line(&mut self, bytes: &[u8], from: usize) -> Marks {
            let line_end = self.value_end(bytes, from);
            // Beyond the padding, where no line starts, there is nothing but the end.
            let (mut name_end, mut id) = (bytes.len(), FieldId::Other);
            if let Some(chunk) = chunk(bytes, from) {
                let (first, _) = self.load_pair(chunk);
                let outside_name = self.outside_token(first);
                let name_len = outside_name.trailing_zeros() as usize;
                name_end = from + name_len;
                if outside_name == 0 {
                    // Longer than any known name.
                    name_end = token_end_slow(bytes, name_end);
                } else {
                    id = self.classify(chunk, first, name_len);
                }
            }
            Marks { name_end, line_end, id }
        }
    }

    impl Avx2 {
        #[inline(always)]
        fn load(self, bytes: &[u8; WIDTH]) -> __m256i {
            // SAFETY: the array has as many bytes as the vector; the load needs no alignment; self proves AVX2.
            unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
        }

        #[inline(always)]
        fn load_pair(self, chunk: &[u8; BLOCK]) -> (__m256i, __m256i) {
            // SAFETY: the array has as many bytes as two vectors; the loads need no alignment; self proves AVX2.
            unsafe {
                let at = chunk.as_ptr();
                (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(WIDTH).cast()))
            }
        }

        /// A bit for each byte that is not a token byte.
        #[inline(always)]
        fn outside_token(self, vector: __m256i) -> u32 {
            // SAFETY: self proves AVX2.
            unsafe {
                let low = _mm256_shuffle_epi8(self.load(&TOKEN_COLUMNS), vector);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(vector), _mm256_set1_epi8(0x0f));
                let row = _mm256_shuffle_epi8(self.load(&ROW_BITS), high);
                let hit = _mm256_cmpeq_epi8(_mm256_and_si256(low, row), _mm256_setzero_si256());
                _mm256_movemask_epi8(hit) as u32
            }
        }

        /// A bit for each byte that is not visible ASCII.
        #[inline(always)]
        fn outside_target(self, vector: __m256i) -> u32 {
            // SAFETY: self proves AVX2.
            unsafe {
                // Signed: bytes from 0x80 on are below 0x21.
                let inside = _mm256_cmpgt_epi8(vector, _mm256_set1_epi8(0x20));
                let delete = _mm256_cmpeq_epi8(vector, _mm256_set1_epi8(0x7f));
                !(_mm256_movemask_epi8(_mm256_andnot_si256(delete, inside)) as u32)
            }
        }

        /// A bit for each control byte but HTAB.
        #[inline(always)]
        fn outside_value(self, vector: __m256i) -> u32 {
            // SAFETY: self proves AVX2.
            unsafe {
                let control = _mm256_cmpeq_epi8(_mm256_min_epu8(vector, _mm256_set1_epi8(0x1f)), vector);
                let delete = _mm256_cmpeq_epi8(vector, _mm256_set1_epi8(0x7f));
                let tab = _mm256_cmpeq_epi8(vector, _mm256_set1_epi8(0x09));
                _mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, control), delete)) as u32
            }
        }

        /// End of the run of field value bytes.
        #[inline(always)]
        fn value_end(&mut self, bytes: &[u8], from: usize) -> usize {
            if !self.started {
                self.started = true;
                self.look_at(bytes, from);
            }
            while from - self.block >= BLOCK {
                self.look_at(bytes, self.block + BLOCK);
            }
            let ends = self.ends >> (from - self.block);
            if ends != 0 {
                return from + ends.trailing_zeros() as usize;
            }
            loop {
                self.look_at(bytes, self.block + BLOCK);
                if self.ends != 0 {
                    return self.block + self.ends.trailing_zeros() as usize;
                }
            }
        }

        #[inline(always)]
        fn look_at(&mut self, bytes: &[u8], block: usize) {
            self.block = block;
            // No closures here: one would be compiled without AVX2 and end the inlining.
            self.ends = match chunk(bytes, block) {
                Some(chunk) => {
                    let (first, second) = self.load_pair(chunk);
                    u64::from(self.outside_value(first)) | u64::from(self.outside_value(second)) << WIDTH
                }
                // Beyond the padding, where no run goes, every byte is an end.
                None => u64::MAX,
            };
        }

        /// The number of the name that is the first `len` bytes of the chunk, all of them token bytes.
        #[inline(always)]
        fn classify(self, chunk: &[u8; BLOCK], vector: __m256i, len: usize) -> FieldId {
            let id = FieldId::candidate(len, chunk[0], chunk[len.wrapping_sub(1) % WIDTH]);
            // SAFETY: self proves AVX2.
            let equal = unsafe {
                // Letters become lower case; no other token byte becomes one of a known name's (`-` stays).
                let lower = _mm256_or_si256(vector, _mm256_set1_epi8(0x20));
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(lower, self.load(id.padded_name()))) as u32
            };
            // Equality ends where the name does: at the zeros behind a known one, or at the colon, where the known one goes
            // on. Only the length tells the two apart.
            if equal.trailing_ones() as usize == len && id.name().len() == len { id } else { FieldId::Other }
        }
    }

    #[cold]
    #[inline(never)]
    fn token_end_slow(bytes: &[u8], from: usize) -> usize {
        Scalar.token_end(bytes, from)
    }

    #[cold]
    #[inline(never)]
    fn target_end_slow(bytes: &[u8], from: usize) -> usize {
        Scalar.target_end(bytes, from)
    }

    #[inline(always)]
    fn vector(bytes: &[u8], at: usize) -> Option<&[u8; WIDTH]> {
        bytes.get(at..).and_then(|rest| rest.first_chunk())
    }

    #[inline(always)]
    fn chunk(bytes: &[u8], at: usize) -> Option<&[u8; BLOCK]> {
        bytes.get(at..).and_then(|rest| rest.first_chunk())
    }

    /// For each low nibble the set of high nibbles (as bits, see [`ROW_BITS`]) with which it makes a token byte. Both
    /// lanes of the vector look up alike; a shuffle gives 0, no row, for bytes from 0x80 on.
    const TOKEN_COLUMNS: [u8; WIDTH] = {
        let mut columns = [0; WIDTH];
        let mut byte = 0;
        while byte < 0x80 {
            if syntax::TOKEN[byte] {
                columns[byte & 15] |= 1 << (byte >> 4);
                columns[16 + (byte & 15)] |= 1 << (byte >> 4);
            }
            byte += 1;
        }
        columns
    };

    /// For each high nibble its bit; none for those of bytes beyond ASCII.
    const ROW_BITS: [u8; WIDTH] = {
        let mut rows = [0; WIDTH];
        let mut row = 0;
        while row < 8 {
            rows[row] = 1 << row;
            rows[16 + row] = 1 << row;
            row += 1;
        }
        rows
    };
}
