//! Where a run of allowed bytes ends: the inner loops of the request parser.
//!
//! Each function returns the index of the first byte at or after `from` that is outside of its class, or the length of
//! the input when there is none. Knows no lines and no verdicts.

use crate::http::syntax;

/// Searching through a head for the end of a run of allowed bytes.
pub trait Scan: Copy {
    /// End of the run of token bytes (RFC 9110 §5.6.2): methods and field names.
    fn token_end(self, input: &[u8], from: usize) -> usize;
    /// End of the run of visible ASCII: request targets.
    fn target_end(self, input: &[u8], from: usize) -> usize;
    /// End of the run of field value bytes (RFC 9110 §5.5).
    fn value_end(self, input: &[u8], from: usize) -> usize;
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
}

#[inline(always)]
fn run_end(input: &[u8], from: usize, allowed: impl Fn(u8) -> bool) -> usize {
    let rest = input.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !allowed(*b)).unwrap_or(rest.len())
}
