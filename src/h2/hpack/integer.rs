//! Integers that begin inside of a byte (RFC 7541 §5.1). Knows nothing of what they count.

use super::DecodeError;

/// Bytes that may follow the first one; four hold 28 bits, and nothing that is counted here is larger than a frame.
const CONTINUATION_BYTES_MAX: usize = 4;

/// Reads an integer whose low `prefix_bits` (1..=7) stand in `first`; `rest` is what follows and is advanced.
///
/// [`DecodeError::Integer`] = longer than five bytes in all; [`DecodeError::Truncated`] = it does not end.
#[inline]
pub(super) fn read(first: u8, prefix_bits: u32, rest: &mut &[u8]) -> Result<usize, DecodeError> {
    let mask = (1_u8 << prefix_bits) - 1;
    let prefix = first & mask;
    if prefix < mask { Ok(usize::from(prefix)) } else { read_continued(mask, rest) }
}

/// Reads what follows a prefix that is full.
fn read_continued(mask: u8, rest: &mut &[u8]) -> Result<usize, DecodeError> {
    let mut value = usize::from(mask);
    let mut shift = 0;
    for _ in 0..CONTINUATION_BYTES_MAX {
        let (byte, after) = rest.split_first().ok_or(DecodeError::Truncated)?;
        *rest = after;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
    }
    Err(DecodeError::Integer)
}

/// Appends an integer; `pattern` holds the bits above the prefix of the first byte.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, pattern: u8, prefix_bits: u32, value: usize) {
    let mask = (1_u8 << prefix_bits) - 1;
    match u8::try_from(value) {
        Ok(small) if small < mask => out.push(pattern | small),
        _ => write_continued(out, pattern | mask, value - usize::from(mask)),
    }
}

fn write_continued(out: &mut Vec<u8>, first: u8, mut value: usize) {
    out.push(first);
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_appendix_c1() {
        let written = |prefix_bits, value| {
            let mut out = Vec::new();
            write(&mut out, 0, prefix_bits, value);
            out
        };
        assert_eq!(written(5, 10), [0b01010]);
        assert_eq!(written(5, 1337), [0b11111, 0b1001_1010, 0b0000_1010]);
        assert_eq!(read(0b0100_1010, 5, &mut &[][..]), Ok(10));
        let mut rest = &[0b1001_1010, 0b0000_1010, 7][..];
        assert_eq!(read(0b11111, 5, &mut rest), Ok(1337));
        assert_eq!(rest, [7]);
    }

    #[test]
    fn integers_come_back_at_the_borders_of_every_prefix() {
        for prefix_bits in 4..=7 {
            for value in [0, 1, 14, 15, 16, 30, 31, 62, 63, 64, 126, 127, 128, 254, 255, 256, 16_511, 1 << 28] {
                let mut out = Vec::new();
                write(&mut out, 0, prefix_bits, value);
                let (first, mut rest) = out.split_first().expect("an integer has a first byte");
                assert_eq!(read(*first, prefix_bits, &mut rest), Ok(value), "{prefix_bits} {value}");
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn integers_that_do_not_end_or_do_not_fit_are_refused() {
        assert_eq!(read(0x7f, 7, &mut &[][..]), Err(DecodeError::Truncated));
        assert_eq!(read(0x7f, 7, &mut &[0x80, 0x80][..]), Err(DecodeError::Truncated));
        assert_eq!(read(0x7f, 7, &mut &[0x80; 9][..]), Err(DecodeError::Integer));
        assert_eq!(read(0x7f, 7, &mut &[0xff, 0xff, 0xff, 0xff, 0x01][..]), Err(DecodeError::Integer));
        assert_eq!(read(0x7f, 7, &mut &[0xff, 0xff, 0xff, 0x7f][..]), Ok(127 + (1 << 28) - 1));
        assert_eq!(read(0x7f, 7, &mut &[0x80, 0x80, 0x80, 0][..]), Ok(127), "zeros are wasteful, not wrong");
    }
}
