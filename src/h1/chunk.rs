//! Chunk-size lines (RFC 9112 §7.1): 1 to 16 hexadecimal digits, extensions, CRLF.
//!
//! Extensions mean nothing to this gateway: they are bounded, checked for line ends and dropped (§7.1.1).

use super::Reject;
use crate::bounds;

/// Bytes of extensions that a body may carry beyond what its data pays for: each chunk pays for 16 bytes and twice its
/// size. Keeps a body of one-byte chunks from being mostly extensions, and lets signatures on large chunks pass.
const EXTENSION_DEBT_MAX: usize = 16 * 1024;

/// One chunk-size line in the making. 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChunkLine {
    size: u64,
    digits: u8,
    /// Bytes so far; at most [`bounds::CHUNK_LINE_BYTES_MAX`].
    taken: u16,
    part: Part,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Digits,
    /// White space, which only an extension may follow.
    Blank,
    Extension,
    LineFeed,
}

impl ChunkLine {
    /// Takes bytes of the line from the front of `input`: how many, and the size when the line ended with them.
    pub(super) fn take(&mut self, input: &[u8], debt: &mut usize) -> Result<(usize, Option<u64>), Reject> {
        for (index, byte) in input.iter().enumerate() {
            self.taken += 1;
            if usize::from(self.taken) > bounds::CHUNK_LINE_BYTES_MAX {
                return Err(Reject::ChunkLineTooLong);
            }
            match (self.part, byte) {
                (Part::LineFeed, b'\n') => {
                    self.settle(debt)?;
                    return Ok((index + 1, Some(self.size)));
                }
                (Part::LineFeed, _) => return Err(Reject::BareCr),
                (_, b'\n') => return Err(Reject::BareLf),
                (Part::Digits | Part::Extension, b'\r') if self.digits > 0 => self.part = Part::LineFeed,
                (Part::Digits, b';') | (Part::Blank, b';') if self.digits > 0 => self.part = Part::Extension,
                (Part::Digits, b' ' | b'\t') if self.digits > 0 => self.part = Part::Blank,
                (Part::Blank, b' ' | b'\t') => {}
                (Part::Digits, digit) => self.take_digit(*digit)?,
                (Part::Extension, 0..=0x08 | 0x0a..=0x1f | 0x7f) => return Err(Reject::ControlByte),
                (Part::Extension, _) => {}
                (Part::Blank, _) => return Err(Reject::ChunkSizeBad),
            }
        }
        Ok((input.len(), None))
    }

    fn take_digit(&mut self, byte: u8) -> Result<(), Reject> {
        let digit = char::from(byte).to_digit(16).ok_or(Reject::ChunkSizeBad)?;
        if self.digits == 16 {
            return Err(Reject::ChunkSizeOverflow);
        }
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        Ok(())
    }

    /// Charges this line's extensions and credits its data.
    fn settle(&self, debt: &mut usize) -> Result<(), Reject> {
        let extension = usize::from(self.taken) - usize::from(self.digits) - 2;
        let paid = usize::try_from(self.size).unwrap_or(usize::MAX).saturating_mul(2).saturating_add(16);
        *debt = (*debt + extension).saturating_sub(paid);
        if *debt > EXTENSION_DEBT_MAX { Err(Reject::ChunkLineTooLong) } else { Ok(()) }
    }
}
