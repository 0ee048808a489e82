//! Where a run of allowed bytes ends: the inner loops of the request parser, plain and with AVX2.
//!
//! Each function returns the index of the first byte at or after `from` that is outside of its class, or the length of
//! the input when there is none. Knows no lines and no verdicts. The one file of the codec with `unsafe`: vector loads,
//! each inside of a slice whose length was just compared.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "vector loads and calls of functions compiled for AVX2")
)]

use super::{HeadLimits, Parsed, Reject, RequestParser};
use crate::http::{FieldId, RequestHead, syntax};

/// Searching through a head for the end of a run of allowed bytes.
pub trait Scan: Copy {
    /// End of the run of token bytes (RFC 9110 §5.6.2): methods.
    fn token_end(self, input: &[u8], from: usize) -> usize;
    /// End of the run of visible ASCII: request targets.
    fn target_end(self, input: &[u8], from: usize) -> usize;
    /// End of the run of field value bytes (RFC 9110 §5.5).
    fn value_end(self, input: &[u8], from: usize) -> usize;
    /// End of the run of token bytes, and the number of the field that they name.
    fn field_name(self, input: &[u8], from: usize) -> (usize, FieldId);
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
    fn token_end(self, input: &[u8], from: usize) -> usize {
        run_end(input, from, syntax::is_token_byte)
    }

    #[inline(always)]
    fn target_end(self, input: &[u8], from: usize) -> usize {
        run_end(input, from, |b| b.is_ascii_graphic())
    }

    #[inline(always)]
    fn value_end(self, input: &[u8], from: usize) -> usize {
        run_end(input, from, syntax::is_value_byte)
    }

    #[inline(always)]
    fn field_name(self, input: &[u8], from: usize) -> (usize, FieldId) {
        let end = self.token_end(input, from);
        (end, FieldId::of(input.get(from..end).unwrap_or_default()))
    }
}

#[inline(always)]
fn run_end(input: &[u8], from: usize, allowed: impl Fn(u8) -> bool) -> usize {
    let rest = input.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !allowed(*b)).unwrap_or(rest.len())
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{FieldId, HeadLimits, Parsed, Reject, RequestHead, RequestParser, Scalar, Scan, syntax};

    /// Bytes of a vector.
    const WIDTH: usize = 32;

    /// Proof that the machine has AVX2: only [`parse`] makes one.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    /// The whole parser compiled for AVX2, so that the loads below become part of its loop.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub fn parse(
        parser: &mut RequestParser,
        input: &[u8],
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Result<Parsed, Reject> {
        parser.parse_by(Avx2(()), input, limits, head)
    }

    impl Scan for Avx2 {
        #[inline(always)]
        fn token_end(self, input: &[u8], from: usize) -> usize {
            self.run_end(input, from, Self::outside_token, Scalar::token_end)
        }

        #[inline(always)]
        fn target_end(self, input: &[u8], from: usize) -> usize {
            self.run_end(input, from, Self::outside_target, Scalar::target_end)
        }

        #[inline(always)]
        fn value_end(self, input: &[u8], from: usize) -> usize {
            self.run_end(input, from, Self::outside_value, Scalar::value_end)
        }

        #[inline(always)]
        fn field_name(self, input: &[u8], from: usize) -> (usize, FieldId) {
            let Some(window) = input.get(from..).and_then(|rest| rest.first_chunk::<WIDTH>()) else {
                return self.field_name_at_end(input, from);
            };
            let vector = self.load(window);
            let outside = self.outside_token(vector);
            if outside == 0 {
                // A name longer than any known one.
                return (self.token_end(input, from), FieldId::Other);
            }
            let len = outside.trailing_zeros() as usize;
            (from + len, self.classify(window, vector, len))
        }
    }

    impl Avx2 {
        #[inline(always)]
        fn load(self, window: &[u8; WIDTH]) -> __m256i {
            // SAFETY: the array has as many bytes as the vector; the load needs no alignment; self proves AVX2.
            unsafe { _mm256_loadu_si256(window.as_ptr().cast()) }
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

        #[inline(always)]
        fn run_end(
            self,
            input: &[u8],
            from: usize,
            outside: impl Fn(Self, __m256i) -> u32,
            scalar: impl Fn(Scalar, &[u8], usize) -> usize,
        ) -> usize {
            let mut at = from;
            while let Some(window) = input.get(at..).and_then(|rest| rest.first_chunk::<WIDTH>()) {
                let bits = outside(self, self.load(window));
                if bits != 0 {
                    return at + bits.trailing_zeros() as usize;
                }
                at += WIDTH;
            }
            // Fewer bytes are left than a vector has: the last vector of the input holds them at its end.
            let Some(window) = input.last_chunk::<WIDTH>() else { return scalar(Scalar, input, at) };
            let skip = at + WIDTH - input.len();
            if skip >= WIDTH {
                return input.len().max(from);
            }
            match outside(self, self.load(window)) >> skip {
                0 => input.len(),
                bits => at + bits.trailing_zeros() as usize,
            }
        }

        /// The number of the name that is the first `len` bytes of the window, all of them token bytes.
        #[inline(always)]
        fn classify(self, window: &[u8; WIDTH], vector: __m256i, len: usize) -> FieldId {
            let Some(last) = len.checked_sub(1).and_then(|last| window.get(last)) else { return FieldId::Other };
            let id = FieldId::candidate(len, window[0], *last);
            // SAFETY: self proves AVX2.
            let equal = unsafe {
                // Letters become lower case; no other token byte becomes one of a known name's (`-` stays).
                let lower = _mm256_or_si256(vector, _mm256_set1_epi8(0x20));
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(lower, self.load(id.padded_name()))) as u32
            };
            // Zeros stand behind the known name, where lower case has none: equality ends where it does.
            if equal.trailing_ones() as usize == len { id } else { FieldId::Other }
        }

        #[inline(always)]
        fn field_name_at_end(self, input: &[u8], from: usize) -> (usize, FieldId) {
            let end = self.token_end(input, from);
            (end, FieldId::of(input.get(from..end).unwrap_or_default()))
        }
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
