//! Reading of field blocks (RFC 7541 §3, §6): the peer's side of the compression of one connection.
//!
//! After an error the tables of both sides differ: the connection is of no use any more. Work and memory of a block are
//! bounded by [`BLOCK_BYTES_MAX`], however small the block is.

use super::table::{ENTRY_OVERHEAD, Table};
use super::{FieldLine, TABLE_BYTES_DEFAULT, huffman, integer, static_table};
use crate::bounds;
use crate::http::FieldId;

/// Sum over the lines of one block of name, value and 32 bytes each (the measure of RFC 9113 §6.5.2).
///
/// Above what a head may have, so that a head that is merely too large is read to its end and refused alone.
pub const BLOCK_BYTES_MAX: usize = bounds::HEAD_BYTES_MAX * 4;
/// Changes of the table's size at the beginning of a block; two are enough to say a minimum and a last value (§4.2).
const SIZE_UPDATES_MAX: usize = 2;
/// Bytes of a buffer for Huffman-coded text that is kept between blocks.
const SCRATCH_BYTES_KEPT: usize = 4 * 1024;

/// Why a block cannot be read. Each is an error of the connection: COMPRESSION_ERROR, [`DecodeError::Bomb`] aside,
/// which is abuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The lines of one block sum up to more than [`BLOCK_BYTES_MAX`].
    Bomb,
    /// Text in Huffman code holds the end symbol or wrong padding (§5.2).
    Huffman,
    /// An index points at nothing, or is 0 (§6.1).
    Index,
    /// An integer is longer or larger than anything here could be (§5.1).
    Integer,
    /// A size of the table above what our settings allow, or not at the beginning of a block (§4.2, §6.3).
    TableSize,
    /// The block ends inside of a line.
    Truncated,
}

impl DecodeError {
    /// The name for counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bomb => "hpack-bomb",
            Self::Huffman => "hpack-huffman",
            Self::Index => "hpack-index",
            Self::Integer => "hpack-integer",
            Self::TableSize => "hpack-table-size",
            Self::Truncated => "hpack-truncated",
        }
    }
}

/// The reader of all blocks of one connection, in their order.
///
/// About 130 bytes, and on the heap at most twice the table's size for its text, 2 KiB for its rows, and 8 KiB for
/// text in Huffman code; nothing before the first line that needs it.
pub struct Decoder {
    table: Table,
    /// What our settings allow the peer's encoder to use.
    table_bytes_max: usize,
    /// A name that is not in the block as it is: decoded, or copied from an entry that may be evicted.
    name: Vec<u8>,
    /// A value in Huffman code, decoded.
    value: Vec<u8>,
}

impl Decoder {
    /// `table_bytes_max` is what our SETTINGS_HEADER_TABLE_SIZE allows; the table begins with the protocol's 4,096
    /// bytes, or with that if it is less.
    pub fn new(table_bytes_max: usize) -> Self {
        let table = Table::new(table_bytes_max.min(TABLE_BYTES_DEFAULT));
        Self { table, table_bytes_max, name: Vec::new(), value: Vec::new() }
    }

    /// Decodes a whole block (CONTINUATION joined); every line is shown, in its order, and lives for that call only.
    ///
    /// # Errors
    /// The connection is of no use any more; lines before the error have been shown.
    pub fn decode(&mut self, block: &[u8], mut visit: impl FnMut(FieldLine<'_>)) -> Result<(), DecodeError> {
        let mut rest = self.size_updates(block)?;
        let mut room = BLOCK_BYTES_MAX;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let line = if first & 0x80 != 0 {
                let index = integer::read(*first, 7, &mut rest)?;
                self.indexed(index)?
            } else {
                self.literal(*first, &mut rest)?
            };
            let bytes = line.name.len() + line.value.len() + ENTRY_OVERHEAD;
            room = room.checked_sub(bytes).ok_or(DecodeError::Bomb)?;
            visit(line);
        }
        for scratch in [&mut self.name, &mut self.value] {
            if scratch.capacity() > SCRATCH_BYTES_KEPT {
                *scratch = Vec::new();
            }
        }
        Ok(())
    }

    /// Takes the changes of the table's size off the front of a block (§6.3).
    fn size_updates<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let mut rest = block;
        for _ in 0..SIZE_UPDATES_MAX {
            let Some((first, after)) = rest.split_first().filter(|(first, _)| *first & 0xe0 == 0x20) else { break };
            rest = after;
            let size = integer::read(*first, 5, &mut rest)?;
            if size > self.table_bytes_max {
                return Err(DecodeError::TableSize);
            }
            self.table.resize(size);
        }
        Ok(rest)
    }

    /// The line with this index (§2.3.3).
    #[inline]
    fn indexed(&self, index: usize) -> Result<FieldLine<'_>, DecodeError> {
        match static_table::get(index) {
            Some(line) => Ok(line),
            None => dynamic(&self.table, index),
        }
    }

    /// A line whose value stands in the block (§6.2), added to the table where the peer says so.
    fn literal<'a, 'b: 'a>(&'a mut self, first: u8, rest: &mut &'b [u8]) -> Result<FieldLine<'a>, DecodeError> {
        let (prefix_bits, adds) = match first >> 4 {
            0b0100.. => (6, true),
            // Too many of them, or behind a line (§4.2).
            0b0010 | 0b0011 => return Err(DecodeError::TableSize),
            // Without indexing, or never to be indexed: the same for a reader.
            _ => (4, false),
        };
        let index = integer::read(first, prefix_bits, rest)?;
        let Self { table, name, value, .. } = self;
        let (id, name): (FieldId, &[u8]) = if index == 0 {
            let name = text(rest, name)?;
            (FieldId::of(name), name)
        } else if let Some(line) = static_table::get(index) {
            (line.id, line.name)
        } else {
            // Copied, because adding the line may evict the entry that names it (§4.4).
            let line = dynamic(table, index)?;
            name.clear();
            name.extend_from_slice(line.name);
            (line.id, name)
        };
        let value = text(rest, value)?;
        if adds {
            table.add(id, name, value);
        }
        Ok(FieldLine { id, name, value })
    }

    /// Recounts the table and gives its size in bytes; for fuzzers and tests.
    pub(super) fn validate(&self) -> usize {
        assert!(self.table.size_max() <= self.table_bytes_max.max(TABLE_BYTES_DEFAULT), "the peer uses what it may");
        self.table.validate()
    }
}

/// The entry of the dynamic table with this index.
#[inline]
fn dynamic(table: &Table, index: usize) -> Result<FieldLine<'_>, DecodeError> {
    let age = index.checked_sub(static_table::LINES + 1).ok_or(DecodeError::Index)?;
    table.get(age).ok_or(DecodeError::Index)
}

/// A string (§5.2): where it stands in the block, or decoded into `scratch`.
fn text<'a, 'b: 'a>(rest: &mut &'b [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], DecodeError> {
    let (first, mut after) = rest.split_first().map(|(first, after)| (*first, after)).ok_or(DecodeError::Truncated)?;
    let bytes = integer::read(first, 7, &mut after)?;
    let (text, after) = after.split_at_checked(bytes).ok_or(DecodeError::Truncated)?;
    *rest = after;
    if first & 0x80 == 0 { Ok(text) } else { huffman::decode(text, scratch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(decoder: &mut Decoder, block: &[u8]) -> Result<usize, DecodeError> {
        let mut lines = 0;
        decoder.decode(block, |_| lines += 1).map(|()| lines)
    }

    /// `size` bytes of the table, as a literal to be added.
    fn large_line(size: usize) -> Vec<u8> {
        let mut block = vec![0x40, 1, b'n'];
        integer::write(&mut block, 0, 7, size - ENTRY_OVERHEAD - 1);
        block.resize(block.len() + size - ENTRY_OVERHEAD - 1, b'v');
        block
    }

    #[test]
    fn every_error_has_its_block() {
        for (block, error) in [
            (&[0x80][..], DecodeError::Index),
            (&[0xbe], DecodeError::Index),
            (&[0x7e, 0], DecodeError::Index),
            (&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 1], DecodeError::Integer),
            (&[0xff], DecodeError::Truncated),
            (&[0x40], DecodeError::Truncated),
            (&[0x40, 3, b'a'], DecodeError::Truncated),
            (&[0x41], DecodeError::Truncated),
            (&[0x41, 0x81, 0xff], DecodeError::Huffman),
            (&[0x3f, 0xe2, 0x1f], DecodeError::TableSize),
            (&[0x82, 0x20], DecodeError::TableSize),
            (&[0x20, 0x20, 0x20], DecodeError::TableSize),
        ] {
            assert_eq!(verdict(&mut Decoder::new(4_096), block), Err(error), "{block:x?}");
        }
        assert_eq!(verdict(&mut Decoder::new(4_096), &[0x20, 0x3f, 0xe1, 0x1f, 0x82]), Ok(1), "0, then 4,096");
        assert_eq!(verdict(&mut Decoder::new(100), &[0x3f, 0x46]), Err(DecodeError::TableSize), "101 of 100");
        assert_eq!(verdict(&mut Decoder::new(4_096), &[]), Ok(0));
    }

    #[test]
    fn a_block_of_references_to_a_large_entry_is_a_bomb() {
        let mut decoder = Decoder::new(4_096);
        assert_eq!(verdict(&mut decoder, &large_line(4_096)), Ok(1));
        let lines_max = BLOCK_BYTES_MAX / 4_096;
        assert_eq!(verdict(&mut decoder, &vec![0xbe; lines_max]), Ok(lines_max));
        assert_eq!(verdict(&mut decoder, &[0xbe; 16_384]), Err(DecodeError::Bomb));
        // The same by references to a large name.
        let mut decoder = Decoder::new(4_096);
        let mut block = vec![0x40];
        integer::write(&mut block, 0, 7, 4_000);
        block.resize(block.len() + 4_000, b'n');
        block.push(0);
        assert_eq!(verdict(&mut decoder, &block), Ok(1));
        assert_eq!(verdict(&mut decoder, &[0x7e, 0].repeat(8_192)), Err(DecodeError::Bomb));
        // And by the smallest lines there are.
        assert_eq!(verdict(&mut Decoder::new(4_096), &[0x82; 16_384]), Err(DecodeError::Bomb));
    }

    #[test]
    fn a_name_outlives_the_entry_that_its_line_throws_out() {
        let mut decoder = Decoder::new(4_096);
        let mut block = large_line(3_000);
        block.extend([0x7e]);
        integer::write(&mut block, 0, 7, 2_000);
        block.resize(block.len() + 2_000, b'w');
        block.push(0xbe);
        let mut names = Vec::new();
        let verdict = decoder.decode(&block, |line| names.push((line.name.to_vec(), line.value.len())));
        assert_eq!(verdict, Ok(()));
        let line = (b"n".to_vec(), 2_000);
        assert_eq!(names, [(b"n".to_vec(), 2_967), line.clone(), line]);
        assert_eq!(decoder.validate(), 2_033);
    }

    #[test]
    fn buffers_for_decoded_text_are_given_back() {
        let mut decoder = Decoder::new(4_096);
        let mut block = vec![0x00];
        integer::write(&mut block, 0x80, 7, 20_000);
        block.resize(block.len() + 20_000, 0x00);
        block.push(0);
        let mut name_bytes = 0;
        assert_eq!(decoder.decode(&block, |line| name_bytes = line.name.len()), Ok(()));
        assert_eq!(name_bytes, 32_000, "`0` is five zeros");
        assert_eq!(decoder.name.capacity(), 0);
    }
}
